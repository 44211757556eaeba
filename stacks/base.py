"""What every stack shares: provider, state backend, tags, outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf import LocalBackend, S3Backend, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags

from settings.naming import STACK_STATE
from user_data.node_config import TAG_DEPLOYMENT, TAG_STACK

if TYPE_CHECKING:
    from constructs import Construct

    from settings.model import Settings

# The first release with `use_lockfile` (state lock in S3 itself), in Terraform and in OpenTofu.
REQUIRED_TERRAFORM_VERSION = ">= 1.10"


@dataclass(frozen=True)
class Deployment:
    """What every stack needs to know of the deployment it belongs to."""

    name: str
    region: str
    account_id: str | None
    state_bucket: str
    tags: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, settings: Settings) -> Deployment:
        """The deployment that the settings describe."""
        return cls(
            name=settings.name,
            region=settings.region,
            account_id=settings.account_id,
            state_bucket=settings.state_bucket,
            tags=tuple(sorted(settings.tags.items())),
        )


class FleetStack(TerraformStack):
    """A stack of the deployment with its own state."""

    def __init__(self, scope: Construct, stack: str, deployment: Deployment) -> None:
        super().__init__(scope, stack)
        self.stack = stack
        self.deployment = deployment
        self.add_override("terraform.required_version", REQUIRED_TERRAFORM_VERSION)
        self._provider()
        self._backend()

    def resource_name(self, *parts: str) -> str:
        """`deployment-part-…`, unique within the account and region."""
        return "-".join((self.deployment.name, *parts))

    def tags(self, **extra: str) -> dict[str, str]:
        """The tags of every resource, for places that the provider's default tags do not reach (groups' instances)."""
        fleet = {TAG_DEPLOYMENT: self.deployment.name, TAG_STACK: self.stack}
        return dict(self.deployment.tags) | fleet | extra

    def output(self, name: str, value: str, description: str) -> None:
        """An output under exactly this name, for people and scripts."""
        TerraformOutput(self, f"output-{name}", value=value, description=description).override_logical_id(name)

    def _provider(self) -> None:
        account = self.deployment.account_id
        AwsProvider(
            self,
            "aws",
            region=self.deployment.region,
            allowed_account_ids=[account] if account else None,
            default_tags=[AwsProviderDefaultTags(tags=self.tags())],
        )

    def _backend(self) -> None:
        if self.stack == STACK_STATE:
            # The bucket cannot hold the state that creates it. The path is relative to the synthesized stack's
            # folder (OUT/stacks/state), so the file lies beside OUT whatever OUT is called.
            LocalBackend(self, path=f"../../../terraform.{self.deployment.name}.state.tfstate")
            return
        S3Backend(
            self,
            bucket=self.deployment.state_bucket,
            key=f"{self.deployment.name}/{self.stack}.tfstate",
            region=self.deployment.region,
            encrypt=True,
        )
        # cdktf 0.21 has no parameter for it.
        self.add_override("terraform.backend.s3.use_lockfile", value=True)
