"""The table of scaling policies over three recorded loads, each policy with its numbers tuned by the same sweep.

    python benchmarks/scaling.py --data FOLDER [--write docs/scaling-results.md] [--peak 12]

FOLDER holds AzureLLMInferenceTrace_conv.csv, AzureLLMInferenceTrace_code.csv (Azure public dataset, CC-BY 4.0) and
conversation_trace.jsonl (Mooncake FAST'25 release, Apache-2.0), anywhere below it. The same files give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from settings.load import load_settings
from settings.model import Settings
from simulator.cluster import Slo
from simulator.compare import Comparison
from simulator.recipes import BASELINES, FIXED, OURS, Recipe, fixed
from simulator.results import Result
from simulator.scenario import Wanted, comparison_of, rate_for, read_trace
from simulator.sweep import Tried, best, finer, frontier, try_all, try_choices

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "environments" / "example.toml"
OVERRIDES = {"max_size": 30}
REFINEMENTS = 3
POLICIES = (FIXED, *BASELINES, OURS)


@dataclass(frozen=True)
class Case:
    """A trace with the factor on its tokens that the SLO of 2 s and 60 ms asks for."""

    label: str
    file: str
    tokens: float
    slo: Slo = field(default_factory=Slo)
    peak: int | None = None
    """The clairvoyant's largest fleet, if it is not the one of all."""


CASES = (
    Case("Azure conversation", "AzureLLMInferenceTrace_conv.csv", 1.0),
    Case("Azure code, tokens x 0.5", "AzureLLMInferenceTrace_code.csv", 0.5),
    Case("Mooncake conversation, tokens x 0.05", "conversation_trace.jsonl", 0.05),
)
AS_IS = (
    Case("Azure code as it is", "AzureLLMInferenceTrace_code.csv", 1.0),
    Case("Mooncake conversation as it is", "conversation_trace.jsonl", 1.0),
)


OTHERS = (
    Case("Azure conversation, tokens x 0.5", "AzureLLMInferenceTrace_conv.csv", 0.5),
    Case("Azure conversation, largest fleet 6", "AzureLLMInferenceTrace_conv.csv", 1.0, peak=6),
    Case("Azure code, tokens x 0.25", "AzureLLMInferenceTrace_code.csv", 0.25),
    Case("Azure code as it is, 6 s and 120 ms", "AzureLLMInferenceTrace_code.csv", 1.0, Slo(6.0, 0.12)),
    Case("Mooncake conversation, tokens x 0.1", "conversation_trace.jsonl", 0.1),
)
"""Loads to which nothing was fitted."""


@dataclass(frozen=True)
class Done:
    """A case with everything that was tried on it."""

    case: Case
    rate: float
    comparison: Comparison
    published: dict[str, Result]
    tried: dict[str, list[Tried]]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--peak", type=int, default=12)
    options = parser.parse_args()
    settings = load_settings(EXAMPLE, OVERRIDES)
    done = [measure(case, options.data, settings, options.peak) for case in CASES]
    refine(done)
    others = [row for case in OTHERS for row in elsewhere(case, options.data, settings, options.peak, done)]
    limits = [ceiling(case, options.data, settings) for case in AS_IS]
    text = report(done, others, limits, options.peak)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    print(text)


