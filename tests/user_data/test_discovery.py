from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_data.agent.aws import AwsError, FleetView, Worker
from user_data.agent.discovery import (
    REUSE_SECONDS,
    Add,
    Defer,
    Discovery,
    Drain,
    Remove,
    after,
    plan,
    print_plan,
    run,
)
from user_data.agent.manifest import Entry, Manifest, read_manifest, write_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.user_data.conftest import LogLines

A = Entry(id="i-a", url="http://10.0.0.1:30000")
B = Entry(id="i-b", url="http://10.0.0.2:30000")


def _worker(key: str, address: str | None, state: str = "InService", *, healthy: bool = True) -> Worker:
    return Worker(key, "default", "m", 30000, state, healthy=healthy, address=address)


WORKER_A = _worker("i-a", "10.0.0.1")
WORKER_B = _worker("i-b", "10.0.0.2")
BOTH = Manifest(workers=(A, B))


def test_plan_adds_what_is_new() -> None:
    assert plan(Manifest(workers=(A,)), [WORKER_B, WORKER_A], {}, 0) == [Add(B)]


def test_plan_drains_what_is_on_its_way_out_and_removes_what_is_gone() -> None:
    assert plan(BOTH, [_worker("i-a", None, "Terminating:Wait")], {}, 0) == [Drain(A, "Terminating:Wait"), Remove(B)]


def test_plan_drains_what_auto_scaling_is_about_to_replace() -> None:
    unhealthy = _worker("i-a", "10.0.0.1", healthy=False)
    assert plan(BOTH, [unhealthy, WORKER_B], {}, 0) == [Drain(A, "InService, unhealthy")]


NOT_IN_SERVICE = [
    *("Pending", "Pending:Wait", "Pending:Proceed", "Standby", "EnteringStandby", "Detaching"),
    *("Warmed:Pending:Wait", "Warmed:Stopped", "Warmed:Running", "Warmed:Terminating:Wait"),
    *("Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminated"),
]


@pytest.mark.parametrize("state", NOT_IN_SERVICE)
def test_plan_drops_whatever_is_not_in_service(state: str) -> None:
    known = Manifest(workers=(A,))
    assert after(known, plan(known, [_worker("i-a", "10.0.0.1", state)], {}, 0)) == Manifest()


@pytest.mark.parametrize("state", NOT_IN_SERVICE)
def test_plan_adds_nothing_that_is_not_in_service(state: str) -> None:
    assert plan(Manifest(), [_worker("i-a", "10.0.0.1", state)], {}, 0) == []


def test_plan_is_empty_when_nothing_changed() -> None:
    assert plan(BOTH, [WORKER_A, WORKER_B], {}, 0) == []


def test_an_address_rests_before_another_worker_gets_it() -> None:
    heir = _worker("i-c", "10.0.0.1")
    entry = Entry(id="i-c", url=A.url)
    assert plan(Manifest(workers=(A,)), [heir], {}, 100.0) == [Remove(A), Defer(entry, REUSE_SECONDS)]
    assert plan(Manifest(), [heir], {A.url: 100.0}, 104.0) == [Defer(entry, 2.0)]
    assert plan(Manifest(), [heir], {A.url: 100.0}, 106.0) == [Add(entry)]


ENTRIES = st.lists(
    st.builds(
        lambda key, host: Entry(id=f"i-{key}", url=f"http://10.0.0.{host}:1"), st.integers(0, 5), st.integers(0, 5)
    ),
    unique_by=(lambda entry: entry.id, lambda entry: entry.url),
)


@given(ENTRIES, ENTRIES)
def test_the_plan_leads_to_what_was_seen_and_then_there_is_nothing_to_do(old: list[Entry], new: list[Entry]) -> None:
    seen = [Worker(e.id, "p", "m", 1, "InService", healthy=True, address=e.url[7:].split(":")[0]) for e in new]
    known = Manifest(workers=tuple(old))
    first = after(known, plan(known, seen, {}, 0.0))
    assert len({entry.url for entry in first.workers}) == len(first.workers)
    left = {entry.url: 0.0 for entry in old}
    last = after(first, plan(first, seen, left, REUSE_SECONDS))
    assert last.workers == tuple(sorted(new, key=lambda entry: entry.id))
    assert plan(last, seen, left, REUSE_SECONDS) == []


class Script:
    """A fleet that answers from a list, and a clock that the test moves."""

    def __init__(self, *answers: tuple[Worker, ...] | AwsError) -> None:
        self.answers = list(answers)
        self.now = 0.0

    def view(self) -> FleetView:
        answer = self.answers.pop(0)
        if isinstance(answer, AwsError):
            raise answer
        return FleetView(("default",), answer)


