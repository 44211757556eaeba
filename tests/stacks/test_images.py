"""A plan refuses an image that is missing or the wrong one, in words that name what mends it.

The plans are real: Terraform and the AWS provider against an account on loopback that holds right and wrong images. One
run for all cases, each a module of one root, because loading the provider costs more than the plan.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import App, TerraformOutput, TerraformStack
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.server import ThreadedMotoServer
from moto.ssm.models import ssm_backends

from rehearsal.places import WorkFolder
from rehearsal.tools import find_tools, write_terraform_configuration
from settings import naming
from settings.engine_catalogue import engine_catalogue
from stacks.hosts import MODEL_DEVICE
from stacks.images import HostImage, ImageTag
from tests.stacks.synthesized import REPOSITORY, environment, synthesize

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
EXAMPLE = REPOSITORY / "environments" / "example.toml"
ACCOUNT, REGION = "123456789012", "us-east-1"
FOLDER = "/sglang-fleet/plan/image"
MODEL = "Example/Model-7B"
REVISION = "0123456789abcdef0123456789abcdef01234567"
WORKER_TAGS = {
    naming.TAG_IMAGE_ROLE: "worker",
    naming.TAG_IMAGE_MODEL: MODEL,
    naming.TAG_IMAGE_MODEL_REVISION: REVISION,
    naming.TAG_IMAGE_ENGINE: "1.2.3",
}
WANTED = HostImage(
    section="workers[0].image",
    ami=None,
    ssm_parameter="",
    is_own_parameter=False,
    instance_type="g6e.xlarge",
    architecture="x86_64",
    tags=(
        ImageTag(naming.TAG_IMAGE_ROLE, "worker", "the role"),
        ImageTag(naming.TAG_IMAGE_MODEL, MODEL, "the model"),
        ImageTag(naming.TAG_IMAGE_ENGINE, "1.2.3", "SGLang", optional=True),
        ImageTag(naming.TAG_IMAGE_MODEL_REVISION, REVISION, "the model's revision"),
    ),
    model_device=MODEL_DEVICE,
)


@dataclass(frozen=True)
class Case:
    """An image in the account and the sentences of a plan that shall start hosts from it."""

    name: str
    changed_tags: tuple[tuple[str, str | None], ...] = ()
    architecture: str = "x86_64"
    devices: tuple[str, ...] = ("/dev/sda1", MODEL_DEVICE)
    state: str = "available"
    recorded: bool = True
    own: bool = False
    own_parameter: bool = False
    sentences: tuple[str, ...] = ()

    @property
    def tags(self) -> dict[str, str]:
        merged = WORKER_TAGS | dict(self.changed_tags)
        return {key: value for key, value in merged.items() if value is not None}

    @property
    def parameter(self) -> str:
        return f"{FOLDER}/{self.name}"


def names(case_name: str, rule: str) -> str:
    return f"The image that SSM parameter {FOLDER}/{case_name} names, AMI, {rule}; run `fleet bake`."


NOT_RECORDED = f"No image is recorded in SSM parameter {FOLDER}/not-recorded; run `fleet bake`."
OWN_PARAMETER = (
    f"No image is recorded in SSM parameter {FOLDER}/own-parameter; record another image there, or leave "
    "workers[0].image.ssm_parameter out and run `fleet bake`."
)
OWN_IMAGE = "name another image, or leave that key out and run `fleet bake`."
OTHERS_MODEL = f'has the model "Other/Model", and "{MODEL}" is wanted (tag sglang-fleet:model)'
CASES = (
    Case("right"),
    Case("no-engine-tag", changed_tags=((naming.TAG_IMAGE_ENGINE, None),)),
    Case(
        "not-recorded",
        recorded=False,
        sentences=(NOT_RECORDED,),
    ),
    Case("own-parameter-right", own_parameter=True, changed_tags=tuple((key, None) for key in WORKER_TAGS)),
    Case("own-parameter", own_parameter=True, recorded=False, sentences=(OWN_PARAMETER,)),
    Case(
        "not-there",
        state="failed",
        sentences=(names("not-there", "does not exist in this account and region, or is not available yet"),),
    ),
    Case(
        "other-processor",
        architecture="arm64",
        sentences=(names("other-processor", "is for arm64 processors, and g6e.xlarge has x86_64"),),
    ),
    Case(
        "of-the-router",
        changed_tags=(
            (naming.TAG_IMAGE_ROLE, "router"),
            (naming.TAG_IMAGE_MODEL, None),
            (naming.TAG_IMAGE_MODEL_REVISION, None),
            (naming.TAG_IMAGE_ENGINE, None),
        ),
        devices=("/dev/sda1",),
        sentences=(
            names("of-the-router", 'has the role "router", and "worker" is wanted (tag sglang-fleet:role)'),
            names("of-the-router", f'has the model "none", and "{MODEL}" is wanted (tag sglang-fleet:model)'),
            names(
                "of-the-router",
                f'has the model\'s revision "none", and "{REVISION}" is wanted (tag sglang-fleet:model-revision)',
            ),
            names("of-the-router", "has no volume /dev/sdf, which the model is looked for on"),
        ),
    ),
    Case(
        "other-model",
        changed_tags=((naming.TAG_IMAGE_MODEL, "Other/Model"),),
        sentences=(names("other-model", OTHERS_MODEL),),
    ),
    Case(
        "other-engine",
        changed_tags=((naming.TAG_IMAGE_ENGINE, "1.2.2"),),
        sentences=(names("other-engine", 'has SGLang "1.2.2", and "1.2.3" is wanted (tag sglang-fleet:engine)'),),
    ),
    Case("own", own=True, recorded=False, changed_tags=tuple((key, None) for key in WORKER_TAGS)),
    Case(
        "own-for-other-model",
        own=True,
        recorded=False,
        changed_tags=((naming.TAG_IMAGE_MODEL, "Other/Model"),),
        sentences=(f"workers[0].image.ami: AMI, {OTHERS_MODEL}; {OWN_IMAGE}",),
    ),
)


def seed(case: Case) -> str:
    """Register the image and record its id as a bake does. Moto's own call takes neither architecture nor devices."""
    image: Ami = ec2_backends[ACCOUNT][REGION].register_image(case.name, "an image")
    image.architecture, image.state = case.architecture, case.state
    image.root_device_type, image.virtualization_type = "ebs", "hvm"
    image.add_tags(case.tags)
    image.devices = case.devices  # type: ignore[attr-defined]
    if case.recorded:
        ssm_backends[ACCOUNT][REGION].put_parameter(
            name=case.parameter,
            description="",
            value=image.id,
            parameter_type="String",
            allowed_pattern="",
            keyid="",
            overwrite=False,
            tags=[],
            data_type="text",
            tier="Standard",
            policies=None,
        )
    return str(image.id)


