"""Whatever is done to a good file, the answer is settings or sentences, never a traceback."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from datetime import date
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings.errors import Fault, SettingsError
from settings.load import load_settings, settings_from
from settings.override_keys import SHORT_KEYS
from settings.subnets import private_blocks, public_blocks
from settings.summary import summarize
from tests.settings.cases import environment_files, wrong_files

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from settings.model import Settings

GOOD_TEXTS = [file.read_text(encoding="utf-8") for file in environment_files()]
GOOD_TABLES = [tomllib.loads(text) for text in GOOD_TEXTS]
WORDS = ["name", "workers", "engine", "max_size", "tp_size", "10.0.0.0/16", "g5.xlarge", "null", "[", "", "-1", "tags"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
    | st.just(date(2026, 1, 1))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FAST = settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _faults_of(load: Callable[[], Settings]) -> tuple[Fault, ...]:
    """Load and use the settings, or return what is wrong with them."""
    try:
        loaded = load()
    except SettingsError as error:
        return error.faults
    assert len(private_blocks(loaded)) == len(public_blocks(loaded)) == len(loaded.availability_zones)
    assert summarize(loaded).pools
    return ()


def _check(load: Callable[[], Settings]) -> None:
    for fault in _faults_of(load):
        assert fault.path
        assert fault.rule
        assert fault.remedy
        assert str(fault).isprintable()


def _places(value: object) -> list[tuple[Any, Any]]:
    """Every container of the tables with each of its keys."""
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    return [(value, key) for key, _ in items] + [place for _, item in items for place in _places(item)]


@FAST
@given(data=st.data())
def test_random_changes_of_tables(data: st.DataObject) -> None:
    raw = deepcopy(data.draw(st.sampled_from(GOOD_TABLES)))
    for _ in range(data.draw(st.integers(1, 4))):
        places = _places(raw)
        if not places:
            break
        container, key = data.draw(st.sampled_from(places))
        action = data.draw(st.sampled_from(["replace", "delete", "add"]))
        if action == "replace":
            container[key] = data.draw(VALUES)
        elif action == "delete":
            del container[key]
        elif isinstance(container, dict):
            container[data.draw(st.text(max_size=8) | st.sampled_from(WORDS))] = data.draw(VALUES)
        else:
            container.append(data.draw(VALUES))
    _check(lambda: settings_from(raw))


@FAST
@given(data=st.data())
def test_random_changes_of_text(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = data.draw(st.sampled_from(GOOD_TEXTS + [case.text for case in wrong_files()]))
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    text = text[:start] + data.draw(st.text(max_size=4) | st.sampled_from(WORDS)) + text[start + length :]
    file = tmp_path_factory.getbasetemp() / "mutated.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    _check(lambda: load_settings(file))


KEYS = (
    st.sampled_from([*SHORT_KEYS, *WORDS, "network", "router", "router.port", "workers[0]", "workers.default.name"])
    | st.sampled_from(["context_length", "gc_threshold", "workers[0].engine.tp", "tags.a.b", "logs.retention_days"])
    | st.text(max_size=12)
)


@FAST
@given(raw=st.sampled_from(GOOD_TABLES), overrides=st.dictionaries(KEYS, VALUES | st.text(max_size=6), max_size=4))
def test_random_overrides(raw: dict[str, object], overrides: dict[str, object]) -> None:
    _check(lambda: settings_from(raw, overrides))
