"""`[workers.engine]`: SGLang server arguments under their own names, checked against the pinned release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from settings.engine_catalogue import (
    MANAGED,
    RENAMED,
    EngineArgument,
    engine_catalogue,
    settable_arguments,
    spell,
)
from settings.engine_values import EngineValue, read_value, to_flags
from settings.errors import ABSENT, Fault, FaultyValueError, did_you_mean, format_path, join_path

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_JSON_TYPES: Mapping[str, dict[str, object]] = {
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "human_int": {"type": ["integer", "string"]},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "json": {"type": ["string", "object", "array"]},
}


@dataclass(frozen=True)
class EngineArguments:
    """Checked arguments. `values` maps canonical names (SGLang's own, like `tp_size`) to values, sorted by name."""

    values: Mapping[str, EngineValue] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def read(cls, table: Mapping[str, object]) -> EngineArguments:
        """Check a table of arguments in any known spelling.

        Raises:
            FaultyValueError: with one fault for every name or value that cannot be used.
        """
        faults: list[Fault] = []
        values: dict[str, EngineValue] = {}
        given: dict[str, str] = {}
        for name, value in table.items():
            try:
                argument = find_argument(name)
                _refuse_twice(argument, name, given)
                values[argument.dest] = read_value(argument, value)
            except FaultyValueError as error:
                faults.extend(_at(name, value, fault) for fault in error.faults)
        if faults:
            raise FaultyValueError(*faults)
        return cls(MappingProxyType(dict(sorted(values.items()))))

    def get(self, name: str) -> EngineValue | None:
        """Return the value given for an argument, by any spelling, or None when it is left to SGLang."""
        return self.values.get(engine_catalogue().spellings.get(spell(name), name))

    def integer(self, name: str, default: int) -> int:
        """Return the value given for an argument that takes a whole number, or `default`."""
        value = self.get(name)
        return value if isinstance(value, int) else default

    def to_flags(self) -> tuple[str, ...]:
        """Return the words for SGLang's command line, for example `("--tp-size", "4")`."""
        arguments = engine_catalogue().arguments
        return tuple(word for dest, value in self.values.items() for word in to_flags(arguments[dest], value))

    def __hash__(self) -> int:
        return hash(tuple(self.values.items()))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate with `read`; serialize as a plain table of canonical names."""
        return core_schema.no_info_plain_validator_function(
            _validate, serialization=core_schema.plain_serializer_function_ser_schema(_serialize)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """List every spelling of every argument, so that an editor completes and checks them."""
        arguments = settable_arguments()
        properties = {
            name: _json_schema(arguments[dest], name)
            for name, dest in sorted(engine_catalogue().spellings.items())
            if dest in arguments
        }
        version = engine_catalogue().version
        return {
            "type": "object",
            "title": "EngineArguments",
            "description": f"Server arguments of SGLang {version}.",
            "properties": properties,
            "additionalProperties": False,
        }


def _validate(value: object) -> EngineArguments:
    if isinstance(value, EngineArguments):
        return value
    if not isinstance(value, Mapping):
        remedy = 'write it as [workers.engine] with keys below, like quantization = "awq"'
        raise FaultyValueError(Fault("", value, "is not a table of server arguments", remedy))
    return EngineArguments.read(value)


def _serialize(arguments: EngineArguments) -> dict[str, Any]:
    return dict(arguments.values)


def _at(name: str, value: object, fault: Fault) -> Fault:
    """Put a fault at the argument's key; a fault that shows no value of its own shows the one given."""
    shown = value if fault.value is ABSENT else fault.value
    return Fault(join_path(format_path((name,)), fault.path), shown, fault.rule, fault.remedy)


def _refuse_twice(argument: EngineArgument, name: str, given: dict[str, str]) -> None:
    earlier = given.setdefault(argument.dest, name)
    if earlier != name:
        raise FaultyValueError(
            Fault(
                "", ABSENT, f"sets {argument.dest}, which {earlier} already sets", f"keep one of {earlier} and {name}"
            )
        )


def find_argument(name: str) -> EngineArgument:
    """Return the argument that any of its spellings names.

    Raises:
        FaultyValueError: the pinned release does not have it or calls it deprecated, or the fleet sets it itself.
    """
    catalogue = engine_catalogue()
    key = spell(name)
    version = f"SGLang {catalogue.version}"
    dest = catalogue.spellings.get(key)
    if dest is not None and dest not in MANAGED:
        return catalogue.arguments[dest]
    if dest is not None:
        raise FaultyValueError(Fault("", ABSENT, f"is set for {dest}, which the fleet sets itself", MANAGED[dest]))
    if key in RENAMED:
        raise FaultyValueError(Fault("", ABSENT, f"is set for an argument that {version} replaced", RENAMED[key]))
    raise FaultyValueError(Fault("", ABSENT, f"is set for an argument that {version} does not have", _suggest(key)))


def _suggest(key: str) -> str:
    positive = key.removeprefix("no_")
    arguments = settable_arguments()
    if key != positive and positive in arguments and arguments[positive].negatable:
        return f"write {positive} = false"
    near = did_you_mean(key, (name for name, dest in engine_catalogue().spellings.items() if dest in arguments))
    return f"did you mean {near}?" if near else "`sglang serve --help` lists the arguments"


def _json_schema(argument: EngineArgument, name: str) -> dict[str, object]:
    one: dict[str, object] = dict(_JSON_TYPES[argument.kind])
    if argument.choices:
        one["enum"] = [int(choice) if argument.kind == "int" else choice for choice in argument.choices]
    if argument.many:
        one = {"type": "array", "items": one} | ({"minItems": 1} if argument.nargs == "+" else {})
    if argument.default is not None:
        one["default"] = argument.default
    other = "" if name == argument.dest else f" (another spelling of {argument.dest})"
    return one | {"description": f"{argument.flag}{other}"}


def iterate_spellings() -> Iterator[str]:
    """Yield every spelling of every argument that a settings file may give."""
    arguments = settable_arguments()
    return (name for name, dest in engine_catalogue().spellings.items() if dest in arguments)
