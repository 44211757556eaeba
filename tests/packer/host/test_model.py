from __future__ import annotations

import json
from pathlib import Path

import pytest

from packer.host.model import MANIFEST, Wrong, check_files, folder_of, git_blob_of, write_manifest
from tests.packer.host.model_hub import FILES, MODEL_ID, REVISION, WEIGHTS, model, sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_complete(folder: Path) -> None:
    checked = check_files(model(), folder)
    assert checked.wrong == ()
    assert checked.sha256 == {name: sha256(content) for name, content in FILES.items()}


def test_missing(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert check_files(model(), folder).wrong == (Wrong(WEIGHTS, "missing"),)


def test_short(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(FILES[WEIGHTS][:-1])
    [wrong] = check_files(model(), folder).wrong
    assert wrong == Wrong(WEIGHTS, "524287 bytes instead of 524288", is_spoilt=True)


@pytest.mark.parametrize(("name", "hash_name"), [(WEIGHTS, "SHA-256"), ("config.json", "git blob id")])
def test_one_bit_is_another(folder: Path, name: str, hash_name: str) -> None:
    content = FILES[name]
    (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    [wrong] = check_files(model(), folder).wrong
    assert (wrong.path, wrong.is_spoilt) == (name, True)
    assert wrong.found.startswith(f"{hash_name} is ")


def test_a_file_that_is_not_the_models(folder: Path) -> None:
    (folder / "sub" / "left.tmp").touch()
    (folder / MANIFEST).touch()
    assert check_files(model(), folder).wrong == (Wrong("sub/left.tmp", "not a file of the model"),)


def test_a_dangling_link_is_no_file(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("/nowhere")
    assert Wrong(WEIGHTS, "missing") in check_files(model(), folder).wrong


def test_git_agrees(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_of(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # echo hello | git hash-object


def test_manifest(folder: Path) -> None:
    wanted = model()
    write_manifest(wanted, folder, check_files(wanted, folder).sha256)
    told = json.loads((folder / MANIFEST).read_text())
    assert (told["model"], told["revision"]) == (MODEL_ID, REVISION)
    assert told["files"][WEIGHTS] == {"size": 524288, "sha256": sha256(FILES[WEIGHTS])}
    assert check_files(wanted, folder).wrong == ()


def test_place() -> None:
    assert folder_of(model()) == Path("/opt/sglang/models/Tiny")
