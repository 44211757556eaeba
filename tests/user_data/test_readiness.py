from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from user_data.agent.readiness import PHASE_GENERATION, PHASE_LISTENING, Probe

if TYPE_CHECKING:
    import pytest


def test_each_phase_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        httpx.Response(503),
        httpx.Response(200, text='{"text": "a"}'),
        httpx.Response(200, text='{"text": "b"}'),
    ]
    told: list[str] = []
    probe = Probe("http://127.64.9.9:1", None, told.append)
    monkeypatch.setattr(httpx.Client, "post", lambda *_args, **_words: answers.pop(0))
    assert [probe.generates(1) for _ in range(3)] == [False, True, True]
    assert told == [PHASE_LISTENING, PHASE_GENERATION]
    probe.close()
