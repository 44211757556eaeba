"""Read a TOML file into plain data, or say in a fault why that is not possible."""

from __future__ import annotations

import math
import re
import tomllib
from datetime import date, time
from typing import TYPE_CHECKING

from settings.errors import ABSENT, Fault, Location, SettingsError, format_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# No key of the settings takes more; 64 bits are also what TOML promises to carry.
_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FILE = 1_000_000

_NULL = re.compile(r"=\s*(null|nil|None)\b")

Raw = dict[str, object]


def _refuse(path: Path, rule: str, remedy: str) -> SettingsError:
    return SettingsError([Fault(str(path), ABSENT, rule, remedy)])


def read_toml(path: Path) -> Raw:
    """Return the file's tables.

    Raises:
        SettingsError: the file cannot be read, is not UTF-8, is not TOML, or sets nothing.
    """
    text = _read_text(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refuse(
            path, f"is not TOML: {_reason(error, text)}", "mend that line; https://toml.io describes the form"
        ) from None
    except (ValueError, RecursionError):
        remedy = "shorten it; no settings file needs numbers or nesting like this"
        raise _refuse(path, "holds a number with too many digits or tables nested too deeply", remedy) from None
    if not raw:
        raise _refuse(path, "sets nothing", "start from environments/example.toml, or set at least name")
    return raw


def _reason(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Return the parser's message on one line, with the last line's number where it only says that the text ended."""
    message = " ".join(str(error).split())
    at_line = re.search(r"at line (\d+)", message)
    if at_line and _NULL.search(text.splitlines()[int(at_line[1]) - 1]):
        return f"there is no null (at line {at_line[1]}); leaving a key out means its default"
    return message.replace("at end of document", f"at the end of the file, line {text.count(chr(10)) + 1}")


def _read_text(path: Path) -> str:
    try:
        if path.is_dir():
            raise _refuse(path, "is a directory", "name one settings file, like environments/example.toml")
        with path.open("rb") as file:  # a device file has no size, so the limit is on what is read
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise _refuse(path, "is larger than a megabyte", "name a settings file, like environments/example.toml")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise _refuse(path, "does not exist", f"check the path{_neighbours(path)}") from None
    except UnicodeDecodeError as error:
        raise _refuse(path, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refuse(path, f"cannot be read ({str(reason).lower()})", "make it a readable file") from None


def _neighbours(path: Path) -> str:
    names = sorted(file.name for file in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    return f"; {path.parent} has {', '.join(names[:12])}" if names else ""


def odd_values(value: object, location: Location = ()) -> Iterator[tuple[Location, Fault]]:
    """Yield what TOML or JSON can say but no setting takes: dates, not-a-number, infinity, huge numbers, null."""
    sentence = _odd(value)
    if sentence:
        yield location, Fault(format_path(location), value, *sentence)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from odd_values(item, (*location, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from odd_values(item, (*location, index))


def _odd(value: object) -> tuple[str, str] | None:
    if isinstance(value, date | time):
        return "is a date or time, which no setting takes", "put it in quotes if text is meant"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number", "write a finite number"
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return "is larger than 64 bits", "write a smaller number"
    return ("is not a value", "leave the key out to get its default") if value is None else None
