"""How pip and apt of a build host reach what this computer's reach: its mirrors, proxies and certificates.

apt's configuration lies in /etc, which a build host sees. pip's may lie in a home folder, which it does not, so it is
handed over as variables; folders and files that they name are shown to the host read-only.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from rehearsal.bake.base_image import layers
from rehearsal.environment import NO_PROXY

# What says where packages come from; settings of pip that say what to do with them stay here.
PIP_OPTIONS = frozenset(
    {
        "cert",
        "client-cert",
        "default-timeout",
        "extra-index-url",
        "find-links",
        "index-url",
        "no-index",
        "proxy",
        "retries",
        "timeout",
        "trusted-host",
    }
)
OTHERS = frozenset(
    {
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
)
SETTING = re.compile(r"^(?P<where>[^.]+)\.(?P<option>[a-z-]+)=(?P<value>'.*'|\".*\")$")


def pip_settings() -> str:
    """What pip says of its configuration, from files and variables.

    Raises:
        subprocess.CalledProcessError: pip cannot read its configuration.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pip_variables(listing: str) -> dict[str, str]:
    """The configuration as variables: files first, variables over them."""
    chosen: dict[bool, dict[str, str]] = {False: {}, True: {}}
    for line in listing.splitlines():
        found = SETTING.match(line)
        if found is not None and found["option"] in PIP_OPTIONS:
            name = f"PIP_{found['option'].upper().replace('-', '_')}"
            value = " ".join(str(ast.literal_eval(found["value"])).split())
            chosen[found["where"] == ":env:"][name] = value
    return chosen[False] | chosen[True]


def host_variables(environ: Mapping[str, str], listing: str) -> dict[str, str]:
    """Variables of every session on a build host."""
    kept = {name: value for name, value in environ.items() if name in OTHERS}
    local = (
        {"NO_PROXY": NO_PROXY, "no_proxy": NO_PROXY} if any(name.lower().endswith("_proxy") for name in kept) else {}
    )
    return {**pip_variables(listing), **kept, **local}


def named_paths(values: Iterable[str]) -> tuple[str, ...]:
    """Folders and files of this computer that variables name, without those that a build host sees anyway.

    Of an index its parent folder: its pages lead to files beside them (`../../files/…`).
    """
    words = {word for value in values for word in value.split()}
    indexes = {Path(word.removeprefix("file://")).parent for word in words if word.startswith("file:///")}
    paths = {str(path) for path in indexes | {Path(word) for word in words if word.startswith("/")} if path.exists()}
    outside = {path for path in paths if path.split("/")[1] not in layers()}
    return tuple(sorted(path for path in outside if not any(path.startswith(f"{other}/") for other in outside)))
