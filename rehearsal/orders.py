"""What a scenario may order of the emulated cloud: one model per order, read on both ends of the control port."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rehearsal.cloud_config import EmulatorSettings

FaultKind = Literal["down", "throttled", "slow"]
Program = Literal["engine", "agent", "router", "discovery"]
Action = Annotated[str, Field(pattern=r"^[a-z0-9-]+:[A-Za-z]+$")]
SignalName = Literal["KILL", "STOP", "CONT", "TERM"]


class Order(BaseModel):
    """An order; it is sent as JSON to its path."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    path: ClassVar[str]


class SpotNotice(Order):
    """EC2 interrupts a Spot instance in two minutes."""

    path = "/spot-notice"
    instance: str


class Rebalance(Order):
    """EC2 recommends to replace a Spot instance."""

    path = "/rebalance"
    instance: str


class Capacity(Order):
    """EC2 has, or no longer has, capacity in an Availability Zone."""

    path = "/capacity"
    zone: str
    available: bool


class AwsFault(Order):
    """A share of the AWS API calls, evenly spread, meets a fault, until `AwsRestored`."""

    path = "/aws-fault"
    kind: FaultKind
    share: float = Field(default=1.0, gt=0, le=1)
    seconds: float = Field(default=0.0, ge=0, description="How much later a `slow` answer comes.")

    @model_validator(mode="after")
    def _seconds_are_for_slow(self) -> Self:
        if (self.kind == "slow") != (self.seconds > 0):
            raise ValueError(f"seconds: {self.seconds:g} does not go with '{self.kind}'; give seconds with 'slow' only")
        return self


class AwsRestored(Order):
    """The AWS API answers as ever."""

    path = "/aws-restored"


class MetadataDown(Order):
    """The metadata service of one machine, or of all, closes every connection without an answer."""

    path = "/metadata-down"
    instance: str | None = None


class MetadataRestored(Order):
    """Every metadata service answers."""

    path = "/metadata-restored"


class SignalProgram(Order):
    """A program of a machine gets a signal, its child processes too."""

    path = "/signal"
    instance: str
    program: Program
    signal: SignalName


class NextEngines(Order):
    """Machines made from now on have an engine emulator with these settings, on top of the usual ones."""

    path = "/next-engines"
    emulator: EmulatorSettings


class NextEnginesBroken(Order):
    """Machines made from now on have an engine that prints these words and ends with status 1."""

    path = "/next-engines-broken"
    words: str = Field(min_length=1)


class EnginesRestored(Order):
    """Machines made from now on have the usual engine."""

    path = "/engines-restored"


class AwsDenied(Order):
    """The AWS API denies these actions to everybody but the rehearsal; none again with an empty list."""

    path = "/aws-denied"
    actions: tuple[Action, ...]


class HubFault(Order):
    """The model hub spoils files (MODEL/FILE) or cuts their download; none again with empty lists."""

    path = "/hub-fault"
    corrupt: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class NextBuildHosts(Order):
    """Folders of build hosts started from now on hold only so much (sizes as tmpfs has them)."""

    path = "/next-build-hosts"
    small: dict[str, str]


ORDERS: dict[str, type[Order]] = {order.path: order for order in Order.__subclasses__()}
