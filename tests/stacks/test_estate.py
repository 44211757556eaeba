"""What settings say is charged for is what the stacks make: counted once from each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from settings.costs.estate import Estate, estate_of
from settings.costs.planned import Planned, estate_of_resources
from settings.load import load_settings
from tests.stacks.synthesized import ENVIRONMENTS, REPOSITORY, Synthesized, environment, synthesize

if TYPE_CHECKING:
    from pathlib import Path

    from settings.model import Settings

pytestmark = pytest.mark.slow

UNUSUAL = """
name = "unusual"
region = "us-east-1"
[network]
nat = "none"
interface_endpoints = ["autoscaling", "ec2", "ssm", "logs", "monitoring"]
availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
flow_logs = false
[logs]
retention_days = 7
[router]
count = 3
instance_type = "c7g.large"
policy = "prefix_hash"
[[workers]]
min_size = 0
max_size = 5
desired_size = 2
[workers.scaling]
kv_usage_high_percent = 0
[workers.warm_pool]
enabled = true
state = "running"
min_size = 1
max_prepared = 4
[workers.model_volume]
size_gib = 40
"""


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_estates_agree(name: str) -> None:
    _compare(load_settings(REPOSITORY / "environments" / f"{name}.toml", {}), environment(name))


def test_estates_agree_on_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "unusual.toml"
    path.write_text(UNUSUAL)
    _compare(load_settings(path, {}), synthesize(path))


def _compare(settings: Settings, made: Synthesized) -> None:
    counted = estate_of(settings)
    resources = [Planned(one.kind, one.body) for one in made.resources()]
    found = estate_of_resources(settings.region, resources, own_images=counted.own_images)
    assert _sorted(found) == _sorted(counted, by=found)


def _sorted(estate: Estate, by: Estate | None = None) -> Estate:
    """Pools by name; a schedule's mean is not what Terraform knows, which has the size at the first apply."""
    pools = sorted(estate.pools, key=lambda pool: pool.name)
    first = {pool.name: pool.workers.expected for pool in (by or estate).pools}
    same = (replace(pool, workers=replace(pool.workers, expected=first[pool.name])) for pool in pools)
    return replace(estate, pools=tuple(same))
