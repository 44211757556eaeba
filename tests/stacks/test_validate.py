"""`terraform validate` with the real provider, for every stack of every shipped environment.

One run for all: each stack is a module of one root, because loading the provider (seconds) costs far more than looking
at a stack. The backends, which only a root module may have, are used for real by the rehearsal.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.places import WorkFolder
from rehearsal.tools import find_tools, write_terraform_configuration
from tests.stacks.synthesized import ENVIRONMENTS, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow
Documents = dict[str, "Mapping[str, Any]"]


def run_terraform(folder: Path, *arguments: str) -> str:
    work = WorkFolder(folder / "work")
    work.create()
    tools = find_tools(os.environ)
    configuration = write_terraform_configuration(work, tools, os.environ)
    variables = {**os.environ, "TF_CLI_CONFIG_FILE": str(configuration), "CHECKPOINT_DISABLE": "1"}
    command = [str(tools.terraform), *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False).stdout


def errors(documents: Documents, folder: Path) -> list[str]:
    """What Terraform and the provider refuse in these stacks, each with its stack."""
    modules = {name: {"source": f"./{name}"} for name in documents}
    (folder / "root.tf.json").write_text(json.dumps({"module": modules}))
    for name, document in documents.items():
        (folder / name).mkdir()
        (folder / name / "cdk.tf.json").write_text(json.dumps(document, indent=1))
    run_terraform(folder, "init", "-backend=false", "-input=false")
    result = json.loads(run_terraform(folder, "validate", "-json"))
    return [
        f"{item.get('range', {}).get('filename')}: {item['summary']}: {item['detail']}"
        for item in result["diagnostics"]
        if item["severity"] == "error"
    ]


def all_stacks() -> Documents:
    return {
        f"{name}_{stack}": document for name in ENVIRONMENTS for stack, document in environment(name).stacks.items()
    }


def test_terraform_accepts_every_stack_of_every_environment(tmp_path: Path) -> None:
    documents = all_stacks()
    assert len(documents) >= 5 * len(ENVIRONMENTS)
    assert errors(documents, tmp_path) == []


def test_it_names_the_stack_that_is_wrong(tmp_path: Path) -> None:
    documents = {name: json.loads(json.dumps(document)) for name, document in environment("example").stacks.items()}
    documents["workers-default"]["resource"]["aws_autoscaling_group"]["group"]["max_size"] = "many"
    (found,) = errors(documents, tmp_path)
    assert found.startswith("workers-default/cdk.tf.json: Incorrect attribute value type")
