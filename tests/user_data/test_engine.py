from __future__ import annotations

from typing import TYPE_CHECKING

from tests.user_data.nodes import WORKER
from user_data.agent.engine import command, environment, write_api_key

if TYPE_CHECKING:
    from pathlib import Path


def test_command(root: Path) -> None:
    words = command(WORKER, "127.64.1.5", with_key=True)
    assert words == (
        *(f"{root}/opt/sglang/venv/bin/sglang", "serve"),
        *("--model-path", f"{root}/opt/sglang/models/tiny"),
        *("--host", "127.64.1.5"),
        *("--port", "30000"),
        *("--served-model-name", "org/Tiny"),
        "--enable-metrics",
        *("--mem-fraction-static", "0.85", "--tp-size", "4", "--trust-remote-code"),
        *("--config", f"{root}/run/sglang-fleet/engine-secret.yaml"),
    )
    assert "--config" not in command(WORKER, "127.64.1.5", with_key=False)


def test_the_key_file_is_for_its_owner_only_and_keeps_digits_text(root: Path) -> None:
    path = write_api_key("0123456789")
    assert path == root / "run/sglang-fleet/engine-secret.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == 'api-key: "0123456789"\n'


def test_every_cache_is_in_the_folder_on_the_image(root: Path) -> None:
    base = f"{root}/opt/sglang/torch_compile_cache/"
    assert environment()["TORCHINDUCTOR_CACHE_DIR"] == base + "inductor"
    caches = {name: value for name, value in environment().items() if not name.startswith("SGLANG_ENABLE")}
    assert all(value.startswith(base) for value in caches.values())
    assert environment().keys() - caches.keys() == {"SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION"}
