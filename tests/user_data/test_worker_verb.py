"""`fleet-agent worker`: which life it begins, and with what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.user_data.nodes import GROUPED_WORKER, GROUPED_WORKER_NODE, LIFE_CYCLE, WORKER_NODE
from user_data.agent import __main__ as program
from user_data.agent import life, telemetry, worker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.user_data.conftest import MetadataServer
    from user_data.node_config import NodeConfig


class Begun:
    """What was begun, in place of an engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plain: list[bool] = []
        self.scenes: list[life.Scene] = []
        self.published: list[telemetry.Telemetry] = []
        begun = self

        class Life:
            def __init__(self, scene: life.Scene) -> None:
                self.scene = scene

            def run(self) -> None:
                assert self.scene.watch.look(0.0).way == "warm"
                begun.scenes.append(self.scene)

        def run(*_: object, once: bool) -> None:
            begun.plain.append(once)

        monkeypatch.setattr(life, "Life", Life)
        monkeypatch.setattr(telemetry, "start", lambda made, _stop: self.published.append(made))
        monkeypatch.setattr(worker, "run", run)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, metadata: MetadataServer) -> Begun:
    metadata.values["/latest/meta-data/autoscaling/target-lifecycle-state"] = "Warmed:Stopped"
    return Begun(monkeypatch)


def _run(config: NodeConfig, folder: Path, *words: str) -> int:
    path = folder / "node.json"
    path.write_text(config.model_dump_json())
    return program.main(["worker", "--config", f"file://{path}", *words])


def test_a_worker_of_a_group_lives_its_groups_life(begun: Begun, tmp_path: Path) -> None:
    assert _run(GROUPED_WORKER_NODE, tmp_path) == 0
    (scene,) = begun.scenes
    assert (scene.config, scene.host.worker) == (LIFE_CYCLE, GROUPED_WORKER)
    assert scene.host.private_ip == "127.64.9.9"
    assert begun.plain == []


@pytest.mark.parametrize(("config", "words"), [(WORKER_NODE, ()), (GROUPED_WORKER_NODE, ("--once",))])
def test_without_a_group_or_by_hand_no_hook_is_answered(
    config: NodeConfig, words: tuple[str, ...], begun: Begun, tmp_path: Path
) -> None:
    assert _run(config, tmp_path, *words) == 0
    assert (begun.plain, begun.scenes) == ([bool(words)], [])


@pytest.mark.parametrize("words", [(), ("--once",)])
def test_its_metrics_are_published_beside_its_life_but_not_by_hand(
    words: tuple[str, ...], begun: Begun, tmp_path: Path
) -> None:
    assert _run(GROUPED_WORKER_NODE, tmp_path, *words) == 0
    assert len(begun.published) == (0 if words else 1)


def test_a_dry_run_prints_what_would_be_published_and_begins_nothing(
    begun: Begun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(GROUPED_WORKER_NODE, tmp_path, "--dry-run") == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "command" in printed[0]
    assert printed[-1] == {"action": "publish_nothing", "reason": "neither the engine nor a GPU answers"}
    assert (begun.plain, begun.scenes, begun.published) == ([], [], [])
