from __future__ import annotations

import pytest

from settings.catalogue import catalogue, find, host_architecture
from settings.errors import FaultyValueError


def test_every_family_of_the_design_is_there() -> None:
    wanted = {"g4dn", "g5", "g5g", "g6", "g6e", "gr6", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "g7", "g7e"}
    assert wanted <= set(catalogue().families)


def test_the_default_type_in_full() -> None:
    instance = find("g6e.xlarge")
    assert (instance.gpu, instance.gpu_count, instance.gpu_memory_mib) == ("L40S", 1, 45776)
    assert (instance.vcpus, instance.memory_gib, instance.architecture) == (4, 32, "x86_64")
    assert (instance.compute_capability, instance.nvme_gb, instance.family) == ("8.9", 250, "g6e")
    assert (instance.network_gbps, instance.network_peak_gbps, instance.ebs_mb_s, instance.ebs_peak_mb_s) == (
        2.5,
        20,
        125,
        625,
    )
    assert instance.usd_per_hour == 1.861
    assert find("p5.48xlarge").total_gpu_memory_mib == 655360


def test_prices_say_where_and_when() -> None:
    assert (catalogue().price_region, catalogue().price_date) == ("us-east-1", "2026-07-20")
    unpriced = [name for name, instance in catalogue().instances.items() if instance.usd_per_hour is None]
    assert unpriced == ["p5e.48xlarge"]


def test_architecture_by_name_agrees_with_every_recorded_one() -> None:
    for name, instance in catalogue().instances.items():
        assert host_architecture(name) == instance.architecture, name


@pytest.mark.parametrize(
    ("instance_type", "architecture"),
    [
        ("c7i.large", "x86_64"),
        ("c7g.large", "arm64"),
        ("c7gn.medium", "arm64"),
        ("im4gn.large", "arm64"),
        ("t4g.small", "arm64"),
        ("a1.large", "arm64"),
        ("t3.medium", "x86_64"),
        ("u-3tb1.56xlarge", "x86_64"),
        ("u7i-12tb.224xlarge", "x86_64"),
        ("p6e-gb200.36xlarge", "arm64"),
    ],
)
def test_architecture_of_hosts_without_a_gpu(instance_type: str, architecture: str) -> None:
    assert host_architecture(instance_type) == architecture


@pytest.mark.parametrize(
    ("instance_type", "rule"),
    [
        ("c7i.large", "has no GPU"),
        ("u-3tb1.56xlarge", "has no GPU"),
        ("g5.3xlarge", "is a size that its family does not have"),
        ("inf2.xlarge", "has Inferentia accelerators, not NVIDIA GPUs"),
        ("p3.2xlarge", "has V100 GPUs, for which CUDA 13 makes no code"),
        ("g9.xlarge", "is not a known instance type"),
        ("nonsense", "is not a known instance type"),
    ],
)
def test_what_a_pool_cannot_run_on(instance_type: str, rule: str) -> None:
    with pytest.raises(FaultyValueError) as error:
        find(instance_type)
    assert error.value.faults[0].rule == rule


def test_not_an_instance_type() -> None:
    with pytest.raises(FaultyValueError):
        host_architecture("123")
