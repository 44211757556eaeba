"""What a destroy left behind."""

from __future__ import annotations

from rehearsal.leftovers import KINDS, Resource, left_behind


def test_only_what_was_not_there_before_is_left() -> None:
    before = frozenset({Resource("vpc", "default"), Resource("bucket", "old")})
    after = before | {Resource("volume", "vol-1"), Resource("instance", "i-1")} - {Resource("bucket", "old")}
    assert [str(found) for found in left_behind(before, after)] == ["instance i-1", "volume vol-1"]


def test_every_kind_is_listed_once() -> None:
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names))
