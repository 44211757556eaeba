"""AIPerf as a process in its own environment: prepared, started, watched, ended, its records read.

It leads a session of its own, so that ctrl-C reaches only us: we pass it on once, and AIPerf cancels what is in flight
and writes what it has. What does not end then is killed with everything that it started.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import generator_config
from bench.errors import FAILED, BenchError
from bench.generator_config import Folders
from bench.plan import Plan
from bench.records import RecordsFile, Sample
from bench.tokenizer import as_repository, write_tokenizer
from bench.traces import Arrival, generator_lines

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 15.0
"""For AIPerf to end after it was told to; it took 0.8 s with 4 requests in flight."""
_BOX = re.compile("[\u2500-\u257f\u2022]")
_VENV = Path(".cache", "venvs", "bench")

Progress = Callable[[list[Sample]], None]


@dataclass
class Run:
    """What came out: the samples, how the process ended, and whether the user ended it."""

    samples: list[Sample] = field(default_factory=list)
    interrupted: bool = False
    status: int = 0


def find_generator(repository: Path) -> Path:
    """The program in the environment of the Pipfile's category [bench].

    Raises:
        BenchError: it is not installed.
    """
    program = repository / _VENV / "bin" / "aiperf"
    if not program.exists():
        raise BenchError(f"{_VENV}: the load generator is not installed; run `make setup-bench` (1.2 GB, a minute)")
    return program


def run(program: Path, plan: Plan, arrivals: list[Arrival], api_key: str | None, progress: Progress) -> Run:
    """Run the plan to its end or to ctrl-C, telling `progress` of the new samples every half second.

    Raises:
        BenchError: the generator ended without a single record; its last complaint is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as scratch:
        folder = Path(scratch)
        folders = _prepare(plan, arrivals, folder)
        settings = generator_config.config(plan, folders, with_key=api_key is not None)
        (folder / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
        with _started(program, folder, generator_config.environment(os.environ, api_key, folders.hub)) as process:
            done = _watch(process, folders.artifacts, progress)
        if done.status and not done.samples and not done.interrupted:
            remedy = "check --tokenizer, or leave it out" if plan.tokenizer else "look at the endpoint"
            raise BenchError(f"the load generator failed: {_complaint(folder / 'log', api_key)}; {remedy}", FAILED)
    return done


def _prepare(plan: Plan, arrivals: list[Arrival], folder: Path) -> Folders:
    hub: Path | None = folder / "hub"
    if plan.tokenizer is None:
        tokenizer = as_repository(folder / "hub", write_tokenizer(folder / "tokenizer"))
    elif Path(plan.tokenizer).is_dir():
        tokenizer = as_repository(folder / "hub", Path(plan.tokenizer))
    else:
        hub, tokenizer = None, plan.tokenizer
    trace = folder / "trace.jsonl"
    with trace.open("w") as file:
        characters = generator_config.characters_per_token(plan)
        file.writelines(f"{line}\n" for line in generator_lines(arrivals, characters))
    return Folders(hub, tokenizer, trace, folder / "artifacts")


@contextmanager
def _started(program: Path, folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(program), "profile", "--config", str(folder / "config.yaml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _watch(process: subprocess.Popen[bytes], artifacts: Path, progress: Progress) -> Run:
    done, records = Run(), RecordsFile(artifacts)
    deadline: float | None = None
    status: int | None = None
    while status is None and (deadline is None or time.monotonic() < deadline):
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
            status = process.poll()
            _collect(done, records, progress)
        except KeyboardInterrupt:
            if deadline is not None:  # the second one
                break
            done.interrupted, deadline = True, time.monotonic() + PATIENCE_SECONDS
            process.send_signal(signal.SIGINT)
    _collect(done, records, progress)
    done.status = status or 0
    return done


def _collect(done: Run, records: RecordsFile, progress: Progress) -> None:
    try:
        new = records.look()
    except ValueError as error:
        told = " ".join(str(error).split())[:200]
        raise BenchError(
            f"the load generator's records are not as expected ({told}); run `make setup-bench`", FAILED
        ) from None
    done.samples += new
    progress(new)


def _complaint(log: Path, api_key: str | None) -> str:
    """The first error that the log names (later ones follow from it), else its last panel; never with the key."""
    text = log.read_text(errors="replace")
    named = [line.partition(" ERROR ")[2] for line in text.splitlines() if " ERROR " in line]
    told = " ".join((named[0] if named else _BOX.sub(" ", text.rpartition("╭")[2])).split())[:400] or "it said nothing"
    return told.replace(api_key, "***") if api_key else told
