"""The one settings object: typed, frozen, validated once. Everything below `main.py` reads only this."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from settings.alarms import AlarmSettings
from settings.bake import BakeSettings
from settings.base import Name, Section
from settings.network import AccessSettings, LogSettings, NetworkSettings, StateSettings
from settings.router import RouterSettings
from settings.workers import WorkerPool

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$"), Field(examples=["us-east-1"])]
AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$"), Field(examples=["123456789012"])]


class Settings(Section):
    """One deployment."""

    name: Name = Field(default="sglang", description="Name of the deployment; every resource's name starts with it.")
    region: Region = Field(default="us-east-1", description="AWS region.")
    account_id: AccountId | None = Field(
        default=None, description="AWS account this deployment belongs to; with it, Terraform refuses any other."
    )
    tags: dict[str, str] = Field(default={}, description="Tags for every resource, besides the fleet's own.")
    network: NetworkSettings = Field(default=NetworkSettings(), description="The VPC.")
    state: StateSettings = Field(default=StateSettings(), description="Terraform state.")
    logs: LogSettings = Field(default=LogSettings(), description="Logs and metrics.")
    alarms: AlarmSettings = Field(default=AlarmSettings(), description="When somebody is told.")
    access: AccessSettings = Field(default=AccessSettings(), description="Who may reach the router.")
    router: RouterSettings = Field(default=RouterSettings(), description="The router.")
    bake: BakeSettings = Field(default=BakeSettings(), description="How images are made.")
    workers: Annotated[tuple[WorkerPool, ...], Field(min_length=1)] = Field(
        default=(WorkerPool(),), description="Pools of workers; the first one is what the short override keys address."
    )

    @property
    def state_bucket(self) -> str:
        """Name of the state bucket: the one given, or one made of the deployment's name, account and region."""
        parts = ("sglang-fleet-state", self.name, self.account_id, self.region)
        return self.state.bucket or "-".join(part for part in parts if part)

    @property
    def availability_zones(self) -> tuple[str, ...]:
        """The zones given, or the first two of the region."""
        return self.network.availability_zones or (f"{self.region}a", f"{self.region}b")

    @property
    def api_key_parameter(self) -> str | None:
        """SSM parameter that holds the API key, or None when the deployment runs without one."""
        if not self.access.api_key:
            return None
        return self.access.api_key_parameter or f"/sglang-fleet/{self.name}/api-key"