def mappings(image: Any) -> list[dict[str, Any]]:
    ebs = {"SnapshotId": image.ebs_snapshot.id, "VolumeSize": 15, "DeleteOnTermination": True, "VolumeType": "gp3"}
    return [{"DeviceName": device, "Ebs": ebs} for device in getattr(image, "devices", ("/dev/sda1",))]


@pytest.fixture(scope="module")
def account() -> Iterator[tuple[str, dict[str, str]]]:
    """The account's address and the id of each case's image."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ami, "block_device_mappings", property(mappings))
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}", {case.name: seed(case) for case in CASES}
    server.stop()


def write_modules(folder: Path, ids: dict[str, str]) -> None:
    """Write one module per case, as synthesized."""
    with TemporaryDirectory() as out:
        app = App(outdir=out, skip_validation=True)  # a module takes the provider of the root
        for case in CASES:
            stack = TerraformStack(app, case.name)
            wanted = replace(
                WANTED,
                ami=ids[case.name] if case.own else None,
                ssm_parameter=case.parameter,
                is_own_parameter=case.own_parameter,
            )
            TerraformOutput(stack, "image_id", value=wanted.resolve(stack))  # type: ignore[arg-type]
        app.synth()
        for case in CASES:
            document = json.loads((Path(out) / "stacks" / case.name / "cdk.tf.json").read_text())
            del document["terraform"]
            (folder / case.name).mkdir()
            (folder / case.name / "cdk.tf.json").write_text(json.dumps(document))
    provider = {"region": REGION, "skip_requesting_account_id": True, "skip_credentials_validation": True}
    root = {
        "provider": {"aws": provider | {"skip_metadata_api_check": "true"}},
        "module": {case.name: {"source": f"./{case.name}"} for case in CASES},
        "output": {case.name: {"value": f"${{module.{case.name}.image_id}}"} for case in CASES if not case.sentences},
    }
    (folder / "root.tf.json").write_text(json.dumps(root))


@pytest.fixture(scope="module")
def planned(account: tuple[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a plan says, line by line."""
    address, ids = account
    folder = tmp_path_factory.mktemp("plan")
    write_modules(folder, ids)
    work = WorkFolder(folder / "work")
    work.create()
    tools = find_tools(os.environ)
    variables = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": str(write_terraform_configuration(work, tools, os.environ)),
        "CHECKPOINT_DISABLE": "1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for command in (["init", "-input=false"], ["plan", "-input=false", "-json"]):
        done = subprocess.run(
            [str(tools.terraform), *command], cwd=folder, env=variables, capture_output=True, text=True, check=False
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def sentences(planned: list[dict[str, Any]], case: Case) -> list[str]:
    found = []
    for line in planned:
        diagnostic = line.get("diagnostic", {})
        if diagnostic.get("range", {}).get("filename", "").startswith(f"{case.name}/"):
            assert diagnostic["summary"] == "Resource postcondition failed"
            found.append(re.sub(r"ami-[0-9a-f]+", "AMI", diagnostic["detail"]))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_plan_says_what_is_wrong_with_an_image_and_what_mends_it(case: Case, planned: list[dict[str, Any]]) -> None:
    assert sorted(sentences(planned, case)) == sorted(case.sentences)


def test_a_plan_takes_the_right_images_and_shows_their_ids(planned: list[dict[str, Any]]) -> None:
    (outputs,) = [line["outputs"] for line in planned if line.get("type") == "outputs"]
    assert outputs.keys() == {case.name for case in CASES if not case.sentences}
    assert {output["sensitive"] for output in outputs.values()} == {False}


def conditions(stack: str, overrides: dict[str, object]) -> list[str]:
    image = synthesize(EXAMPLE, overrides).stacks[stack]["data"]["aws_ami"]["image"]
    return [condition["condition"] for condition in image["lifecycle"]["postcondition"]]


def test_workers_want_the_model_and_engine_of_the_settings() -> None:
    stack = environment("example").stacks["workers-default"]
    parameter = "/sglang-fleet/sglang/image/workers-default"
    assert stack["data"]["aws_ssm_parameters_by_path"]["recorded"]["path"] == "/sglang-fleet/sglang/image"
    text = json.dumps(stack["data"])
    for wanted in (parameter, "DeepSeek-R1-Distill-Qwen-32B-AWQ", engine_catalogue().version, "x86_64", MODEL_DEVICE):
        assert wanted in text
    assert naming.TAG_IMAGE_MODEL_REVISION not in text
    assert stack["resource"]["aws_launch_template"]["launch-template"]["image_id"] == "${data.aws_ami.image.id}"


def test_a_revision_is_wanted_where_the_settings_pin_one() -> None:
    found = conditions("workers-default", {"model_revision": REVISION})
    assert [REVISION in condition for condition in found].count(True) == 1


def test_the_router_wants_its_role_and_no_model() -> None:
    found = conditions("router", {"router.instance_type": "c7g.large"})
    assert len(found) == 2
    assert "arm64" in found[0]
    assert naming.TAG_IMAGE_ROLE in found[1]


def test_an_own_image_may_belong_to_another_account_and_needs_nothing_in_ssm() -> None:
    overrides = {"workers[0].image.ami": "ami-0abcdef1234567890", "workers[0].model_volume.enabled": "false"}
    data = synthesize(EXAMPLE, overrides).stacks["workers-default"]["data"]
    assert "aws_ssm_parameters_by_path" not in data
    assert "aws_ami_ids" not in data
    assert "owners" not in data["aws_ami"]["image"]
    assert MODEL_DEVICE not in json.dumps(data)
