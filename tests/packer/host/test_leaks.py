from __future__ import annotations

import time
from pathlib import Path

import pytest

from packer.host import leaks
from packer.host.leaks import files_of_packages, holds, kinds_of_secret, written_since

LONG = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6"
# Put together here, so that a scan of this repository does not take them for keys.
KEY = f"{'-' * 5}BEGIN OPENSSH PRIVATE KEY{'-' * 5}\n{'b3BlbnNzaC1rZXktdjE' * 3}"
RSA = f"{'-' * 5}BEGIN RSA PRIVATE KEY{'-' * 5}\nProc-Type: 4,ENCRYPTED\n\n{'M' * 64}"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"token = hf_{LONG}", ("a Hugging Face token",)),
        ("aws_access_key_id = AKIAABCDEFGHIJKLMNOP", ("an AWS access key",)),
        ("ASIAABCDEFGHIJKLMNOP", ("an AWS access key",)),
        (f"OPENAI_API_KEY=sk-proj-{LONG}", ("an API key",)),
        (f"sk-{LONG}", ("an API key",)),
        (KEY, ("a private key",)),
        (RSA, ("a private key",)),
        ("-----BEGIN RSA PRIVATE KEY-----", ()),  # what a TLS library looks for
        ("hf_hub_download", ()),
        (f"shelf_{LONG}", ()),
        ("XAKIAABCDEFGHIJKLMNOPQ", ()),
        (f"disk-{LONG}", ()),
        ("AKIAMADEUPFORTESTS", ()),
    ],
)
def test_kinds(tmp_path: Path, text: str, kinds: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text(f"x\n{text}\n")
    assert kinds_of_secret(tmp_path / "file") == kinds


@pytest.mark.parametrize("before", [0, 1, 5, 40])
def test_nothing_is_missed_where_two_pieces_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    monkeypatch.setattr(leaks, "CHUNK", 64)
    (tmp_path / "file").write_text(f"{' ' * (64 - before)}hf_{LONG}{' ' * 700}")
    assert kinds_of_secret(tmp_path / "file") == ("a Hugging Face token",)
    assert holds(tmp_path / "file", f"hf_{LONG}")
    assert not holds(tmp_path / "file", "another")


def test_what_is_looked_at(tmp_path: Path) -> None:
    for name in ("etc/new", "opt/venv/lib/site-packages/sdk/example", "opt/models/weights", "opt/tool", "etc/link"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/new").touch()
    (tmp_path / "opt/venv/lib/site-packages/sdk/example").touch()
    (tmp_path / "opt/models/weights").touch()
    (tmp_path / "opt/tool").touch()
    (tmp_path / "etc/link").symlink_to("new")
    skip = {tmp_path / "opt/models", tmp_path / "opt/tool"}
    assert list(written_since(0, (tmp_path,), skip)) == [tmp_path / "etc/new"]
    assert list(written_since(time.time() + 60, (tmp_path,))) == []


def test_a_file_that_goes_meanwhile(tmp_path: Path) -> None:
    assert not holds(tmp_path / "gone", "x")
    assert kinds_of_secret(tmp_path / "gone") == ()


def test_files_of_packages(tmp_path: Path) -> None:
    (tmp_path / "agent.list").write_text("/.\n/opt\n/opt/agent\n/etc/agent.conf\n")
    assert files_of_packages(tmp_path) == {Path("/."), Path("/opt"), Path("/opt/agent")}
