from __future__ import annotations

from typing import Any

import httpx
import pytest

from bench.endpoint import find_model, normal_base_url
from bench.errors import BenchError

BASE = "http://127.0.0.1:9/v1"


def answering(monkeypatch: pytest.MonkeyPatch, status: int, body: Any = None) -> list[dict[str, str]]:
    asked: list[dict[str, str]] = []

    def get(url: str, *, headers: dict[str, str], **_: object) -> httpx.Response:
        asked.append({"url": url, **headers})
        return httpx.Response(status, json=body)

    monkeypatch.setattr(httpx, "get", get)
    return asked


def listing(*names: str) -> dict[str, list[dict[str, str]]]:
    return {"data": [{"id": name} for name in names]}


@pytest.mark.parametrize("given", ["http://h:8000", "http://h:8000/", "http://h:8000/v1", "http://h:8000/v1/"])
def test_a_base_with_or_without_its_version_is_the_same(given: str) -> None:
    assert normal_base_url(given) == "http://h:8000/v1"


def test_a_base_with_a_path_of_its_own_is_kept() -> None:
    assert normal_base_url("https://h/openai/v2/") == "https://h/openai/v2"


@pytest.mark.parametrize("given", ["h:8000", "ftp://h/v1", "http://"])
def test_what_is_no_http_address_is_refused(given: str) -> None:
    with pytest.raises(BenchError, match="is not an http address; give one like"):
        normal_base_url(given)


def test_a_base_that_holds_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(BenchError) as refused:
        normal_base_url("http://me:hidden@h/v1")
    assert "hidden" not in str(refused.value)


def test_the_only_model_is_taken_and_the_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, 200, listing("tiny"))
    assert find_model(BASE, "secret", None) == "tiny"
    assert asked == [{"url": f"{BASE}/models", "Authorization": "Bearer secret"}]


@pytest.mark.parametrize(
    ("status", "body", "wanted", "sentence", "code"),
    [
        (200, listing("b", "a"), None, f"--model: {BASE} serves a, b; say which one is meant", 2),
        (200, listing(), None, f"--model: {BASE} serves none; say which one is meant", 2),
        (200, listing("a"), "c", f"--model: 'c' is not served by {BASE}; it serves a", 2),
        (401, None, None, f"{BASE}: the key is refused (401); set OPENAI_API_KEY to a valid one", 2),
        (404, None, None, f"--model: {BASE}/models answered 404 and lists none; name the model", 2),
        (503, None, "a", f"{BASE}/models: answered 503; wait until the endpoint serves, or look at its log", 1),
    ],
)
def test_what_the_endpoint_says_against_it(  # noqa: PLR0913, PLR0917 - one parameter per column
    monkeypatch: pytest.MonkeyPatch, status: int, body: Any, wanted: str | None, sentence: str, code: int
) -> None:
    answering(monkeypatch, status, body)
    with pytest.raises(BenchError) as refused:
        find_model(BASE, None, wanted)
    assert (str(refused.value), refused.value.code) == (sentence, code)


def test_an_endpoint_that_lists_no_models_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, 404)
    assert find_model(BASE, None, "named") == "named"


def test_an_endpoint_that_is_not_there_has_failed() -> None:
    with pytest.raises(BenchError, match=r"^http://127.0.0.1:9/v1/models: no answer \(.*\); check the address") as told:
        find_model(BASE, None, None)
    assert told.value.code == 1


def test_a_key_that_no_header_can_carry_is_not_repeated() -> None:
    with pytest.raises(BenchError, match="OPENAI_API_KEY holds a character that no header may") as told:
        find_model(BASE, "schl\u00fcssel\u2014", None)
    assert "schl" not in str(told.value)
