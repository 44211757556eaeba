"""What a worker's agent remembers from one of its runs to the next, and what follows from it.

systemd restarts the agent with its engine; without a memory a host would be at its first attempt for ever. The file is
in the unit's runtime directory, which a reboot empties: after one, a host has a clean record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from user_data.agent.host import rooted, write_secret
from user_data.node_config import RUN_DIRECTORY

if TYPE_CHECKING:
    from user_data.agent.log import Log
    from user_data.node_config import WatchdogConfig

MEMORY_FILE = f"{RUN_DIRECTORY}/worker-life.json"


class Memory(BaseModel):
    """Times are seconds since the host's boot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waiting_since: float | None = None
    """When the engine was started first, or failed after it had been ready; None while it is ready."""
    in_service: bool = False
    """The launching hook is completed."""
    failures: tuple[float, ...] = ()
    given_up: str | None = None
    """Why this host asked to be replaced."""

    def started(self, now: float) -> Memory:
        """Return what is remembered once an engine is started: the clock of an earlier attempt goes on."""
        return self if self.waiting_since is not None else self.model_copy(update={"waiting_since": now})

    def ready(self) -> Memory:
        """Return what is remembered once the engine is ready."""
        return self.model_copy(update={"waiting_since": None, "in_service": True})

    def failed(self, now: float, window: float) -> Memory:
        """Return what is remembered once an engine has failed; failures before the window are forgotten."""
        recent = tuple(at for at in self.failures if now - at < window)
        return self.started(now).model_copy(update={"failures": (*recent, now)})

    def gave_up(self, reason: str) -> Memory:
        """Return what is remembered once the host asks to be replaced."""
        return self.model_copy(update={"given_up": reason})


@dataclass(frozen=True)
class Patience:
    """How long a host may go without a ready engine, in seconds, and since when it does (seconds since boot)."""

    seconds: float
    since: float | None
    rule: str

    def left(self, now: float) -> float:
        """Return the seconds in which the engine has to become ready."""
        return self.seconds - (0.0 if self.since is None else now - self.since)


def patience(memory: Memory, limits: WatchdogConfig, ready_timeout: float) -> Patience:
    """Return how long the host waits for its engine: its ready timeout.

    A host that never was in service has `abandon_not_before_seconds` at least: the group launches a substitute at once
    when it leaves, and that one runs the same image.
    """
    rule, hold = f"ready_timeout_seconds={ready_timeout:g}", limits.abandon_not_before_seconds
    if memory.in_service or ready_timeout >= hold:
        return Patience(ready_timeout, memory.waiting_since, rule)
    return Patience(hold, memory.waiting_since, f"{rule}, held until abandon_not_before_seconds={hold:g}")


def give_up_reason(memory: Memory, now: float, limits: WatchdogConfig, ready_timeout: float) -> str | None:
    """Return why the host has to be replaced after its latest failure, or None: then systemd starts it again."""
    wait = patience(memory, limits, ready_timeout)
    if wait.left(now) <= 0:
        return f"not ready within {wait.rule}"
    if not memory.in_service and wait.seconds - wait.left(now) < limits.abandon_not_before_seconds:
        return None
    if len(memory.failures) > limits.max_restarts:
        return (
            f"{len(memory.failures)} failures within restart_window_seconds={limits.restart_window_seconds:g}, "
            f"more than max_restarts={limits.max_restarts}"
        )
    return None


def load_memory(log: Log) -> Memory:
    """Return what the last run remembered; a file that cannot be read is told, and means nothing is remembered.

    Raises:
        OSError: there is a file that cannot be opened.
    """
    try:
        return Memory.model_validate_json(rooted(MEMORY_FILE).read_bytes())
    except FileNotFoundError:
        return Memory()
    except ValidationError as error:
        log.warning("memory_unreadable", message=str(error))
        return Memory()


def save_memory(memory: Memory) -> None:
    """Replace what is remembered.

    Raises:
        OSError: it cannot be written.
    """
    write_secret(rooted(MEMORY_FILE), memory.model_dump_json() + "\n")
