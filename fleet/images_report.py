"""What `fleet images` shows: tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from fleet.status_report import age
from packer.inventory import USD_PER_GIB_MONTH

if TYPE_CHECKING:
    from datetime import datetime

    from packer.image import Image
    from packer.inventory import Inventory
    from packer.prune import Pruned, PrunePlan

SHORT_COMMIT = 12
Uses = Mapping[str, tuple[str, ...]]  # who uses each image, by its id
COST_NOTE = (
    f"Cost: {USD_PER_GIB_MONTH} USD per GiB and month (EBS snapshots, standard tier, us-east-1) of the full size of "
    "each snapshot, which is the most it can be: blocks that snapshots share are charged once."
)


def table_of(inventory: Inventory, uses: Uses | None, now: datetime) -> Table:
    """A line for each image, newest first; `uses` is None when it is not known."""
    table = Table("Image", "Age", "Role", "Key", "Model", "Engine", "Arch", box=None, pad_edge=False)
    table.add_column("GiB", justify="right")
    table.add_column("USD/month", justify="right")
    table.add_column("In use by", overflow="fold")
    for image in inventory.images:
        table.add_row(
            image.image_id,
            _age(image, now),
            image.role,
            image.key,
            _model(image),
            image.engine,
            image.baked_architecture,
            f"{inventory.stored_gib(image):.1f}",
            f"{inventory.usd_per_month(image):.2f}",
            "unknown" if uses is None else ", ".join(uses.get(image.image_id, ())) or "nobody",
        )
    return table


def _age(image: Image, now: datetime) -> str:
    if image.created is None or not image.is_available:
        return image.state
    return age((now - image.created).total_seconds())


def _model(image: Image) -> str:
    return f"{image.model}@{image.revision[:SHORT_COMMIT]}" if image.model else ""


def as_json(inventory: Inventory, uses: Uses | None) -> dict[str, object]:
    """The same, for programs."""
    return {
        "images": [_image_json(image, inventory, uses) for image in inventory.images],
        "orphan_snapshots": [snapshot.snapshot_id for snapshot in inventory.orphans],
        "usd_per_gib_month": USD_PER_GIB_MONTH,
    }


def _image_json(image: Image, inventory: Inventory, uses: Uses | None) -> dict[str, object]:
    return {
        "image": image.image_id,
        "name": image.name,
        "state": image.state,
        "created": image.created.isoformat() if image.created else None,
        "role": image.role,
        "key": image.key,
        "architecture": image.baked_architecture,
        "engine": image.engine or None,
        "model": image.model or None,
        "revision": image.revision or None,
        "snapshots": [volume.snapshot_id for volume in image.volumes],
        "size_gib": round(inventory.stored_gib(image), 2),
        "usd_per_month_at_most": round(inventory.usd_per_month(image), 2),
        "in_use_by": None if uses is None else list(uses.get(image.image_id, ())),
    }


def prune_table(plan: PrunePlan, inventory: Inventory) -> Table:
    """A verdict on each image, with its reason."""
    table = Table("Image", "Name", "Verdict", "USD/month", "Why", box=None, pad_edge=False)
    for verdict in plan.verdicts:
        image = verdict.image
        word = "delete" if verdict.delete else "keep"
        table.add_row(image.image_id, image.name, word, f"{inventory.usd_per_month(image):.2f}", verdict.reason)
    for snapshot in plan.orphans:
        table.add_row(snapshot, "", "delete", "", "snapshot whose image is gone")
    return table


def prune_json(plan: PrunePlan, pruned: Pruned | None) -> dict[str, object]:
    """The plan and, when it was carried out, what came of it."""
    verdicts = [
        {"image": verdict.image.image_id, "delete": verdict.delete, "reason": verdict.reason}
        for verdict in plan.verdicts
    ]
    told: dict[str, object] = {"plan": verdicts, "orphan_snapshots": list(plan.orphans)}
    if pruned is None:
        return told
    return {
        **told,
        "deleted_images": list(pruned.images),
        "deleted_snapshots": list(pruned.snapshots),
        "spared": list(pruned.spared),
        "problems": list(pruned.problems),
    }
