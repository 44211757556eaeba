"""A call whose answer was lost has no second effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.emulated_aws.repeats import remembering

if TYPE_CHECKING:
    from collections.abc import Iterable


class Application:
    """Says how often it was asked."""

    def __init__(self, status: str = "200 OK") -> None:
        self.status, self.asked = status, 0

    def __call__(self, _: Any, start_response: Any) -> Iterable[bytes]:
        self.asked += 1
        start_response(self.status, [("X-Asked", str(self.asked))])
        return [str(self.asked).encode()]


def ask(application: Any, call: str, attempt: int) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    environ = {"HTTP_AMZ_SDK_REQUEST": f"attempt={attempt}; max=25"}
    if call:
        environ["HTTP_AMZ_SDK_INVOCATION_ID"] = call
    body = b"".join(application(environ, lambda status, headers: told.append((status, dict(headers)))))
    return (*told[0], body)


def test_a_repeated_call_is_answered_as_the_first_time(caplog: pytest.LogCaptureFixture) -> None:
    application = Application()
    remembers = remembering(application)
    first = ask(remembers, "a", 1)
    assert ask(remembers, "a", 2) == first == ("200 OK", {"X-Asked": "1"}, b"1")
    assert application.asked == 1
    assert "call a was repeated although it had been answered 200 OK" in caplog.text


@pytest.mark.parametrize(("first", "then"), [(("a", 1), ("b", 2)), (("", 1), ("", 2)), (("a", 1), ("a", 1))])
def test_another_call_is_asked(first: tuple[str, int], then: tuple[str, int]) -> None:
    application = Application()
    remembers = remembering(application)
    ask(remembers, *first)
    ask(remembers, *then)
    assert application.asked == 2


@pytest.mark.parametrize("status", ["409 Conflict", "503 Slow Down"])
def test_a_failure_is_tried_again(status: str) -> None:
    application = Application(status)
    remembers = remembering(application)
    ask(remembers, "a", 1)
    application.status = "200 OK"
    assert ask(remembers, "a", 2)[0] == "200 OK"


def test_old_calls_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehearsal.emulated_aws.repeats.REMEMBERED", 2)
    application = Application()
    remembers = remembering(application)
    for call in "abc":
        ask(remembers, call, 1)
    ask(remembers, "a", 2)
    assert application.asked == 4
