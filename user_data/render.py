"""User data of a host: one cloud-config document that carries the host's NodeConfig and names the units to start."""

from __future__ import annotations

import json
from typing import TypedDict

from user_data.cloudwatch_agent import AGENT_CONFIGURATION_PATH, agent_configuration
from user_data.node_config import AGENT_HOME, NODE_CONFIG_PATH, NodeConfig

USER_DATA_LIMIT = 16 * 1024
"""Bytes of raw user data that EC2 takes (EC2 user guide, "Run commands when you launch an EC2 instance")."""

BOOT = f"{AGENT_HOME}/bin/boot.sh"


class UserDataTooLargeError(ValueError):
    """The rendered user data does not fit into what EC2 takes."""


class _File(TypedDict):
    path: str
    permissions: str
    content: str


def render_user_data(node: NodeConfig) -> str:
    """Render cloud-config that writes `node.json` and the log agent's configuration and then runs `boot.sh UNIT…`.

    The document is JSON, which is YAML too: no quoting rules to get wrong, and the same bytes for the same input.

    Raises:
        UserDataTooLargeError: it is larger than 16 KiB; the sentence names the size of each part.
    """
    files = (
        _file(NODE_CONFIG_PATH, node.model_dump_json()),
        _file(AGENT_CONFIGURATION_PATH, json.dumps(agent_configuration(node), separators=(",", ":"))),
    )
    document = {"write_files": files, "runcmd": [[BOOT, *node.units]]}
    text = f"#cloud-config\n{json.dumps(document, indent=1)}\n"
    _check_size(text, files)
    return text


def _file(path: str, content: str) -> _File:
    return {"path": path, "permissions": "0644", "content": content + "\n"}


def _check_size(text: str, files: tuple[_File, ...]) -> None:
    size = len(text.encode())
    if size <= USER_DATA_LIMIT:
        return
    parts = ", ".join(f"{file['path']} {len(file['content'].encode())}" for file in files)
    raise UserDataTooLargeError(
        f"user data: {size} bytes are over EC2's limit of {USER_DATA_LIMIT} ({parts}); "
        "shorten the engine arguments of the pool (a long value can be a file on the image)"
    )
