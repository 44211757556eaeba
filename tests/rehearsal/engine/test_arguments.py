"""Command line, configuration file, ledger, requests and access rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.engine.access import allowed
from rehearsal.engine.arguments import human_readable_int, parse_arguments
from rehearsal.engine.config import ConfigError, EmulatorConfig, load_config
from rehearsal.engine.ledger import Entry, Ledger, read_ledger
from rehearsal.engine.requests import (
    RefusedError,
    check_length,
    read_body,
    read_chat,
    read_completion,
    read_generate,
)
from rehearsal.real_engine import ENGINE_ARGUMENTS

if TYPE_CHECKING:
    from pathlib import Path


def test_sglangs_spellings_are_understood() -> None:
    found = parse_arguments(
        ["serve", "--model-path", "P", "--tensor-parallel-size", "2", "--context-length", "8k", "--enable-metrics"]
    )
    assert (found.model_path, found.tp_size, found.context_length, found.enable_metrics) == ("P", 2, 8000, True)
    assert (found.served_model_name, found.host, found.port) == ("P", "127.0.0.1", 30_000)
    assert parse_arguments(["serve", "P", "--port=7"]).model_path == "P"


def test_arguments_that_the_emulator_does_not_use_are_shown() -> None:
    found = parse_arguments(["--model", "P", "--chunked-prefill-size", "4096", "--lora-paths", "a=b", "c=d"])
    assert found.everything["chunked_prefill_size"] == 4096
    assert found.everything["lora_paths"] == ["a=b", "c=d"]


def test_every_argument_of_the_real_engine_is_one_of_sglang() -> None:
    words = ["--model-path", "P"]
    for key, value in ENGINE_ARGUMENTS.items():
        words += ["--" + key.replace("_", "-"), *([] if value is True else [str(value)])]
    everything = parse_arguments(words).everything
    assert {key: everything[key] for key in ENGINE_ARGUMENTS} == dict(ENGINE_ARGUMENTS)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["--model-path", "P", "--nonsense"],
        ["--model-path", "P", "--dtype", "int3"],
        ["P", "--port", "x"],
    ],
)
def test_what_sglang_refuses_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_arguments(words)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_config_file_is_merged_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "engine.yaml"
    file.write_text("api-key: secret\nport: 1\nenable-metrics: true\nskip-server-warmup: false\nlora-paths: [a=b]\n")
    found = parse_arguments(["serve", "P", "--config", str(file), "--port", "2"])
    assert (found.api_key, found.port, found.enable_metrics) == ("secret", 2, True)
    assert found.everything["skip_server_warmup"] is False


@pytest.mark.parametrize("content", [None, "- a\n", "a: [\n"])
def test_a_config_file_that_cannot_be_used_is_an_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "engine.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit):
        parse_arguments(["serve", "P", "--config", str(file)])


def test_large_numbers_have_suffixes() -> None:
    assert [human_readable_int(text) for text in ("12", "8k", "8Ki", "1.5m")] == [12, 8000, 8192, 1_500_000]


def config_of(tmp_path: Path, text: str) -> EmulatorConfig:
    file = tmp_path / "emulator.json"
    file.write_text(text)
    return load_config({"SGLANG_EMULATOR_CONFIG": str(file)})


def test_the_configuration_has_defaults_and_takes_values(tmp_path: Path) -> None:
    assert load_config({}) == EmulatorConfig()
    config = config_of(tmp_path, '{"time_scale": 0.1, "rates": {"prefill_tokens_per_second": 5000}}')
    assert (config.time_scale, config.rates.prefill_tokens_per_second) == (0.1, 5000)


def test_sglangs_own_variables_are_honoured() -> None:
    config = load_config({"SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0", "SGL_FORCE_SHUTDOWN": "1"})
    assert (config.health_generates, config.force_shutdown) == (False, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot read"),
        ("[]", "must hold a JSON object"),
        ('{"boot_second": 1}', "boot_second: no such key"),
        ('{"rates": {"speed": 1}}', "rates.speed: no such key"),
        ('{"time_scale": []}', "time_scale: [] must be a number"),
        ('{"time_scale": 0}', "time_scale"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        config_of(tmp_path, text)
    assert says in str(error.value)


def test_kv_capacity_follows_memory_and_gpus() -> None:
    config = EmulatorConfig()
    one = config.total_tokens(None, 1)
    assert one == int((44.7 * 0.87 - 18) * 2**30 / 262_144)
    assert config.total_tokens(0.87, 2) > 2 * one
    with pytest.raises(ConfigError, match="mem_fraction_static"):
        config.total_tokens(0.3, 1)


def test_the_ledger_gives_back_what_was_written(tmp_path: Path) -> None:
    entry = Entry("e", "r", "x", "/generate", 5, 0, 3, "hash", 1.0, 2.0, 3.0, "complete")
    path = tmp_path / "deep" / "ledger.jsonl"
    ledger = Ledger(str(path))
    ledger.write(entry)
    assert read_ledger(path) == (entry,)  # readable at once, before it is closed
    ledger.close()
    Ledger(None).write(entry)


@pytest.mark.parametrize(
    ("path", "authorization", "key", "admin", "answer"),
    [
        ("/generate", None, None, None, True),
        ("/generate", None, "k", None, False),
        ("/generate", "Bearer k", "k", None, True),
        ("/generate", "bearer k", "k", None, True),
        ("/generate", "Basic k", "k", None, False),
        ("/generate", "Bearer wrong", "k", None, False),
        ("/health_generate", None, "k", None, True),
        ("/ready", None, "k", None, True),
        ("/metrics", None, "k", None, True),
        ("/ping", None, "k", None, False),
        ("/flush_cache", "Bearer k", "k", None, True),
        ("/flush_cache", "Bearer k", "k", "admin", False),
        ("/flush_cache", "Bearer admin", "k", "admin", True),
        ("/generate", "Bearer admin", "k", "admin", False),
    ],
)
def test_who_may_call_what(
    path: str, authorization: str | None, key: str | None, admin: str | None, answer: bool
) -> None:
    assert allowed(path, authorization, key, admin) is answer


def test_a_chat_becomes_one_prompt_whose_beginning_later_turns_share() -> None:
    first = [{"role": "user", "content": "Hi"}]
    later = [*first, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": [{"text": "Go"}]}]
    one, two = (read_chat({"messages": turns}, "m").prompts[0] for turns in (first, later))
    assert two.startswith(one + "Yes?")


def test_lengths_have_sglangs_defaults() -> None:
    assert read_generate({"text": "a"}, "m").max_tokens == 128
    assert read_completion({"prompt": "a"}, "m").max_tokens == 16
    assert read_chat({"messages": [{"role": "user", "content": "a"}]}, "m").max_tokens is None


def test_several_answers_have_several_prompts() -> None:
    ask = read_completion({"prompt": ["a", "b"], "n": 2}, "m")
    assert ask.prompts == ("a", "a", "b", "b")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as error:
        read_body(body, "application/json; charset=utf-8")
    assert error.value.status == 400
    assert json.dumps(error.value.body)


@pytest.mark.parametrize(
    ("prompt", "length", "says"),
    [("a" * 400, 1, "The input (100 tokens) is longer"), ("a" * 40, 95, "a total of 105 tokens")],
)
def test_what_does_not_fit_is_refused_in_both_shapes(prompt: str, length: int, says: str) -> None:
    asks: list[Any] = [
        read_completion({"prompt": prompt, "max_tokens": length}, "m"),
        read_generate({"text": prompt, "sampling_params": {"max_new_tokens": length}}, "m"),
    ]
    for ask in asks:
        with pytest.raises(RefusedError) as error:
            check_length(ask, 100, 1000)
        assert says in json.dumps(error.value.body)
