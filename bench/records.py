"""What the generator writes down of each request (AIPerf's profile_export.jsonl), read while it is being written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ValidationError

RECORDS_FILE = "profile_export.jsonl"
NANOSECONDS = 1e9
MILLISECONDS = 1e3


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: times in seconds (`start` since the epoch), tokens as the server counted them; None: not told.

    `inter_token` is the mean time between its tokens. An `error` is one line; then only `start` and `end` hold.
    """

    start: float
    end: float
    first_token: float | None = None
    inter_token: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    error: str | None = None


def _value_of(raw: object) -> object:
    return raw.get("value") if isinstance(raw, dict) else raw


_Number = Annotated[float | None, BeforeValidator(_value_of)]
_Count = Annotated[int | None, BeforeValidator(_value_of)]
_Numbers = Annotated[list[float] | None, BeforeValidator(_value_of)]


class _Metrics(BaseModel):
    time_to_first_token: _Number = None
    inter_token_latency: _Number = None
    inter_chunk_latency: _Numbers = None
    usage_prompt_tokens: _Count = None
    usage_completion_tokens: _Count = None
    usage_prompt_cache_read_tokens: _Count = None


class _Metadata(BaseModel):
    request_start_ns: int
    request_end_ns: int
    was_cancelled: bool = False
    benchmark_phase: str = "profiling"


class _Error(BaseModel):
    code: int | None = None
    type: str | None = None
    message: str = ""


class _Record(BaseModel):
    metadata: _Metadata
    metrics: _Metrics
    error: _Error | None = None


def read_record(line: bytes | str) -> Sample | None:
    """One line as a sample; None for a request that the end of the run cancelled.

    Raises:
        ValueError: the line is not a record of AIPerf 0.13.0.
    """
    try:
        record = _Record.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(str(error)) from None
    metadata, metrics = record.metadata, record.metrics
    start, end = metadata.request_start_ns / NANOSECONDS, metadata.request_end_ns / NANOSECONDS
    if metadata.was_cancelled or metadata.benchmark_phase != "profiling":
        return None
    if record.error is not None:
        return Sample(start, end, error=_told(record.error))
    return Sample(
        start,
        end,
        _seconds(metrics.time_to_first_token),
        _inter_token(metrics),
        metrics.usage_prompt_tokens,
        metrics.usage_completion_tokens,
        metrics.usage_prompt_cache_read_tokens,
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / MILLISECONDS


def _inter_token(metrics: _Metrics) -> float | None:
    """Without the server's token counts, the time between chunks: most servers send a token in each."""
    chunks = metrics.inter_chunk_latency
    return _seconds(metrics.inter_token_latency if metrics.inter_token_latency or not chunks else fmean(chunks))


def _told(error: _Error) -> str:
    # Numbers go, so that errors which differ in them alone are counted as one kind.
    message = re.sub(r"\d+", "#", " ".join(error.message.split()))[:200]
    words = [str(error.code) if error.code else "", error.type or "", message]
    return " ".join(word for word in words if word) or "failed without a word"


class RecordsFile:
    """The growing file: each look returns what has been added since the last one."""

    def __init__(self, artifacts: Path) -> None:
        self._path = artifacts / RECORDS_FILE
        self._offset = 0

    def look(self) -> list[Sample]:
        """The new samples; a line that is still being written waits for the next look.

        Raises:
            ValueError: a whole line is not a record of AIPerf 0.13.0.
        """
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        read = (read_record(line) for line in whole.splitlines() if line.strip())
        return [sample for sample in read if sample is not None]
