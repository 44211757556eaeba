"""Which images a prune deletes, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from packer.inventory import Inventory, Snapshot, newest_first
from packer.prune import PrunePlan, apply_prune, plan_prune
from settings.naming import TAG_IMAGE_ARCHITECTURE, TAG_IMAGE_KEY, TAG_IMAGE_ROLE
from tests.packer.made_up import WORKER_TAGS, image
from tests.packer.stubs import stubbed

if TYPE_CHECKING:
    from packer.image import Image

ROUTER_TAGS = {TAG_IMAGE_ROLE: "router", TAG_IMAGE_KEY: "k", TAG_IMAGE_ARCHITECTURE: "x86_64"}


def inventory(*images: Image, orphans: tuple[str, ...] = ()) -> Inventory:
    needed = {volume.snapshot_id for one in images for volume in one.volumes}
    snapshots = {name: Snapshot(name, "completed", 30, 12.5) for name in (*needed, *orphans)}
    return Inventory(newest_first(images), snapshots, frozenset(needed))


def verdicts(plan: PrunePlan) -> dict[str, tuple[bool, str]]:
    return {verdict.image.image_id: (verdict.delete, verdict.reason) for verdict in plan.verdicts}


def test_the_newest_of_each_kind_and_what_is_in_use_are_kept() -> None:
    workers = [image(f"ami-w{age}", age_hours=age) for age in (1, 2, 3, 4)]
    routers = [image(f"ami-r{age}", age_hours=age, tags=ROUTER_TAGS) for age in (7, 8)]
    uses = {"ami-w4": ("instance i-1", "parameter /p")}
    assert verdicts(plan_prune(inventory(*workers, *routers), uses, 1)) == {
        "ami-w1": (False, "number 1 of the newest 1: worker x86_64 org/tiny"),
        "ami-w2": (True, "unused, and number 2 by age: worker x86_64 org/tiny"),
        "ami-w3": (True, "unused, and number 3 by age: worker x86_64 org/tiny"),
        "ami-w4": (False, "in use by instance i-1, parameter /p"),
        "ami-r7": (False, "number 1 of the newest 1: router x86_64"),
        "ami-r8": (True, "unused, and number 2 by age: router x86_64"),
    }


def test_an_image_in_the_making_is_left_alone_and_a_failed_one_takes_no_place() -> None:
    images = (
        image("ami-making", age_hours=0, state="pending"),
        image("ami-undated", created=None),
        image("ami-failed", age_hours=1, state="failed"),
        image("ami-good", age_hours=2),
    )
    assert verdicts(plan_prune(inventory(*images), {}, 1)) == {
        "ami-undated": (False, "being made (available)"),
        "ami-making": (False, "being made (pending)"),
        "ami-failed": (True, "no host can start from it (failed)"),
        "ami-good": (True, "unused, and number 2 by age: worker x86_64 org/tiny"),
    }


def test_snapshots_without_an_image_go_too_unless_they_are_in_the_making() -> None:
    held = inventory(image("ami-1"), orphans=("snap-lost",))
    making = Snapshot("snap-new", "pending", 30, 1.0)
    held = replace(held, snapshots={**held.snapshots, "snap-new": making})
    assert plan_prune(held, {}, 1).orphans == ("snap-lost",)
    assert plan_prune(inventory(image("ami-1")), {}, 1).is_empty


@given(
    ages=st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True),
    used=st.sets(st.integers(0, 50), max_size=4),
    keep=st.integers(0, 9),
)
def test_never_one_that_is_in_use_and_never_more_than_all_but_keep(ages: list[int], used: set[int], keep: int) -> None:
    images = [image(f"ami-{age}", age_hours=age) for age in ages]
    uses = {f"ami-{age}": ("somebody",) for age in used}
    deleted = {one.image_id for one in plan_prune(inventory(*images), uses, keep).to_delete}
    newest = {f"ami-{age}" for age in sorted(ages)[:keep]}
    assert deleted == {one.image_id for one in images} - newest - set(uses)


def test_the_cost_is_that_of_the_full_size_where_ec2_tells_it() -> None:
    held = inventory(image("ami-1"))
    assert held.usd_per_month(held.images[0]) == 12.5 * 0.05
    assert replace(held, snapshots={}).usd_per_month(held.images[0]) == 30 * 0.05


def test_images_go_before_their_snapshots_and_what_came_into_use_stays() -> None:
    plan = plan_prune(inventory(image("ami-1"), image("ami-2"), orphans=("snap-lost",)), {}, 0)
    with stubbed() as account:
        account.of_ec2.add_response("deregister_image", {}, {"ImageId": "ami-2"})
        account.of_ec2.add_response("delete_snapshot", {}, {"SnapshotId": "snap-lost"})
        account.of_ec2.add_response("delete_snapshot", {}, {"SnapshotId": "snap-ami-2"})
        done = apply_prune(account.ec2, plan, {"ami-1": ("parameter /p",)})
    assert done.images == ("ami-2",)
    assert done.snapshots == ("snap-lost", "snap-ami-2")
    assert (done.spared, done.problems) == (("ami-1: meanwhile in use by parameter /p",), ())


def test_the_snapshots_of_an_image_that_could_not_go_stay() -> None:
    plan = plan_prune(inventory(image("ami-1")), {}, 0)
    with stubbed() as account:
        account.of_ec2.add_client_error("deregister_image", "UnauthorizedOperation", "no")
        done = apply_prune(account.ec2, plan, {})
    assert (done.images, done.snapshots, done.problems) == ((), (), ("ami-1: UnauthorizedOperation: no",))


def test_a_snapshot_that_another_image_needs_is_reported_and_one_that_is_gone_is_not() -> None:
    plan = plan_prune(inventory(image("ami-1", tags=WORKER_TAGS), orphans=("snap-gone",)), {}, 0)
    with stubbed() as account:
        account.of_ec2.add_client_error("deregister_image", "InvalidAMIID.Unavailable", "gone")
        account.of_ec2.add_client_error("delete_snapshot", "InvalidSnapshot.NotFound", "gone")
        account.of_ec2.add_client_error("delete_snapshot", "InvalidSnapshot.InUse", "in use by ami-9")
        done = apply_prune(account.ec2, plan, {})
    assert done.problems == ("snap-ami-1: InvalidSnapshot.InUse: in use by ami-9",)
