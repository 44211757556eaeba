"""Which zone gets the next instance, and which instance goes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from rehearsal.emulated_aws.life_cycle.states import Member, Subnet, Template


def zones_by_need(subnets: tuple[Subnet, ...], members: Iterable[Member]) -> list[Subnet]:
    """Subnets in the order of trying: the emptiest first, the first of equals first (auto-scaling-benefits.html).

    When a launch fails in one zone, the group tries another ("balanced-best-effort", the default).
    """
    count = Counter(member.subnet.id for member in members)
    return sorted(subnets, key=lambda subnet: count[subnet.id])


def _age(member: Member, _current: Template) -> tuple[float, ...]:
    return (member.launched.timestamp(),)


def _youth(member: Member, _current: Template) -> tuple[float, ...]:
    return (-member.launched.timestamp(),)


def _template_age(member: Member, current: Template) -> tuple[float, ...]:
    """Another template than the group's comes first, then the lowest version."""
    return (float(member.template.id == current.id), float(member.template.version))


def _default(member: Member, current: Template) -> tuple[float, ...]:
    return (*_template_age(member, current), *_age(member, current))


ORDERS: dict[str, Callable[[Member, Template], tuple[float, ...]]] = {
    "Default": _default,
    "OldestInstance": _age,
    "NewestInstance": _youth,
    "OldestLaunchTemplate": _template_age,
}


def victims(members: Iterable[Member], count: int, policies: tuple[str, ...], current: Template) -> list[Member]:
    """Instances that a scale-in takes, in order (ec2-auto-scaling-termination-policies.html).

    First from the zone with the most instances, counting protected ones; in it, by the group's policies: the oldest
    launch template version and then the oldest instance by default (AWS takes one at random of what is still equal).
    An instance protected from scale-in is never chosen (ec2-auto-scaling-instance-protection.html); an unhealthy one is
    chosen before all others.
    """
    left = list(members)
    chosen: list[Member] = []
    orders = [ORDERS[name] for name in policies if name in ORDERS] or [_default]
    while len(chosen) < count:
        candidates = [member for member in left if not member.protected]
        if not candidates:
            break
        zones = Counter(member.subnet.zone for member in left)
        found = min(
            candidates,
            key=lambda member: (
                member.healthy,
                -zones[member.subnet.zone],
                *(part for order in orders for part in order(member, current)),
            ),
        )
        chosen.append(found)
        left.remove(found)
    return chosen
