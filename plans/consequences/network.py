"""VPC, subnets and the way out."""

from __future__ import annotations

from collections.abc import Iterator

from plans.change import Action, StackPlan
from plans.consequence import Consequence, Speaker, listed, several
from plans.consequences.general import why


def consequences(plan: StackPlan) -> Iterator[Consequence]:
    """Speak of the VPC as a whole, its subnets, NAT gateways and endpoints."""
    speaker = Speaker(plan.stack)
    vpc = next(plan.of("aws_vpc"), None)
    if vpc is not None and vpc.action is Action.DESTROY:
        yield speaker.destructive(
            "takes the VPC away with its subnets and gateways; all hosts have to go first", *plan.changes
        )
        return
    if vpc is not None and vpc.action is Action.REPLACE:
        yield speaker.destructive(
            f"replaces the VPC ({why(vpc)}): router and workers live in it, so their stacks have to be destroyed first",
            *plan.changes,
        )
        return
    if vpc is not None and vpc.action is Action.CREATE:
        yield _new(plan, speaker)
        return
    yield from _subnets(plan, speaker)
    yield from _way_out(plan, speaker)
    yield from _endpoints(plan, speaker)


def _new(plan: StackPlan, speaker: Speaker) -> Consequence:
    (vpc,) = plan.of("aws_vpc")
    zones = {subnet.becomes("availability_zone") for subnet in plan.of("aws_subnet")}
    gateways = sum(1 for _ in plan.of("aws_nat_gateway"))
    out = several(gateways, "NAT gateway") if gateways else "no way out to the internet"
    return speaker.note(f"makes VPC {vpc.becomes('cidr_block')} in {several(len(zones), 'zone')} with {out}", vpc)


def _subnets(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    lost = [subnet for subnet in plan.of("aws_subnet") if subnet.ends]
    if lost:
        blocks = listed(subnet.was("cidr_block") for subnet in lost)
        yield speaker.destructive(
            f"ends {several(len(lost), 'subnet')} ({blocks}): its hosts have to go first, or the apply waits and fails",
            *lost,
        )


def _way_out(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    gateways = tuple(plan.of("aws_nat_gateway"))
    addresses = tuple(plan.of("aws_eip"))
    ended = [gateway for gateway in gateways if gateway.ends]
    if ended:
        known = listed(address.was("public_ip") for address in addresses if address.ends and address.was("public_ip"))
        which = f" (public {known} given back)" if known else ""
        yield speaker.destructive(
            f"ends {several(len(ended), 'NAT gateway')}{which}: connections to AWS and the hub break until the routes "
            "are changed, about 2 minutes; allow lists elsewhere need the new address",
            *(change for change in (*gateways, *addresses) if change.ends),
        )
    new = [gateway for gateway in gateways if gateway.action is Action.CREATE]
    if new:
        yield speaker.note(f"adds {several(len(new), 'NAT gateway')}, each with a public address", *new)


def _endpoints(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    ended = [endpoint for endpoint in plan.of("aws_vpc_endpoint") if endpoint.ends]
    if ended:
        names = listed(endpoint.was("service_name").rpartition(".")[2] for endpoint in ended)
        yield speaker.destructive(f"ends the private way to {names}: hosts then need a NAT gateway to reach it", *ended)
