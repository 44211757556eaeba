"""The model's download with the real client, against a hub on loopback."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import file_download

from packer.host import fetch as fetching
from packer.host.fetch import Download, check_token_left_nothing, fetch, take_token
from packer.host.model import MANIFEST
from packer.host.report import StepError
from tests.packer.host.model_hub import FILES, MODEL_ID, REVISION, TOKEN, WEIGHTS, Hub, bake_of, model, serving


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the client's own pauses, too
    monkeypatch.setattr(fetching, "BAKE_DIRECTORY", tmp_path / "bake")
    with serving() as hub:
        yield hub


def run(hub: Hub, folder: Path, token: str | None = None, wanted_id: str = MODEL_ID, revision: str = REVISION) -> None:
    wanted = model(id=wanted_id, revision=revision)
    fetch(bake_of(hub.url, wanted), wanted, folder, token)


def fault(hub: Hub, folder: Path, **given: str) -> str:
    with pytest.raises(StepError) as error:
        run(hub, folder, **given)
    return str(error.value)


def test_brings_exactly_the_files_of_the_commit(hub: Hub, tmp_path: Path) -> None:
    run(hub, tmp_path / "models")
    folder = tmp_path / "models" / "Tiny"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {*FILES, MANIFEST}
    assert all((folder / name).read_bytes() == content for name, content in FILES.items())
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*")} == {0o644, 0o755}
    assert hub.tokens_seen == {None}


def test_brings_only_files_that_are_listed(hub: Hub, tmp_path: Path) -> None:
    wanted = model({WEIGHTS: FILES[WEIGHTS]})
    fetch(bake_of(hub.url, wanted), wanted, tmp_path, None)
    assert sorted(path.name for path in (tmp_path / "Tiny").iterdir()) == [MANIFEST, WEIGHTS]


def test_shows_the_token_only_to_the_hub(hub: Hub, tmp_path: Path) -> None:
    hub.token = TOKEN
    before = time.time() - 5
    run(hub, tmp_path / "models", token=TOKEN)
    assert hub.tokens_seen == {f"Bearer {TOKEN}"}
    check_token_left_nothing(TOKEN, before, (tmp_path,), tmp_path / "nothing")


def test_gated_without_a_token(hub: Hub, tmp_path: Path) -> None:
    hub.token = TOKEN
    assert fault(hub, tmp_path) == (
        f"org/Tiny is gated, and no token is given; accept its terms on {hub.url}/org/Tiny, put a token into an SSM "
        "SecureString, and set bake.hub_token_parameter to its name"
    )


def test_gated_for_this_token(hub: Hub, tmp_path: Path) -> None:
    hub.token = TOKEN
    assert fault(hub, tmp_path, token="hf_another") == (
        f"org/Tiny is gated, and the token may not read it; accept its terms on {hub.url}/org/Tiny as the token's "
        "owner, or name another token in bake.hub_token_parameter"
    )


def test_no_such_model(hub: Hub, tmp_path: Path) -> None:
    assert fault(hub, tmp_path, wanted_id="org/None") == (
        f"{hub.url} has no model org/None, or it is private and no token is given; check the spelling of model_id; "
        "for a private model set bake.hub_token_parameter"
    )


def test_no_such_commit(hub: Hub, tmp_path: Path) -> None:
    said = fault(hub, tmp_path, revision="f" * 40)
    assert said == f"org/Tiny has no commit {'f' * 40}; correct model_revision, or leave it out"


def test_spoilt_once(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.spoil = 1
    run(hub, tmp_path)
    assert (tmp_path / "Tiny" / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert "(try 1 of 2)" in capsys.readouterr().out


def test_spoilt_for_good(hub: Hub, tmp_path: Path) -> None:
    hub.spoil = 9
    said = fault(hub, tmp_path)
    assert f"delivered files of org/Tiny that are not those of its commit ({WEIGHTS}: SHA-256 is " in said
    assert said.endswith("; bake again; if it stays, a cache between bake host and hub, or the hub, is broken")
    assert not (tmp_path / "Tiny" / WEIGHTS).exists()
    assert not (tmp_path / "Tiny" / MANIFEST).exists()


def test_cut_and_resumed(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 3
    run(hub, tmp_path)
    assert (tmp_path / "Tiny" / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_cut_for_good(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 10_000
    said = fault(hub, tmp_path)
    assert said.startswith(f"the download of org/Tiny from {hub.url} broke off (")
    assert said.endswith("; bake again; if it stays, check that the bake's subnet (bake.subnet_id) reaches the hub")


def test_busy_for_good(hub: Hub, tmp_path: Path) -> None:
    hub.busy = 10_000
    assert fault(hub, tmp_path) == f"{hub.url} answered 503 for org/Tiny; bake again later"


def test_no_answer(hub: Hub, tmp_path: Path) -> None:
    wanted = model()
    with pytest.raises(StepError, match=r"the download of org/Tiny from http://127.0.0.1:9 broke off"):
        fetch(bake_of("http://127.0.0.1:9", wanted), wanted, tmp_path, None)
    assert hub.requests == []


def test_too_large_for_the_disk(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1024))
    assert fault(hub, tmp_path) == (
        f"no space for org/Tiny: 0.5 MiB are to come and {tmp_path}/Tiny has 0.0 MiB free; "
        "raise model_volume.size_gib of the pool and bake again"
    )
    assert hub.requests == []


def test_disk_full_on_the_way(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", full)
    assert fault(hub, tmp_path).startswith("no space for org/Tiny on the model volume; raise model_volume.size_gib")


def test_a_hub_that_is_none(hub: Hub, tmp_path: Path) -> None:
    def get(*_: object) -> None:
        raise RuntimeError("hf_xet: cannot decode")

    broken: Download = get
    wanted = model()
    with pytest.raises(StepError, match=r"org/Tiny cannot be fetched \(RuntimeError: hf_xet: cannot decode\)"):
        fetch(bake_of(hub.url, wanted), wanted, tmp_path, None, broken)


def test_the_token_is_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "hub-token"
    file.write_text(f"{TOKEN}\n")
    assert take_token(file) == TOKEN
    assert take_token(file) is None


def test_a_token_that_was_written_somewhere(tmp_path: Path) -> None:
    before = time.time() - 5
    (tmp_path / "log").write_text(f"... {TOKEN} ...")
    with pytest.raises(StepError, match=rf"the hub's token was written to {tmp_path}/log; revoke it at the hub"):
        check_token_left_nothing(TOKEN, before, (tmp_path,), tmp_path / "models")
