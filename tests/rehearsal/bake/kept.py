"""A rehearsal of `bake` that was kept, in a network of its own: its tools, its cloud's control port, its account."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import httpx
import pytest

from rehearsal import leftovers
from rehearsal.environment import removed
from rehearsal.orders import Order
from rehearsal.places import API_PORT, CONTROL_PORT, NETWORK_VARIABLE, REPOSITORY, WorkFolder

# Outside 127.64.0.0/16, where single addresses of many other tests are.
OWN_NETWORK = IPv4Network("127.66.0.0/19")
WORK = WorkFolder(REPOSITORY / f".rehearsal-{OWN_NETWORK.network_address}")
BAKE_SECONDS = 900


def rehearse(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet", "rehearse", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env={**os.environ, NETWORK_VARIABLE: str(OWN_NETWORK)},
    )


@dataclass(frozen=True)
class Outcome:
    """How a `fleet bake` ended."""

    status: int
    told: str
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Everything it said, on one line."""
        return " ".join(self.told.split())


@dataclass(frozen=True)
class Kept:
    """The rehearsal's result, and how to go on with what it has left."""

    result: dict[str, Any]
    shown: str

    @property
    def variables(self) -> dict[str, str]:
        """What `. WORK/env` sets."""
        script = f'. "{WORK.environment_file}" && env -0'
        inherited = {name: value for name, value in os.environ.items() if not removed(name)}
        text = subprocess.run(["bash", "-c", script], env=inherited, capture_output=True, text=True, check=True).stdout
        return dict(line.split("=", 1) for line in text.split("\0") if line)

    def without(self, setting: str) -> dict[str, str]:
        """The same without one of the overrides."""
        variables = self.variables
        context = {
            name: value for name, value in json.loads(variables["CDKTF_CONTEXT_JSON"]).items() if name != setting
        }
        return {**variables, "CDKTF_CONTEXT_JSON": json.dumps(context)}

    def site(self, name: str, **changes: object) -> Path:
        """The site file with some keys changed."""
        site = json.loads((WORK.bakery / "site.json").read_text())
        path = WORK.bakery / f"{name}.json"
        path.write_text(json.dumps({**site, **changes}))
        return path

    def image(self, stack: str) -> str:
        """The image that a stack's bake has recorded."""
        name = f"/sglang-fleet/rehearsal/image/{stack}"
        return str(self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])

    def client(self, service: str) -> Any:
        url = f"http://{OWN_NETWORK[-2]}:{API_PORT}"
        return leftovers.clients("us-east-1").client(service, endpoint_url=url, config=leftovers.CONFIG)  # type: ignore[call-overload]

    def order(self, order: Order) -> None:
        url = f"http://{OWN_NETWORK[-2]}:{CONTROL_PORT}{order.path}"
        with httpx.Client(trust_env=False) as client:
            client.post(url, content=order.model_dump_json()).raise_for_status()

    def inventory(self) -> frozenset[leftovers.Resource]:
        """Everything that the account holds; instances that are shutting down are waited for."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leftovers, "API_URL", f"http://{OWN_NETWORK[-2]}:{API_PORT}")
            return leftovers.take_inventory("us-east-1")

    def left_since(self, before: frozenset[leftovers.Resource], seconds: float = 30) -> tuple[leftovers.Resource, ...]:
        """What is there now and was not before; what is on its way out gets some seconds."""
        deadline = time.monotonic() + seconds
        while (left := leftovers.left_behind(before, self.inventory())) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left

    def start(self, *arguments: str, site: Path | None = None, variables: dict[str, str] | None = None) -> Running:
        """Start `fleet bake`."""
        chosen = ["--site", str(site or WORK.bakery / "site.json")]
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet", "bake", "--json", *chosen, *arguments],
            cwd=REPOSITORY,
            env=variables or self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Running(process)


@dataclass
class Running:
    """A `fleet bake` that runs."""

    process: subprocess.Popen[str]
    told: list[str] = field(default_factory=list)

    def until(self, pattern: str) -> None:
        """Read what it says until a line matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told.append(line)
            if re.search(pattern, line):
                return
        pytest.fail(f"it never said {pattern}: {''.join(self.told)}")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def outcome(self) -> Outcome:
        """Wait for its end."""
        printed, told = self.process.communicate(timeout=BAKE_SECONDS)
        result = json.loads(printed) if printed.startswith("{") else {}
        return Outcome(self.process.returncode, "".join(self.told) + told, result)
