from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from fleet.cli import main
from settings.errors import SettingsError
from settings.load import load_settings, settings_from
from tests.settings.cases import WrongFile, wrong_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", wrong_files(), ids=lambda case: case.name)
def test_each_wrong_file_gives_exit_code_2_and_exactly_its_sentences(
    case: WrongFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(case.text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["fleet", "settings", "check", str(file)])
    with pytest.raises(SystemExit) as exit_:
        main()
    printed = capsys.readouterr()
    assert exit_.value.code == 2
    assert printed.out == ""
    assert printed.err.strip().replace(str(file), "FILE") == case.sentences


def test_the_table_has_the_forty_cases_promised() -> None:
    names = [case.name for case in wrong_files()]
    assert len(set(names)) == len(names) >= 40


def _sentence(path: Path) -> str:
    with pytest.raises(SettingsError) as error:
        load_settings(path)
    return str(error.value).replace(str(path.parent), "DIR")


def test_missing_file_names_the_ones_there_are(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("")
    assert _sentence(tmp_path / "none.toml") == "DIR/none.toml: does not exist; check the path; DIR has other.toml"
    assert _sentence(tmp_path / "a" / "b.toml") == "DIR/b.toml: does not exist; check the path"


def test_directory(tmp_path: Path) -> None:
    folder = tmp_path / "settings.toml"
    folder.mkdir()
    expected = "DIR/settings.toml: is a directory; name one settings file, like environments/example.toml"
    assert _sentence(folder) == expected


def test_file_that_the_system_cannot_read(tmp_path: Path) -> None:
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    expected = "DIR/loop.toml: cannot be read (too many levels of symbolic links); make it a readable file"
    assert _sentence(loop) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_unreadable_file(tmp_path: Path) -> None:
    file = tmp_path / "closed.toml"
    file.write_text('name = "demo"')
    file.chmod(0)
    assert _sentence(file) == "DIR/closed.toml: cannot be read (permission denied); make it a readable file"


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes('name = "démo"'.encode("latin-1"))
    assert _sentence(file) == "DIR/latin.toml: is not UTF-8 text (byte 9); save it as UTF-8"


def test_file_too_large_to_be_settings(tmp_path: Path) -> None:
    file = tmp_path / "large.toml"
    file.write_text("#" * 1_000_001)
    assert _sentence(file).startswith("DIR/large.toml: is larger than a megabyte;")


@pytest.mark.parametrize("text", ["name = " + "9" * 5000, "name = " + "[" * 5000])
def test_absurd_numbers_and_nesting(tmp_path: Path, text: str) -> None:
    file = tmp_path / "absurd.toml"
    file.write_text(text)
    rule = "holds a number with too many digits or tables nested too deeply"
    assert _sentence(file).startswith(f"DIR/absurd.toml: {rule};")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "marked.toml"
    file.write_text('name = "demo"', encoding="utf-8-sig")
    assert load_settings(file).name == "demo"


def test_all_faults_of_a_file_come_at_once_and_none_twice() -> None:
    raw: dict[str, object] = {
        "nmae": "x",
        "region": "us-east",
        "network": {"vpc_cidr": "10.0.0.1/16", "nat": "none"},
        "router": {"port": 29000, "tls": {"certificate_secret": 1}},
        "workers": [
            {"min_size": 3, "max_size": 2, "instance_type": "t3.medium", "engine": {"tp": "4", "dtpye": "half"}},
            "oops",
            {"name": "default", "max_sise": 1, "min_size": "2", "max_size": 1},
        ],
    }
    with pytest.raises(SettingsError) as error:
        settings_from(raw)
    assert sorted(fault.path for fault in error.value.faults) == [
        "network.interface_endpoints",
        "network.vpc_cidr",
        "nmae",
        "region",
        "router.prometheus_port",
        "router.tls.certificate_secret",
        "router.tls.key_secret",
        "workers[0].engine.dtpye",
        "workers[0].engine.tp",
        "workers[0].instance_type",
        "workers[0].max_size",
        "workers[1]",
        "workers[2].max_sise",
        "workers[2].min_size",
        "workers[2].name",
    ]


def test_a_rule_says_nothing_about_a_key_that_is_itself_at_fault() -> None:
    with pytest.raises(SettingsError) as error:
        settings_from({"workers": [{"min_size": "seven", "max_size": 2, "desired_size": 0}]})
    assert [fault.path for fault in error.value.faults] == ["workers[0].min_size"]


def test_secrets_are_not_repeated() -> None:
    with pytest.raises(SettingsError) as error:
        settings_from({"workers": [{"engine": {"api_key": "sk-1", "admin_api_key": "sk-2"}}]}, {"api_key": "sk-3"})
    assert len(error.value.faults) == 3
    assert "sk-" not in str(error.value)


def test_the_raw_tables_given_are_left_as_they_were() -> None:
    raw: dict[str, object] = {"name": "demo", "zzz": 1}
    with pytest.raises(SettingsError):
        settings_from(raw, {"workers[0].max_size": "0"})
    assert raw == {"name": "demo", "zzz": 1}
