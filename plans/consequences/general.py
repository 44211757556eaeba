"""Consequences in any stack: what goes away, outputs that other stacks read, what somebody changed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from plans.change import Action, Change, OutputChange, StackPlan
from plans.consequence import Consequence, Speaker, listed, several

# Types whose end loses data, an address or service. All others (alarms, rules, associations, policies, dashboards) are
# made again from the settings in seconds and hold nothing.
HOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "aws_autoscaling_group": "its workers end",
        "aws_cloudwatch_log_group": "its lines are gone for good",
        "aws_dynamodb_table": "its items are gone for good",
        "aws_ebs_volume": "its data is gone for good",
        "aws_efs_file_system": "its files are gone for good",
        "aws_eip": "the public address is given back and may never be had again",
        "aws_fsx_lustre_file_system": "its files are gone for good",
        "aws_instance": "the host ends with what is on its disks",
        "aws_internet_gateway": "nothing of the VPC reaches the internet",
        "aws_kms_key": "what it encrypts can no longer be read",
        "aws_lb": "the address behind it does not answer meanwhile",
        "aws_lb_listener": "its port does not answer meanwhile",
        "aws_nat_gateway": "connections to the outside break",
        "aws_s3_bucket": "its objects are gone for good",
        "aws_secretsmanager_secret": "its value is gone for good",
        "aws_security_group": "hosts in it lose their connections",
        "aws_sns_topic": "its subscriptions are gone and have to be confirmed anew",
        "aws_ssm_parameter": "its value is gone for good",
        "aws_subnet": "what is in it has to go first",
        "aws_vpc": "everything in it has to go first",
        "aws_vpc_endpoint": "connections through it break",
    }
)
CROSS_STACK = "cross-stack-output-"  # what cdktf calls outputs that other stacks read
# Changed by scaling all day.
MOVED_BY_SCALING = frozenset({"aws_autoscaling_group"})


def consequences(plan: StackPlan, said: AbstractSet[str]) -> Iterator[Consequence]:
    """Say what no rule of the stack itself has said; `said` are the addresses it spoke of."""
    speaker = Speaker(plan.stack)
    for change in plan.changes:
        if change.ends and change.kind in HOLDERS and change.address not in said:
            yield speaker.destructive(f"{_doing(change)}: {HOLDERS[change.kind]}", change)
    yield from _forgotten(plan, speaker)
    yield from _outputs(plan, speaker)
    yield from _drift(plan, speaker)


def why(change: Change) -> str:
    """Which attributes force the replacement, with their values where these are short."""
    shown = (_from_to(change, name) for name in change.forced_by)
    return listed(shown) if change.forced_by else "asked for or marked as broken"


def _from_to(change: Change, name: str) -> str:
    before, after = change.was(name), change.becomes(name)
    short = all(0 < len(text) <= 40 for text in (before, after))  # noqa: PLR2004 - fits a line with its name
    return f"{name} {before} → {after}" if short else name


def _doing(change: Change) -> str:
    if change.action is Action.DESTROY:
        return f"deletes {change.address}"
    return f"replaces {change.address} ({why(change)})"


def _forgotten(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    left = [change for change in plan.changes if change.action is Action.FORGET]
    if left:
        names = listed(change.address for change in left)
        yield speaker.note(f"leaves in the account, out of Terraform's sight: {names}", *left)


def _outputs(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    """An upper stack is planned with today's outputs of this one."""
    moved = [output for output in plan.outputs if output.name.startswith(CROSS_STACK) and _has_both(output)]
    if moved:
        them = "an id" if len(moved) == 1 else f"{len(moved)} ids"
        yield speaker.note(f"changes {them} that other stacks read: plan those again after this one is applied")


def _has_both(output: OutputChange) -> bool:
    return output.before is not None and (output.unknown or output.after is not None)


def _drift(plan: StackPlan, speaker: Speaker) -> Iterator[Consequence]:
    drifted = [change for change in plan.drifted if change.kind not in MOVED_BY_SCALING]
    if drifted:
        what = several(len(drifted), "resource was", "resources were")
        yield speaker.note(f"{what} changed outside Terraform: {listed(change.address for change in drifted)}")
