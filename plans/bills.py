"""Bills of what plans find deployed and of what they leave behind, counted alike from Terraform's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from plans.change import Json, Planned, StackPlan, as_number, inner
from plans.model_size import model_bytes
from settings.bake import least_volume_gib
from settings.costs.amount import CASES, Amount
from settings.costs.bill import Bill, LineChange, change
from settings.costs.charge import bill_of
from settings.costs.planned import Planned as Resource
from settings.costs.planned import UntoldError, estate_of_resources
from user_data.node_config import TAG_MODEL, TAG_POOL

MODEL_DISK = 1  # of a worker's disks the second holds the model


@dataclass(frozen=True)
class Bills:
    """Two bills, or why there are none."""

    before: Bill | None = None
    after: Bill | None = None
    untold: str = ""

    @property
    def changes(self) -> tuple[LineChange, ...]:
        """Lines that differ."""
        return change(self.before, self.after) if self.before and self.after else ()

    @property
    def is_new(self) -> bool:
        """Whether nothing that costs is deployed yet."""
        return self.before is not None and not self.before.lines

    @property
    def difference(self) -> Amount | None:
        """USD per hour more, None where a line that changes has no figure."""
        sums = []
        for case in CASES:
            figures = [one.usd_per_hour(case) for one in self.changes]
            known = [figure for figure in figures if figure is not None]
            if len(known) < len(figures):
                return None
            sums.append(sum(known))
        return Amount(*sums)


def bills_of(plans: Sequence[StackPlan], own_images: frozenset[str] = frozenset()) -> Bills:
    """Return the bills of the stacks that the plans are of; `own_images`: stacks whose images are not charged."""
    regions = {plan.region for plan in plans if plan.region}
    if len(regions) != 1:
        named = ", ".join(sorted(regions)) or "none"
        return Bills(untold=f"the plans do not tell one region, whose prices would count ({named})")
    region = regions.pop()
    try:
        return Bills(
            _bill(region, [item for plan in plans for item in plan.deployed], own_images),
            _bill(region, [item for plan in plans for item in plan.everything], own_images),
        )
    except UntoldError as error:
        return Bills(untold=str(error))


def _bill(region: str, items: Sequence[Planned], own_images: frozenset[str]) -> Bill:
    resources = [Resource(item.kind, item.values) for item in items]
    return bill_of(estate_of_resources(region, resources, _model_volumes(items), own_images))


def _model_volumes(items: Sequence[Planned]) -> Mapping[str, float]:
    """Sizes in GiB by pool, as the bake makes the volume for the model that a group's tag names."""
    sizes = {}
    iops = {str(item.values.get("name")): _model_iops(item) for item in items if item.kind == "aws_launch_template"}
    for group in (item.values for item in items if item.kind == "aws_autoscaling_group"):
        tags = dict(_tags(group.get("tag")))
        size = model_bytes(tags.get(TAG_MODEL, ""))
        if size is not None:
            rate = iops.get(str(group.get("name")), 0)
            sizes[tags.get(TAG_POOL, str(group.get("name")))] = float(least_volume_gib(rate, size))
    return sizes


def _model_iops(template: Planned) -> int:
    return as_number(inner(template.values.get("block_device_mappings"), MODEL_DISK, "ebs", 0, "iops")) or 0


def _tags(blocks: Json) -> Iterable[tuple[str, str]]:
    for block in blocks if isinstance(blocks, list) else ():
        yield str(inner(block, "key")), str(inner(block, "value"))
