"""The cost of discovery that the acceptance states, from the benchmark itself."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "discovery.py"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    """The benchmark, which is run by path and is no package."""
    spec = util.spec_from_file_location("discovery_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_thousand_workers_cost_less_than_a_second_and_a_call_a_second(benchmark: Any) -> None:
    cost = benchmark.measure(1000, cycles=3)
    assert cost.first_calls == 1 + 1000 / 200  # one page of groups, and every address once
    assert cost.calls_per_second == 0.5
    assert cost.steady_seconds < 1
    assert cost.first_seconds < 2  # measured 0.3 s; the rest is for a busy machine


def test_the_table_has_a_line_per_size(benchmark: Any) -> None:
    lines = benchmark.table([benchmark.measure(10, cycles=1), benchmark.measure(20, cycles=1)]).splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["workers", "---", "10", "20"]


def test_a_fleet_that_is_not_found_is_no_figure(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "TAG_MODEL", "another-tag")
    with pytest.raises(RuntimeError, match="discovery found 0 of 5 workers"):
        benchmark.measure(5, cycles=1)
