"""The API key: a random SecureString in SSM Parameter Store, kept outside Terraform so that no state holds it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from user_data.node_config import TAG_DEPLOYMENT

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

KEY_BYTES = 32  # 256 bits
KEY_PREFIX = "sk-"  # what OpenAI clients expect; and the engine would take a key that begins with a dash for a flag


def ensure_api_key(ssm: SSMClient, parameter: str, deployment: str) -> bool:
    """Create the parameter with a new random key unless it exists; True when it was created."""
    try:
        ssm.put_parameter(
            Name=parameter,
            Description=f"API key of router and engines of {deployment}",
            Type="SecureString",
            Value=KEY_PREFIX + secrets.token_hex(KEY_BYTES),
            Overwrite=False,
            Tags=[{"Key": TAG_DEPLOYMENT, "Value": deployment}],
        )
    except ssm.exceptions.ParameterAlreadyExists:
        return False
    return True


def read_api_key(ssm: SSMClient, parameter: str) -> str:
    """Return the key.

    Raises:
        ClientError: it is not there, or may not be read.
    """
    return ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"]


def delete_api_key(ssm: SSMClient, parameter: str) -> bool:
    """Delete the parameter; False when there was none."""
    try:
        ssm.delete_parameter(Name=parameter)
    except ssm.exceptions.ParameterNotFound:
        return False
    return True
