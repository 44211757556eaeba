"""The whole line with real SGLang behind the router, in a network of its own, so that it can run beside another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from rehearsal.places import NETWORK_VARIABLE, REPOSITORY
from rehearsal.processes import marked

pytestmark = pytest.mark.slow

NETWORK = "127.64.128.0/18"
WORK = REPOSITORY / ".rehearsal-127.64.128.0"


def test_the_whole_line_with_real_sglang() -> None:
    command = [sys.executable, "-m", "fleet", "rehearse", "--json", "--engine", "sglang", "--requests", "8"]
    environment = {**os.environ, NETWORK_VARIABLE: NETWORK}
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=840, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert all(phase["passed"] for phase in result["phases"])
    assert set(result["stacks"]) == {"state", "logs", "network", "router", "workers-default"}
    assert all(stack["applied"] == stack["destroyed"] > 0 for stack in result["stacks"].values())
    requests = result["requests"]
    assert (requests["sent"], requests["complete"], requests["streamed"]) == (8, 8, 4)
    assert requests["prefix_cache_hit_tokens"] > 0
    assert result["leftovers"] == []
    assert "PASS" in done.stderr
    assert marked("SGLANG_FLEET_ROOT", str(WORK)) == ()
