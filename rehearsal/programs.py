"""The processes of a machine's programs, found through the units that run them."""

from __future__ import annotations

import signal

from rehearsal.orders import Program, SignalName
from rehearsal.processes import send
from rehearsal.systemd import ServiceManager
from user_data.node_config import UNIT_DISCOVERY, UNIT_ROUTER, UNIT_WORKER

UNITS: dict[Program, str] = {
    "engine": UNIT_WORKER,
    "agent": UNIT_WORKER,
    "router": UNIT_ROUTER,
    "discovery": UNIT_DISCOVERY,
}


class NotRunningError(ValueError):
    """The machine has no such program, or it does not run now."""


def processes(manager: ServiceManager, program: Program) -> tuple[int, ...]:
    """Process ids: a unit's main process; for the engine everything else in the worker's unit.

    Raises:
        NotRunningError: there is none.
    """
    service = manager.services.get(UNITS[program])
    main = service.pid if service is not None else None
    if service is None or main is None:
        raise NotRunningError(f"no {program} runs: {UNITS[program]} is not active")
    found = tuple(pid for pid in service.members() if pid != main) if program == "engine" else (main,)
    if not found:
        raise NotRunningError(f"no {program} runs: {UNITS[program]} has not started one")
    return found


def signal_program(manager: ServiceManager, program: Program, name: SignalName) -> None:
    """Signal a program.

    Raises:
        NotRunningError: it does not run.
    """
    send(processes(manager, program), signal.Signals[f"SIG{name}"])
