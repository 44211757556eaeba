from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.user_data.nodes import ROUTER, WORKER, node
from user_data.agent import check
from user_data.agent.__main__ import main
from user_data.agent.aws import AwsError, SecretFormatError
from user_data.agent.check import Finding
from user_data.agent.metadata import ENDPOINT_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.user_data.conftest import LogLines, MetadataServer
    from user_data.node_config import NodeConfig

KEY = "sk-0123456789abcdef"


def _key(_name: str, _region: str) -> str:
    return KEY


def _source(root: Path, config: NodeConfig) -> str:
    path = root / "node.json"
    path.write_text(config.model_dump_json())
    return f"file://{path}"


def _found(source: str, read_secret: check.Secret = _key) -> dict[str, Finding]:
    return {finding.subject: finding for finding in check.findings(source, read_secret)}


@pytest.fixture
def worker_source(root: Path, metadata: MetadataServer) -> str:
    """A worker host on which all is well."""
    assert metadata.url
    binary = root / "opt/sglang/venv/bin/sglang"
    binary.parent.mkdir(parents=True)
    binary.touch(0o755)
    for folder in ("models/tiny", "torch_compile_cache", "logs"):
        (root / "opt/sglang" / folder).mkdir(parents=True)
    (root / "opt/sglang/models/tiny/config.json").write_text("{}")
    return _source(root, node(worker=WORKER))


def test_a_good_worker(worker_source: str) -> None:
    assert {finding.outcome for finding in _found(worker_source).values()} == {"ok"}


@pytest.mark.parametrize(
    ("path", "subject"),
    [("venv/bin/sglang", "engine"), ("models/tiny/config.json", "model")],
)
def test_what_is_missing_on_the_image_fails_with_a_remedy(
    worker_source: str, root: Path, path: str, subject: str
) -> None:
    (root / "opt/sglang" / path).unlink()
    finding = _found(worker_source)[subject]
    assert finding.outcome == "failed"
    assert "image" in finding.remedy


def test_a_missing_folder_fails(worker_source: str, root: Path) -> None:
    (root / "opt/sglang/torch_compile_cache").rmdir()
    outcomes = [finding.outcome for finding in check.findings(worker_source, _key)]
    assert outcomes.count("failed") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (AwsError("ssm:GetParameter", "ParameterNotFound", "none"), "failed"),
        (AwsError("ssm:GetParameter", "AccessDeniedException", "no"), "failed"),
        (AwsError("ssm:GetParameter", "EndpointConnectionError", "away"), "retried"),
        (SecretFormatError("/k: bad"), "failed"),
    ],
)
def test_only_a_definite_answer_about_the_key_fails(worker_source: str, error: Exception, outcome: str) -> None:
    def refuse(_name: str, _region: str) -> str:
        raise error

    assert _found(worker_source, refuse)["api key"].outcome == outcome


def test_a_silent_metadata_service_does_not_fail_the_host(worker_source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLE, "http://127.64.9.1:9")
    monkeypatch.setattr("user_data.agent.metadata.time.sleep", lambda _seconds: None)
    assert _found(worker_source)["metadata"].outcome == "retried"


def test_a_router_needs_smg_and_its_address(
    root: Path, metadata: MetadataServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metadata.url
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    elsewhere = ROUTER.model_copy(update={"listen": "192.0.2.1"})
    found = _found(_source(root, node(router=elsewhere)))
    assert found["smg"].outcome == "failed"
    assert found["listen address"].detail == "192.0.2.1: Cannot assign requested address"
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    found = _found(_source(root, node(router=ROUTER)))
    assert {finding.outcome for finding in found.values()} == {"ok"}


def test_neither_role_fails(root: Path, metadata: MetadataServer) -> None:
    assert metadata.url
    assert _found(_source(root, node(key=None)))["role"].outcome == "failed"


def test_the_log_has_a_line_a_finding(worker_source: str, lines: LogLines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "findings", lambda source: [Finding("model", "failed", source, "bake again")])
    assert not check.check(worker_source, lines.log)
    (line,) = lines.named("check")
    assert (line["level"], line["subject"], line["remedy"]) == ("error", "model", "bake again")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "No such file or directory; cloud-init writes it from the instance's user data"),
        ("{", "file: Invalid JSON"),
        ('{"version": 2}', "version: Input should be 1"),
        ('{"extra": 1}', "extra: Extra inputs are not permitted"),
    ],
)
def test_an_unusable_config_is_one_sentence(
    root: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    path = root / "node.json"
    if text is not None:
        path.write_text(text)
    assert main(["check", "--config", f"file://{path}"]) == 1
    assert main(["discovery", "--config", f"file://{path}"]) == 2
    written = capsys.readouterr().out
    assert written.count(sentence) == 2
    assert "Traceback" not in written


def test_other_schemes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--config", "https://127.0.0.1/node.json"]) == 2
    assert "is not a file:// address; write file:///path/to/node.json" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["router", "discovery"])
def test_a_worker_is_no_router(worker_source: str, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--config", worker_source]) == 2
    assert "router: missing; this host is not a router" in capsys.readouterr().out


def test_dry_runs_print_commands_without_the_key(
    worker_source: str, root: Path, metadata: MetadataServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--config", worker_source, "--dry-run"]) == 0
    assert f'"--config", "{root}/run/sglang-fleet/engine-secret.yaml"]' in capsys.readouterr().out
    assert not (root / "run").exists()
    assert metadata.url
    assert main(["router", "--config", _source(root, node(router=ROUTER)), "--dry-run"]) == 0
    assert '"--api-key", "***"' in capsys.readouterr().out
