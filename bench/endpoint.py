"""The endpoint before the run: is it there, does it take the key, which model does it serve."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from bench.errors import FAILED, BenchError

ASK_SECONDS = 10.0


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


def normal_base_url(given: str) -> str:
    """The base as OpenAI's clients mean it, ending in the version: a bare host gets `/v1`.

    Raises:
        BenchError: not an http(s) address, or one that holds a user name or a password.
    """
    parts = urlsplit(given)
    if parts.username or parts.password:
        raise BenchError("--base-url: it holds a user name or a password; give the key in OPENAI_API_KEY only")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BenchError(f"--base-url: {given!r} is not an http address; give one like http://10.0.0.10:8000/v1")
    return given.rstrip("/") + ("" if parts.path.strip("/") else "/v1")


def find_model(base_url: str, api_key: str | None, wanted: str | None) -> str:
    """The model to ask for: `wanted` if the endpoint lists it or lists none, else the only one that it lists.

    Raises:
        BenchError: unreachable, key refused, no such model, or several and none chosen.
    """
    answer = _ask(f"{base_url}/models", api_key)
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise BenchError(f"{base_url}: the key is refused ({answer.status_code}); set OPENAI_API_KEY to a valid one")
    known = _listed(answer)
    if known is None:
        return _unlisted(base_url, answer, wanted)
    if wanted is None and len(known) != 1:
        raise BenchError(f"--model: {base_url} serves {_names(known)}; say which one is meant")
    if wanted is not None and wanted not in known:
        raise BenchError(f"--model: {wanted!r} is not served by {base_url}; it serves {_names(known)}")
    return wanted or known[0]


def _ask(url: str, api_key: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    # The default context honours SSL_CERT_FILE, as the generator's does; neither uses a proxy.
    verify = ssl.create_default_context()
    try:
        return httpx.get(url, headers=headers, timeout=ASK_SECONDS, trust_env=False, verify=verify)
    except (httpx.HTTPError, UnicodeEncodeError) as error:
        told = "OPENAI_API_KEY holds a character that no header may" if isinstance(error, UnicodeEncodeError) else error
        raise BenchError(f"{url}: no answer ({told}); check the address and that it serves", FAILED) from None


def _listed(answer: httpx.Response) -> list[str] | None:
    if answer.status_code != HTTPStatus.OK:
        return None
    try:
        return [model.id for model in _Models.model_validate_json(answer.content).data]
    except ValidationError:
        return None


def _unlisted(base_url: str, answer: httpx.Response, wanted: str | None) -> str:
    """Some endpoints serve without listing models: then the model has to be named, and the run will tell."""
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = f"{base_url}/models: answered {answer.status_code}"
        raise BenchError(f"{told}; wait until the endpoint serves, or look at its log", FAILED)
    if wanted is None:
        raise BenchError(f"--model: {base_url}/models answered {answer.status_code} and lists none; name the model")
    return wanted


def _names(known: list[str]) -> str:
    return ", ".join(sorted(known)) or "none"
