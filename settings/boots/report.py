"""The tables of docs/boot.md as Markdown; `python -m settings.boots.report` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.boots.constants import CONSTANTS
from settings.boots.paths import ModelSize
from settings.boots.phases import PHASES
from settings.boots.predict import boots
from settings.boots.published import published
from settings.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from settings.boots.published import Published

# Weights: parameters times bytes, as on the model cards; layers: num_hidden_layers of config.json.
EXAMPLES = (
    ("DeepSeek-R1-Distill-Qwen-32B-AWQ, 19.3 GB, g6e.xlarge", "g6e.xlarge", ModelSize(19_300_000_000, 64)),
    ("Qwen3-32B, 65.5 GB, g7e.2xlarge", "g7e.2xlarge", ModelSize(65_520_000_000, 64)),
    ("Qwen3-235B-A22B, 470 GB, p5.48xlarge", "p5.48xlarge", ModelSize(470_000_000_000, 94, is_moe=True)),
)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def published_table() -> str:
    """Return what was published beside ours."""
    header = ("Published", "s", "ours, s", "off", "", "how, or why not", "source")
    return table(header, [_published_row(row) for row in published()])


def _published_row(row: Published) -> tuple[str, ...]:
    measured = "" if row.measured is None else f"{row.measured:g}"
    ours = "" if row.ours is None else f"{row.ours:.3g}"
    off = "" if row.error is None else f"{row.error:+.0%}"
    return (row.name, measured, ours, off, row.kind, row.how, row.source)


def constants_table() -> str:
    """Return every constant with its source."""
    rows = [(one.name, f"{one.value:.4g}", one.unit, one.source) for one in CONSTANTS]
    return table(("What", "Value", "Unit", "Source"), rows)


def prediction_table(instance_type: str, model: ModelSize) -> str:
    """Return the predicted phases of a model on a type with the default volumes, in seconds."""
    rows = []
    for boot in boots(WorkerPool(instance_type=instance_type), model):
        phases = (f"{boot.seconds(name):.0f}" for name in PHASES)
        rows.append((boot.path, *phases, f"{boot.to_first_token:.0f}", f"{boot.to_routable:.0f}"))
    return table(("Path", *(f"`{name}`" for name in PHASES), "first token", "routed"), rows)


def sections() -> dict[str, str]:
    """Return every generated part of docs/boot.md by the name in its markers."""
    examples = (f"**{name}**\n\n{prediction_table(kind, model)}" for name, kind, model in EXAMPLES)
    return {"predicted": "\n\n".join(examples), "published": published_table(), "constants": constants_table()}


if __name__ == "__main__":
    for title, text in sections().items():
        print(f"<!-- generated: {title} -->\n{text}\n<!-- end: {title} -->\n")  # noqa: T201 - its purpose
