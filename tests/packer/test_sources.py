"""Base images, models and the hub's token: what is found, and every fault that they may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from packer.hub import Hub
from packer.site import BakeSite
from packer.sources import base_images, hub_token, models
from packer.targets import needs_of
from settings.errors import SettingsError
from tests.packer.hub_server import COMMIT, FakeHub, serving
from tests.packer.made_up import TWO_POOLS, settings_of
from tests.packer.stubs import StubbedAccount, stubbed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
WORKER = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
PARAMETER = "/sglang-fleet/hub-token"


@pytest.fixture
def account() -> Iterator[StubbedAccount]:
    with stubbed() as made:
        yield made


def faults(account: StubbedAccount, site: BakeSite | None = None, **tables: Any) -> tuple[dict[str, str], list[str]]:
    settings = settings_of(**tables)
    chosen, found = base_images(account, settings.bake, site or BakeSite(), needs_of(settings))
    return chosen, [str(fault) for fault in found]


def only_router(account: StubbedAccount, **image: Any) -> list[str]:
    account.parameters_are([ROUTER], **{ROUTER.replace("/", "__"): "ami-0000000a"})
    account.image_is("ami-0000000a", **image)
    settings = settings_of()
    _, found = base_images(account, settings.bake, BakeSite(), needs_of(settings)[:1])
    return [str(fault) for fault in found]


def test_base_images_come_from_public_parameters_and_each_is_looked_at_once(account: StubbedAccount) -> None:
    names = {ROUTER.replace("/", "__"): "ami-0000000a", WORKER.replace("/", "__"): "ami-0000000a"}
    account.parameters_are([ROUTER, WORKER], **names)
    account.image_is("ami-0000000a")
    chosen, found = faults(account, **TWO_POOLS)
    assert chosen == dict.fromkeys(["router", "workers-chat", "workers-batch"], "ami-0000000a")
    assert found == []


def test_a_site_names_base_images_itself(account: StubbedAccount) -> None:
    account.image_is("ami-0000000b")
    chosen, found = faults(account, BakeSite(base_images={"router": "ami-0000000b", "worker": "ami-0000000b"}))
    assert (set(chosen.values()), found) == ({"ami-0000000b"}, [])


def test_a_parameter_that_is_not_there(account: StubbedAccount) -> None:
    account.parameters_are([WORKER, "/team/base"], **{WORKER.replace("/", "__"): "ami-0000000a"})
    account.image_is("ami-0000000a")
    (fault,) = faults(account, bake={"router_base_parameter": "/team/base"})[1]
    assert fault == (
        "bake.router_base_parameter: '/team/base' is no SSM parameter in us-east-1; correct region, or set the "
        "parameter that names your base image"
    )


def test_an_image_that_is_not_there(account: StubbedAccount) -> None:
    account.parameters_are([ROUTER], **{ROUTER.replace("/", "__"): "ami-0000000a"})
    account.of_ec2.add_client_error("describe_images", "InvalidAMIID.NotFound")
    settings = settings_of()
    _, found = base_images(account, settings.bake, BakeSite(), needs_of(settings)[:1])
    assert str(found[0]).endswith(
        "holds ami-0000000a, which is no image in us-east-1; put the id of an image of this region there"
    )


def test_an_image_for_other_processors(account: StubbedAccount) -> None:
    (fault,) = only_router(account, Architecture="arm64")
    assert "holds ami-0000000a, which is for arm64, and router needs x86_64; name an image for x86_64" in fault


def test_an_image_larger_than_the_volume(account: StubbedAccount) -> None:
    disks = [
        {"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": "snap-2", "VolumeSize": 500}},
        {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 31}},
    ]
    assert only_router(account, BlockDeviceMappings=disks) == [
        "router.volume.size_gib: 30 is smaller than the 31 GiB of the base image ami-0000000a; raise it to 31 or more"
    ]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving() as served:
        yield served


def test_equal_models_are_looked_up_once(hub: FakeHub) -> None:
    hub.add("org/tiny")
    found, wrong = models(Hub(hub.url), needs_of(settings_of(**TWO_POOLS)))
    assert wrong == []
    assert {model.revision for model in found.values()} == {COMMIT}
    assert (set(found), len(hub.seen)) == ({"workers-chat", "workers-batch"}, 1)


def test_pools_that_trust_code_get_other_files_than_those_that_do_not(hub: FakeHub) -> None:
    hub.add("org/tiny")
    pools = [
        {**dict(pool), "engine": {"trust_remote_code": index == 0}} for index, pool in enumerate(TWO_POOLS["workers"])
    ]
    models(Hub(hub.url), needs_of(settings_of(workers=pools)))
    assert len(hub.seen) == 2


def test_the_faults_of_all_models_are_found(hub: FakeHub) -> None:
    pools = [{"name": "a1", "model_id": "org/one"}, {"name": "b2", "model_id": "org/two"}]
    _, wrong = models(Hub(hub.url), needs_of(settings_of(workers=pools)))
    assert [(fault.path, fault.value) for fault in wrong] == [
        ("workers[0].model_id", "org/one"),
        ("workers[1].model_id", "org/two"),
    ]


def secret(account: StubbedAccount, value: str, kind: str = "SecureString") -> None:
    parameter = {"Parameter": {"Name": PARAMETER, "Value": value, "Type": kind}}
    account.of_ssm.add_response("get_parameter", parameter, {"Name": PARAMETER, "WithDecryption": True})


def test_the_token_is_read_when_the_settings_name_one(account: StubbedAccount) -> None:
    assert hub_token(account, None) is None
    secret(account, "hf_token\n")
    assert hub_token(account, PARAMETER) == "hf_token"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("ParameterNotFound", "is no SSM parameter in us-east-1; put the token there: aws ssm put-parameter"),
        (
            "AccessDeniedException",
            "may not be read with these credentials; allow ssm:GetParameter on it, and kms",
        ),
    ],
)
def test_a_token_that_cannot_be_read(account: StubbedAccount, code: str, sentence: str) -> None:
    account.of_ssm.add_client_error("get_parameter", code)
    with pytest.raises(SettingsError) as raised:
        hub_token(account, PARAMETER)
    assert f"bake.hub_token_parameter: '{PARAMETER}' {sentence}" in str(raised.value)


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        ("hf_token", "String", "is a plain parameter, not a SecureString; store it again"),
        (" \n", "SecureString", "holds no token; put one line there"),
        ("two words", "SecureString", "holds no token"),
        ("hf_a\nhf_b", "SecureString", "holds no token"),
    ],
)
def test_a_token_that_is_none(account: StubbedAccount, value: str, kind: str, sentence: str) -> None:
    secret(account, value, kind)
    with pytest.raises(SettingsError) as raised:
        hub_token(account, PARAMETER)
    assert sentence in str(raised.value)
    assert "hf_" not in str(raised.value).replace("hf_…", "")
