from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packer.host import leaks, validate
from packer.host.facts import Bake
from packer.host.findings import Failure
from packer.host.validate import checks, free_disk, histories, model_files, secrets_in, ssh_keys
from tests.packer.host.model_hub import FILES, WEIGHTS, bake_of

BAKE = bake_of("https://hub.example")
KEY = "sglang-fleet-bake-3f0c8a7e"


def said(failures: Iterator[Failure]) -> list[str]:
    return [str(failure) for failure in failures]


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_what_is_checked() -> None:
    of_workers = list(checks(BAKE, "lock", KEY))
    assert of_workers[:2] == ["engine", "model"]
    router = Bake("router", "arm64", "0" * 20, None, None, None, "https://hub.example")
    assert list(checks(router, "lock", KEY)) == of_workers[2:]


def test_packers_own_key_is_all_right(tmp_path: Path) -> None:
    write(tmp_path / "home/ubuntu/.ssh/authorized_keys", f"# by cloud-init\n\nssh-ed25519 AAAA {KEY}\n")
    write(tmp_path / "root/.ssh/authorized_keys", f'no-pty,command="echo no" ssh-rsa AAAA {KEY} \n')
    assert said(ssh_keys(tmp_path, KEY)) == []


def test_another_key_is_not(tmp_path: Path) -> None:
    file = write(tmp_path / "home/ubuntu/.ssh/authorized_keys", f"ssh-rsa AAAA {KEY}\nssh-rsa AAAA me@laptop\n")
    assert said(ssh_keys(tmp_path, KEY)) == [
        f"FAIL authorized keys in {file}: 1 of somebody else (me@laptop); use a base image without"
    ]


def test_host_keys(tmp_path: Path) -> None:
    file = write(tmp_path / "etc/ssh/ssh_host_ed25519_key")
    assert said(ssh_keys(tmp_path, KEY)) == [
        f"FAIL SSH host key {file}: still there; 85-clean.sh must remove it: hosts would share it"
    ]


@pytest.mark.parametrize("name", [".bash_history", ".python_history", ".wget-hsts", ".lesshst", ".history"])
def test_history(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "root" / name)
    assert said(histories(tmp_path)) == [f"FAIL shell history {file}: still there; 85-clean.sh must remove it"]


def test_a_spoilt_model(tmp_path: Path) -> None:
    for name, content in FILES.items():
        write(tmp_path / "Tiny" / name).write_bytes(content)
    assert said(model_files(BAKE, tmp_path)) == []
    write(tmp_path / "Tiny" / WEIGHTS).write_bytes(FILES[WEIGHTS][:-1] + b"!")
    (tmp_path / "Tiny" / "config.json").unlink()
    config, weights = said(model_files(BAKE, tmp_path))
    assert config == "FAIL model file config.json: missing; bake again"
    assert weights.startswith(f"FAIL model file {WEIGHTS}: SHA-256 is ")


def test_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "ROOTS", (tmp_path,))
    monkeypatch.setattr(leaks, "files_of_packages", frozenset)
    file = write(tmp_path / "root/.netrc", "password hf_A1b2C3d4E5f6G7h8I9j0K1l2\n")
    assert said(secrets_in(BAKE, 0)) == [
        f"FAIL {file}: looks like a Hugging Face token; find out which step wrote it, and revoke the secret"
    ]


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=1000 * 2**20, free=99 * 2**20))
    [full] = said(free_disk(tmp_path))
    assert full == (
        "FAIL free disk: 99.0 MiB of 1000.0 MiB are free on the root volume, less than 10 %; "
        "raise volume.size_gib (of the pool, or of the router) and bake again"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=1000 * 2**20, free=100 * 2**20))
    assert said(free_disk(tmp_path)) == []


def test_every_failure_is_told_before_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> dict[str, validate.Check]:
        return {
            "engine": lambda: iter([Failure("engine", "gone", "bake again")]),
            "agent": lambda: iter(()),
            "free disk": lambda: iter([Failure("free disk", "full", "raise it")]),
        }

    monkeypatch.setenv("BAKE_KEY_PAIR", KEY)
    monkeypatch.setattr(validate, "load_bake", lambda: BAKE)
    monkeypatch.setattr(validate, "checks", broken)
    assert validate.main() == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == ["FAILED engine", "ok     agent", "FAILED free disk"]
    assert told.err.splitlines() == [
        "FAIL engine: gone; bake again",
        "FAIL free disk: full; raise it",
        "ERROR validate: 2 of the image's checks failed (above); bake again",
    ]


def test_an_image_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKE_KEY_PAIR", KEY)
    monkeypatch.setattr(validate, "load_bake", lambda: BAKE)
    monkeypatch.setattr(validate, "checks", lambda *_: {})
    assert validate.main() == 0


def test_samples_are_json() -> None:
    for file in (Path(validate.__file__).parent / "sample").iterdir():
        json.loads(file.read_text())
