"""Which advice the last words of a build lead to."""

from __future__ import annotations

import pytest

from packer.remedies import REMEDIES, remedy_for

SEEN = {
    "Error creating temporary keypair: UnauthorizedOperation: You are not authorized to perform this operation. User: "
    "arn:aws:iam::1:user/x is not authorized to perform: ec2:CreateKeyPair on resource: *": "allow ec2:CreateKeyPair",
    "Error launching source instance: UnauthorizedOperation: You are not authorized": "EC2 action of this step",
    "ExpiredToken: The provided token has expired": "renew the AWS credentials",
    "InsufficientInstanceCapacity: We currently do not have sufficient c7i.2xlarge capacity": "another zone",
    "VcpuLimitExceeded: You have requested more vCPU capacity than your limit": "higher EC2 quota",
    "VPCIdNotSpecified: No default VPC for this user": "set bake.subnet_id",
    "InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist": "correct bake.subnet_id",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "raise volume.size_gib",
    "model.safetensors: SHA-256 mismatch: expected a, got b": "what was downloaded is not what is pinned",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE": "not what is pinned",
    "huggingface_hub.errors.GatedRepoError: 401 Client Error": "accept the model's terms",
    "404 Client Error. Entry Not Found for url": "check model_id and model_revision",
    "gpg: BAD signature from Amazon CloudWatch Agent": "not Amazon's",
    "Timeout waiting for SSH.": "bake.ssh_cidrs must hold the address",
    "curl: (6) Could not resolve host: example.org": "no way to the Internet",
    "RequestLimitExceeded: Request limit exceeded": "wait some minutes",
    "Error: Failed getting the plugin; could not install plugin": "Packer's plugin cannot be fetched",
}


@pytest.mark.parametrize(("line", "advice"), SEEN.items())
def test_known_words_lead_to_their_advice(line: str, advice: str) -> None:
    assert advice in (remedy_for(["something before", line]) or "")


def test_every_remedy_is_reached_by_some_words() -> None:
    reached = {remedy.pattern.pattern for line in SEEN for remedy in REMEDIES if remedy.pattern.search(line)}
    assert reached == {remedy.pattern.pattern for remedy in REMEDIES}


def test_what_the_bake_host_itself_advises_goes_first() -> None:
    lines = [
        "ERROR model: no space for org/x on the model volume; raise model_volume.size_gib; if it stays, say so",
        "404 Not Found",
    ]
    assert remedy_for(lines) == "raise model_volume.size_gib; if it stays, say so"


def test_unknown_words_lead_to_none() -> None:
    assert remedy_for(["Script exited with non-zero exit status: 1", ""]) is None
