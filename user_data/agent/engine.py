"""The engine's command, environment and secret file. No process is started here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from user_data.agent.host import rooted, write_secret
from user_data.node_config import COMPILE_CACHE_DIRECTORY, ENGINE_HOME, RUN_DIRECTORY, WorkerConfig

if TYPE_CHECKING:
    from pathlib import Path

ENGINE_COMMAND = f"{ENGINE_HOME}/venv/bin/sglang"
SECRET_FILE = f"{RUN_DIRECTORY}/engine-secret.yaml"
"""SGLang's --config takes .yaml only; it puts what it reads there before the arguments (SGLang 0.5.23)."""


def command(worker: WorkerConfig, private_ip: str, *, with_key: bool) -> tuple[str, ...]:
    """Return the engine's command line. It names the file with the API key (`with_key`), never the key."""
    own = (
        *("--model-path", str(rooted(worker.model_path))),
        *("--host", private_ip),
        *("--port", str(worker.port)),
        *("--served-model-name", worker.served_model_name),
        "--enable-metrics",
    )
    secret = ("--config", str(rooted(SECRET_FILE))) if with_key else ()
    return (str(rooted(ENGINE_COMMAND)), "serve", *own, *worker.engine_arguments, *secret)


def environment() -> dict[str, str]:
    """Return the engine's own variables: one folder on the image for every compile cache, and a quick /health.

    smg asks /health twice before it sends a new worker its first request, and with SGLang's default each answer takes a
    second (a generation): 2.3 s, against 0.25 s so (measured, ADR 6). What has to find a hang asks /health_generate.
    """
    base = rooted(COMPILE_CACHE_DIRECTORY)
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(base / "inductor"),
        "TRITON_CACHE_DIR": str(base / "triton"),
        "SGLANG_CACHE_DIR": str(base / "sglang"),  # deep_gemm and cute kernels are below it by default
        "FLASHINFER_WORKSPACE_BASE": str(base / "flashinfer"),
        "CUDA_CACHE_PATH": str(base / "cuda"),
        "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0",
    }


def write_api_key(key: str) -> Path:
    """Write the file that carries the API key to the engine, readable by its owner only, and return its path.

    Quoted as JSON, which is YAML: a key of digits stays text.
    """
    path = rooted(SECRET_FILE)
    write_secret(path, f"api-key: {json.dumps(key)}\n")
    return path
