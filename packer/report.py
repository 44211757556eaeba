"""What `fleet bake` shows: the plan as a table, the result as a table or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from packer.plan import Record, Reuse
from packer.progress import clock_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packer.bake import Outlook, Result
    from packer.plan import Action
    from packer.recipe import Recipe
    from packer.targets import Target

GIB = 1024**3
SHORT_COMMIT = 12


def plan_table(outlook: Outlook) -> Table:
    """The plan: a line for each image, with the stacks that start from it."""
    table = Table("Image", "Key", "For", "Holds", "Action", box=None, pad_edge=False)
    for target in outlook.targets:
        stacks = ", ".join(need.stack for need in target.needs)
        action = "; ".join(_words(outlook.actions, target))
        name = f"{target.recipe.role} {target.recipe.architecture}"
        table.add_row(name, target.key, stacks, _content(target.recipe), action)
    for need in outlook.given:
        table.add_row(f"{need.role} {need.architecture}", "", need.stack, "", f"none: {need.path}.{need.given}")
    return table


def _content(recipe: Recipe) -> str:
    if recipe.model is None:
        return "router"
    engine = f"SGLang {recipe.engine.version}" if recipe.engine else ""
    size = f"{recipe.model.size / GIB:.1f} GiB"
    return f"{engine}, {recipe.model.model_id}@{recipe.model.revision[:SHORT_COMMIT]} ({size})"


def _words(actions: Iterable[Action], target: Target) -> Iterable[str]:
    of_target = [action for action in actions if action.target == target]
    reused = next((action.image.image_id for action in of_target if isinstance(action, Reuse)), None)
    yield f"reuse {reused}" if reused else f"build on a {target.instance_type}"
    records = [action for action in of_target if isinstance(action, Record)]
    if records:
        yield f"record it for {', '.join(record.need.stack for record in records)}"
    elif reused:
        yield "recorded already"


def result_table(results: Sequence[Result]) -> Table:
    """What came out: a line for each image."""
    table = Table("Image", "Key", "For", "Holds", "Size", "Took", "SBOM", box=None, pad_edge=False)
    for result in results:
        stacks = ", ".join(need.stack for need in result.target.needs)
        took = clock_time(result.built.seconds) if result.built else "was there"
        sbom = str(result.built.sbom) if result.built else "/opt/sglang-fleet/sbom.cdx.json on its hosts"
        size = f"{result.image.size_gib} GiB"
        table.add_row(
            result.image.image_id, result.target.key, stacks, _content(result.target.recipe), size, took, sbom
        )
    return table


def plan_json(outlook: Outlook) -> dict[str, object]:
    """The plan, for programs: one entry for each stack."""
    return {"images": [_planned(outlook, target, stack) for target in outlook.targets for stack in _stacks(target)]}


def _stacks(target: Target) -> list[str]:
    return [need.stack for need in target.needs]


def _planned(outlook: Outlook, target: Target, stack: str) -> dict[str, object]:
    of_target = [action for action in outlook.actions if action.target == target]
    reused = next((action.image.image_id for action in of_target if isinstance(action, Reuse)), None)
    record = any(isinstance(action, Record) and action.need.stack == stack for action in of_target)
    action = "reuse" if reused else "build"
    return {**_described(target, stack), "image": reused, "action": action, "record": record}


def result_json(results: Iterable[Result]) -> dict[str, object]:
    """The result, for programs: one entry for each stack."""
    return {"images": [_done(result, stack) for result in results for stack in _stacks(result.target)]}


def _done(result: Result, stack: str) -> dict[str, object]:
    built = result.built
    return {
        **_described(result.target, stack),
        "image": result.image.image_id,
        "action": "built" if built else "reused",
        "recorded": stack in result.recorded,
        "size_gib": result.image.size_gib,
        "seconds": round(built.seconds, 1) if built else None,
        "log": str(built.log) if built else None,
        "sbom": str(built.sbom) if built else None,
    }


def _described(target: Target, stack: str) -> dict[str, object]:
    recipe = target.recipe
    return {
        "stack": stack,
        "parameter": next(need.parameter for need in target.needs if need.stack == stack),
        "key": target.key,
        "role": recipe.role,
        "architecture": recipe.architecture,
        "base_image": recipe.base_image,
        "engine": recipe.engine.version if recipe.engine else None,
        "model": recipe.model.model_id if recipe.model else None,
        "revision": recipe.model.revision if recipe.model else None,
    }
