"""What the hosts read, compared with golden files. UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.user_data.nodes import NODES, WORKER, node
from user_data.cloudwatch_agent import agent_configuration
from user_data.node_config import NodeConfig
from user_data.render import USER_DATA_LIMIT, UserDataTooLargeError, render_user_data

GOLDEN = Path(__file__).parent / "golden"


def _compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; UPDATE_GOLDEN=1 accepts the new text"


@pytest.mark.parametrize("role", sorted(NODES))
def test_node_config_is_what_hosts_were_promised(role: str) -> None:
    text = NODES[role].model_dump_json(indent=2) + "\n"
    _compare(f"{role}.node.json", text)
    assert NodeConfig.model_validate_json(text) == NODES[role]


@pytest.mark.parametrize("role", sorted(NODES))
def test_user_data(role: str) -> None:
    _compare(f"{role}.user_data.yaml", render_user_data(NODES[role]))


@pytest.mark.parametrize("role", sorted(NODES))
def test_cloud_init_reads_the_node_config_back(role: str) -> None:
    text = render_user_data(NODES[role])
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    files = {file["path"]: file for file in document["write_files"]}
    written = files["/etc/sglang-fleet/node.json"]
    assert NodeConfig.model_validate_json(written["content"]) == NODES[role]
    assert written["permissions"] == "0644"
    assert document["runcmd"] == [["/opt/sglang-fleet/bin/boot.sh", *NODES[role].units]]


def test_a_host_without_api_key_reads_back_too() -> None:
    bare = node(worker=WORKER, key=None)
    document = yaml.safe_load(render_user_data(bare))
    assert NodeConfig.model_validate_json(document["write_files"][0]["content"]) == bare


def test_too_large_names_the_parts() -> None:
    large = node(worker=WORKER.model_copy(update={"engine_arguments": ("--chat-template", "x" * USER_DATA_LIMIT)}))
    with pytest.raises(UserDataTooLargeError) as caught:
        render_user_data(large)
    sentence = str(caught.value)
    assert "bytes are over EC2's limit of 16384" in sentence
    assert "/etc/sglang-fleet/node.json 16" in sentence
    assert sentence.endswith("shorten the engine arguments of the pool (a long value can be a file on the image)")


@pytest.mark.parametrize("role", sorted(NODES))
def test_log_agent_writes_to_the_group_of_the_stack(role: str) -> None:
    configuration = json.loads(json.dumps(agent_configuration(NODES[role])))
    files = configuration["logs"]["logs_collected"]["files"]["collect_list"]
    assert {file["log_group_name"] for file in files} == {NODES[role].logs.group}
    assert len({file["log_stream_name"] for file in files}) == len(files)
    assert configuration["metrics"]["namespace"] == NODES[role].logs.metrics_namespace
    assert set(configuration["metrics"]["metrics_collected"]) == {"cpu", "mem", "disk"}  # GPUs are the agent's part
