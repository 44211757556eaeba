#!/usr/bin/env python3
"""Print how long the repository's functions and files are; exit 1 when they are longer than agreed.

A function's length is its lines from `def` (decorators and blank lines not split off) to its last line, docstring
included; the second row shows the same without docstrings. Tests are left out of the functions and kept in the files.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "settings",
    "stacks",
    "user_data",
    "packer",
    "fleet",
    "rehearsal",
    "simulator",
    "bench",
    "scripts",
    "benchmarks",
)
MEDIAN_LIMIT, P90_LIMIT, FILE_LIMIT = 12, 30, 400
LONGEST = 10


@dataclass(frozen=True)
class Function:
    """One function: where it is, and its length in lines with and without its docstring."""

    where: str
    lines: int
    without_docstring: int


def source_files() -> list[Path]:
    """Every Python and shell file that git holds or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listing.stdout.splitlines()]
    return [
        path for path in paths if path.is_file() and (path.suffix in {".py", ".sh"} or path == ROOT / ".ci" / "run")
    ]


def functions_of(path: Path) -> list[Function]:
    """All functions and methods of a Python file, nested ones too."""
    nodes = ast.walk(ast.parse(path.read_text(), str(path)))
    defined = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [_measure(node, path.relative_to(ROOT)) for node in defined]


def _measure(node: ast.FunctionDef | ast.AsyncFunctionDef, path: Path) -> Function:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
    documented = (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1 if docstring else 0
    return Function(f"{path}:{node.lineno} {node.name}", lines, lines - documented)


def p90(lengths: list[int]) -> int:
    """The length that nine of ten functions do not exceed (nearest rank)."""
    return sorted(lengths)[max(0, -(-9 * len(lengths) // 10) - 1)]


def _row(name: str, lengths: list[int]) -> str:
    median = statistics.median(lengths)
    return f"{name:<24} {len(lengths):>6} {median:>7g} {p90(lengths):>5} {max(lengths):>5}"


def faults(lengths: list[int], files: dict[str, int]) -> list[str]:
    """What is over a limit, one sentence each."""
    found = [
        f"{name}: {lines} lines, more than {FILE_LIMIT}; split it"
        for name, lines in files.items()
        if lines > FILE_LIMIT
    ]
    if statistics.median(lengths) > MEDIAN_LIMIT:
        found.append(f"the median function has {statistics.median(lengths):g} lines, more than {MEDIAN_LIMIT}")
    if p90(lengths) > P90_LIMIT:
        found.append(f"one function in ten has more than {P90_LIMIT} lines (p90 is {p90(lengths)})")
    return found


def main() -> int:
    """Print the table and the longest functions; 1 when a limit is exceeded."""
    paths = source_files()
    measured = [path for path in paths if path.suffix == ".py" and _is_product(path)]
    functions = [function for path in measured for function in functions_of(path)]
    lengths = [function.lines for function in functions]
    files = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    print(f"{'':<24} {'count':>6} {'median':>7} {'p90':>5} {'max':>5}")
    print(_row("function lines", lengths))
    print(_row("without docstrings", [function.without_docstring for function in functions]))
    print(_row("file lines (with tests)", list(files.values())))
    print(f"\nthe longest {LONGEST}:")
    for function in sorted(functions, key=lambda item: -item.lines)[:LONGEST]:
        print(f"{function.lines:>5}  {function.where}")
    found = faults(lengths, files)
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


def _is_product(path: Path) -> bool:
    relative = path.relative_to(ROOT)
    return relative.parts[0] in FOLDERS or str(relative) == "main.py"


if __name__ == "__main__":
    sys.exit(main())
