"""A copy of the synthesized stacks that can be planned without touching the operator's folder, a lock or a state.

A stack whose upper stacks are not deployed yet cannot be planned as it is: it reads ids from their states. In the copy
it reads placeholders of the right form instead, so that a first deploy can be reviewed as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from plans.change import Json, inner
from plans.states import States
from settings.naming import STACK_STATE

FILE = "cdk.tf.json"
REMOTE_STATE = "terraform_remote_state"
UPPER = "cross-stack-reference-input-"
READS = re.compile(r"data\.terraform_remote_state\.cross-stack-reference-input-([\w-]+)\.outputs\.([\w-]+)")
EXPRESSION = re.compile(r"\$\{(\w+)\.[\w.-]+\.(\w+)\}")
# Ids have the form that the provider's own checks ask for.
IDS: Mapping[str, str] = {
    "aws_security_group": "sg-00000000000000000",
    "aws_subnet": "subnet-00000000000000000",
    "aws_vpc": "vpc-00000000000000000",
}
SERVICES: Mapping[str, str] = {"aws_cloudwatch_log_group": "logs", "aws_sns_topic": "sns"}


@dataclass(frozen=True)
class Copy:
    """A stack in the scratch folder. `missing`: the upper stacks whose outputs are made up."""

    stack: str
    folder: Path
    missing: tuple[str, ...]


def copy_stacks(synthesized: Path, scratch: Path, states: States) -> tuple[Copy, ...]:
    """Copy every stack.

    Args:
        synthesized: the folder that `cdktf synth` wrote.
        scratch: where the copies go, a folder for each stack.
        states: what is deployed.
    """
    files = sorted((synthesized / "stacks").glob(f"*/{FILE}"))
    documents: dict[str, dict[str, Json]] = {file.parent.name: json.loads(file.read_text()) for file in files}
    return tuple(_copy(stack, documents, scratch, states) for stack in documents)


def _copy(stack: str, documents: Mapping[str, dict[str, Json]], scratch: Path, states: States) -> Copy:
    folder = scratch / stack
    folder.mkdir(parents=True)
    document = documents[stack]
    _set_backend(stack, document, states)
    missing = sorted(_replace_missing(document, documents, folder, states))
    (folder / FILE).write_text(json.dumps(document))
    return Copy(stack, folder, tuple(missing))


def _set_backend(stack: str, document: dict[str, Json], states: States) -> None:
    """Without a state there is no backend to ask: the bucket may not be there yet."""
    terraform = document["terraform"]
    assert isinstance(terraform, dict)  # noqa: S101 - for the type checker
    if stack not in states.by_stack:
        terraform.pop("backend", None)
    elif stack == STACK_STATE:
        terraform["backend"] = {"local": {"path": str(states.local)}}


def _replace_missing(
    document: dict[str, Json], documents: Mapping[str, dict[str, Json]], folder: Path, states: States
) -> Iterator[str]:
    """Give every remote state that lacks an output placeholders; yields the stacks that they stand for."""
    reads = set(READS.findall(json.dumps(document)))
    for upper in sorted({stack for stack, _ in reads}):
        made_up = {name: _placeholder(documents, upper, name) for stack, name in reads if stack == upper}
        source = inner(document["data"], REMOTE_STATE, f"{UPPER}{upper}")
        if not isinstance(source, dict) or not made_up.keys() - states.outputs(upper):
            continue
        yield upper
        if upper in states.by_stack:
            source["defaults"] = dict(made_up)
        else:
            source.update(backend="local", config={"path": str(_write_state(folder, upper, made_up))})


def _placeholder(documents: Mapping[str, dict[str, Json]], stack: str, output: str) -> str:
    """A value of the form that the output will have, from the expression that makes it."""
    expression = inner(documents.get(stack), "output", output, "value")
    found = EXPRESSION.fullmatch(expression) if isinstance(expression, str) else None
    kind, attribute = found.groups() if found else ("", "")
    if attribute == "arn":
        region = inner(documents.get(stack), "provider", "aws", 0, "region")
        return f"arn:aws:{SERVICES.get(kind, 'iam')}:{region}:000000000000:of-{stack}"
    return IDS.get(kind, f"of-{stack}")


def _write_state(folder: Path, upper: str, outputs: Mapping[str, str]) -> Path:
    """A state with nothing but outputs; format 4 since Terraform 0.12."""
    path = folder / f"{upper}.tfstate"
    values = {name: {"value": value, "type": "string"} for name, value in outputs.items()}
    state = {"version": 4, "terraform_version": "1.10.0", "serial": 1, "lineage": f"of-{upper}", "outputs": values}
    path.write_text(json.dumps({**state, "resources": []}))
    return path
