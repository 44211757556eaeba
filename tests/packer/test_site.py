"""The file that says where a bake happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from packer.site import BakeSite, emulated_endpoint, load_site
from settings.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_file_it_is_the_real_cloud() -> None:
    site = load_site(None)
    assert (site.endpoint_ec2, site.model_device, site.gpu_driver_check, site.engine_install) == (
        "",
        "/dev/sdf",
        True,
        "lock",
    )
    assert site.agent_url("eu-central-1", "x86_64") == (
        "https://amazoncloudwatch-agent-eu-central-1.s3.eu-central-1.amazonaws.com/ubuntu/amd64/latest"
    )
    assert site.agent_url("us-east-1", "arm64").endswith("/ubuntu/arm64/latest")


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "site.json"
    told = {"endpoint_ec2": "http://127.64.0.9:4566", "base_images": {"router": "ami-0a"}, "ssh_cidrs": ["127.0.0.0/8"]}
    file.write_text(json.dumps(told))
    site = load_site(file)
    assert (site.endpoint_ec2, site.base_images["router"], site.ssh_port) == ("http://127.64.0.9:4566", "ami-0a", 22)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "Invalid JSON"),
        ('{"hub": "x"}', "site.json: hub: Extra inputs are not permitted; name a JSON file with the keys"),
        ('{"hub_url": "http://h/"}', "site.json: hub_url: String should match"),
        ('{"model_device": "sdf"}', "site.json: model_device: String should match"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "site.json"
    file.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_site(file)
    assert sentence in str(raised.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SGLANG_FLEET_BAKE_SITE: .*cannot be read: No such file or directory"):
        load_site(tmp_path / "none.json")


def test_packer_talks_to_the_account_that_the_rest_talks_to() -> None:
    assert emulated_endpoint({}) == ""
    assert emulated_endpoint({"AWS_ENDPOINT_URL": "http://a"}) == "http://a"
    assert emulated_endpoint({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_EC2": "http://b"}) == "http://b"


def test_every_key_says_what_it_is() -> None:
    assert all(field.description for field in BakeSite.model_fields.values())
