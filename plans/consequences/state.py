"""The bucket with the state of all other stacks."""

from __future__ import annotations

from collections.abc import Iterator

from plans.change import Action, StackPlan
from plans.consequence import Consequence, Speaker

# What protects the state: without one of them, it may be lost or read by others.
PROTECTION = {
    "aws_s3_bucket_versioning": "earlier versions of the state are no longer kept",
    "aws_s3_bucket_server_side_encryption_configuration": "the state is no longer encrypted with a key of KMS",
    "aws_s3_bucket_public_access_block": "the state may become public",
    "aws_s3_bucket_policy": "the state may be read without TLS",
}


def consequences(plan: StackPlan) -> Iterator[Consequence]:
    """Refuse what loses the state."""
    speaker = Speaker(plan.stack)
    for bucket in plan.of("aws_s3_bucket"):
        name = bucket.was("bucket") or bucket.becomes("bucket")
        if bucket.ends:
            yield speaker.refused(
                f"deletes the state bucket {name}: refused; every other stack would be orphaned "
                "(after all of them are destroyed: `fleet destroy --with-state`)",
                *plan.changes,
            )
            return
        if bucket.action is Action.CREATE:
            yield speaker.note(f"makes the state bucket {name} (`fleet init` does that, once)", bucket)
        elif "force_destroy" in bucket.changed and bucket.becomes("force_destroy") == "yes":
            yield speaker.note("lets a destroy delete the state bucket with every state in it", bucket)
    for kind, meaning in PROTECTION.items():
        for change in plan.of(kind):
            if change.action is Action.DESTROY:
                yield speaker.destructive(f"{meaning} ({change.address} goes)", change)
