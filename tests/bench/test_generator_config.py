from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.generator_config import Folders, config, environment
from bench.plan import DatasetName, Load, Plan, Prompts
from bench.tokenizer import as_repository, write_tokenizer

FOLDERS = Folders(Path("/scratch/hub"), "made/up", Path("/scratch/trace.jsonl"), Path("/scratch/artifacts"))


def benchmark(dataset: DatasetName, load: Load, tokenizer: str | None = None, **more: Any) -> dict[str, Any]:
    plan = Plan("http://h:1/v1", "tiny", load, Prompts(dataset, spread=0.5), seed=7, tokenizer=tokenizer, **more)
    whole = config(plan, FOLDERS, with_key=True)
    assert whole["randomSeed"] == 7
    return dict(whole["benchmark"])


def test_the_key_is_named_in_the_configuration_and_held_by_the_environment() -> None:
    assert benchmark("random", Load(requests=1))["endpoint"]["apiKey"] == "${OPENAI_API_KEY}"
    assert environment({"PATH": "/bin"}, "secret", None)["OPENAI_API_KEY"] == "secret"
    plan = Plan("http://h:1/v1", "tiny", Load(requests=1), Prompts())
    assert "apiKey" not in config(plan, FOLDERS, with_key=False)["benchmark"]["endpoint"]
    assert "OPENAI_API_KEY" not in environment({"OPENAI_API_KEY": ""}, None, None)


def test_with_a_tokenizer_of_our_own_nothing_may_be_asked_for() -> None:
    own = {"HF_HUB_CACHE": "/theirs", "HF_HOME": "/theirs"}
    ours = environment(own, None, FOLDERS.hub)
    assert (ours["HF_HOME"], ours["HF_HUB_OFFLINE"], ours["TRANSFORMERS_OFFLINE"]) == ("/scratch/hub", "1", "1")
    assert "HF_HUB_CACHE" not in ours
    assert environment(own, None, None)["HF_HUB_CACHE"] == "/theirs"


def test_lengths_are_characters_with_the_made_up_tokenizer_and_tokens_with_a_real_one() -> None:
    made_up = benchmark("shared-prefix", Load(requests=3))["dataset"]
    assert made_up["prompts"]["isl"] == {"mean": 2048, "stddev": 1024}
    assert made_up["prompts"]["osl"] == {"mean": 128, "stddev": 64}  # nobody counts the answer with it
    assert made_up["prefixPrompts"] == {"poolSize": 8, "length": 4096}
    real = benchmark("random", Load(requests=3), tokenizer="some/model")["dataset"]
    assert real["prompts"]["isl"]["mean"] == 512
    assert "prefixPrompts" not in real
    assert benchmark("trace", Load())["dataset"]["blockSize"] == 2048


def test_what_ends_and_paces_a_run() -> None:
    assert benchmark("random", Load(4, requests=9))["phases"] == {
        "type": "concurrency",
        "concurrency": 4,
        "requests": 9,
    }
    paced = benchmark("random", Load(4, duration=9.5, rate=2))["phases"]
    assert (paced["type"], paced["rate"], paced["duration"], paced["concurrency"]) == ("poisson", 2, 9.5, 4)
    assert "requests" not in paced
    # The file is cut and stretched before the generator sees it.
    trace = benchmark("trace", Load(50, duration=9, rate=2))["phases"]
    assert trace == {"type": "fixed_schedule", "autoOffset": True, "concurrency": 50}


def test_ignore_eos_is_sent_only_when_asked_for() -> None:
    assert benchmark("random", Load(requests=1))["endpoint"]["extra"] == {"ignore_eos": True}
    assert "extra" not in benchmark("random", Load(requests=1), ignore_eos=False)["endpoint"]


def test_the_tokenizer_has_a_token_for_each_byte_and_is_found_in_the_hub_cache(tmp_path: Path) -> None:
    name = as_repository(tmp_path / "hub", write_tokenizer(tmp_path / "tokenizer"))
    assert name == "sglang-fleet/tokenizer"
    repository = tmp_path / "hub" / "hub" / "models--sglang-fleet--tokenizer"
    commit = (repository / "refs" / "main").read_text()
    vocabulary = json.loads((repository / "snapshots" / commit / "tokenizer.json").read_text())["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(256))
    assert vocabulary["a"] == ord("a")
    assert vocabulary["\u0120"] == ord(" ")  # as in GPT-2's alphabet
