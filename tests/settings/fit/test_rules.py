"""What `fleet settings check` refuses: the sentences, with the numbers in GiB and the cheapest way out."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from settings.errors import SettingsError
from settings.fit.pool import pool_fit, pool_note
from settings.load import settings_from

OWN = {"ami": "ami-0abcdef1234567890"}
AWQ = "Qwen/Qwen2.5-7B-Instruct-AWQ"


def _sentences(model_id: str, instance_type: str, engine: dict[str, Any] | None = None, **pool: Any) -> list[str]:
    worker = {"model_id": model_id, "instance_type": instance_type, "engine": engine or {}, **pool}
    try:
        settings_from({"workers": [worker]})
    except SettingsError as error:
        return str(error).splitlines()
    return []


def _refused() -> list[tuple[str, str, str]]:
    """Return each case of `refused.txt`: name, settings, sentences."""
    blocks = (Path(__file__).with_name("refused.txt")).read_text(encoding="utf-8").split("=== ")[1:]
    parts = (block.partition("\n") for block in blocks)
    return [(name, *_halves(rest)) for name, _, rest in parts]


def _halves(text: str) -> tuple[str, str]:
    settings, _, sentences = text.partition("\n---\n")
    return settings, sentences.strip()


@pytest.mark.parametrize(
    ("settings", "sentences"), [case[1:] for case in _refused()], ids=[case[0] for case in _refused()]
)
def test_sentences(settings: str, sentences: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings_from(tomllib.loads(settings))
    assert str(error.value) == sentences


def test_what_is_named_as_a_remedy_works() -> None:
    assert _sentences("Qwen/Qwen2.5-32B-Instruct", "g7e.2xlarge") == []
    assert _sentences("Qwen/Qwen2.5-32B-Instruct", "g6e.12xlarge", {"tp_size": 2}) == []
    assert _sentences("google/gemma-2-9b-it", "g5.xlarge", {"mem_fraction_static": 0.92, "context_length": 8192}) == []
    assert _sentences(AWQ, "g4dn.xlarge", {"quantization": "awq"}, image=OWN) == []


def test_other_rules_speak_first() -> None:
    """A type without code or with too few GPUs gets that sentence, and no arithmetic beside it."""
    (no_code,) = _sentences("Qwen/Qwen2.5-32B-Instruct", "g5g.xlarge")
    assert "arm64" in no_code or "carry no code" in no_code
    (too_few,) = _sentences("Qwen/Qwen2.5-32B-Instruct", "g6e.xlarge", {"tp_size": 4})
    assert "4 GPUs, and g6e.xlarge has 1" in too_few


def test_a_model_that_is_not_known_is_not_judged_but_its_arguments_are() -> None:
    assert _sentences("my-company/of-tomorrow", "g6e.xlarge") == []
    (said,) = _sentences("my-company/of-tomorrow", "g4dn.xlarge", {"kv_cache_dtype": "fp8_e5m2"}, image=OWN)
    assert "keeps the cache in FP8" in said


def test_the_note_of_a_pool() -> None:
    def note(model_id: str, engine: dict[str, Any] | None = None) -> str:
        pool = {"model_id": model_id, "instance_type": "g6e.xlarge", "engine": engine or {}}
        return pool_note(settings_from({"workers": [pool]}).workers[0])

    assert note("my-company/of-tomorrow") == (
        "no fit verdict: the facts of my-company/of-tomorrow are not known here; "
        "`fleet facts my-company/of-tomorrow --add` reads them"
    )
    assert note(AWQ, {"device": "cpu"}) == "no fit verdict: the engine runs on the CPU"
    assert note("Qwen/Qwen3-8B", {"context_length": 32768}).endswith("requests of 32,768 tokens at once")


def test_the_arithmetic_of_a_pool_is_there_for_who_plans_and_boots() -> None:
    pool = settings_from({"workers": [{"model_id": AWQ, "instance_type": "g6.xlarge"}]}).workers[0]
    fit = pool_fit(pool)
    assert fit is not None
    assert fit.weights + fit.cache + fit.reserve == pytest.approx(fit.usable)
    assert fit.requests == fit.tokens // fit.context


def test_a_cpu_pool_and_a_small_one_are_never_refused() -> None:
    assert _sentences("Qwen/Qwen2.5-32B-Instruct", "g6e.xlarge", {"device": "cpu"}) == []
    assert _sentences("Qwen/Qwen2.5-0.5B-Instruct", "g6.xlarge") == []
