"""docs/metrics.md says what the code does. UPDATE_GOLDEN=1 writes its generated parts anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.user_data.metrics_page import PARTS
from user_data import metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def _part(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)


@pytest.mark.parametrize("name", PARTS)
def test_the_page_is_up_to_date(name: str) -> None:
    text = PAGE.read_text()
    new, found = _part(name).subn(lambda match: f"{match[1]}{PARTS[name]()}\n{match[2]}", text)
    assert found == 1
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(new)
    assert PAGE.read_text() == new, "docs/metrics.md differs; UPDATE_GOLDEN=1 writes it anew"


def test_every_metric_has_a_name_of_its_own_and_is_in_one_list() -> None:
    names = [metric.name for metric in metrics.ALL_METRICS]
    assert len(set(names)) == len(names)
    lists = (metrics.POOL_METRICS, metrics.WORKER_METRICS, (metrics.ROUTER_UP,), metrics.LOG_METRICS)
    assert sorted(names) == sorted(metric.name for group in lists for metric in group)
