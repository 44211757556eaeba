"""What a scenario does to the emulated cloud, and what the engines wrote down. Synchronous, by the control port.

Every order is carried out when its function returns. Each raises StepFailedError when the cloud does not answer or
refuses (no such machine, no such program), and pydantic's ValidationError, a ValueError, for values out of range.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import httpx

from rehearsal.cloud_config import EmulatorValue
from rehearsal.commands import StepFailedError
from rehearsal.engine.ledger import Entry, read_ledger
from rehearsal.images import ENGINE_LEDGER
from rehearsal.orders import (
    AwsDenied,
    AwsFault,
    AwsRestored,
    Capacity,
    EnginesRestored,
    FaultKind,
    HubFault,
    MetadataDown,
    MetadataRestored,
    NextBuildHosts,
    NextEngines,
    NextEnginesBroken,
    Order,
    Program,
    Rebalance,
    SignalName,
    SignalProgram,
    SpotNotice,
)
from rehearsal.places import CONTROL_URL, WorkFolder

ORDER_SECONDS = 10.0
NO_KERNEL_IMAGE = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
"""What PyTorch says when an engine was built for another GPU than the host's."""


def _give(order: Order) -> None:
    try:
        with httpx.Client(trust_env=False, timeout=ORDER_SECONDS) as client:
            answer = client.post(f"{CONTROL_URL}{order.path}", content=order.model_dump_json())
    except httpx.HTTPError as error:
        raise StepFailedError(f"the emulated cloud at {CONTROL_URL} does not answer: {error}") from error
    if answer.status_code != HTTPStatus.OK:
        raise StepFailedError(f"the emulated cloud refuses {order.path}: {answer.text.strip()}")


def aws(kind: FaultKind, *, share: float = 1.0, seconds: float = 0.0) -> None:
    """Have the AWS API `down` (closes connections), `throttled`, or `slow` by `seconds`, for a share of the calls.

    All callers meet it but the rehearsal's own clients (`rehearsal.leftovers.client`). It replaces an earlier fault.
    """
    _give(AwsFault(kind=kind, share=share, seconds=seconds))


def aws_denied(*actions: str) -> None:
    """Have the AWS API deny these actions, such as `ec2:RunInstances`, and no others; none at all without one."""
    _give(AwsDenied(actions=actions))


def hub(*, corrupt: tuple[str, ...] = (), cut: tuple[str, ...] = ()) -> None:
    """Have the model hub change a byte of these files (MODEL/FILE), or cut them in their middle; and no others."""
    _give(HubFault(corrupt=corrupt, cut=cut))


def next_build_hosts(small: Mapping[str, str]) -> None:
    """Have folders of build hosts started from now on hold only so much: path → size, as in `{"/opt/x": "1m"}`."""
    _give(NextBuildHosts(small=dict(small)))


def aws_restored() -> None:
    """Have the AWS API answer as ever."""
    _give(AwsRestored())


def metadata_down(instance: str | None = None) -> None:
    """Have the metadata service of one machine, or of all present and future ones, close connections unanswered."""
    _give(MetadataDown(instance=instance))


def metadata_restored() -> None:
    """Have every metadata service answer."""
    _give(MetadataRestored())


def signal_program(instance: str, program: Program, signal: SignalName) -> None:
    """Signal a program of a machine: the engine with its children, or the one process of any other.

    Fails when the program does not run now, as between two starts of its unit.
    """
    _give(SignalProgram(instance=instance, program=program, signal=signal))


def next_engines(config: Mapping[str, EmulatorValue]) -> None:
    """Give machines made from now on an emulator with these fields of `EmulatorConfig`, on top of the usual ones.

    Running machines, and stopped ones that are started again, keep what is on their disk.
    """
    _give(NextEngines(emulator=dict(config)))


def next_engines_broken(words: str = NO_KERNEL_IMAGE) -> None:
    """Give machines made from now on an engine that prints `words` and ends with status 1."""
    _give(NextEnginesBroken(words=words))


def engines_restored() -> None:
    """Give machines made from now on the usual engine."""
    _give(EnginesRestored())


def spot_notice(instance: str) -> None:
    """Have EC2 announce that it takes an instance back in two minutes, and do so."""
    _give(SpotNotice(instance=instance))


def rebalance(instance: str) -> None:
    """Have EC2 recommend to replace an instance."""
    _give(Rebalance(instance=instance))


def capacity(zone: str, *, available: bool) -> None:
    """Have capacity in an Availability Zone, or none."""
    _give(Capacity(zone=zone, available=available))


def engine_ledgers(work: WorkFolder) -> tuple[Entry, ...]:
    """What the engine emulators of all machines wrote down, in order of the end; machines that are gone included."""
    files = work.machines.glob(f"*/{ENGINE_LEDGER.lstrip('/')}")
    return tuple(sorted((entry for file in files for entry in read_ledger(file)), key=lambda entry: entry.ended))
