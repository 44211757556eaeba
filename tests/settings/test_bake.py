from __future__ import annotations

import pytest

from settings.bake import BakeSettings, model_volume_gib
from settings.errors import SettingsError
from settings.load import settings_from
from settings.workers import ModelVolumeSettings

GB = 10**9


def test_a_bake_runs_without_a_gpu_on_the_processors_of_its_image() -> None:
    bake = BakeSettings()
    assert bake.instance_type("router", "x86_64") == bake.instance_type("worker", "x86_64") == "c7i.2xlarge"
    assert bake.instance_type("worker", "arm64") == "c7g.2xlarge"
    assert BakeSettings(router_instance_type="m7i.large").instance_type("router", "x86_64") == "m7i.large"


def test_images_start_from_public_ones() -> None:
    bake = BakeSettings(worker_base_parameter="/mine")
    assert bake.base_parameter("worker", "x86_64") == "/mine"
    ubuntu = "/aws/service/canonical/ubuntu/server/24.04/stable/current"
    assert bake.base_parameter("router", "x86_64") == f"{ubuntu}/amd64/hvm/ebs-gp3/ami-id"
    assert bake.base_parameter("router", "arm64") == f"{ubuntu}/arm64/hvm/ebs-gp3/ami-id"
    assert BakeSettings().base_parameter("worker", "arm64") == (
        "/aws/service/deeplearning/ami/arm64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
    )


@pytest.mark.parametrize(
    ("volume", "model_bytes", "size"),
    [
        (ModelVolumeSettings(), 1000, 8),
        (ModelVolumeSettings(), 19 * GB, 22),
        (ModelVolumeSettings(), 470 * GB, 526),
        (ModelVolumeSettings(iops=16000), 1000, 32),
        (ModelVolumeSettings(size_gib=100), 19 * GB, 100),
    ],
)
def test_the_model_volume_holds_the_model_and_allows_its_rate(
    volume: ModelVolumeSettings, model_bytes: int, size: int
) -> None:
    assert model_volume_gib(volume, model_bytes) == size


@pytest.mark.parametrize("url", ["https://hub.example.com/mirror/hf", "http://127.64.0.9:8080", "http://localhost:80"])
def test_a_hub_is_reached_encrypted_or_on_this_computer(url: str) -> None:
    assert settings_from({"bake": {"hub_url": url}}).bake.hub_url == url


@pytest.mark.parametrize(
    "url", ["https://", "https://hub.example.com/", "http://localhostile.com", "http://10.0.0.1", "https://me@hub.com"]
)
def test_addresses_that_are_no_hub(url: str) -> None:
    with pytest.raises(SettingsError, match="hub_url"):
        settings_from({"bake": {"hub_url": url}})


def test_one_base_image_does_not_serve_pools_with_different_processors() -> None:
    arm: dict[str, object] = {"name": "arm", "instance_type": "g5g.xlarge", "engine": {"device": "cpu"}}
    raw: dict[str, object] = {"bake": {"worker_base_parameter": "/mine"}, "workers": [{}, arm]}
    with pytest.raises(SettingsError) as error:
        settings_from(raw)
    assert str(error.value) == (
        "bake.worker_base_parameter: '/mine' names one image, and workers[0].instance_type needs x86_64, "
        "workers[1].instance_type arm64; leave it out, or give one of the pools an image.ami"
    )
    own = arm | {"image": {"ami": "ami-0abcdef1234567890"}}
    assert settings_from(raw | {"workers": [{}, own]}).bake.worker_base_parameter == "/mine"


def test_a_private_address_with_the_block_it_is_reached_from() -> None:
    bake = {"ssh_interface": "private_ip", "ssh_cidrs": ["10.8.0.0/16"], "subnet_id": "subnet-0abcdef1234567890"}
    assert settings_from({"bake": bake}).bake.ssh_interface == "private_ip"
