"""Filter patterns of CloudWatch Logs, as far as metric filters here use them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html: terms that must all occur, in
quotation marks where they hold more than letters, and `{ $.field = "value" && ... }` for lines that are JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

TERM: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(\w+))')
CONDITION: Final = re.compile(r'\s*\$((?:\.\w+)+)\s*(!=|=)\s*(?:"([^"]*)"|([\w.*-]+))\s*')


class PatternError(ValueError):
    """A pattern that is not understood here."""


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a line matches a pattern.

    Raises:
        PatternError: it is not understood.
    """
    text = pattern.strip()
    if text.startswith("{"):
        return _json_matcher(text)
    terms, at = [], 0
    while at < len(text):
        found = TERM.match(text, at)
        if found is None:
            raise PatternError(f"The filter pattern '{pattern}' is not understood at '{text[at:]}'")
        terms.append(found[1] if found[1] is not None else found[2])
        at = found.end()
    return lambda line: all(term in line for term in terms)


def _json_matcher(text: str) -> Callable[[str], bool]:
    if not text.endswith("}"):
        raise PatternError(f"The filter pattern '{text}' does not end with }}")
    conditions = []
    for part in text[1:-1].split("&&"):
        found = CONDITION.fullmatch(part)
        if found is None:
            raise PatternError(f"The filter pattern '{text}' is not understood at '{part.strip()}'")
        wanted = found[3] if found[3] is not None else found[4]
        conditions.append((found[1].strip(".").split("."), found[2] == "=", wanted))

    def matches(line: str) -> bool:
        try:
            document = json.loads(line)
        except ValueError:
            return False
        return all(_holds(document, path, wanted, equal=equal) for path, equal, wanted in conditions)

    return matches


def _holds(document: Any, path: list[str], wanted: str, *, equal: bool) -> bool:  # noqa: ANN401 - any JSON value
    """Compare one field; one that is not there matches nothing, `*` in the wanted value is any text."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    text = document if isinstance(document, str) else json.dumps(document)
    return fnmatchcase(text, wanted.replace("[", "[[]")) == equal
