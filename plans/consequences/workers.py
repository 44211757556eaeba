"""A pool of workers: what its hosts become, how they are rolled, how many there may be."""

from __future__ import annotations

from collections.abc import Iterator

from plans.change import Action, Change, StackPlan, inner
from plans.consequence import Consequence, Speaker, listed, several
from plans.consequences.general import why
from plans.consequences.node import Node

GROUP, TEMPLATE = "aws_autoscaling_group", "aws_launch_template"
ROLLING = frozenset({"launch_template", "mixed_instances_policy"})  # what starts the group's instance refresh
SIZES = ("min_size", "max_size")


def consequences(plan: StackPlan) -> Iterator[Consequence]:
    """Speak of the group, its launch template and its scaling."""
    speaker = Speaker(plan.stack)
    group = next(plan.of(GROUP), None)
    template = next(plan.of(TEMPLATE), None)
    if group is not None:
        yield from _life(plan, group, speaker)
    if group is None or group.action is Action.CHANGE:
        yield from _roll(plan, group, template, speaker)
    if group is not None and group.action is Action.CHANGE:
        yield from _sizes(group, speaker)
        yield from _warm_pool(group, speaker)
        yield from _maintenance(group, speaker)


def _life(plan: StackPlan, group: Change, speaker: Speaker) -> Iterator[Consequence]:
    """The group comes, goes, or is made anew."""
    match group.action:
        case Action.CREATE:
            yield speaker.note(_start(plan, group), group)
        case Action.DESTROY:
            yield speaker.destructive(f"takes the pool away: {_workers(group)} drain and end", *plan.changes)
        case Action.REPLACE:
            how = "after the new ones are there" if group.new_first else "before new ones are there"
            yield speaker.destructive(
                f"replaces the pool's group ({why(group)}): {_workers(group)} drain and end {how}", group
            )
        case _:
            return


def _start(plan: StackPlan, group: Change) -> str:
    template = next(plan.of(TEMPLATE), None)
    kind = f" {template.becomes('instance_type')}" if template else ""
    model = Node.of(plan).becomes("worker", "served_model_name")
    serving = f", serving {model}" if model else ""
    first = group.number_after("desired_capacity")
    least, most = group.number_after("min_size"), group.number_after("max_size")
    return f"starts {several(first or 0, f'{kind.strip()} worker'.strip())} ({least} to {most}){serving}"


def _workers(group: Change) -> str:
    number = group.number_before("desired_capacity")
    return "its workers" if number is None else several(number, "worker")


def _roll(plan: StackPlan, group: Change | None, template: Change | None, speaker: Speaker) -> Iterator[Consequence]:
    """New hosts for old ones, a few at a time."""
    about = [change for change in (group, template) if change is not None]
    new_template = template is not None and template.action in {Action.CHANGE, Action.REPLACE}
    if not new_template and not (group and ROLLING & set(group.changed)):
        return
    what = "new launch template version" if new_template else "new choice of instance types"
    differences = listed(_differences(plan, template), most=8)
    because = f" ({differences})" if differences else ""
    yield speaker.note(f"{what}: {_who_gets_it(group)}{because}", *about)
    yield from _model(plan, speaker)


def _who_gets_it(group: Change | None) -> str:
    if group is None or not ROLLING & set(group.changed):
        return "only workers launched from now on have it"
    healthy = inner(group.after.get("instance_refresh"), 0, "preferences", 0, "min_healthy_percentage")
    if healthy is None:
        return "running workers keep the old one until they are replaced"
    return f"{_workers(group)} roll with minimum healthy {healthy} %"


def _model(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    node = Node.of(plan)
    name = ("worker", "served_model_name")
    if node.differs(*name):
        yield speaker.note(
            f"serves {node.becomes(*name)} instead of {node.was(*name)}: clients have to ask for the new "
            "name; while the pool rolls, both are served"
        )


def _differences(plan: StackPlan, template: Change | None) -> Iterator[str]:
    """What is new in a host: its type, image and volumes, and what its programs read."""
    if template is not None:
        for name, shown in (("instance_type", "type"), ("image_id", "image")):
            if name in template.changed:
                yield f"{shown} {template.was(name)} → {template.becomes(name)}"
        if "block_device_mappings" in template.changed:
            yield "volumes"
    differences = Node.of(plan).differences()
    yield from differences
    if template is not None and "user_data" in template.changed and not differences:
        yield "the programs of the host"


def _sizes(group: Change, speaker: Speaker) -> Iterator[Consequence]:
    if not set(SIZES) & set(group.changed):
        return
    before = [group.number_before(name) or 0 for name in SIZES]
    after = [group.number_after(name) or 0 for name in SIZES]
    now = group.number_before("desired_capacity") or 0
    text = f"size {before[0]} to {before[1]} becomes {after[0]} to {after[1]}"
    if now > after[1]:
        text += f": {now - after[1]} of {several(now, 'worker')} drain and end"
    elif now < after[0]:
        text += f": {several(after[0] - now, 'worker')} more start at once"
    else:
        text += f": the {several(now, 'worker')} of now stay"
    yield speaker.note(text, group)


def _warm_pool(group: Change, speaker: Speaker) -> Iterator[Consequence]:
    if "warm_pool" not in group.changed:
        return
    before, after = group.before.get("warm_pool"), group.after.get("warm_pool")
    if after and not before:
        yield speaker.note(f"adds a warm pool of at least {inner(after, 0, 'min_size')} prepared workers", group)
    elif before and not after:
        yield speaker.note("ends the warm pool with the workers in it: a scale-out boots from cold", group)
    else:
        yield speaker.note("changes the warm pool", group)


def _maintenance(group: Change, speaker: Speaker) -> Iterator[Consequence]:
    if "vpc_zone_identifier" in group.changed:
        yield speaker.note("changes the pool's subnets: the group moves workers until zones are in balance", group)
