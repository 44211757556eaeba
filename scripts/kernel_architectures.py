"""Say for which GPUs a wheel carries code: read from the ELF files in it, without a GPU and without CUDA.

CUDA's compiler puts device code into sections of a shared library, as "fat binaries": a header, then one entry for
each kind and architecture. An entry is machine code (`sm_…`) or PTX (`compute_…`), which the driver compiles. Its
payload may be compressed; its header never is, and only headers are read here. `cuobjdump --list-elf` says the same
(compared in docs/engine-builds.md); https://github.com/n-eiling/cuda-fatbin-decompression describes the layout.

    python scripts/kernel_architectures.py sglang_kernel-0.4.10-….whl            # files
    python scripts/kernel_architectures.py sglang-kernel==0.4.10 --json          # downloaded with pip, then deleted

What a wheel makes at run time (Triton, FlashInfer's own compiler) is not in it and not judged.
"""

from __future__ import annotations

import argparse
import json
import mmap
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ELF_MAGIC = b"\x7fELF"
ELF64_LITTLE = (2, 1)  # class and data of every wheel for Linux on x86_64 and aarch64
CODE_SECTIONS = (b".nv_fatbin", b"__nv_relfatbin")

FATBIN_MAGIC = 0xBA55ED50
# magic, version, size of this header, size of all entries
FATBIN = struct.Struct("<IHHQ")
# kind, -, size of this header, size of the payload, -, -, version of the code (twice), capability, -, -, flags
ENTRY = struct.Struct("<HHIQIIHHIIIQ")
KINDS = {1: "compute", 2: "sm"}
# Seen in entries whose uncompressed code names itself sm_90a, sm_103a, sm_120a and sm_100f.
SUFFIXES = {0x100000: "a", 0x200000: "f"}
ALIGNMENT = 8
# The capabilities of the GPUs in EC2 that CUDA 12 or 13 makes code for.
CAPABILITIES = (75, 80, 86, 89, 90, 100, 103, 120)

# What `pip download` is asked for: the newest tag first, older ones for older releases.
PLATFORMS = {
    "x86_64": ("manylinux_2_28_x86_64", "manylinux_2_34_x86_64", "manylinux2014_x86_64", "linux_x86_64"),
    "aarch64": ("manylinux_2_28_aarch64", "manylinux_2_34_aarch64", "manylinux2014_aarch64", "linux_aarch64"),
}
PYTHON_VERSION = "312"


class NotReadableError(Exception):
    """A file is not what it should be. The message names it."""


@dataclass(frozen=True, order=True)
class Code:
    """Device code of one kind: `sm_90` is machine code, `compute_90` PTX; 90a is for 9.0 only, 100f for its family."""

    kind: str
    capability: int
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.kind}_{self.capability}{self.suffix}"

    def runs_on(self, capability: int) -> bool:
        """Tell whether a GPU runs it.

        CUDA programming guide, "Compute capabilities": machine code runs on its own and later minor versions of its
        major one, PTX on any later capability; `a` code on its own capability only, `f` code within its family.
        """
        if self.suffix == "a":
            return capability == self.capability
        same_major = capability // 10 == self.capability // 10
        return capability >= self.capability and (same_major or (self.kind == "compute" and not self.suffix))


