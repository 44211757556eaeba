"""How a run of Packer is followed, ended and explained. A small program stands for Packer."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from packer.errors import BakeInterruptedError, BuildFailedError
from packer.interrupts import Interrupts
from packer.program import Packer
from packer.runner import VARIABLES_FILE, Run, image_in, prepare_work
from tests.packer.made_up import repository

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = """#!/bin/sh
echo "$@" >> {calls}
case $1 in
  {step}) {does} ;;
esac
"""
FOREVER = "while :; do sleep 0.05; done"
SAY = "echo '==> amazon-ebs.image: %s'"


class Stage:
    """A work folder, a program, and the phases that were announced."""

    def __init__(self, folder: Path, does: str, *, step: str = "build", version: tuple[int, ...] = (1, 6, 6)) -> None:
        self.folder, self.phases, self.interrupts = folder, list[str](), Interrupts()
        program = folder / "packer"
        program.write_text(PROGRAM.format(calls=folder / "calls", step=step, does=does))
        program.chmod(0o755)
        self.packer = Packer(program, version)
        self.work = folder / "work"
        self.work.mkdir()
        self.log = folder / "bake.log"

    def run(self, patience: float = 20) -> None:
        with self.interrupts:
            Run(
                "router-x86_64",
                self.packer,
                self.work,
                self.log,
                os.environ,
                self.interrupts,
                patience,
                lambda name, _: self.phases.append(name),
            ).execute()

    @property
    def calls(self) -> list[str]:
        return [line.split()[0] for line in (self.folder / "calls").read_text().splitlines()]


def said(*lines: str) -> str:
    return "; ".join(SAY % line for line in lines)


def when(condition: Callable[[], bool], then: Callable[[], None]) -> threading.Thread:
    def wait() -> None:
        end = time.monotonic() + 20
        while not condition() and time.monotonic() < end:
            time.sleep(0.02)
        then()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def says(log: Path, word: str) -> Callable[[], bool]:
    return lambda: log.exists() and word in log.read_text()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_an_old_packer_validates_and_builds(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, said("Prevalidating AMI Name: x", "PHASE base: packages", "Creating AMI x from instance i-1")
    )
    stage.run()
    assert stage.calls == ["validate", "build"]
    assert stage.phases == ["validate", "start", "check", "base", "image"]
    log = stage.log.read_text()
    assert f"-var-file={stage.work / VARIABLES_FILE} {stage.work}\n" in log
    assert "==> amazon-ebs.image: PHASE base: packages\n" in log


@pytest.mark.slow
def test_a_new_packer_fetches_its_plugin_first(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "exit 0", version=(1, 11, 0))
    stage.run()
    assert stage.calls == ["init", "validate", "build"]


@pytest.mark.slow
def test_a_failure_names_phase_last_words_remedy_and_log(tmp_path: Path) -> None:
    stage = Stage(tmp_path, said("PHASE engine: installing SGLang", "No space left on device") + "; exit 1")
    with pytest.raises(BuildFailedError) as raised:
        stage.run()
    assert str(raised.value).splitlines() == [
        "bake of router-x86_64: failed in phase engine",
        "  No space left on device",
        f"remedy: {raised.value.failure.remedy}",
        f"log: {stage.log}",
    ]
    assert (raised.value.failure.remedy or "").startswith("a volume of the bake host is full: raise volume.size_gib")


@pytest.mark.slow
def test_a_template_that_is_wrong_is_a_failure_of_validation(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "echo Error: Unsupported argument; exit 1", step="validate")
    with pytest.raises(BuildFailedError) as raised:
        stage.run()
    assert raised.value.failure.phase == "validate"
    assert raised.value.failure.last_lines == ("Error: Unsupported argument",)
    assert stage.calls == ["validate"]


@pytest.mark.slow
def test_a_program_that_dies_without_a_word_is_a_failure_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "kill -9 $$")
    with pytest.raises(BuildFailedError) as raised:
        stage.run()
    assert raised.value.failure.last_lines == ("packer build ended with -9 and said nothing",)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_reaches_packer_once_and_its_end_is_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    trap = f"trap 'echo once >> {tmp_path}/signals; sleep 0.3; echo tidy; exit 1' INT"
    stage = Stage(tmp_path, f"{trap}; {said('Connected to SSH!')}; {FOREVER}")

    def twice() -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.1)
        os.kill(os.getpid(), number)

    thread = when(says(stage.log, "Connected"), twice)
    with pytest.raises(BakeInterruptedError, match="bake of router-x86_64: interrupted in phase start"):
        stage.run()
    thread.join()
    assert (tmp_path / "signals").read_text() == "once\n"
    assert "tidy" in stage.log.read_text()


@pytest.mark.slow
def test_a_packer_that_does_not_end_is_killed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, f"trap '' INT; {said('Connected to SSH!')}; {FOREVER}")
    thread = when(says(stage.log, "Connected"), interrupt)
    begun = time.monotonic()
    with pytest.raises(BakeInterruptedError):
        stage.run(patience=0.3)
    thread.join()
    assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_an_interrupt_that_comes_early_is_not_lost(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FOREVER)
    stage.interrupts.requested = True
    with pytest.raises(BakeInterruptedError):
        stage.run()
    assert "build" not in ((tmp_path / "calls").read_text() if (tmp_path / "calls").exists() else "")


def test_the_handlers_of_before_are_back_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupts.requested
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("version", "names"),
    [((1, 6, 6), {"image.pkr.hcl"}), ((1, 7, 0), {"image.pkr.hcl", "plugins.pkr.hcl"})],
)
def test_the_work_folder_has_what_this_packer_reads(tmp_path: Path, version: tuple[int, ...], names: set[str]) -> None:
    here, work = repository(tmp_path / "repository"), tmp_path / "work"
    work.mkdir()
    prepare_work(work, here, Packer(Path("packer"), version), {"b": 1, "a": [2]})
    assert {path.name for path in work.iterdir()} == {*names, VARIABLES_FILE}
    assert json.loads((work / VARIABLES_FILE).read_text()) == {"a": [2], "b": 1}
    assert stat.S_IMODE((work / VARIABLES_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"builds": [{"artifact_id": "us-east-1:ami-0a", "packer_run_uuid": "2"}], "last_run_uuid": "2"}', "ami-0a"),
        ('{"builds": [{"artifact_id": "us-east-1:ami-0a", "packer_run_uuid": "1"}], "last_run_uuid": "2"}', None),
        ('{"builds": []}', None),
        ("[]", None),
        ("", None),
    ],
)
def test_the_manifest_names_the_image_of_its_last_run(tmp_path: Path, text: str, expected: str | None) -> None:
    (tmp_path / "m.json").write_text(text)
    assert image_in(tmp_path / "m.json") == expected
    assert image_in(tmp_path / "none.json") is None
