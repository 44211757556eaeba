"""The bucket that holds the state of all other stacks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import S3BucketVersioningA, S3BucketVersioningVersioningConfiguration

from settings.naming import STACK_STATE
from stacks.base import Deployment, FleetStack
from stacks.iam import POLICY_VERSION

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True)
class StateInputs:
    """Inputs of the state stack."""

    deployment: Deployment
    force_destroy: bool


@dataclass(frozen=True)
class StateOutputs:
    """Outputs of the state stack."""

    bucket: str


class StateStack(FleetStack):
    """Versioned, encrypted, TLS only, no public access."""

    def __init__(self, scope: Construct, inputs: StateInputs) -> None:
        super().__init__(scope, STACK_STATE, inputs.deployment)
        bucket = self._bucket(inputs.force_destroy)
        self._versioning(bucket)
        self._encryption(bucket)
        blocked = self._no_public_access(bucket)
        self._tls_only(bucket, blocked)
        self.outputs = StateOutputs(bucket=bucket.bucket)
        self.output("bucket", bucket.bucket, "Bucket with the Terraform state of all other stacks")

    def _bucket(self, force_destroy: bool) -> S3Bucket:  # noqa: FBT001 - one flag, named like Terraform's
        return S3Bucket(self, "bucket", bucket=self.deployment.state_bucket, force_destroy=force_destroy)

    def _versioning(self, bucket: S3Bucket) -> None:
        # Old versions are kept for good: they are kilobytes, and one of them may be what rescues a deployment.
        enabled = S3BucketVersioningVersioningConfiguration(status="Enabled")
        S3BucketVersioningA(self, "versioning", bucket=bucket.id, versioning_configuration=enabled)

    def _encryption(self, bucket: S3Bucket) -> None:
        by_default = S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="aws:kms"
        )
        rule = S3BucketServerSideEncryptionConfigurationRuleA(
            apply_server_side_encryption_by_default=by_default, bucket_key_enabled=True
        )
        S3BucketServerSideEncryptionConfigurationA(self, "encryption", bucket=bucket.id, rule=[rule])

    def _no_public_access(self, bucket: S3Bucket) -> S3BucketPublicAccessBlock:
        return S3BucketPublicAccessBlock(
            self,
            "no-public-access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )

    def _tls_only(self, bucket: S3Bucket, blocked: S3BucketPublicAccessBlock) -> None:
        deny = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket.arn, f"{bucket.arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        policy = json.dumps({"Version": POLICY_VERSION, "Statement": [deny]})
        S3BucketPolicy(self, "tls-only", bucket=bucket.id, policy=policy, depends_on=[blocked])
