"""Calls to Auto Scaling that have to succeed: repeated until they do, each kind of failure logged once."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from user_data.agent.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from user_data.agent.aws import HookResult
    from user_data.agent.log import Log

RETRY_SECONDS = 2.0
INVALID_PATIENCE_SECONDS = 30.0
"""How long "no such hook action" may mean "not yet": the metadata tells the target before the hook holds the instance.

After that it means that the hook does not hold it any more (an earlier run of this program has completed it).
"""

NO_FAULT = ""


class Member(Protocol):
    """This instance in its group; `aws.GroupMember` is it."""

    def complete_lifecycle_action(self, hook: str, result: HookResult) -> None:
        """Answer a hook."""

    def record_heartbeat(self, hook: str) -> None:
        """Let the hook's time begin anew."""

    def set_unhealthy(self) -> None:
        """Have the group replace this instance."""

    def terminate_in_group(self) -> None:
        """Have the group take this instance out and launch another."""


class GroupCalls:
    """Makes the calls of one worker's life until `stop` is set."""

    def __init__(
        self, member: Member, stop: threading.Event, log: Log, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` in seconds measures the patience with "no such hook action"."""
        self._member = member
        self._stop = stop
        self._log = log
        self._clock = clock

    def complete(self, hook: str, result: HookResult) -> bool:
        """Complete a hook; False when it does not hold this instance, or this program is told to stop."""
        return self._insist(
            "hook_completed", lambda: self._member.complete_lifecycle_action(hook, result), hook, result
        )

    def set_unhealthy(self) -> bool:
        """Have the group replace this instance; False when it is in no group any more."""
        return self._insist("marked_unhealthy", self._member.set_unhealthy)

    def terminate(self) -> bool:
        """Have the group take this instance out now; False when it is in no group any more."""
        return self._insist("termination_asked", self._member.terminate_in_group)

    @contextmanager
    def beating(self, hook: str, heartbeat_seconds: float) -> Iterator[None]:
        """Send heartbeats, two in each of the hook's intervals, from a thread of their own until the block ends."""
        ended = threading.Event()
        thread = threading.Thread(target=self._beat, args=(hook, heartbeat_seconds / 2, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()  # a call under way may end after the block; a late heartbeat of a completed hook is refused

    def _beat(self, hook: str, interval: float, ended: threading.Event) -> None:
        # The first one at once: an agent that was restarted does not know how long ago the last one was.
        fault = NO_FAULT
        wait = 0.0
        while not ended.wait(wait) and not self._stop.is_set():
            try:
                self._member.record_heartbeat(hook)
            except AwsError as error:
                fault = self._failed(error, fault)
                wait = min(RETRY_SECONDS, interval)
            else:
                self._log.info("heartbeat", hook=hook, after=fault)
                fault, wait = NO_FAULT, interval

    def _insist(self, event: str, call: Callable[[], None], *words: str) -> bool:
        fault = NO_FAULT
        started = self._clock()
        while True:
            try:
                call()
            except AwsError as error:
                fault = self._failed(error, fault)
                if error.invalid and self._clock() - started >= INVALID_PATIENCE_SECONDS:
                    self._log.warning(f"{event}_not", reason=str(error), words=words)
                    return False
            else:
                self._log.info(event, after=fault, words=words)
                return True
            if self._stop.wait(RETRY_SECONDS):
                return False

    def _failed(self, error: AwsError, fault: str) -> str:
        if error.code != fault:  # once per change
            self._log.warning("aws_call_failed", operation=error.operation, code=error.code, message=str(error))
        return error.code
