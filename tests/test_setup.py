"""The pins and the lock: exact, complete, with hashes, and without the address of any registry."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rehearsal.tools import PROVIDER_VERSION
from scripts import function_length, venv_from_lock

ROOT = Path(__file__).resolve().parent.parent
EXACT = re.compile(r"==\d[\w.+]*")


def pipfile() -> dict[str, dict[str, Any]]:
    tables = tomllib.loads((ROOT / "Pipfile").read_text())
    return {name: table for name, table in tables.items() if name != "pipenv"}


def version_of(pin: str | dict[str, str]) -> str:
    return pin if isinstance(pin, str) else pin["version"]


PIPFILE = pipfile()
LOCK: dict[str, Any] = json.loads((ROOT / "Pipfile.lock").read_text())


def section(category: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = LOCK[venv_from_lock.SECTION_NAMES.get(category, category)]
    return entries


def test_the_categories_are_the_places_where_things_run() -> None:
    assert list(PIPFILE) == [
        "packages",
        "dev-packages",
        "router",
        "agent",
        "worker",
        "model",
        "audit",
        "bench",
        "worker-cpu",
    ]


@pytest.mark.parametrize("category", PIPFILE)
def test_every_direct_pin_is_exact_and_is_what_is_locked(category: str) -> None:
    for name, pin in PIPFILE[category].items():
        assert EXACT.fullmatch(version_of(pin)), f"[{category}] {name}: {version_of(pin)} is not one exact release"
        assert section(category)[name]["version"] == version_of(pin), f"[{category}] {name}: run make lock"


def test_only_cpu_torch_has_no_hash() -> None:
    without = [
        f"{name} in {kind}" for kind in PIPFILE for name, entry in section(kind).items() if not entry.get("hashes")
    ]
    assert without == ["torch in worker-cpu"]


def test_the_lock_names_no_source() -> None:
    assert LOCK["_meta"]["sources"] == []
    fields = {field for kind in PIPFILE for entry in section(kind).values() for field in entry}
    assert fields <= {"extras", "hashes", "markers", "version"}


@pytest.mark.parametrize("name", ["Pipfile", "Pipfile.lock", "package.json", "pyproject.toml", ".npmrc"])
def test_no_address_where_packages_come_from(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


def test_package_lock_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_package_lock_has_an_integrity_hash_for_every_package() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    inside_another = {path for path, entry in packages.items() if entry.get("inBundle")}
    assert [
        path for path, entry in packages.items() if path and "integrity" not in entry and path not in inside_another
    ] == []


def test_the_command_line_and_the_library_of_cdktf_are_one_release() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert f"=={package['devDependencies']['cdktf-cli']}" == PIPFILE["packages"]["cdktf"]


def test_provider_package_is_made_from_the_provider_that_is_deployed() -> None:
    spec = importlib.util.find_spec("cdktf_cdktf_provider_aws")  # found, not imported: importing takes ten seconds
    assert spec
    assert spec.origin
    documentation = (Path(spec.origin).parent / "vpc" / "__init__.py").read_text()
    assert set(re.findall(r"hashicorp/aws/([0-9.]+)/docs", documentation)) == {PROVIDER_VERSION}


def test_the_engine_arguments_are_of_the_engine_that_is_installed() -> None:
    arguments = json.loads((ROOT / "settings" / "data" / "sglang_arguments.json").read_text())
    assert f"=={arguments['sglang']}" == PIPFILE["worker"]["sglang"] == PIPFILE["worker-cpu"]["sglang"]


def test_agent_runs_on_one_set_of_releases_everywhere() -> None:
    everywhere = {name: pin for name, pin in PIPFILE["agent"].items() if name != "nvidia-ml-py"}  # GPU hosts only
    for name, pin in everywhere.items():
        assert PIPFILE["packages"][name] == PIPFILE["router"][name] == pin


def test_a_requirement_line_carries_extras_markers_and_hashes(tmp_path: Path) -> None:
    entry = {
        "extras": ["b", "a"],
        "hashes": ["sha256:1", "sha256:2"],
        "markers": "os_name == 'posix'",
        "version": "==1.0",
    }
    (tmp_path / "lock").write_text(json.dumps({"_meta": {}, "router": {"some_name": entry}}))
    (pin,) = venv_from_lock.read_pins(tmp_path / "lock", ["router"])
    assert pin.name == "some-name"
    assert pin.line() == "some_name[b,a]==1.0 ; os_name == 'posix' --hash=sha256:1 --hash=sha256:2"


def test_two_categories_that_disagree_are_refused(tmp_path: Path) -> None:
    lock = {"default": {"idna": {"version": "==3.20"}}, "develop": {"idna": {"version": "==3.19"}}}
    (tmp_path / "lock").write_text(json.dumps(lock))
    with pytest.raises(venv_from_lock.SetupError, match="idna is pinned differently in packages and dev-packages"):
        venv_from_lock.read_pins(tmp_path / "lock", ["packages", "dev-packages"])


def test_an_unknown_category_says_which_there_are(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert venv_from_lock.main(["routers", str(tmp_path / "venv")]) == 1
    assert (
        "no category 'routers'; it has agent, audit, bench, default, develop, model, router, worker"
        in capsys.readouterr().err
    )


def test_an_up_to_date_environment_is_left_alone(tmp_path: Path) -> None:
    pins = venv_from_lock.read_pins(ROOT / "Pipfile.lock", ["router"])
    (tmp_path / venv_from_lock.STAMP).write_text(venv_from_lock.fingerprint(pins))
    assert venv_from_lock.sync(tmp_path, pins) is False
    assert venv_from_lock.fingerprint(pins) != venv_from_lock.fingerprint(pins[1:])


def test_function_length_counts_from_def_to_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_length, "ROOT", tmp_path)
    source = tmp_path / "sample.py"
    source.write_text('@decorator\ndef outer() -> int:\n    """One\n    two."""\n    value = 1\n    return value\n')
    (measured,) = function_length.functions_of(source)
    assert (measured.lines, measured.without_docstring) == (5, 3)


def test_too_long_is_said_with_the_number() -> None:
    long_files = {"a.py": 401, "b.py": 400}
    assert function_length.faults([13, 13, 31], long_files) == [
        "a.py: 401 lines, more than 400; split it",
        "the median function has 13 lines, more than 12",
        "one function in ten has more than 30 lines (p90 is 31)",
    ]
    assert function_length.faults([12] * 9 + [99], {}) == []
