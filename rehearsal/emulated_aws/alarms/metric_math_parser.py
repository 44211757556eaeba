"""Text of a metric math expression → a tree (using-metric-math.html, "Metric math syntax and functions")."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FUNCTIONS: Final = frozenset({"ABS", "AVG", "CEIL", "FILL", "FLOOR", "IF", "MAX", "METRICS", "MIN", "PERIOD", "SUM"})
TOKEN: Final = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<word>[A-Za-z]\w*)|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^<>()\[\],]))"""
)
WORDS: Final = {"AND": "&&", "OR": "||"}
# From the weakest to the strongest binding; `^` binds stronger still, and to the right.
LEVELS: Final = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"<", "<=", ">", ">=", "==", "!="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/"}),
)


class MetricMathError(ValueError):
    """An expression that CloudWatch refuses with ValidationError, or one beyond what is emulated."""

    code = "ValidationError"

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(f"Error in expression '{expression}': {why}")


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Name:
    """The id of a metric or of another expression, or REPEAT."""

    id: str


@dataclass(frozen=True)
class Text:
    """A quoted string."""

    value: str


@dataclass(frozen=True)
class Binary:
    """An operator between two values."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function of arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Array:
    """Values in brackets."""

    items: tuple[Node, ...]


Node = Number | Name | Text | Binary | Call | Array


def parse(expression: str) -> Node:
    """The tree of an expression.

    Raises:
        MetricMathError: it is not one, or uses a function that is not emulated.
    """
    parser = _Parser(expression, _tokens(expression))
    tree = parser.level(0)
    if parser.next is not None:
        raise MetricMathError(expression, f"Unexpected '{parser.next}'")
    return tree


def names(node: Node) -> frozenset[str]:
    """The ids that a tree uses."""
    if isinstance(node, Name):
        return frozenset({node.id}) - {"REPEAT"}
    parts: tuple[Node, ...] = ()
    if isinstance(node, Binary):
        parts = (node.left, node.right)
    elif isinstance(node, Call):
        parts = node.arguments
    elif isinstance(node, Array):
        parts = node.items
    return frozenset().union(*(names(part) for part in parts))


def _tokens(expression: str) -> list[str]:
    found, at, text = [], 0, expression.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise MetricMathError(expression, f"Unexpected '{text[at:].strip()[:1]}'")
        word = match[0].strip()
        found.append(WORDS.get(word, word))
        at = match.end()
    return found


@dataclass
class _Parser:
    expression: str
    tokens: list[str]
    at: int = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> str:
        token = self.next
        if token is None or (wanted is not None and token != wanted):
            expected = f", expected '{wanted}'" if wanted else ""
            raise MetricMathError(self.expression, f"Unexpected '{token or 'end of expression'}'{expected}")
        self.at += 1
        return token

    def level(self, depth: int) -> Node:
        """One level of binding; all but `^` bind to the left."""
        if depth == len(LEVELS):
            return self.signed()
        left = self.level(depth + 1)
        while self.next in LEVELS[depth]:
            left = Binary(self.take(), left, self.level(depth + 1))
        return left

    def signed(self) -> Node:
        if self.next in {"-", "+"}:
            sign = self.take()
            return Binary(sign, Number(0.0), self.signed())
        base = self.atom()
        if self.next == "^":
            self.take()
            return Binary("^", base, self.signed())
        return base

    def atom(self) -> Node:
        token = self.take()
        if token == "(":  # noqa: S105 - a parenthesis
            inner = self.level(0)
            self.take(")")
            return inner
        if token == "[":  # noqa: S105 - a bracket
            return Array(self.list_until("]"))
        if token[0] in "\"'":
            return Text(token[1:-1])
        if token[0].isdigit() or token[0] == ".":
            return Number(float(token))
        if token[0].isalpha():
            return self.named(token)
        raise MetricMathError(self.expression, f"Unexpected '{token}'")

    def named(self, token: str) -> Node:
        if self.next != "(":
            if token != "REPEAT" and not token[0].islower():  # noqa: S105 - a word of the language
                raise MetricMathError(self.expression, f"Invalid id '{token}': it must begin with a lower-case letter")
            return Name(token)
        if token not in FUNCTIONS:
            raise MetricMathError(self.expression, f"Unsupported function '{token}'")
        self.take("(")
        return Call(token, self.list_until(")"))

    def list_until(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        step: Callable[[], Node] = lambda: self.level(0)  # noqa: E731 - named for the loop below
        while self.next != closing:
            items.append(step())
            if self.next == ",":
                self.take()
            elif self.next != closing:
                self.take(closing)
        self.take(closing)
        return tuple(items)
