"""What every section of the settings shares: one frozen model class and the value types with a rule of their own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from settings.errors import Fault, FaultyValueError


class Section(BaseModel):
    """A section of the settings: frozen, strictly typed, unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


def _as_network(value: object) -> object:
    """Read `10.0.0.0/16`; host bits set are a fault, not something to repair silently."""
    if not isinstance(value, str):
        return value
    try:
        return IPv4Network(value, strict=True)
    except ValueError:
        pass
    try:
        block = IPv4Network(value, strict=False)
    except ValueError:
        raise FaultyValueError(Fault("", value, "is not an IPv4 block", "write it like 10.0.0.0/16")) from None
    raise FaultyValueError(Fault("", value, "is an address inside a block, not a block", f"did you mean {block}?"))


def _as_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return IPv4Address(value)
    except ValueError:
        raise FaultyValueError(Fault("", value, "is not an IPv4 address", "write it like 10.0.0.100")) from None


Cidr = Annotated[
    IPv4Network,
    BeforeValidator(_as_network, json_schema_input_type=str),
    PlainSerializer(str),
    Field(examples=["10.0.0.0/16"]),
]
Address = Annotated[
    IPv4Address,
    BeforeValidator(_as_address, json_schema_input_type=str),
    PlainSerializer(str),
    Field(examples=["10.0.0.100"]),
]
# 20 characters leave room for the longest suffix this project adds within the 32 that a load balancer's name may have.
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$"),
    Field(json_schema_extra={"x-form": "use 2 to 20 lower-case letters, digits and dashes, a letter first"}),
]
InstanceType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]
AmiId = Annotated[str, StringConstraints(pattern=r"^ami-[0-9a-f]{8,17}$"), Field(examples=["ami-0abcdef1234567890"])]
Port = Annotated[int, Field(ge=1024, le=65535)]
Seconds = Annotated[int, Field(ge=1)]
