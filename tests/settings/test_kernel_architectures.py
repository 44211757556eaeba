"""The reader of kernel wheels, on small made ELF files."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import types

SCRIPT = Path(__file__).parents[2] / "scripts" / "kernel_architectures.py"
MACHINE_CODE, PTX, OTHER = 2, 1, 16
A, F = 0x100000, 0x200000


def _script() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("kernel_architectures", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


script: Any = _script()


def entry(kind: int, capability: int, flags: int = 0, payload: bytes = b"\xba\xdc\x0d\xe5" * 4, more: int = 0) -> bytes:
    """One entry as CUDA 12 and 13 write it; newer ones have a longer header."""
    size = 64 + more
    head = struct.pack("<HHIQIIHHIIIQQQ", kind, 257, size, len(payload), 0, 0, 8, 1, capability, 0, 0, flags, 0, 0)
    return head + b"\x48" * more + payload


def fatbin(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def elf(sections: dict[bytes, bytes]) -> bytes:
    """A 64-bit ELF file with these sections and a table of their names."""
    names = b"\0" + b"".join(name + b"\0" for name in sections) + b".shstrtab\0"
    data, headers = b"", [b"\0" * 64]
    for name, content in [*sections.items(), (b".shstrtab", names)]:
        at = names.index(b"\0" + name + b"\0") + 1
        headers.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, 64 + len(data), len(content), 0, 0, 8, 0))
        data += content + b"\0" * (-len(content) % 8)
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQ", 3, 62, 1, 0, 0, 64 + len(data))
    head += struct.pack("<IHHHHHH", 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    return head + data + b"".join(headers)


def found(data: bytes) -> dict[str, int]:
    return {str(code): count for code, count in script.codes_of_elf(data).items()}


def test_every_entry_of_every_fat_binary_is_counted() -> None:
    first = fatbin(entry(MACHINE_CODE, 75), entry(MACHINE_CODE, 90, A), entry(PTX, 80))
    second = fatbin(entry(MACHINE_CODE, 75), entry(MACHINE_CODE, 100, F, more=48), entry(MACHINE_CODE, 120, A, more=48))
    section = first + b"\0" * (-len(first) % 8) + b"\0" * 24 + second
    assert found(elf({b".text": b"code", b".nv_fatbin": section, b"__nv_relfatbin": fatbin(entry(PTX, 90))})) == {
        "sm_75": 2,
        "sm_90a": 1,
        "compute_80": 1,
        "sm_100f": 1,
        "sm_120a": 1,
        "compute_90": 1,
    }


def test_a_compressed_payload_is_not_looked_into() -> None:
    compressed = entry(MACHINE_CODE, 89, 0x8011, payload=b"\x28\xb5\x2f\xfd" + b"\xff" * 60)
    assert found(elf({b".nv_fatbin": fatbin(compressed, entry(OTHER, 7))})) == {"sm_89": 1}


def test_other_libraries_have_no_code() -> None:
    assert found(elf({b".text": fatbin(entry(MACHINE_CODE, 80))})) == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"MZ" + b"\0" * 80, "is no 64-bit little-endian ELF file"),
        (b"\x7fELF\x01\x01" + b"\0" * 80, "is no 64-bit little-endian ELF file"),
        (elf({b".nv_fatbin": fatbin(entry(2, 80))})[:-60], "ends before its section headers do"),
        (elf({b".nv_fatbin": fatbin(entry(2, 80))[:40]}), "ends after its section"),
        (elf({b".nv_fatbin": fatbin(b"\0" * 80)}), "with a header of 0 bytes"),
    ],
)
def test_files_that_are_something_else(data: bytes, message: str) -> None:
    with pytest.raises(script.NotReadableError, match=message):
        script.codes_of_elf(data)


@pytest.mark.parametrize(
    ("kind", "capability", "suffix", "runs_on"),
    [
        ("sm", 75, "", [75]),
        ("sm", 80, "", [80, 86, 89]),
        ("sm", 86, "", [86, 89]),
        ("sm", 90, "a", [90]),
        ("sm", 100, "f", [100, 103]),
        ("sm", 100, "a", [100]),
        ("compute", 75, "", [75, 80, 86, 89, 90, 100, 103, 120]),
        ("compute", 90, "a", [90]),
        ("compute", 100, "f", [100, 103]),
    ],
)
def test_what_runs_on_what(kind: str, capability: int, suffix: str, runs_on: list[int]) -> None:
    code = script.Code(kind, capability, suffix)
    assert [one for one in script.CAPABILITIES if code.runs_on(one)] == runs_on


def test_the_capabilities_are_those_of_the_catalogue() -> None:
    from settings.catalogue import catalogue  # noqa: PLC0415 - beside what it is compared with

    known = {one.compute_capability for one in catalogue().instances.values()}
    assert known == {
        served[0] for served in map(script.served, (Counter([script.Code("sm", c, "a")]) for c in script.CAPABILITIES))
    }


def wheel(folder: Path) -> Path:
    file = folder / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("made/ops.abi3.so", elf({b".nv_fatbin": fatbin(entry(2, 80), entry(2, 90, A))}))
        archive.writestr("made/plain.so", elf({b".text": b"code"}))
        archive.writestr("made/__init__.py", "")
    return file


def test_a_wheel_as_text_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = wheel(tmp_path)
    assert script.main([str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        file.name,
        "  made/ops.abi3.so",
        "    entries  sm_80:1 sm_90a:1",
        "    runs on  8.0 8.6 8.9 9.0",
    ]
    assert script.main([str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "wheel": file.name,
        "libraries": {
            "made/ops.abi3.so": {"entries": {"sm_80": 1, "sm_90a": 1}, "runs_on": ["8.0", "8.6", "8.9", "9.0"]}
        },
    }


def test_what_is_no_wheel_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = wheel(tmp_path)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("made/odd.so", b"\x7fELF\x01\x01")
    assert script.main([str(file)]) == 2
    assert capsys.readouterr().err.strip() == f"{file.name}: made/odd.so is no 64-bit little-endian ELF file"
    assert script.main([str(tmp_path / "none.whl")]) == 2
    assert "none.whl" in capsys.readouterr().err
