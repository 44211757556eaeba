"""The router: one host with a fixed address, or several behind a load balancer that owns the address."""

from __future__ import annotations

from collections.abc import Iterator

from plans.change import Action, Change, StackPlan
from plans.consequence import Consequence, Speaker, listed, several
from plans.consequences.general import why
from plans.consequences.node import Node

# From the end of the old host to a router that answers, in seconds. Terraform ends the old host before it starts the
# new one, because both have the same private address.
HOST_ENDS_SECONDS = 40  # assumption: EC2 shutting-down → terminated of a host without hooks
# API call, pending → running and boot of a cold m7i.large; github.com/brevdev/ec2-coldboot-research, cold baseline.
HOST_STARTS_SECONDS = 26
ROUTER_READY_SECONDS = 9  # assumption: node configuration, key, first discovery of the fleet, /readiness
OUTAGE_SECONDS = HOST_ENDS_SECONDS + HOST_STARTS_SECONDS + ROUTER_READY_SECONDS
# A stop and a start of the same host instead of a new one: stopped → running 21 s by the same source.
STOP_START_SECONDS = HOST_ENDS_SECONDS + 21 + ROUTER_READY_SECONDS
STOPPED_TO_CHANGE = frozenset({"instance_type", "ebs_optimized"})


def consequences(plan: StackPlan) -> Iterator[Consequence]:
    """Speak of hosts, address, load balancer and of who may reach it."""
    speaker = Speaker(plan.stack)
    hosts = tuple(plan.of("aws_instance"))
    yield from _new(plan, hosts, speaker)
    yield from _gone(plan, hosts, speaker)
    yield from _replaced(plan, hosts, speaker)
    yield from _restarted(hosts, speaker)
    yield from _balancer(plan, speaker)
    yield from _clients(plan, speaker)


def _new(plan: StackPlan, hosts: tuple[Change, ...], speaker: Speaker) -> Iterator[Consequence]:
    new = [host for host in hosts if host.action is Action.CREATE]
    if new:
        url = next((str(output.after) for output in plan.outputs if output.name == "router_url"), "")
        kind = new[0].becomes("instance_type")
        where = f" answering at {url}" if url else ""
        yield speaker.note(f"starts {several(len(new), 'router host')} ({kind}){where}", *new)


def _gone(plan: StackPlan, hosts: tuple[Change, ...], speaker: Speaker) -> Iterator[Consequence]:
    gone = [host for host in hosts if host.action is Action.DESTROY]
    if not gone:
        return
    if plan.unchanged == 0 and len(gone) == len(hosts):
        yield speaker.destructive("takes the router away: nothing answers at its address any more", *plan.changes)
        return
    yield speaker.destructive(f"ends {several(len(gone), 'router host')} of several; its streams break", *gone)


def _replaced(plan: StackPlan, hosts: tuple[Change, ...], speaker: Speaker) -> Iterator[Consequence]:
    replaced = [host for host in hosts if host.action is Action.REPLACE]
    for host in replaced:
        if "private_ip" in host.changed and "private_ip" not in host.unknown:
            yield _moved(host, speaker)
            return
    if len(replaced) == 1:
        host = replaced[0]
        address = host.was("private_ip")
        yield speaker.destructive(
            f"replaces the router: its address {address} stays, about {OUTAGE_SECONDS} s without service, "
            f"streams in flight break ({_reason(plan, host)})",
            host,
        )
    elif replaced:
        yield speaker.destructive(
            f"replaces {len(replaced)} router hosts at the same time: about {OUTAGE_SECONDS} s without service, "
            f"streams in flight break ({_reason(plan, replaced[0])})",
            *replaced,
        )


def _moved(host: Change, speaker: Speaker) -> Consequence:
    return speaker.destructive(
        f"moves the router from {host.was('private_ip')} to {host.becomes('private_ip')}: about {OUTAGE_SECONDS} s "
        "without service, streams in flight break, and clients have to be pointed at the new address",
        host,
    )


def _reason(plan: StackPlan, host: Change) -> str:
    """Why a host is replaced: what its programs read when that is it, else the attributes."""
    if "user_data_base64" in host.forced_by:
        differences = Node.of(plan).differences()
        if differences:
            return listed(differences)
        return "what the host runs at boot changes"
    if host.forced_by == ("ami",):
        return f"new image {host.was('ami')} → {host.becomes('ami')}"
    return why(host)


def _restarted(hosts: tuple[Change, ...], speaker: Speaker) -> Iterator[Consequence]:
    for host in hosts:
        if host.action is Action.CHANGE and STOPPED_TO_CHANGE & set(host.changed):
            kinds = f"{host.was('instance_type')} → {host.becomes('instance_type')}"
            yield speaker.destructive(
                f"stops and starts router host {host.address} ({kinds}): about {STOP_START_SECONDS} s without service, "
                "streams in flight break; the address stays",
                host,
            )


def _balancer(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    for balancer in plan.of("aws_lb"):
        if balancer.action is Action.REPLACE:
            yield speaker.destructive(
                f"replaces the load balancer ({why(balancer)}): minutes without service, its address may change",
                balancer,
            )
        elif balancer.action is Action.CREATE:
            yield speaker.note("puts a load balancer in front of the router hosts; it owns the address", balancer)


def _clients(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    """Who may reach the router."""
    rules = tuple(plan.of("aws_vpc_security_group_ingress_rule"))
    if plan.unchanged == 0 and all(rule.action in {Action.CREATE, Action.DESTROY} for rule in rules):
        return  # a first deploy or a destroy: what it is about is said already
    before = {rule.was("cidr_ipv4") for rule in rules} - {""}
    after = {rule.becomes("cidr_ipv4") for rule in rules} - {""}
    if after - before:
        yield speaker.note(f"lets clients in from {listed(sorted(after - before))}", *rules)
    if before - after:
        yield speaker.note(f"shuts clients out from {listed(sorted(before - after))}", *rules)
