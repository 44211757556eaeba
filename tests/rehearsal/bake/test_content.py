"""What an image keeps of a build host, and what a machine gets of the image."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rehearsal.bake.content import ContentError, capture, unfold
from rehearsal.bake.evidence import compare, holders

ROOT = os.geteuid() == 0


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    for name in (
        "opt/sglang-fleet/bin",
        "etc",
        "run/secrets",
        "dev/shm",
        "proc",
        "opt/wheels",
        "home/somebody/pypi/simple",
    ):
        (root / name).mkdir(parents=True)
    program = root / "opt/sglang-fleet/bin/agent"
    program.write_text("a program")
    program.chmod(0o750)
    os.utime(program, (1, 1))
    (root / "opt/sglang-fleet/python").symlink_to("/usr/bin/python3")
    (root / "run/secrets/token").write_text("hf_madeup")
    return root


def test_an_image_has_files_with_modes_times_and_links(host: Path, tmp_path: Path) -> None:
    capture(host, tmp_path / "image")
    program = tmp_path / "image/opt/sglang-fleet/bin/agent"
    assert program.read_text() == "a program"
    assert (stat.S_IMODE(program.stat().st_mode), program.stat().st_mtime) == (0o750, 1)
    assert (tmp_path / "image/opt/sglang-fleet/python").readlink() == Path("/usr/bin/python3")


def test_memory_file_systems_are_not_on_it(host: Path, tmp_path: Path) -> None:
    capture(host, tmp_path / "image")
    assert {path.name for path in (tmp_path / "image").iterdir()} == {"opt", "etc", "home"}
    assert holders([tmp_path / "image"], "hf_madeup") == ()


def test_places_of_borrowed_folders_are_not_on_it_unless_something_is_there(host: Path, tmp_path: Path) -> None:
    capture(host, tmp_path / "image", ("/opt/wheels", "/home/somebody/pypi/simple", "/opt/sglang-fleet/bin"))
    assert not (tmp_path / "image/opt/wheels").exists()
    assert list((tmp_path / "image/home").iterdir()) == []
    assert (tmp_path / "image/opt/sglang-fleet/bin/agent").exists()


@pytest.mark.skipif(not ROOT, reason="only root may make the mark of a deleted file")
def test_marks_of_deleted_files_are_not_on_it(host: Path, tmp_path: Path) -> None:
    os.mknod(host / "etc" / "gone", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    capture(host, tmp_path / "image")
    assert list((tmp_path / "image/etc").iterdir()) == []


def test_a_machine_has_all_of_its_image(host: Path, tmp_path: Path) -> None:
    capture(host, tmp_path / "image")
    unfold(tmp_path / "image", tmp_path / "machine")
    same = compare(tmp_path / "image", tmp_path / "machine", ("/opt/sglang-fleet",))
    assert (same.equal, same.different) == (2, ())
    (tmp_path / "machine/opt/sglang-fleet/bin/agent").write_text("another program")
    (tmp_path / "machine/opt/sglang-fleet/more").write_text("its own")
    other = compare(tmp_path / "image", tmp_path / "machine", ("/opt/sglang-fleet",))
    assert (other.equal, other.different) == (1, ("opt/sglang-fleet/bin/agent",))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "etc").mkdir()
    (tmp_path / "in the way").write_text("")
    with pytest.raises(ContentError, match="cannot be copied to"):
        unfold(tmp_path / "image", tmp_path / "in the way" / "machine")
