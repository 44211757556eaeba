"""How this project changes moto: one method of one class at a time, by name, failing when moto no longer has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class UnknownMethodError(AttributeError):
    """The pinned moto has no such method: the extension must be revised for this version."""


def extend(owner: type, name: str, method: Callable[..., Any] | property) -> None:
    """Replace a method or property that moto has.

    Raises:
        UnknownMethodError: moto does not define `name` on `owner`.
    """
    if not hasattr(owner, name):
        raise UnknownMethodError(f"moto's {owner.__name__} has no {name}; revise rehearsal/emulated_aws for this moto")
    setattr(owner, name, method)


def add(owner: type, name: str, attribute: object) -> None:
    """Give a class what moto lacks: actions are dispatched by method name, answers are made from attributes."""
    setattr(owner, name, attribute)
