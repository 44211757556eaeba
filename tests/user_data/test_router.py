from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.user_data.nodes import ROUTER, ROUTER_NODE, node
from user_data.agent import router

if TYPE_CHECKING:
    from pathlib import Path

    from tests.user_data.conftest import LogLines

KEY = "sk-0123456789abcdef"


def _options(words: tuple[str, ...]) -> dict[str, str]:
    return {word: value for word, value in zip(words, [*words[1:], ""], strict=True) if word.startswith("--")}


def test_arguments(root: Path) -> None:
    options = _options(router.arguments(ROUTER, "127.64.0.100"))
    assert options["--host"] == options["--prometheus-host"] == "127.64.0.100"
    assert (options["--port"], options["--prometheus-port"]) == ("8000", "29000")
    assert options["--policy"] == "cache_aware"
    assert (options["--balance-abs-threshold"], options["--balance-rel-threshold"]) == ("2", "1.2")
    assert options["--discovery-provider"] == "file"
    assert options["--discovery-file"] == f"{root}/run/sglang-fleet/workers.json"
    assert options["--tls-cert-path"] == f"{root}/run/sglang-fleet/tls-certificate.pem"
    assert options["--tls-key-path"] == f"{root}/run/sglang-fleet/tls-key.pem"
    assert options["--max-concurrent-requests"] == "4096"
    assert options["--request-timeout-secs"] == "1800"
    assert options["--load-monitor-interval"] == "1", "or prompts that no cache holds all go to one worker for 10 s"
    assert "--api-key" not in options


def test_a_hung_worker_is_out_of_routing_within_8_seconds() -> None:
    options = _options(router.arguments(ROUTER, "127.64.0.100"))
    interval, limit = (int(options[f"--health-check-{name}-secs"]) for name in ("interval", "timeout"))
    failures = int(options["--health-failure-threshold"])
    assert interval + failures * max(limit, interval) <= 8
    assert limit > 5  # SGLang's own answer while it reads long prompts in parts, see ADR 0006
    assert options["--health-check-endpoint"] == "/health_generate"
    assert "--no-remove-unhealthy-workers" in options  # else a fleet that is silent as a whole is answered 404


def test_without_tls_there_are_no_tls_arguments() -> None:
    plain = ROUTER.model_copy(update={"tls": None})
    assert not any(word.startswith("--tls") for word in router.arguments(plain, "127.64.0.100"))


def test_behind_a_load_balancer_the_host_listens_on_its_own_address() -> None:
    behind = ROUTER.model_copy(update={"listen": "0.0.0.0"})  # noqa: S104 - the value under test
    assert router.listen_address(behind, lambda: "10.0.0.7") == "10.0.0.7"
    assert router.listen_address(ROUTER, lambda: "10.0.0.7") == "127.64.0.100"


def test_the_command_for_people_has_no_key() -> None:
    assert router.command(ROUTER_NODE, ROUTER, "127.64.0.100")[-2:] == ("--api-key", "***")
    assert "--api-key" not in router.command(node(router=ROUTER, key=None), ROUTER, "127.64.0.100")


def test_run_hands_the_secrets_over_and_logs_none(root: Path, lines: LogLines, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(router, "get_secret_parameter", lambda _name, _region: KEY)
    monkeypatch.setattr(router, "get_secret_text", lambda secret, _region: f"PEM of {secret}")
    monkeypatch.setattr(router, "start_smg", started.append)
    router.run(ROUTER_NODE, ROUTER, "127.64.0.100", lines.log)
    assert started[0][0] == "launch"
    assert started[0][-2:] == ["--api-key", KEY]
    key_file = root / "run/sglang-fleet/tls-key.pem"
    assert key_file.read_text() == "PEM of fleet/key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert KEY not in lines.stream.getvalue()
    assert len(lines.named("router_starting")) == 1


def test_a_missing_router_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(router.MissingRouterError, match=r"install the Pipfile's \[router\] group"):
        router.start_smg([])
