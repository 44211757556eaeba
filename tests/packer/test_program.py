"""Which Packer is used, and what is said when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from packer.errors import PackerMissingError
from packer.program import find_packer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # starts programs


def program(folder: Path, text: str, *, code: int = 0, name: str = "packer") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "version", "takes_plugins"),
    [
        ("Packer v1.6.6", (1, 6, 6), False),
        ("Packer v1.11.2\n\nYour version of Packer is out of date! The latest version\nis 1.14.0.", (1, 11, 2), True),
        ("Packer v1.7.0-dev (a+CHANGES)", (1, 7, 0), True),
    ],
)
def test_the_version_is_read(tmp_path: Path, text: str, version: tuple[int, ...], takes_plugins: bool) -> None:
    program(tmp_path, text)
    found = find_packer({"PATH": f"{tmp_path}:/bin:/usr/bin"})
    assert (found.version, found.takes_plugins) == (version, takes_plugins)
    assert found.spelled == ".".join(map(str, version))


def test_packer_may_be_named(tmp_path: Path) -> None:
    named = program(tmp_path, "Packer v1.6.6", name="packer-1.6")
    assert find_packer({"PATH": "/bin:/usr/bin", "PACKER": str(named)}).path == named


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("Packer v1.5.6", 0, "is version 1.5.6; 1.6.6 or later is needed"),
        ("0 words packed", 0, "is another program of this name; install Packer (https://developer.hashicorp.com"),
        ("Packer v1.6.6", 3, "does not run"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, text: str, code: int, sentence: str) -> None:
    program(tmp_path, text, code=code)
    with pytest.raises(PackerMissingError) as raised:
        find_packer({"PATH": f"{tmp_path}:/bin:/usr/bin"})
    assert sentence in str(raised.value)


def test_without_packer_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackerMissingError) as raised:
        find_packer({"PATH": str(tmp_path)})
    assert str(raised.value) == (
        "packer: 'packer' is not found; install Packer (https://developer.hashicorp.com/packer/install), "
        "or name it in PACKER"
    )
