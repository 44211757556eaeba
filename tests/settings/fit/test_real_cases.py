"""Cases whose outcome is known from a model card, a vendor or an issue: `docs/fit.md` has them with their sources."""

from __future__ import annotations

import pytest

from settings.catalogue import catalogue
from settings.engine_builds import engine_builds
from settings.fit.budget import fit_of
from settings.fit.known_models import known_facts
from settings.fit.suits import problems_of
from tests.settings.fit.tables import RealCase, real_cases

CASES = real_cases()


def _answer(case: RealCase) -> str:
    facts, instance = known_facts(case.model_id), catalogue().instances[case.instance_type]
    assert facts is not None, case.model_id
    if instance.architecture == "arm64" and not engine_builds().of(instance).is_current:
        return "no code"
    problems = [problem.key.removeprefix("engine.") for problem in problems_of(facts, instance, case.engine)]
    return problems[0] if problems else fit_of(facts, instance, case.engine).verdict


def _is_right(case: RealCase) -> bool:
    return (_answer(case) == "fits") == case.known.startswith("fits")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.instance_type}-{case.model_id}-{case.arguments}")
def test_the_page_says_what_the_check_answers(case: RealCase) -> None:
    assert case.known.split()[0].rstrip(":") in {"fits", "not"}
    assert _answer(case) == case.answer
    facts = known_facts(case.model_id)
    assert facts is not None
    fit = fit_of(facts, catalogue().instances[case.instance_type], case.engine)
    assert f"{fit.weights:.1f} / {fit.static:.1f}" == case.gib


def test_at_least_95_percent_are_right() -> None:
    wrong = [case for case in CASES if not _is_right(case)]
    assert len(wrong) <= 0.05 * len(CASES), wrong


def test_nothing_that_failed_is_said_to_fit() -> None:
    failed = [case for case in CASES if case.known.startswith("not")]
    assert [case for case in failed if _answer(case) == "fits"] == []
    assert len(failed) >= 15


def test_there_are_thirty_cases_of_every_gpu_family_both_ways_and_each_has_a_source() -> None:
    assert len(set(CASES)) == len(CASES) >= 30
    families = {name.partition(".")[0] for name in catalogue().instances}
    assert {case.instance_type.partition(".")[0] for case in CASES} == families
    assert sum(case.known.startswith("fits") for case in CASES) >= 15
    assert all("https://" in case.source or case.source.startswith(("the same", "[the wheels]")) for case in CASES)


def test_the_cache_that_a_log_of_sglang_names() -> None:
    """367,404 tokens (https://github.com/vllm-project/vllm/issues/21348); the page says how far the arithmetic is."""
    (case,) = [case for case in CASES if "367,404 tokens" in case.known]
    facts = known_facts(case.model_id)
    assert facts is not None
    tokens = fit_of(facts, catalogue().instances[case.instance_type], case.engine).tokens
    assert tokens == pytest.approx(367_404, rel=0.05)
