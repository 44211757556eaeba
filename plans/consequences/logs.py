"""Log groups, the topic of the alarms, the dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from plans.change import Action, StackPlan
from plans.consequence import Consequence, Speaker, listed, several

NEVER_EXPIRE = 0


def consequences(plan: StackPlan) -> Iterator[Consequence]:
    """Speak of lines that are lost and of mails that have to be confirmed."""
    speaker = Speaker(plan.stack)
    groups = tuple(plan.of("aws_cloudwatch_log_group"))
    lost = [group for group in groups if group.ends]
    if lost:
        names = listed(group.was("name") for group in lost)
        yield speaker.destructive(f"deletes {several(len(lost), 'log group')} with all lines: {names}", *lost)
    for group in groups:
        before, after = group.number_before("retention_in_days"), group.number_after("retention_in_days")
        shorter = after != NEVER_EXPIRE and (before == NEVER_EXPIRE or (before or 0) > (after or 0))
        if group.action is Action.CHANGE and before != after and shorter:
            yield speaker.destructive(f"deletes lines of {group.was('name')} that are older than {after} days", group)
    topics = [topic for topic in plan.of("aws_sns_topic") if topic.ends]
    if topics:
        yield speaker.destructive("takes the alarms' topic away: nobody is told of an alarm any more", *topics)
    mails = [mail for mail in plan.of("aws_sns_topic_subscription") if mail.action in {Action.CREATE, Action.REPLACE}]
    if mails:
        yield speaker.note("sends a mail that has to be confirmed before alarms reach anybody", *mails)
    new = [group for group in groups if group.action is Action.CREATE]
    if new:
        days = new[0].becomes("retention_in_days")
        yield speaker.note(f"makes {several(len(new), 'log group')} that keep lines for {days} days", *new)
