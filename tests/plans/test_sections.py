"""Fit, cost and boot as sections of a summary: what needs attention, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from fleet import plan_sections
from fleet.plan_sections import logged_boots, of_plans, of_settings
from plans.bills import bills_of
from plans.markdown import LIMIT_BYTES, markdown
from plans.section_boot import Logged, boot_section
from plans.section_cost import planned_cost, settings_cost
from plans.section_fit import fit_section
from plans.summary import ExitCode, summarize
from rehearsal.options import ENVIRONMENT
from settings.costs.tokens import Load
from settings.load import load_settings
from settings.model import Settings
from settings.workers import WorkerPool
from tests.plans.made_up import change, plan, saved

if TYPE_CHECKING:
    from collections.abc import Mapping

TOO_LARGE = WorkerPool(instance_type="g6.xlarge", model_id="Qwen/Qwen3-32B")
UNKNOWN = WorkerPool(model_id="somebody/something")


def rehearsal(**changes: object) -> Settings:
    """As the saved plans have it, whose pools do not look at prompts."""
    return load_settings(ENVIRONMENT, {"workers[0].scaling.target_prompt_load": 0, **changes})


def told(section: Any) -> str:
    return "\n".join(section.render_lines())


def test_a_model_that_does_not_fit_needs_attention_with_numbers_and_remedy() -> None:
    summary = summarize([plan("router")], sections=[fit_section([TOO_LARGE])])
    assert summary.exit_code is ExitCode.ATTENTION
    (problem,) = summary.problems
    assert problem.where == "pool default"
    assert "GiB" in problem.text
    assert "; use g" in problem.text or "; use the model " in problem.text


def test_a_model_that_is_not_known_has_no_verdict_and_no_prediction_but_a_remedy() -> None:
    for section in (fit_section([UNKNOWN]), boot_section([UNKNOWN], Logged())):
        assert not section.problems
        assert not section.tables
        assert "`fleet facts somebody/something --add`" in told(section)


def test_a_model_of_unknown_size_leaves_the_cost_open() -> None:
    settings = rehearsal(model_id="somebody/something")
    section = settings_cost(settings, saved("no-op"))
    assert "more than " in told(section)
    assert "the size of the model's files is not known" in told(section)


def test_settings_and_the_plan_of_them_cost_the_same() -> None:
    section = settings_cost(rehearsal(), saved("no-op"))
    after = bills_of(saved("no-op")).after
    assert after is not None
    data: Any = section.render_json()
    for case in ("least", "expected", "most"):
        assert data["usd_per_hour"][case] == pytest.approx(after.total(case).usd_per_hour, abs=0.0001)
    assert data["change"] == {"usd_per_hour": dict.fromkeys(data["usd_per_hour"], 0), "nothing_deployed": False} | {
        "lines": []
    }


def test_every_line_of_the_data_names_unit_and_date() -> None:
    data: Any = settings_cost(rehearsal(), ()).render_json()
    assert len(data["lines"]) > 20
    assert all(line["unit"] and line["date"] and line["source"] for line in data["lines"])


def test_a_region_without_prices_says_so() -> None:
    elsewhere = rehearsal(region="eu-west-1", name="far")
    section = settings_cost(elsewhere, ())
    assert told(section).startswith("unknown (")
    assert "`fleet prices --region eu-west-1 --write` reads them" in told(section)


def test_a_load_is_told_by_the_million_tokens() -> None:
    load = Load("default", hours=2.0, gpu_hours=4.0, output_tokens=7_200_000)
    section = settings_cost(rehearsal(), (), load)
    assert "USD per million output tokens at 3.60 million an hour" in told(section)
    data: Any = section.render_json()
    assert data["usd_per_million_output_tokens"] == pytest.approx(data["usd_per_hour"]["expected"] / 3.6, rel=1e-3)


def test_plans_that_do_not_tell_a_bill() -> None:
    assert "do not tell one region" in told(planned_cost([]))
    foreign = plan("mine", change("aws_autoscaling_group", "create", after={"name": "g", "min_size": 1, "max_size": 1}))
    assert told(planned_cost([foreign])).startswith("not told: the plans do not tell the hosts of group g")
    assert "cannot be told" in told(settings_cost(rehearsal(), [foreign]))


def refuse(*_: object) -> None:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "FilterLogEvents")


@pytest.mark.parametrize(
    ("read", "words"),
    [(refuse, "cannot be read: An error occurred (AccessDenied)"), (lambda *_: (), "no host has logged a boot")],
)
def test_boots_that_cannot_be_read_are_a_note(read: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_sections, "phases_logged", read)
    logged = logged_boots(rehearsal(), None)  # type: ignore[arg-type]
    section = boot_section(rehearsal().workers, logged)
    assert words in told(section)
    assert [table.columns[-1] for table in section.tables] == ["routed", "best"]


def test_a_plan_of_saved_files_has_the_cost_only() -> None:
    (section,) = of_plans(saved("shrink"))
    assert section.title == "Cost"
    assert "-1.97 USD per hour with as many workers as now" in told(section)


def many(number: int) -> Settings:
    """The rehearsal's settings with so many pools like its one."""
    made = rehearsal()
    pools: Mapping[str, object] = {
        "workers": tuple(made.workers[0].model_copy(update={"name": f"{index:02}"}) for index in range(number))
    }
    return made.model_copy(update=pools)


def test_twenty_pools_with_all_sections_stay_below_the_limit() -> None:
    first = saved("first-deploy")
    pool = next(item for item in first if item.stack == "workers-default")
    plans = [item for item in first if item is not pool]
    plans += [replace(pool, stack=f"workers-{index:02}") for index in range(20)]
    text = markdown(summarize(plans, sections=of_settings(many(20), first, Logged())))
    assert len(text.encode()) < LIMIT_BYTES
    assert "pool 19: a new worker takes about" in text
    assert "| workers-19 |  |" in text
