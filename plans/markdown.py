"""The summary as Markdown for a pull request, below a size that GitHub takes as a comment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plans.change import Action, StackPlan
from plans.consequence import Weight
from plans.detail import rows
from plans.sections import Section, Table
from plans.summary import COUNTED, ExitCode, Summary

LIMIT_BYTES = 60_000  # GitHub refuses comments above 65,536 characters
MARKS = {Weight.REFUSED: "⛔", Weight.DESTRUCTIVE: "⚠️", Weight.NOTE: "•"}
VERDICTS = {ExitCode.NO_CHANGES: "✅", ExitCode.CHANGES: "📝", ExitCode.ATTENTION: "⚠️"}


@dataclass(frozen=True)
class Room:
    """How much is shown: each step of `ROOMS` less than the one before."""

    resources: bool = True
    folded: bool = False
    section_rows: int = 200
    consequences: int = 200


ROOMS = (
    Room(),
    Room(folded=True),
    Room(folded=True, section_rows=40, consequences=100),
    Room(resources=False, section_rows=20, consequences=60),
    Room(resources=False, section_rows=5, consequences=25),
)


def markdown(summary: Summary, limit: int = LIMIT_BYTES) -> str:
    """Render a summary in fewer than `limit` bytes: what does not fit is folded, then counted, then cut with a word."""
    for room in ROOMS:
        text = "\n".join(_lines(summary, room)) + "\n"
        if len(text.encode()) < limit:
            return text
    cut = "\n\n*Cut here: the plan is too large. `fleet plan` on a terminal shows all of it.*\n"
    kept = text.encode()[: limit - len(cut.encode()) - 1].decode(errors="ignore")
    return kept.rpartition("\n")[0] + cut


def _lines(summary: Summary, room: Room) -> Iterator[str]:
    yield f"## Plan: {_text(summary.title)}"
    yield ""
    yield f"{VERDICTS[summary.exit_code]} **{_text(summary.verdict)}**"
    yield from (f"\n> {_text(note)}" for note in summary.notes)
    yield ""
    yield from _stacks(summary)
    yield from _consequences(summary, room)
    for section in summary.sections:
        yield from _section(section, room)
    if room.resources:
        yield from _resources(summary, room)


def _stacks(summary: Summary) -> Iterator[str]:
    yield "| stack | create | change | replace | destroy | unchanged |"
    yield "|---|---:|---:|---:|---:|---:|"
    for plan in summary.plans:
        counts = " | ".join(str(plan.count(action) or "") for action in COUNTED)
        new = " (new)" if plan.is_new else ""
        yield f"| `{plan.stack}`{new} | {counts} | {plan.unchanged} |"


def _consequences(summary: Summary, room: Room) -> Iterator[str]:
    if not summary.consequences:
        return
    yield ""
    yield "### What it means"
    yield ""
    gravest = sorted(summary.consequences, key=lambda item: list(Weight).index(item.weight))
    kept = {id(item) for item in gravest[: room.consequences]}
    for item in summary.consequences:
        if id(item) in kept:
            mark = "✓" if item.weight is Weight.DESTRUCTIVE and not summary.stops(item) else MARKS[item.weight]
            yield f"- {mark} **{item.stack}** {_text(summary.told(item))}"
    if len(gravest) > len(kept):
        yield f"- and {len(gravest) - len(kept)} more that are not destructive"


def _section(section: Section, room: Room) -> Iterator[str]:
    yield ""
    yield f"### {section.title}"
    yield ""
    for problem in section.problems:
        yield f"- ⚠️ **{_text(problem.where)}** {_text(problem.text)}"
    lines = section.render_lines()
    yield from (f"- {_text(line)}" for line in lines[: room.section_rows])
    if len(lines) > room.section_rows:
        yield f"- and {len(lines) - room.section_rows} more"
    for table in section.render_tables():
        yield from _table(table, room.section_rows)


def _table(table: Table, most: int) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(_cell(name) for name in table.columns)} |"
    yield f"|{'|'.join('---:' if number in table.right else '---' for number in range(len(table.columns)))}|"
    yield from (f"| {' | '.join(_cell(text) for text in row)} |" for row in table.rows[:most])
    if len(table.rows) > most:
        yield f"\nand {len(table.rows) - most} more rows"


def _resources(summary: Summary, room: Room) -> Iterator[str]:
    for plan in summary.plans:
        if plan.changes:
            yield ""
            yield from _stack_resources(plan, room)


def _stack_resources(plan: StackPlan, room: Room) -> Iterator[str]:
    number = len(plan.changes)
    opened = any(plan.count(action) for action in (Action.CHANGE, Action.REPLACE))
    yield f"<details{' open' if opened else ''}><summary>{plan.stack}: {number} resource{'s' * (number != 1)}</summary>"
    yield ""
    yield "```diff"
    for row in rows(plan, folded=room.folded):
        detail = f"  {row.detail}" if row.detail else ""
        yield _fenced(f"{row.sign} {row.what}{detail}")
    yield "```"
    yield ""
    yield "</details>"


def _text(text: str) -> str:
    """Text in which nothing starts markup, a link, a mention, or a new line."""
    flat = " ".join(text.split())
    for letter in ("\\", "*", "_", "[", "]", "|", "<", ">", "@", "#"):
        flat = flat.replace(letter, f"\\{letter}" if letter not in {"<", ">", "@", "#"} else f"&#{ord(letter)};")
    return flat


def _cell(text: str) -> str:
    return _text(text)


def _fenced(text: str) -> str:
    """A line inside a fence: it cannot end the fence."""
    return " ".join(text.split()).replace("```", "'''")
