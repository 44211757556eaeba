"""What is deployed: the states in the bucket, read and never written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from plans.terraform_json import BadPlanError
from settings.naming import STACK_STATE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from settings.model import Settings

ABSENT = frozenset({"404", "NoSuchBucket", "NoSuchKey"})
ENDING = ".tfstate"


class _State(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    resources: tuple[JsonValue, ...] = ()


@dataclass(frozen=True)
class State:
    """One stack's state: the names of its outputs, and whether it holds any resource."""

    outputs: frozenset[str]
    holds_something: bool


@dataclass(frozen=True)
class States:
    """The states by stack; the state of the bucket itself is a local file, when it is on this machine."""

    by_stack: Mapping[str, State]
    local: Path | None
    bucket_exists: bool

    def deployed(self, stack: str) -> bool:
        """Whether a stack holds resources."""
        return stack in self.by_stack and self.by_stack[stack].holds_something

    def outputs(self, stack: str) -> frozenset[str]:
        """Outputs that other stacks can read."""
        return self.by_stack[stack].outputs if stack in self.by_stack else frozenset()


def read_states(s3: S3Client, settings: Settings, local: Path) -> States:
    """Read every state of a deployment.

    Args:
        s3: in the deployment's region.
        settings: of the deployment.
        local: where the state of the state stack lies, if it does.

    Raises:
        BadPlanError: a state is not JSON.
        ClientError: the bucket may not be read.
    """
    found = {STACK_STATE: _parse(local.read_bytes(), str(local))} if local.is_file() else {}
    prefix = f"{settings.name}/"
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=settings.state_bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(ENDING)]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ABSENT:
            raise
        return States(found, local if local.is_file() else None, bucket_exists=False)
    for key in keys:
        body = s3.get_object(Bucket=settings.state_bucket, Key=key)["Body"].read()
        found[key.removeprefix(prefix).removesuffix(ENDING)] = _parse(body, f"s3://{settings.state_bucket}/{key}")
    return States(found, local if local.is_file() else None, bucket_exists=True)


def _parse(text: bytes, source: str) -> State:
    try:
        state = _State.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise BadPlanError(f"{source}: no Terraform state ({reason}); restore an earlier version of it") from None
    return State(frozenset(state.outputs), bool(state.resources))
