"""The router's settings compared: a worker that joins, hangs, is killed, or is slow to say that it is well.

    python benchmarks/router_settings.py [--quick] [--only join hang kill slow] [--smg PATH] [--json]

The real router (smg, with the arguments that a router host gives it) before engine emulators, on loopback addresses
127.64.42.x. Each candidate is a fresh router and fresh engines. The engines are emulators: their speeds are assumptions
(rehearsal/engine/timing.py), their prefix caches and the router's choices are not. About 5 minutes with --quick.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.router_fleet import REPOSITORY, Fleet, engine_url
from benchmarks.router_load import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rehearsal.engine.ledger import Entry

Words = tuple[str, ...]
Figures = dict[str, float | int | None]
OLD, NEW = (1, 2), (3, 4)
VICTIM = 3
WARM_UP_SECONDS = 15.0
SLOW_HEALTH_SECONDS = 4.7
"""A probe that arrives at the worst moment while 4,096-token parts of a prompt take 1.9 s each (2,200 tokens/s)."""


def _balance(absolute: int, relative: float) -> Words:
    return ("--balance-abs-threshold", str(absolute), "--balance-rel-threshold", str(relative))


def _health(interval: int, timeout: int, failures: int) -> Words:
    return (
        *("--health-check-interval-secs", str(interval)),
        *("--health-check-timeout-secs", str(timeout)),
        *("--health-failure-threshold", str(failures)),
    )


JOIN: dict[str, Words] = {
    "2, 1.2 (chosen)": _balance(2, 1.2),
    "8, 1.5": _balance(8, 1.5),
    "64, 1.5 (smg's defaults)": _balance(64, 1.5),
}
HANG: dict[str, Words] = {
    "every 5 s, 5 s, 2 failures": _health(5, 5, 2),
    "every 1 s, 3 s, 2 failures": _health(1, 3, 2),
    "every 1 s, 6 s, 1 failure (chosen)": _health(1, 6, 1),
}


@dataclass(frozen=True)
class Scale:
    """How long and how wide; times in seconds."""

    clients: int
    after_join: float
    hang: float
    after: float


QUICK = Scale(clients=120, after_join=30, hang=16, after=5)
FULL = Scale(clients=160, after_join=60, hang=25, after=15)


def join(fleet: Fleet, scale: Scale) -> Figures:
    """Two workers under load, then two more: their part of the requests, and what it costs the prefix caches."""
    fleet.start((*OLD, *NEW))
    fleet.start_router(OLD)
    load, joined = Load(scale.clients), 0.0

    async def play() -> None:
        nonlocal joined
        await asyncio.sleep(WARM_UP_SECONDS)
        joined = time.time()
        fleet.list((*OLD, *NEW))
        await asyncio.sleep(scale.after_join)

    asyncio.run(load.run(play))
    entries = fleet.entries((*OLD, *NEW))
    before = [entry for entry in entries if joined - WARM_UP_SECONDS / 2 <= entry.started < joined]
    first = min((entry.started for entry in entries if _new(entry)), default=None)
    windows = {
        seconds: [entry for entry in entries if 0 <= entry.started - joined < seconds] for seconds in (10, 30, 60)
    }
    return {
        "first request after s": None if first is None else round(first - joined, 2),
        **{f"fair share in {seconds} s": _fair_share(found) for seconds, found in windows.items()},
        "hit rate before": _hit_rate(before),
        "hit rate after": _hit_rate(windows[60]),
        "errors": sum(bool(sent.fault) for sent in load.sent),
    }


def _new(entry: Entry) -> bool:
    return f"http://{entry.engine}" in {engine_url(number) for number in NEW}


def _fair_share(entries: Sequence[Entry]) -> float:
    """Of what the new workers would get if every worker got the same."""
    fair = len(entries) * len(NEW) / (len(OLD) + len(NEW))
    return round(sum(map(_new, entries)) / fair, 2)


def _hit_rate(entries: Sequence[Entry]) -> float:
    return round(sum(entry.cached_tokens for entry in entries) / sum(entry.prompt_tokens for entry in entries), 3)


def hang(fleet: Fleet, scale: Scale) -> Figures:
    """One of three workers stops (SIGSTOP): until when is it sent requests, and how many wait for it."""
    load, stopped, out = _fault(fleet, scale, signal.SIGSTOP)
    ended = stopped + scale.hang
    sent = [sent for sent in load.sent if sent.worker == engine_url(VICTIM) and stopped <= sent.started < ended]
    last = max((one.started - stopped for one in sent), default=None)
    return {
        "unhealthy after s": out,
        "last request after s": None if last is None else round(last, 2),
        "requests stuck": sum(one.ended > ended for one in sent),
        "errors": sum(bool(one.fault) for one in load.sent),
    }


def kill(fleet: Fleet, scale: Scale) -> Figures:
    """One of three workers is killed: what do the clients see."""
    load, _, out = _fault(fleet, scale, signal.SIGKILL)
    bad = [sent for sent in load.sent if sent.fault]
    return {
        "unhealthy after s": out,
        "requests": len(load.sent),
        "errors, not streamed": sum(not sent.streamed for sent in bad),
        "errors, streams before their first byte": sum(sent.streamed and sent.first_byte is None for sent in bad),
        "streams cut after it": sum(sent.first_byte is not None and sent.streamed for sent in bad),
    }


def _fault(fleet: Fleet, scale: Scale, what: signal.Signals) -> tuple[Load, float, float | None]:
    fleet.start((*OLD, VICTIM))
    fleet.start_router((*OLD, VICTIM))
    load, at, out = Load(scale.clients // 2, streams=0.5), 0.0, None

    async def play() -> None:
        nonlocal at, out
        await asyncio.sleep(WARM_UP_SECONDS)
        at = time.time()
        fleet.signal(VICTIM, what)
        while time.time() < at + scale.hang:
            if out is None and not fleet.health().get(engine_url(VICTIM), False):
                out = round(time.time() - at, 1)
            await asyncio.sleep(0.25)
        fleet.signal(VICTIM, signal.SIGCONT)
        await asyncio.sleep(scale.after)

    asyncio.run(load.run(play))
    return load, at, out


def slow(fleet: Fleet, scale: Scale) -> Figures:
    """Every worker serves, but its health check takes `SLOW_HEALTH_SECONDS`: is the whole fleet taken for dead?"""
    fleet.health_seconds = SLOW_HEALTH_SECONDS
    fleet.start(OLD)
    fleet.start_router(OLD)
    load = Load(scale.clients // 4)
    asyncio.run(load.run(lambda: asyncio.sleep(scale.hang)))
    statuses = Counter(sent.status for sent in load.sent)
    return {
        "answered 200": statuses[200],
        "answered 503": statuses[503],
        "others": len(load.sent) - statuses[200] - statuses[503],
    }


SCENARIOS: dict[str, tuple[Callable[[Fleet, Scale], Figures], dict[str, Words]]] = {
    "join": (join, JOIN),
    "hang": (hang, HANG),
    "kill": (kill, HANG),
    "slow": (slow, HANG),
}


def measure(scenario: str, scale: Scale, smg: Path) -> dict[str, Figures]:
    """Return each candidate's figures."""
    play, candidates = SCENARIOS[scenario]
    found: dict[str, Figures] = {}
    for name, words in candidates.items():
        print(f"{scenario}: {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder, Fleet(Path(folder), smg, words) as fleet:
            found[name] = play(fleet, scale)
    return found


def table(figures: dict[str, Figures]) -> str:
    """Return one scenario's figures as a Markdown table, a line per candidate."""
    heads = list(next(iter(figures.values())))
    lines = [f"| {name} | " + " | ".join(str(row[head]) for head in heads) + " |" for name, row in figures.items()]
    return "\n".join([f"| candidate | {' | '.join(heads)} |", "|" + "---|" * (len(heads) + 1), *lines])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=sorted(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--smg", type=Path, default=REPOSITORY / ".cache/venvs/router/bin/smg")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {name: measure(name, QUICK if options.quick else FULL, options.smg) for name in options.only}
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n\n".join(f"{name}\n\n{table(figures)}" for name, figures in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
