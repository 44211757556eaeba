from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from settings.fit.known_models import known_facts, known_models, siblings, stem
from settings.fit.kv import token_bytes
from settings.fit.weights import weight_bytes

ROOT = Path(__file__).parents[3]


def test_every_model_of_the_catalogue_can_be_judged_and_names_its_source() -> None:
    for known in known_models().values():
        facts = known_facts(known.model_id)
        assert facts is not None, known.model_id
        assert known.source, known.model_id
        assert weight_bytes(facts) > 10**8, known.model_id
        assert token_bytes(facts) > 0, known.model_id


def test_the_estimate_is_near_the_size_of_the_files_where_that_is_known() -> None:
    for known in known_models().values():
        facts = known_facts(known.model_id)
        assert facts is not None
        if known.weight_bytes:
            assert 0.9 < weight_bytes(facts) / known.weight_bytes < 1.1, known.model_id


def test_an_id_is_found_whatever_its_case_and_an_unknown_one_is_not() -> None:
    assert known_facts("qwen/qwen3-32b-awq") is known_facts("qwen/qwen3-32b-awq")
    assert known_facts("QWEN/QWEN3-32B") == known_facts("Qwen/Qwen3-32B") is not None
    assert known_facts("my-company/of-tomorrow") is None


def test_the_same_model_stored_otherwise() -> None:
    assert stem("Qwen/Qwen3-32B-AWQ") == "qwen3-32b"
    assert {"Qwen/Qwen3-32B-AWQ", "Qwen/Qwen3-32B-FP8"} <= set(siblings("Qwen/Qwen3-32B"))
    assert "Qwen/Qwen3-32B" not in siblings("Qwen/Qwen3-32B")


def test_settings_know_no_network() -> None:
    """Checking settings must not even load what could reach one."""
    code = (
        "import sys; import settings.load, settings.rules, settings.fit.pool; "
        "print(sorted({'httpx', 'urllib.request', 'requests', 'huggingface_hub', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