def sections(data: bytes | mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and size of every section of a 64-bit little-endian ELF file.

    Raises:
        NotReadableError: it is another kind of file, or ends early.
    """
    if data[:4] != ELF_MAGIC or tuple(data[4:6]) != ELF64_LITTLE:
        raise NotReadableError("is no 64-bit little-endian ELF file")
    try:
        (table,) = struct.unpack_from("<Q", data, 0x28)
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    except struct.error as error:
        raise NotReadableError(f"ends before its section headers do ({error})") from None
    if not headers:
        return
    start = headers[names][4]
    for name, _, _, _, offset, length in headers:
        end = data.find(b"\0", start + name)
        yield bytes(data[start + name : end]), offset, length


def codes_in_section(data: bytes | mmap.mmap, offset: int, size: int) -> Iterator[Code]:
    """Yield the code of every entry of every fat binary in a section; they lie one behind the other, aligned."""
    end = min(offset + size, len(data))
    while offset + FATBIN.size <= end:
        magic, _, header, length = FATBIN.unpack_from(data, offset)
        if magic != FATBIN_MAGIC:
            offset += ALIGNMENT  # padding
            continue
        first, last = offset + header, offset + header + length
        if last > end:
            raise NotReadableError(f"has a fat binary at {offset:#x} that ends after its section")
        yield from codes_of_entries(data, first, last)
        offset = last + -last % ALIGNMENT


def codes_of_entries(data: bytes | mmap.mmap, offset: int, end: int) -> Iterator[Code]:
    """Yield the code of every entry of one fat binary."""
    while offset + ENTRY.size <= end:
        kind, _, header, payload, _, _, _, _, capability, _, _, flags = ENTRY.unpack_from(data, offset)
        if header < ENTRY.size:
            raise NotReadableError(f"has an entry at {offset:#x} with a header of {header} bytes")
        if kind in KINDS:
            suffix = "".join(letter for bit, letter in SUFFIXES.items() if flags & bit)
            yield Code(KINDS[kind], capability, suffix)
        offset += header + payload


def codes_of_elf(data: bytes | mmap.mmap) -> Counter[Code]:
    """Count the entries of a shared library by what they are for."""
    found: Counter[Code] = Counter()
    for name, offset, size in sections(data):
        if name in CODE_SECTIONS:
            found.update(codes_in_section(data, offset, size))
    return found


def codes_of_wheel(wheel: Path) -> dict[str, Counter[Code]]:
    """Return, for every shared library of a wheel that has device code, how many entries there are for what."""
    found: dict[str, Counter[Code]] = {}
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for member in archive.infolist():
            with archive.open(member) as stream:
                if stream.read(len(ELF_MAGIC)) != ELF_MAGIC:
                    continue
            # Hundreds of megabytes: through a file, not through memory.
            unpacked = Path(folder) / "library"
            with archive.open(member) as stream, unpacked.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            codes = _mapped(unpacked, f"{wheel.name}: {member.filename}")
            if codes:
                found[member.filename] = codes
    return found


def _mapped(file: Path, name: str) -> Counter[Code]:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return codes_of_elf(data)
        except NotReadableError as error:
            raise NotReadableError(f"{name} {error}") from None


def download(requirement: str, architecture: str, folder: Path) -> Path:
    """Download a release's wheel for one architecture, without what it requires."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", PYTHON_VERSION, "--dest", str(folder)]
    for platform in PLATFORMS[architecture]:
        command += ["--platform", platform]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        raise NotReadableError(f"{requirement} for {architecture}: {reason}")
    return wheels[0]


def inspect(argument: str, architectures: Sequence[str]) -> Iterator[tuple[str, dict[str, Counter[Code]]]]:
    """Yield name and findings of a wheel: of a file, or of a release for each architecture."""
    if argument.endswith(".whl"):
        yield Path(argument).name, codes_of_wheel(Path(argument))
        return
    for architecture in architectures:
        with tempfile.TemporaryDirectory(prefix="kernel-wheel-") as folder:
            wheel = download(argument, architecture, Path(folder))
            yield wheel.name, codes_of_wheel(wheel)


def served(codes: Counter[Code]) -> tuple[str, ...]:
    """Capabilities of EC2's GPUs that some of this code runs on."""
    return tuple(f"{one // 10}.{one % 10}" for one in CAPABILITIES if any(code.runs_on(one) for code in codes))


def _table(name: str, libraries: dict[str, Counter[Code]]) -> str:
    lines = [name]
    for library, codes in sorted(libraries.items()):
        counts = " ".join(f"{code}:{count}" for code, count in sorted(codes.items()))
        lines += [f"  {library}", f"    entries  {counts}", f"    runs on  {' '.join(served(codes)) or 'none'}"]
    return "\n".join(lines if libraries else [name, "  no device code"])


def _json(name: str, libraries: dict[str, Counter[Code]]) -> str:
    found = {
        library: {"entries": {str(code): count for code, count in sorted(codes.items())}, "runs_on": served(codes)}
        for library, codes in sorted(libraries.items())
    }
    return json.dumps({"wheel": name, "libraries": found})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is found; 0, or 2 with a line that says what could not be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheels", nargs="+", metavar="FILE.whl|NAME==VERSION")
    parser.add_argument(
        "--architecture", choices=PLATFORMS, action="append", help="of what is downloaded; default: both"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON for each wheel")
    options = parser.parse_args(arguments)
    render = _json if options.json else _table
    try:
        for argument in options.wheels:
            for name, libraries in inspect(argument, options.architecture or tuple(PLATFORMS)):
                print(render(name, libraries), flush=True)
    except (NotReadableError, OSError, zipfile.BadZipFile) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
