"""The table of wrong files: `wrong_files.txt` holds, per case, a name, a file and the sentences it must give."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("wrong_files.txt")
ENVIRONMENTS = Path(__file__).parents[2] / "environments"


class WrongFile(NamedTuple):
    name: str
    text: str
    sentences: str


def wrong_files() -> list[WrongFile]:
    blocks = TABLE.read_text(encoding="utf-8").split("=== ")[1:]
    return [_parse(block) for block in blocks]


def _parse(block: str) -> WrongFile:
    name, _, rest = block.partition("\n")
    text, _, sentences = f"\n{rest}".partition("\n---\n")
    return WrongFile(name, text.lstrip("\n") + "\n", sentences.strip())


def environment_files() -> list[Path]:
    return sorted(ENVIRONMENTS.glob("*.toml"))
