"""Traces of real traffic, read from where the user says: Mooncake's JSONL and Azure's CSV, into the generator's lines.

Formats: https://github.com/kvcache-ai/Mooncake (timestamps in ms, a hash per 512 tokens) and
https://github.com/Azure/AzurePublicDataset (columns TIMESTAMP, ContextTokens, GeneratedTokens). Neither holds texts:
the generator makes one per request, alike where the hashes are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, count, islice
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from bench.errors import BenchError

BLOCK_TOKENS = 512
"""Tokens that one hash of a Mooncake trace stands for (README of its repository)."""
_AZURE_HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace: seconds since the first, lengths in tokens, hashes of its blocks (none: all its own)."""

    at: float
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()


class _Mooncake(BaseModel):
    timestamp: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    input_length: Annotated[int, Field(gt=0)]
    output_length: Annotated[int, Field(ge=0)]
    hash_ids: list[Annotated[int, Field(ge=0)]] = []


class _Azure(BaseModel):
    TIMESTAMP: str
    ContextTokens: Annotated[int, Field(gt=0)]
    GeneratedTokens: Annotated[int, Field(ge=0)]


def read_trace(path: Path, *, requests: int | None, duration: float | None, rate: float | None) -> list[Arrival]:
    """The arrivals of the file, in order, from 0 s on: the first `requests`, or those before `duration` seconds.

    With `rate` the times are stretched first, so that it is the mean rate of the whole file. Only with it is the whole
    file read before it is cut.

    Raises:
        BenchError: the file cannot be read, a line of it is not of its format, or nothing is left.
    """
    rows = _stretched(list(_rows(path)), rate) if rate else _rows(path)
    kept: list[Arrival] = []
    for arrival in islice(rows, requests):
        if kept and arrival.at < kept[-1].at:
            raise BenchError(
                f"{path}: request {len(kept) + 1} is earlier than the one before it; sort the file by time"
            )
        if duration is not None and arrival.at >= duration:
            break
        kept.append(arrival)
    if not kept:
        raise BenchError(f"{path}: it holds no request; give a Mooncake JSONL or an Azure CSV file with some")
    return kept


def _stretched(rows: list[Arrival], rate: float) -> Iterator[Arrival]:
    span = rows[-1].at if rows else 0.0
    # n requests have n - 1 gaps.
    factor = (len(rows) - 1) / rate / span if span > 0 else 1.0
    return (replace(row, at=row.at * factor) for row in rows)


def _rows(path: Path) -> Iterator[Arrival]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            first = next(lines, "")
            if first.strip() == _AZURE_HEAD:
                yield from _from_start(_azure(path, lines))
            elif first.lstrip().startswith("{"):
                yield from _from_start(_mooncake(path, chain([first], lines)))
            elif first.strip():
                raise BenchError(
                    f"{path}: its first line is neither a JSON object (Mooncake) nor {_AZURE_HEAD} (Azure); "
                    "give a file of one of these formats"
                )
    except OSError as error:
        raise BenchError(f"--trace: cannot read {path}: {error.strerror}; name a file that is there") from None
    except UnicodeDecodeError:
        raise BenchError(f"--trace: {path} is not text; give a Mooncake JSONL or an Azure CSV file") from None


def _from_start(rows: Iterable[Arrival]) -> Iterator[Arrival]:
    start: float | None = None
    for row in rows:
        start = row.at if start is None else start
        yield replace(row, at=row.at - start)


def _mooncake(path: Path, lines: Iterable[str]) -> Iterator[Arrival]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _Mooncake.model_validate_json(line)
        except ValidationError as error:
            raise _faulty(path, number, error) from None
        blocks = tuple(row.hash_ids)
        if blocks and not (len(blocks) - 1) * BLOCK_TOKENS < row.input_length <= len(blocks) * BLOCK_TOKENS:
            raise BenchError(
                f"{path}:{number}: {len(blocks)} hash_ids do not make input_length {row.input_length} at "
                f"{BLOCK_TOKENS} tokens each; correct the line or leave hash_ids out"
            )
        yield Arrival(row.timestamp / 1000, row.input_length, row.output_length, blocks)


def _azure(path: Path, lines: Iterable[str]) -> Iterator[Arrival]:
    for number, row in enumerate(csv.DictReader(lines, _AZURE_HEAD.split(",")), 2):
        try:
            parsed = _Azure.model_validate({name: row[name] for name in _AZURE_HEAD.split(",")})
            # The files have seven digits of a second; fromisoformat cuts what is beyond microseconds.
            moment = datetime.fromisoformat(parsed.TIMESTAMP)
        except ValidationError as error:
            raise _faulty(path, number, error) from None
        except ValueError:
            raise BenchError(f"{path}:{number}: TIMESTAMP {row['TIMESTAMP']!r} is not a time; correct it") from None
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        yield Arrival(at, parsed.ContextTokens, parsed.GeneratedTokens)


def _faulty(path: Path, number: int, error: ValidationError) -> BenchError:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "line"
    return BenchError(f"{path}:{number}: {where}: {first['msg']}; correct the line or give another file")


def generator_lines(arrivals: Iterable[Arrival], characters: int) -> Iterator[str]:
    """The arrivals as JSON lines of the generator's format `mooncake_trace`, lengths in tokens of its tokenizer.

    The generator wants every block that a hash names to be of one size. The last block of a prompt is often partial, so
    a hash is renumbered by what it names and how much of it is there. A prompt without hashes gets new ones: the
    generator's texts for those that have none begin alike.
    """
    numbers: dict[tuple[int, int], int] = {}
    fresh = count(-1, -1)
    for arrival in arrivals:
        blocks = arrival.blocks or tuple(islice(fresh, -(-arrival.prompt_tokens // BLOCK_TOKENS)))
        last = arrival.prompt_tokens - (len(blocks) - 1) * BLOCK_TOKENS
        pairs = zip(blocks, [*([BLOCK_TOKENS] * (len(blocks) - 1)), last], strict=True)
        line = {
            "timestamp": round(arrival.at * 1000, 3),
            "input_length": arrival.prompt_tokens * characters,
            "output_length": max(1, arrival.output_tokens),
            "hash_ids": [numbers.setdefault(pair, len(numbers)) for pair in pairs],
        }
        yield json.dumps(line)
