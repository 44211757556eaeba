"""Metric math, as far as alarms and target tracking use it (using-metric-math.html).

A series maps the start of a period (seconds since 1970) to a value; a period without a data point is just not there.
Values are compared as 1 (true) and 0 (false), as on that page.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from rehearsal.emulated_aws.alarms.metric_math_parser import (
    Array,
    Binary,
    Call,
    MetricMathError,
    Name,
    Node,
    Number,
    Text,
    names,
    parse,
)

Series = Mapping[int, float]
Value = float | Series | tuple["float | Series", ...]
_parsed = lru_cache(maxsize=256)(parse)

OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
}
REDUCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}
ROUNDINGS: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


@dataclass(frozen=True)
class Math:
    """Metrics and expressions by id, over the same periods.

    `grid` holds the starts of all periods looked at, in order: FILL fills these.
    """

    grid: Sequence[int]
    period: int
    metrics: Mapping[str, Series]
    expressions: Mapping[str, str] = field(default_factory=dict)

    def series(self, wanted: str) -> Series:
        """The series of an id. A scalar stands in every period.

        Raises:
            MetricMathError: an expression is not understood, an id is unknown, or the result is not one series.
        """
        value = self._named(wanted, wanted, ())
        if isinstance(value, tuple):
            raise MetricMathError(self.expressions.get(wanted, wanted), "The expression must return one time series")
        return value if isinstance(value, Mapping) else dict.fromkeys(self.grid, value)

    @cached_property
    def _known(self) -> dict[str, Value]:
        return dict(self.metrics)

    def _named(self, wanted: str, within: str, path: tuple[str, ...]) -> Value:
        if wanted in self._known:
            return self._known[wanted]
        if wanted not in self.expressions:
            raise MetricMathError(within, f"Unknown id '{wanted}'")
        if wanted in path:
            raise MetricMathError(self.expressions[wanted], f"'{wanted}' depends on itself")
        text = self.expressions[wanted]
        value = _Evaluation(self, text, (*path, wanted)).value(_parsed(text))
        self._known[wanted] = value
        return value

    def named(self, wanted: str, within: str, path: tuple[str, ...]) -> Value:
        """The value of an id that an expression uses; `path` are the ids on the way there."""
        return self._named(wanted, within, path)


@dataclass(frozen=True)
class _Evaluation:
    """One expression."""

    math: Math
    text: str
    path: tuple[str, ...]

    def value(self, node: Node) -> Value:
        match node:
            case Number(number):
                return number
            case Name(name):
                return self.math.named(name, self.text, self.path)
            case Array(items):
                return tuple(self._single(item) for item in items)
            case Binary(sign, left, right):
                return self._each(OPERATORS[sign], self._single(left), self._single(right))
            case Call(name, arguments):
                return self._call(name, arguments)
            case Text(text):
                raise self._fault(f"Unexpected '{text}'")

    def _fault(self, why: str) -> MetricMathError:
        return MetricMathError(self.text, why)

    def _single(self, node: Node) -> float | Series:
        value = self.value(node)
        if isinstance(value, tuple):
            raise self._fault("An array of time series is not possible here")
        return value

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Value:
        count = {"IF": (2, 3), "FILL": (2, 2), "METRICS": (0, 1)}.get(name, (1, 1))
        if not count[0] <= len(arguments) <= count[1]:
            raise self._fault(f"Wrong number of arguments of {name}")
        if name == "METRICS":
            return self._metrics(arguments)
        if name == "FILL":
            return self._fill(*arguments)
        if name == "IF":
            return self._if(*arguments)
        if name == "PERIOD":
            return float(self.math.period)
        if name in ROUNDINGS:
            return self._map(ROUNDINGS[name], self._single(arguments[0]))
        return self._reduce(REDUCTIONS[name], self.value(arguments[0]))

    def _each(self, call: Callable[[float, float], float], left: float | Series, right: float | Series) -> Value:
        """Period by period; missing on one side gives missing.

        A division by zero, and whatever else is no finite number, gives a missing data point: a series holds finite
        numbers only (API_MetricDatum.html: NaN and infinity are not supported), and the page on metric math says for no
        operator that it makes one.
        """
        moments = self._moments((left, right))
        if moments is None:
            result = _calculated(call, left, right)
            return {} if result is None else result
        found = ((at, _calculated(call, _at(left, at), _at(right, at))) for at in moments)
        return {at: value for at, value in found if value is not None}

    def _map(self, call: Callable[[float], float], value: float | Series) -> float | Series:
        if isinstance(value, Mapping):
            return {at: float(call(number)) for at, number in value.items()}
        return float(call(value))

    def _reduce(self, call: Callable[[Sequence[float]], float], value: Value) -> Value:
        """Of a series one number; of an array one series, from the data points that are there in each period."""
        if isinstance(value, tuple):
            return self._across(call, value)
        if isinstance(value, Mapping):
            return float(call(list(value.values()))) if value else {}
        return value

    def _across(self, call: Callable[[Sequence[float]], float], values: tuple[float | Series, ...]) -> Value:
        if not any(isinstance(value, Mapping) for value in values):
            return float(call([value for value in values if not isinstance(value, Mapping)])) if values else {}
        moments = sorted({at for value in values if isinstance(value, Mapping) for at in value})
        rows = ((at, [v for value in values if (v := _at(value, at)) is not None]) for at in moments)
        return {at: float(call(row)) for at, row in rows}

    def _if(self, condition: Node, then: Node, otherwise: Node | None = None) -> Value:
        """IF(condition, a, b): any number but 0 is true; without b what is not true is missing."""
        asked, yes = self._single(condition), self._single(then)
        no: float | Series = {} if otherwise is None else self._single(otherwise)
        if not isinstance(asked, Mapping):
            return yes if asked else no
        found = ((at, _at(yes if true else no, at)) for at, true in asked.items())
        return {at: value for at, value in found if value is not None}

    def _fill(self, metric: Node, filling: Node) -> Value:
        """FILL(m, value) in every period without data; FILL(m, REPEAT) with the last value, if there was one."""
        series = self._single(metric)
        if not isinstance(series, Mapping):
            raise self._fault("FILL needs a time series")
        if filling == Name("REPEAT"):
            return self._repeated(series)
        with_this = self._single(filling)
        found = ((at, series.get(at, _at(with_this, at))) for at in self.math.grid)
        return {at: value for at, value in found if value is not None}

    def _repeated(self, series: Series) -> Series:
        filled: dict[int, float] = {}
        last: float | None = None
        for at in self.math.grid:
            last = series.get(at, last)
            if last is not None:
                filled[at] = last
        return filled

    def _metrics(self, arguments: tuple[Node, ...]) -> Value:
        """All metrics of the request, or those whose id contains the given text."""
        part = ""
        if arguments:
            if not isinstance(arguments[0], Text):
                raise self._fault("METRICS takes a text in quotation marks")
            part = arguments[0].value
        return tuple(series for name, series in self.math.metrics.items() if part in name)

    def _moments(self, values: Iterable[float | Series]) -> list[int] | None:
        """The periods in which every series has data; None when there is no series."""
        series = [value for value in values if isinstance(value, Mapping)]
        if not series:
            return None
        return sorted(set(series[0]).intersection(*series[1:]))


def _at(value: float | Series, at: int) -> float | None:
    return value.get(at) if isinstance(value, Mapping) else value


def _calculated(call: Callable[[float, float], float], left: object, right: object) -> float | None:
    assert isinstance(left, int | float)  # noqa: S101 - only periods with data on both sides come here
    assert isinstance(right, int | float)  # noqa: S101 - as above
    try:
        result = float(call(left, right))
    except (ZeroDivisionError, OverflowError, TypeError):  # TypeError: a complex number, of a root of a negative one
        return None
    return result if math.isfinite(result) else None


def check(expression: str, known: Iterable[str]) -> None:
    """Refuse what CloudWatch would refuse when the expression is written, before there is any data.

    Raises:
        MetricMathError: it is not understood, or uses an id that is not known.
    """
    for name in sorted(names(_parsed(expression)) - set(known)):
        raise MetricMathError(expression, f"Unknown id '{name}'")