def find(folder: Path, name: str) -> Path:
    """A trace's file. Raises FileNotFoundError with a remedy."""
    found = sorted(folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{folder}: no {name} below it; see the top of this file for where it comes from")
    return found[0]


def measure(case: Case, folder: Path, settings: Settings, peak: int) -> Done:
    """All policies on one case: as published or set, then every choice of the grid."""
    started = time.monotonic()
    rate, comparison = prepared(case, folder, settings, peak)
    published = {name: comparison.named(name).result for name in (*POLICIES, "clairvoyant")}
    tried = {}
    for name in POLICIES:
        tried[name] = try_all([comparison], recipe(comparison, name), peak=peak)
        say(f"  {name}: {best(tried[name])} after {time.monotonic() - started:.0f} s")
    return Done(case, rate, comparison, published, tried)


def prepared(case: Case, folder: Path, settings: Settings, peak: int) -> tuple[float, Comparison]:
    """The rate of a case and its comparison, with the clairvoyant found."""
    trace = read_trace(find(folder, case.file))
    wanted = Wanted(tokens=case.tokens, slo=case.slo)
    rate = rate_for(case.peak or peak, trace, settings, wanted)
    comparison = comparison_of(trace, settings, replace(wanted, rate=rate))
    say(f"{case.label}: rate {rate}, clairvoyant {comparison.bound.gpu_hours:.1f} h, peak {comparison.bound.peak}")
    return rate, comparison


def elsewhere(case: Case, folder: Path, settings: Settings, peak: int, done: Sequence[Done]) -> list[str]:
    """One row per policy on a case of which no policy knows anything: the numbers chosen on all the traces together."""
    comparison = prepared(case, folder, settings, peak)[1]
    rows = []
    for name in POLICIES:
        chosen = best(together([among(one.tried[name], 1) for one in done])).choice
        run = comparison.run(recipe(comparison, name), chosen.parameter, chosen.plan(comparison.plan)).result
        rows.append(
            f"| {case.label} | {name} | {chosen.parameter:g} | {chosen.min_size} | {chosen.warm} | {cells(run)} |"
        )
    row = comparison.named(OURS).result
    rows.append(f"| {case.label} | ours as set | {row.parameter:g} | 1 | 0 | {cells(row)} |")
    attainable = f"at most {comparison.bound.ceiling:.1%}"
    return [f"| {case.label} | clairvoyant, {attainable} | | | | {cells(comparison.clairvoyant().result)} |", *rows]


def refine(done: Sequence[Done]) -> None:
    """Halve the grid of every policy around each choice that a table shows, three times, on all traces."""
    chosen_on = [*((one,) for one in done), *([one for one in done if one is not left] for left in done)]
    for name in POLICIES:
        if name == FIXED:
            continue
        for _ in range(REFINEMENTS):
            known = [one.choice for one in done[0].tried[name]]
            shown = [
                best(together([among(one.tried[name], minimum) for one in traces])).choice
                for traces in chosen_on
                for minimum in (1, None)
            ]
            grid = list(dict.fromkeys(choice for around in dict.fromkeys(shown) for choice in finer(around, known)))
            for one in done:
                one.tried[name] += try_choices([one.comparison], recipe(one.comparison, name), grid)
        say(f"{name}: {len(done[0].tried[name])} choices")


def recipe(comparison: Comparison, name: str) -> Recipe:
    """A policy by name; the fixed fleets are those up to the group's limit."""
    return fixed(1, comparison.plan.max_size) if name == FIXED else comparison.recipe(name)


def say(text: str) -> None:
    """Progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)


def ceiling(case: Case, folder: Path, settings: Settings) -> str:
    """What 60 workers attain at the trace's own rate: nearly as many as there are requests at once."""
    trace = read_trace(find(folder, case.file))
    cluster = comparison_of(trace, settings, Wanted(tokens=case.tokens)).workload.start()
    for _ in range(60):
        cluster.join()
    end = 0.0
    while not cluster.exhausted:
        end += 10.0
        cluster.advance(end)
    served = cluster.served()
    first = served.ttft
    return (
        f"| {case.label} | {served.attainment:.1%} | {first.percentile(0.5):.2f} | {first.percentile(0.9):.2f} | "
        f"{first.fraction_within(2.0):.1%} | {served.itl.fraction_within(0.06):.1%} | {served.too_long} |"
    )


def report(done: Sequence[Done], others: Sequence[str], limits: Sequence[str], peak: int) -> str:
    """The whole page."""
    boot = done[0].comparison.plan.boot
    parts = [
        "# Scaling policies compared",
        ABOUT.format(most=done[0].comparison.plan.max_size, cold=boot.cold, warm=boot.warm, peak=peak),
    ]
    for one in done:
        parts += [f"## {one.case.label}, rate x {one.rate:g}", "Tuned, from a minimum of 1:", tuned_table(one, 1)]
        parts += ["Tuned, with the minimum that is best for this very trace:", tuned_table(one, None)]
        parts += ["As published or set:", published_table(one), "Frontier of ours:", frontier_table(one)]
    parts += ["## Leave one out", "Numbers chosen on the two other traces, from a minimum of 1:"]
    parts += [leave_one_out(done, 1), "The same with the minimum chosen on the two other traces:"]
    parts += [leave_one_out(done, None)]
    parts += [
        "## Loads to which nothing was fitted",
        OTHERS_TEXT,
        "\n".join(("| Load " + HEAD, "|---" + RULE, *others)),
    ]
    head = "| Trace | SLO | TTFT p50, s | TTFT p90, s | TTFT <= 2 s | inter-token <= 60 ms | too long |"
    parts += ["## Where no fleet meets the SLO", AS_IS_TEXT, "\n".join((head, "|---|" + "---:|" * 6, *limits))]
    return "\n\n".join(parts) + "\n"


ABOUT = (
    "Made by `python benchmarks/scaling.py --data FOLDER`. Fleet: g6e.xlarge, 1 to {most} workers, cold boot "
    "{cold:.0f} s, boot from the warm pool {warm:.0f} s (weights read at 300 MiB/s). Every trace runs at the rate at "
    "which the clairvoyant's largest fleet is about {peak}. SLO: TTFT <= 2 s and mean inter-token time <= 60 ms, for "
    "95 % of the requests. All figures are simulated. `x best`: GPU hours over the clairvoyant's. Tuned: the cheapest "
    "of a grid for each policy (its own parameter, minimum size, warm pool of 0 or 4) that meets the SLO, else the one "
    "nearest to it, marked `!`. Around every choice that a table shows the grid is halved three times, for each policy "
    "alike. A minimum that is chosen for one trace in hindsight makes any policy a fixed fleet in disguise; so tuning "
    "is shown without it, too. The parameter of ours is `target_prompt_load`, in percent. Ours as set was chosen with "
    "these three traces in view; the others' numbers there are as published."
)
OTHERS_TEXT = (
    "The numbers of each policy are those that are best on the three traces above together, from a minimum of 1. The "
    "last line of each load is ours as it is set. A fixed fleet's size cannot fit loads of different size, which is "
    "its point."
)
AS_IS_TEXT = (
    "The default engine computes 2,200 prompt tokens a second, so a prompt above some 4,300 tokens that no cache holds "
    "has its first token after 2 s on an idle worker already. With 60 workers at the trace's own rate:"
)


def among(tried: Sequence[Tried], minimum: int | None) -> list[Tried]:
    """What was tried with this minimum, fixed fleets always; None: everything."""
    sizes = [one for one in tried if one.results[0].policy == FIXED]
    return sizes or [one for one in tried if minimum is None or one.choice.min_size == minimum]


def tuned_table(one: Done, minimum: int | None) -> str:
    """One row per policy: its best choice."""
    rows = [f"| clairvoyant | | | | {cells(one.published['clairvoyant'])} |"]
    for name in POLICIES:
        chosen = best(among(one.tried[name], minimum))
        choice, row = chosen.choice, chosen.results[0]
        rows.append(f"| {name} | {choice.parameter:g} | {choice.min_size} | {choice.warm} | {cells(row)} |")
    return "\n".join((HEAD, RULE, *rows))


def published_table(one: Done) -> str:
    """One row per policy without any tuning, from a minimum of 1; the fixed fleet is the clairvoyant's largest."""
    rows = []
    for name in POLICIES:
        row = one.published[name]
        least = row.workers_least if name == FIXED else 1
        rows.append(f"| {name} | {row.parameter:g} | {least} | 0 | {cells(row)} |")
    return "\n".join((HEAD, RULE, *rows))


HEAD = "| Policy | with | min | warm | SLO | TTFT p90, s | ITL p90, s | GPU h | USD | x best | turns | refused | lost |"
RULE = "|---|" + "---:|" * 12


def cells(row: Result) -> str:
    """The figures of a row."""
    mark = "" if row.meets_slo else " !"
    return (
        f"{row.slo_attainment or 0:.1%}{mark} | {row.ttft_p90 or 0:.2f} | {row.itl_p90 or 0:.3f} | "
        f"{row.gpu_hours:.1f} | {row.usd or 0:.2f} | {row.over_provisioning or 0:.2f} | {row.oscillations} | "
        f"{row.refused} | {row.lost}"
    )


def frontier_table(one: Done) -> str:
    """Ours: what each further point of attainment costs."""
    rows = []
    for point in frontier(one.tried[OURS]):
        choice, row = point.choice, point.results[0]
        rows.append(f"| {OURS} | {choice.parameter:g} | {choice.min_size} | {choice.warm} | {cells(row)} |")
    return "\n".join((HEAD, RULE, *rows))


def leave_one_out(done: Sequence[Done], minimum: int | None) -> str:
    """Numbers chosen on two traces, shown on the third."""
    rows = []
    for left in done:
        for name in POLICIES:
            others = [one for one in done if one is not left]
            chosen = best(together([among(one.tried[name], minimum) for one in others])).choice
            shown = next(one for one in left.tried[name] if one.choice == chosen).results[0]
            choice = f"{chosen.parameter:g} | {chosen.min_size} | {chosen.warm}"
            rows.append(f"| {left.case.label} | {name} | {choice} | {cells(shown)} |")
    return "\n".join(("| Shown on " + HEAD, "|---" + RULE, *rows))


def together(several: Sequence[Sequence[Tried]]) -> list[Tried]:
    """The same choices over several traces as one."""
    return [
        Tried(same[0].choice, tuple(row for one in same for row in one.results), sum(one.shortfall for one in same))
        for same in zip(*several, strict=True)
    ]


if __name__ == "__main__":
    main()