def _error(code: str = "InternalFailure") -> AwsError:
    return AwsError("autoscaling:DescribeAutoScalingGroups", code, "no")


def _discovery(script: Script, path: Path, lines: LogLines) -> Discovery:
    return Discovery(script, path, 2.0, lines.log, clock=lambda: script.now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "workers.json"


def test_the_manifest_is_written_in_the_form_smg_reads(path: Path, lines: LogLines) -> None:
    assert _discovery(Script((WORKER_B, WORKER_A)), path, lines).step() == 2.0
    assert Manifest.model_validate_json(path.read_text()) == BOTH
    assert path.read_text().startswith('{\n "version": 1,\n "workers": [\n')
    assert [path.name for path in path.parent.iterdir()] == ["workers.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_empty_fleet_writes_an_empty_manifest(path: Path, lines: LogLines) -> None:
    _discovery(Script(()), path, lines).step()
    assert read_manifest(path) == Manifest()


def test_the_manifest_is_written_only_when_it_changed(path: Path, lines: LogLines) -> None:
    discovery = _discovery(Script((WORKER_A,), (WORKER_A,), (WORKER_A, WORKER_B), (WORKER_A, WORKER_B)), path, lines)
    inodes = []
    for _ in range(4):
        discovery.step()
        inodes.append(path.stat().st_ino)
    assert inodes[0] == inodes[1] != inodes[2] == inodes[3]


def test_a_deleted_manifest_comes_back(path: Path, lines: LogLines) -> None:
    discovery = _discovery(Script((WORKER_A,), (WORKER_A,)), path, lines)
    discovery.step()
    path.unlink()
    discovery.step()
    assert read_manifest(path) == Manifest(workers=(A,))


def test_the_last_known_fleet_stays_while_aws_is_away(path: Path, lines: LogLines) -> None:
    write_manifest(path, BOTH)
    script = Script(_error(), _error(), _error("AccessDenied"), (WORKER_A, WORKER_B))
    discovery = _discovery(script, path, lines)
    assert [discovery.step() for _ in range(3)] == [2.0, 2.0, 2.0]
    assert (discovery.failing, read_manifest(path)) == (True, BOTH)
    assert [(line["code"], line["keeping_workers"]) for line in lines.named("aws_unavailable")] == [
        ("InternalFailure", 2),
        ("AccessDenied", 2),
    ]
    discovery.step()
    assert (discovery.failing, read_manifest(path)) == (False, BOTH)
    assert [line["after"] for line in lines.named("aws_available")] == ["AccessDenied"]
    assert lines.named("add") == []


def test_throttling_backs_off_and_recovers(path: Path, lines: LogLines) -> None:
    script = Script(_error("Throttling"), _error("Throttling"), _error("Throttling"), (), _error("Throttling"))
    discovery = Discovery(script, path, 1.0, lines.log, clock=lambda: script.now)
    assert [discovery.step() for _ in range(5)] == [2.0, 4.0, 4.0, 1.0, 2.0]


def test_an_address_rests_in_the_loop_too(path: Path, lines: LogLines) -> None:
    heir = _worker("i-c", "10.0.0.1")
    script = Script((WORKER_A,), (heir,), (heir,), (heir,))
    discovery = _discovery(script, path, lines)
    seen = []
    for script.now in (0.0, 2.0, 4.0, 8.0):
        discovery.step()
        seen.append(tuple(entry.id for entry in (read_manifest(path) or Manifest()).workers))
    assert seen == [("i-a",), (), (), ("i-c",)]
    assert len(lines.named("defer")) == 1


def test_a_broken_manifest_is_told_and_replaced(path: Path, lines: LogLines) -> None:
    path.parent.mkdir()
    path.write_text("{not json")
    discovery = _discovery(Script((WORKER_A,)), path, lines)
    assert len(lines.named("manifest_unreadable")) == 1
    discovery.step()
    assert read_manifest(path) == Manifest(workers=(A,))


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    path: Path, lines: LogLines, capsys: pytest.CaptureFixture[str]
) -> None:
    print_plan(_discovery(Script((WORKER_A,)), path, lines))
    assert capsys.readouterr().out == '{"action": "add", "instance": "i-a", "url": "http://10.0.0.1:30000"}\n'
    assert not path.exists()


def test_the_loop_sleeps_the_rest_of_the_interval_and_stops(path: Path, lines: LogLines) -> None:
    waits: list[float] = []
    script = Script((), ())

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            script.now += timeout or 0.0
            if len(waits) == 2:
                self.set()
            return self.is_set()

    def clock() -> float:
        script.now += 0.25
        return script.now

    run(_discovery(script, path, lines), Stop(), clock)
    assert waits == [1.75, 1.75]
