"""Deleting the last version of an object whose versions include delete markers, as emptying a state bucket does.

What moto 5.2.5 does instead: it fails with an AttributeError (a delete marker has no `dispose`), answers 500, and
Terraform tries again for an hour.
"""

from __future__ import annotations

from moto.s3.models import FakeDeleteMarker

from rehearsal.emulated_aws.extension import add


def _dispose(_marker: FakeDeleteMarker) -> None:
    """A delete marker holds no content, so there is nothing to free."""


def install() -> None:
    """Give delete markers what moto calls on every version."""
    add(FakeDeleteMarker, "dispose", _dispose)
