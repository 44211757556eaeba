"""The rehearsal's stand-in for pynvml, asked by the on-host program as it asks the real one."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from rehearsal.images import HOST_PROGRAMS
from tests.user_data.conftest import LogLines, MetadataServer, lines, metadata, root
from tests.user_data.engine_pages import GOOD
from tests.user_data.nodes import WORKER, node
from tests.user_data.test_engine_pages import Server
from user_data.agent.gpu import BINDING, Gpu, Nvml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LogLines", "lines", "metadata", "root"]


@pytest.fixture
def host(root: Path, metadata: MetadataServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A worker's root with the stand-in on its programs' path."""
    assert metadata.url
    monkeypatch.syspath_prepend(HOST_PROGRAMS)
    for path, text in (("etc/sglang-fleet/node.json", ""), ("opt/sglang/emulator/config.json", "{}")):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text)
    yield root
    sys.modules.pop(BINDING, None)


def _engine_at(host: Path, port: int) -> None:
    config = node(worker=WORKER.model_copy(update={"port": port}))
    (host / "etc/sglang-fleet/node.json").write_text(config.model_dump_json())


@pytest.mark.parametrize(("running", "utilization", "temperature"), [(3.0, 97.0, 66.0), (0.0, 0.0, 38.0)])
def test_one_gpu_that_is_as_busy_as_the_engine(
    host: Path, running: float, utilization: float, temperature: float
) -> None:
    server = Server("127.64.9.9")  # the address that the metadata service tells
    server.page = GOOD.replace("} 3.0", f"}} {running}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {"gpu_memory_gib": 50.0, "mem_fraction_static": 0.89}
    (host / "opt/sglang/emulator/config.json").write_text(json.dumps(settings))
    _engine_at(host, server.server_port)
    try:
        assert Nvml().read() == (Gpu(90.0, utilization, temperature),)
    finally:
        server.shutdown()
        server.server_close()


def test_without_an_engine_the_gpu_is_empty(host: Path) -> None:
    _engine_at(host, 9)
    (gpu,) = Nvml().read()
    assert (gpu.utilization, gpu.temperature) == (0.0, 38.0)
    assert gpu.memory < 2
