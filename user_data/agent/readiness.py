"""When is an engine ready? When it has generated a token; a port that accepts connections proves nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

# Phases of a boot, in order; each is logged once with the seconds since the agent started.
PHASE_KEY: Final = "key_fetched"
PHASE_SPAWNED: Final = "engine_spawned"
PHASE_LISTENING: Final = "engine_listening"
PHASE_GENERATION: Final = "first_generation"
PHASES: Final = (PHASE_KEY, PHASE_SPAWNED, PHASE_LISTENING, PHASE_GENERATION)

GENERATION_TIMEOUT_SECONDS = 30.0
"""The first generation may compile kernels; one that takes longer is simply asked again."""

# /generate needs no chat template, which base models do not have.
GENERATE_PATH = "/generate"
GENERATE_BODY = {"text": "The", "sampling_params": {"max_new_tokens": 1, "temperature": 0}}


class Probe:
    """Asks one engine for one token. Keeps why it is not ready yet."""

    def __init__(self, url: str, api_key: str | None, reached: Callable[[str], None]) -> None:
        """`reached` is called with the name of a phase when the probe sees it for the first time."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=url, headers=headers, trust_env=False)
        self._reached = reached
        self._seen: set[str] = set()
        self.reason = "not asked yet"
        self.status: int | None = None
        """HTTP status of the last answer, None when there was none."""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def generates(self, time_left: float) -> bool:
        """Return whether the engine has just generated a token; `time_left` in seconds bounds the wait."""
        timeout = max(0.1, min(GENERATION_TIMEOUT_SECONDS, time_left))
        try:
            answer = self._http.post(GENERATE_PATH, json=GENERATE_BODY, timeout=timeout)
        except httpx.TransportError as error:
            self.reason, self.status = f"{type(error).__name__}: {error}", None
            return False
        self.status = answer.status_code
        self._tell(PHASE_LISTENING)
        return self._judge(answer)

    def _tell(self, phase: str) -> None:
        if phase not in self._seen:
            self._seen.add(phase)
            self._reached(phase)

    def _judge(self, answer: httpx.Response) -> bool:
        if answer.status_code == HTTPStatus.OK and '"text"' in answer.text:
            self._tell(PHASE_GENERATION)
            return True
        self.reason = f"{GENERATE_PATH} answered {answer.status_code}: {answer.text[:200]}"
        return False
