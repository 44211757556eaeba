"""A model's `config.json` with its many spellings: one place that knows under which names a number may stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settings.fit.facts import UnreadableModelError

# Where models that also see or hear keep the language model's part.
_TEXT_SECTIONS = ("text_config", "llm_config", "language_config", "thinker_config")
_ALSO_OUTSIDE = (
    "architectures",
    "quantization_config",
    "compression_config",
    "tie_word_embeddings",
    "torch_dtype",
    "dtype",
)
_LARGEST = 10**15
_MOST_LAYERS = 4096


@dataclass(frozen=True)
class Config:
    """Typed access to one JSON object; a missing or odd value is an error that names the field."""

    data: Mapping[str, Any]

    def get(self, *names: str) -> Any:  # noqa: ANN401 - JSON
        """Return the first of the fields that is there and not null."""
        return next((self.data[name] for name in names if self.data.get(name) is not None), None)

    def integer(self, *names: str, default: int | None = None) -> int:
        """Return a whole number above or equal to zero; a list of them counts as its largest."""
        value = self.get(*names)
        if isinstance(value, list) and value:
            value = max((item for item in value if isinstance(item, int)), default=None)
        if value is None:
            if default is None:
                raise UnreadableModelError(f"config.json has no {names[0]}")
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST:
            raise UnreadableModelError(f"{names[0]} of config.json is {value!r}, not a whole number")
        return int(value)

    def positive(self, *names: str, default: int | None = None) -> int:
        """Return a whole number above zero."""
        value = self.integer(*names, default=default)
        if value < 1:
            raise UnreadableModelError(f"{names[0]} of config.json is {value}, below 1")
        return value

    def layers(self, *names: str, default: int | None = None) -> int:
        """Return a number of layers, which no model has thousands of."""
        value = self.integer(*names, default=default)
        if value > _MOST_LAYERS:
            raise UnreadableModelError(f"{names[0]} of config.json is {value}, more than {_MOST_LAYERS}")
        return value

    def text(self, *names: str) -> str:
        """Return a text in lower case, or an empty one."""
        value = self.get(*names)
        return value.lower() if isinstance(value, str) else ""

    def flag(self, *names: str, default: bool = False) -> bool:
        """Return a switch."""
        value = self.get(*names)
        return default if value is None else bool(value)

    def items(self, *names: str) -> list[Any]:
        """Return a list, or an empty one."""
        value = self.get(*names)
        return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []

    def section(self, *names: str) -> Config | None:
        """Return an object inside this one."""
        value = self.get(*names)
        return Config(value) if isinstance(value, Mapping) else None

    @property
    def architecture(self) -> str:
        """The class of the model."""
        named = self.items("architectures")
        return str(named[0]) if named else self.text("model_type")


def language_part(data: Mapping[str, Any]) -> Config:
    """Return the language model's part of a configuration, with what only stands outside of it."""
    inner: Mapping[str, Any] = data
    for _ in range(2):
        found = next((inner[name] for name in _TEXT_SECTIONS if isinstance(inner.get(name), Mapping)), None)
        if found is None:
            break
        inner = {**{name: inner[name] for name in _ALSO_OUTSIDE if inner.get(name) is not None}, **found}
        if data.get("architectures"):
            inner = {**inner, "architectures": data["architectures"]}
    nested = [inner[name] for name in ("attn_config", "ffn_config") if isinstance(inner.get(name), Mapping)]  # DBRX
    return Config({**{key: value for part in nested for key, value in part.items()}, **inner})
