"""Traces from files: Mooncake JSONL, Azure CSV and rates per interval, told apart by their first line.

- Mooncake: one JSON object a line with `timestamp` (ms), `input_length`, `output_length` and `hash_ids`, an id for each
  512 tokens of the prompt (github.com/kvcache-ai/Mooncake). The id of an unfinished last block is left out: a cache
  keeps whole blocks. Which blocks an answer becomes is not in the file.
- Azure: CSV with `TIMESTAMP`, `ContextTokens`, `GeneratedTokens` (github.com/Azure/AzurePublicDataset, 2023 and 2024).
  No prefixes.
- Rates: CSV with `start_seconds`, `requests_per_second` and, if wanted, `prompt_tokens` and `output_tokens`, means of
  the interval. An interval ends where the next starts; the last is as long as the one before it (600 s if alone).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from settings.errors import ABSENT, Fault, SettingsError
from simulator.traces.chunk import CHUNK_REQUESTS, ID_BITS, Chunk, with_blocks
from simulator.traces.rates import DEFAULT_OUTPUT_TOKENS, DEFAULT_PROMPT_TOKENS, RateTrace
from simulator.traces.trace import Remembered, Trace

MOONCAKE_BLOCK_TOKENS = 512
AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
RATES = ("start_seconds", "requests_per_second")
LARGEST_TOKENS = 10**9
Request = tuple[float, int, int, list[int]]


def read(path: Path) -> Trace | RateTrace:
    """The trace in a file; a request trace is read on as it is used.

    Raises:
        SettingsError: the file cannot be read or is no trace, or (for rates) one of its lines is at fault.
    """
    try:
        with _opened(path) as file:
            first = file.readline().strip()
    except OSError as error:
        raise SettingsError([Fault(str(path), ABSENT, f"cannot be read: {error}", "name a trace file")]) from error
    columns = [name.strip() for name in first.split(",")]
    if first.startswith("{"):
        return Trace(path.stem, MOONCAKE_BLOCK_TOKENS, Remembered(partial(_chunks, path, _mooncake)))
    if set(AZURE) <= set(columns):
        return Trace(path.stem, 0, Remembered(partial(_chunks, path, _azure)))
    if set(RATES) <= set(columns):
        return _read_rates(path)
    rule = "is neither a JSON object (Mooncake) nor a header with " + " or ".join(map(", ".join, (AZURE, RATES)))
    raise SettingsError([Fault(f"{path}:1", first, rule, "use one of these formats")])


def _opened(path: Path) -> TextIO:
    # What is no UTF-8 shows up as a faulty value of its line.
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


class _Line:
    """One line of a file: takes numbers out of it, and says where it is when something is wrong."""

    def __init__(self, path: Path, number: int, fields: dict[str, object]) -> None:
        self.where, self.fields = f"{path}:{number}", fields

    def fault(self, name: str, value: object, rule: str, remedy: str = "correct the line") -> SettingsError:
        return SettingsError([Fault(f"{self.where} {name}", value, rule, remedy)])

    def number(self, name: str, least: float) -> float:
        value = self.fields.get(name, ABSENT)
        try:
            number = np.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # what is no number is answered right below
        except (TypeError, ValueError):
            raise self.fault(name, value, "must be a number") from None
        if not least <= number < np.inf:
            raise self.fault(name, value, f"must be a finite number from {least:g} on")
        return number

    def tokens(self, name: str) -> int:
        number = self.number(name, 1)
        if number != int(number) or number > LARGEST_TOKENS:
            raise self.fault(name, self.fields[name], f"must be a whole number of tokens up to {LARGEST_TOKENS}")
        return int(number)


def _chunks(path: Path, requests: Callable[[Path, TextIO], Iterator[tuple[_Line, Request]]]) -> Iterator[Chunk]:
    """The requests of a file in chunks, from 0 s on."""
    rows: list[Request] = []
    first = last = None
    with _opened(path) as file:
        for line, request in requests(path, file):
            first = request[0] if first is None else first
            if last is not None and request[0] < last:
                rule = "comes before the line above it"
                raise line.fault("time", request[0] - first, rule, "sort the file by arrival")
            last = request[0]
            rows.append((last - first, *request[1:]))
            if len(rows) == CHUNK_REQUESTS:
                yield _chunk(rows)
                rows = []
    if last is None:
        raise SettingsError([Fault(str(path), ABSENT, "has no request", "add some, or use another file")])
    if rows:
        yield _chunk(rows)


def _chunk(rows: list[Request]) -> Chunk:
    arrival, prompt, output, blocks = zip(*rows, strict=True)
    return with_blocks(arrival, prompt, output, blocks)


def _mooncake(path: Path, file: TextIO) -> Iterator[tuple[_Line, Request]]:
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        line = _Line(path, number, _object(path, number, text))
        prompt = line.tokens("input_length")
        yield line, (line.number("timestamp", 0) / 1000, prompt, line.tokens("output_length"), _blocks(line, prompt))


def _object(path: Path, number: int, text: str) -> dict[str, object]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise SettingsError([Fault(f"{path}:{number}", text.strip(), "is no JSON object", "correct the line")])
    return fields


def _blocks(line: _Line, prompt: int) -> list[int]:
    """Ids of the whole blocks."""
    ids = line.fields.get("hash_ids", [])
    if not isinstance(ids, list) or not set(map(type, ids)) <= {int}:
        raise line.fault("hash_ids", ids, "must be a list of whole numbers")
    if len(ids) > -(-prompt // MOONCAKE_BLOCK_TOKENS):
        raise line.fault("hash_ids", len(ids), f"are more ids than {prompt} tokens have blocks of 512")
    whole = ids[: prompt // MOONCAKE_BLOCK_TOKENS]
    most = (1 << ID_BITS) - 1
    # Few files have ids so large, hashes of 64 bits for example.
    return [key & most for key in whole] if whole and not 0 <= min(whole) <= max(whole) <= most else whole


def _azure(path: Path, file: TextIO) -> Iterator[tuple[_Line, Request]]:
    for line in _csv_lines(path, file):
        at = _moment(line, line.fields.get("TIMESTAMP", ABSENT))
        yield line, (at, line.tokens("ContextTokens"), line.tokens("GeneratedTokens"), [])


def _csv_lines(path: Path, file: TextIO) -> Iterator[_Line]:
    reader = csv.reader(file)
    header = [name.strip() for name in next(reader)]
    try:
        for row in reader:
            if row:
                yield _Line(path, reader.line_num, dict(zip(header, row, strict=False)))
    except csv.Error as error:
        rule = f"is no line of a CSV file: {error}"
        raise SettingsError([Fault(f"{path}:{reader.line_num}", ABSENT, rule, "correct the line")]) from error


def _moment(line: _Line, text: object) -> float:
    """Seconds since 1970; a time without a zone is taken for UTC. Digits beyond the microsecond are dropped."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise line.fault("TIMESTAMP", text, "must be a time like 2023-11-16 18:15:46.6805900") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _read_rates(path: Path) -> RateTrace:
    rows: list[tuple[float, float, float, float]] = []
    with _opened(path) as file:
        for line in _csv_lines(path, file):
            line.fields.setdefault("prompt_tokens", DEFAULT_PROMPT_TOKENS)
            line.fields.setdefault("output_tokens", DEFAULT_OUTPUT_TOKENS)
            start = line.number("start_seconds", 0)
            if rows and start <= rows[-1][0]:
                raise line.fault("start_seconds", start, f"must be above {rows[-1][0]:g} of the line above")
            sizes = line.number("prompt_tokens", 1), line.number("output_tokens", 1)
            rows.append((start, line.number("requests_per_second", 0), *sizes))
    if not rows:
        raise SettingsError([Fault(str(path), ABSENT, "has no interval", "add lines below the header")])
    starts, rates, prompt, output = np.array(rows).T
    return RateTrace(path.stem, starts - starts[0], rates, prompt, output)
