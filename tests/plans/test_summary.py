from __future__ import annotations

import pytest

from plans.change import StackPlan
from plans.markdown import LIMIT_BYTES, markdown
from plans.sections import PlainSection, Problem, Table
from plans.summary import ExitCode, UnknownStackError, summarize
from tests.plans.made_up import change, plan, saved

HOST = {"private_ip": "10.0.0.100", "ami": "ami-1"}
ROUTER = change(
    "aws_instance", "delete", "create", before=HOST, after={**HOST, "ami": "ami-2"}, replace_paths=[["ami"]]
)


def test_consent_turns_attention_into_changes() -> None:
    plans = [plan("router", ROUTER)]
    assert summarize(plans).exit_code is ExitCode.ATTENTION
    assert "--allow-replace router" in markdown(summarize(plans))
    agreed = summarize(plans, allowed=["router"])
    assert agreed.exit_code is ExitCode.CHANGES
    assert "--allow-replace" not in markdown(agreed)


def test_consent_for_one_stack_is_none_for_another() -> None:
    group = change("aws_cloudwatch_log_group", "delete", before={"name": "/a"})
    summary = summarize([plan("router", ROUTER), plan("logs", group)], allowed=["router"])
    assert [problem.where for problem in summary.problems] == ["logs"]


def test_nothing_consents_to_the_end_of_the_state() -> None:
    bucket = change("aws_s3_bucket", "delete", before={"bucket": "b"})
    assert summarize([plan("state", bucket)], allowed=["state"]).exit_code is ExitCode.ATTENTION


def test_consent_for_a_stack_that_there_is_none_of() -> None:
    with pytest.raises(UnknownStackError, match="no stack 'ruter' in this plan; did you mean 'router'"):
        summarize([plan("router", ROUTER)], allowed=["ruter"])


def test_a_problem_of_a_section_needs_attention_without_any_change() -> None:
    section = PlainSection("Fit", ("does not",), problems=(Problem("pool default", "needs 90 GiB, has 80 GiB"),))
    summary = summarize([plan("router")], sections=[section])
    assert summary.exit_code is ExitCode.ATTENTION
    assert "needs 90 GiB, has 80 GiB" in markdown(summary)


def test_a_changed_output_alone_is_a_change() -> None:
    outputs = {"router_url": {"actions": ["update"], "before": "http://a", "after": "http://b"}}
    assert summarize([plan("router", outputs=outputs)]).exit_code is ExitCode.CHANGES


def pools(number: int) -> list[StackPlan]:
    """A first deploy of many pools, from the one of a real plan."""
    plans = list(saved("first-deploy"))
    pool = next(item for item in plans if item.stack == "workers-default")
    others = [item for item in plans if item is not pool]
    return others + [
        StackPlan(f"workers-{index:02}", "fresh", "us-east-1", pool.changes, 0, pool.outputs) for index in range(number)
    ]


def test_twenty_pools_stay_below_the_limit_with_every_resource() -> None:
    text = markdown(summarize(pools(20)))
    assert len(text.encode()) < LIMIT_BYTES
    assert "<summary>workers-19: 20 resources</summary>" in text
    assert "+ aws_autoscaling_group.group" in text


def test_however_large_a_plan_it_stays_below_the_limit_and_says_what_is_gravest() -> None:
    rows = tuple((f"line {number}", "x" * 100) for number in range(2_000))
    section = PlainSection("Cost", tuple(f"sentence {number}" for number in range(2_000)))
    group = change("aws_autoscaling_group", "delete", before={"desired_capacity": 1})
    plans = [*pools(400), plan("workers-gone", group)]
    summary = summarize(plans, sections=[section, PlainSection("Boot", (), (Table(("a", "b"), rows),))])
    text = markdown(summary)
    assert len(text.encode()) < LIMIT_BYTES
    assert "takes the pool away: 1 worker drain" in text


def test_no_value_of_a_plan_can_act_in_a_comment() -> None:
    evil = "<img src=x>|@team [a](b) #1 ``` **x**"
    item = change("aws_cloudwatch_log_group", "delete", before={"name": evil})
    text = markdown(summarize([plan("logs", item)]))
    assert "<img" not in text
    assert "@team" not in text
    assert "[a](b)" not in text
