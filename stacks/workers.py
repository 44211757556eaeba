"""One pool of workers: an Auto Scaling group of GPU hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupInitialLifecycleHook,
    AutoscalingGroupInstanceMaintenancePolicy,
    AutoscalingGroupInstanceRefresh,
    AutoscalingGroupInstanceRefreshPreferences,
    AutoscalingGroupLaunchTemplate,
    AutoscalingGroupMixedInstancesPolicy,
    AutoscalingGroupMixedInstancesPolicyInstancesDistribution,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplate,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecification,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplateOverride,
    AutoscalingGroupTag,
    AutoscalingGroupWarmPool,
    AutoscalingGroupWarmPoolInstanceReusePolicy,
)
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateIamInstanceProfile,
    LaunchTemplateMetadataOptions,
    LaunchTemplateMonitoring,
    LaunchTemplateNetworkInterfaces,
    LaunchTemplateTagSpecifications,
)
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule

from settings.naming import workers_stack
from stacks.alarm import PoolMetrics
from stacks.base import FleetStack
from stacks.dashboard import GROUP_METRICS
from stacks.hosts import (
    METADATA_HOP_LIMIT,
    MODEL_DEVICE,
    ROOT_DEVICE,
    Account,
    encoded_user_data,
    host_security_group,
)
from stacks.iam import SESSION_MANAGER, Statement, instance_profile, read_parameter, write_logs, write_metrics
from stacks.pool_alarms import PoolAlarms, PoolWatch
from stacks.scaling import PoolScaling, ScalingPlan
from stacks.schedules import add_schedules
from user_data.node_config import TAG_ENGINE_PORT, TAG_MODEL, TAG_POOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
    from cdktf_cdktf_provider_aws.security_group import SecurityGroup
    from constructs import Construct

    from settings.alarms import AlarmSettings
    from settings.scaling import ScalingSettings
    from settings.workers import WarmPoolSettings
    from stacks.base import Deployment
    from stacks.hosts import HostVolume, ModelVolume
    from stacks.images import HostImage
    from stacks.logs import LogsOutputs
    from stacks.network import NetworkOutputs
    from stacks.router import RouterOutputs
    from user_data.node_config import LifeCycleConfig, NodeConfig, WorkerConfig


@dataclass(frozen=True)
class SpotPlan:
    """How much of the group is on-demand, and which further types may be bought on the spot market."""

    on_demand_base: int
    on_demand_percentage: int
    instance_types: tuple[str, ...]


@dataclass(frozen=True)
class WorkersInputs:
    """Inputs of the stack of one pool."""

    deployment: Deployment
    network: NetworkOutputs
    logs: LogsOutputs
    router: RouterOutputs
    node: NodeConfig
    worker: WorkerConfig
    life_cycle: LifeCycleConfig
    group_name: str
    instance_type: str
    image: HostImage
    volume: HostVolume
    model_volume: ModelVolume | None
    sizes: tuple[int, int, int]  # least, at the first apply, most
    warm_pool: WarmPoolSettings
    spot: SpotPlan | None
    scaling: ScalingSettings
    alarms: AlarmSettings
    router_log: str
    ready_timeout_seconds: int
    min_healthy_percent: int

    def metrics(self, group_name: str) -> PoolMetrics:
        """Where the metrics of this pool are."""
        return PoolMetrics(self.node.logs.metrics_namespace, self.deployment.name, self.worker.pool, group_name)

    def scaling_plan(self, group_name: str) -> ScalingPlan:
        """When the group of this pool scales."""
        scaling = self.scaling
        return ScalingPlan(
            metrics=self.metrics(group_name),
            min_size=self.sizes[0],
            target_load=scaling.target_load,
            target_prompt_load=scaling.target_prompt_load,
            kv_usage_high_percent=scaling.kv_usage_high_percent,
            scale_in_load_percent=scaling.scale_in_load_percent,
            scale_in_seconds=scaling.scale_in_cooldown_seconds,
            warmup_seconds=scaling.instance_warmup_seconds,
        )

    def watch(self, group_name: str) -> PoolWatch:
        """What is watched of this pool."""
        return PoolWatch(
            metrics=self.metrics(group_name),
            thresholds=self.alarms,
            topic_arn=self.logs.alarm_topic_arn,
            workers_log=self.node.logs.group,
            router_log=self.router_log,
            model=self.worker.served_model_name,
            min_size=self.sizes[0],
        )


@dataclass(frozen=True)
class WorkersOutputs:
    """Outputs of the stack of one pool."""

    group_name: str


class WorkersStack(FleetStack):
    """Changing a pool never touches the router or another pool."""

    def __init__(self, scope: Construct, inputs: WorkersInputs) -> None:
        super().__init__(scope, workers_stack(inputs.worker.pool), inputs.deployment)
        self._inputs = inputs
        template = self._launch_template(self._security_group(), self._instance_profile())
        group = self._group(template)
        PoolScaling(self, "scaling", inputs.scaling_plan(group.name))
        add_schedules(self, group.name, inputs.scaling.schedules)
        PoolAlarms(self, "alarms", inputs.watch(group.name))
        self.outputs = WorkersOutputs(group_name=group.name)
        self.output("auto_scaling_group", group.name, f"Auto Scaling group of pool {inputs.worker.pool}")

    def _security_group(self) -> SecurityGroup:
        """Only the router reaches the engine. The router's way out to the pool belongs to this stack too."""
        group = host_security_group(self, self._inputs.network.vpc_id, f"Workers of pool {self._inputs.worker.pool}")
        router, port = self._inputs.router.security_group_id, self._inputs.worker.port
        VpcSecurityGroupIngressRule(
            self,
            "engine-from-router",
            security_group_id=group.id,
            description="Engine, from the router",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=router,
        )
        VpcSecurityGroupEgressRule(
            self,
            "router-to-engine",
            security_group_id=router,
            description=f"Engines of pool {self._inputs.worker.pool}",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=group.id,
        )
        return group

    def _instance_profile(self) -> IamInstanceProfile:
        node, account = self._inputs.node, Account.of(self)
        statements = [
            SESSION_MANAGER,
            self._answer_hooks(account),
            write_logs(self._inputs.logs.group_arn(self.stack)),
            write_metrics(node.logs.metrics_namespace),
        ]
        if node.api_key_parameter:
            statements.append(read_parameter(account.parameter(node.api_key_parameter)))
        return instance_profile(self, self.resource_name(self.stack), *statements)

    def _answer_hooks(self, account: Account) -> Statement:
        """What a worker tells its own group. The id in a group's ARN is made by AWS, its name by us."""
        group = account.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{self._inputs.group_name}")
        actions = (
            "autoscaling:CompleteLifecycleAction",
            "autoscaling:RecordLifecycleActionHeartbeat",
            "autoscaling:SetInstanceHealth",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
        )
        return Statement(sid="AnswerHooks", actions=actions, resources=(group,))

    def _launch_template(self, group: SecurityGroup, profile: IamInstanceProfile) -> LaunchTemplate:
        return LaunchTemplate(
            self,
            "launch-template",
            name=self._inputs.group_name,
            update_default_version=True,
            image_id=self._inputs.image.resolve(self),
            instance_type=self._inputs.instance_type,
            ebs_optimized="true",
            monitoring=LaunchTemplateMonitoring(enabled=True),
            iam_instance_profile=LaunchTemplateIamInstanceProfile(arn=profile.arn),
            network_interfaces=[
                LaunchTemplateNetworkInterfaces(
                    associate_public_ip_address="false", delete_on_termination="true", security_groups=[group.id]
                )
            ],
            block_device_mappings=[self._root_volume(), *self._model_volume()],
            metadata_options=LaunchTemplateMetadataOptions(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=METADATA_HOP_LIMIT,
                instance_metadata_tags="disabled",
            ),
            # A host that powers itself off because it cannot serve is gone, not parked: the group replaces it.
            instance_initiated_shutdown_behavior=None if self._inputs.warm_pool.enabled else "terminate",
            user_data=encoded_user_data(self, self._inputs.node),
            tag_specifications=[
                LaunchTemplateTagSpecifications(resource_type=kind, tags=self.tags(Name=self._inputs.group_name))
                for kind in ("volume", "network-interface")
            ],
        )

    def _root_volume(self) -> LaunchTemplateBlockDeviceMappings:
        volume = self._inputs.volume
        return LaunchTemplateBlockDeviceMappings(
            device_name=ROOT_DEVICE,
            ebs=LaunchTemplateBlockDeviceMappingsEbs(
                volume_type="gp3",
                volume_size=volume.size_gib,
                iops=volume.iops,
                throughput=volume.throughput_mib,
                encrypted="true",
                delete_on_termination="true",
            ),
        )

    def _model_volume(self) -> Iterator[LaunchTemplateBlockDeviceMappings]:
        """Names no snapshot: the image's own mapping of the device does, and only what is set here replaces it."""
        volume = self._inputs.model_volume
        if volume:
            ebs = LaunchTemplateBlockDeviceMappingsEbs(
                volume_type="gp3",
                volume_size=volume.size_gib,
                iops=volume.iops,
                throughput=volume.throughput_mib,
                volume_initialization_rate=volume.initialization_rate_mib,
                encrypted="true",
                delete_on_termination="true",
            )
            yield LaunchTemplateBlockDeviceMappings(device_name=MODEL_DEVICE, ebs=ebs)

    def _group(self, template: LaunchTemplate) -> AutoscalingGroup:
        least, first, most = self._inputs.sizes
        version = template.latest_version  # a number: `$Latest` would hide a change from the plan and bar auto-rollback
        spot = self._inputs.spot
        plain = AutoscalingGroupLaunchTemplate(id=template.id, version=f"{version}")
        return AutoscalingGroup(
            self,
            "group",
            name=self._inputs.group_name,
            min_size=least,
            desired_capacity=first,
            max_size=most,
            vpc_zone_identifier=list(self._inputs.network.private_subnet_ids),
            launch_template=None if spot else plain,
            mixed_instances_policy=self._mixed(template, spot) if spot else None,
            capacity_rebalance=bool(spot),
            health_check_type="EC2",
            health_check_grace_period=self._inputs.ready_timeout_seconds,
            default_instance_warmup=self._inputs.scaling.instance_warmup_seconds,
            enabled_metrics=list(GROUP_METRICS),
            # Terraform would wait for GPU capacity that may take an hour; the group keeps trying and says why.
            wait_for_capacity_timeout="0",
            instance_maintenance_policy=self._maintenance(),
            instance_refresh=self._refresh(),
            warm_pool=self._warm_pool(),
            initial_lifecycle_hook=self._hooks(),
            tag=[
                AutoscalingGroupTag(key=key, value=value, propagate_at_launch=True)
                for key, value in self._group_tags().items()
            ],
            lifecycle=TerraformResourceLifecycle(ignore_changes=self._left_alone()),
        )

    def _left_alone(self) -> list[str]:
        """What others change: scaling decides how many there are, schedules between what, an operator what is held."""
        sizes = ("min_size", "max_size") if self._inputs.scaling.schedules else ()
        return ["desired_capacity", "suspended_processes", *sizes]

    def _group_tags(self) -> dict[str, str]:
        """What discovery reads: it finds groups by the deployment's tag and the rest from these."""
        worker = self._inputs.worker
        facts = {TAG_POOL: worker.pool, TAG_ENGINE_PORT: str(worker.port), TAG_MODEL: worker.served_model_name}
        return self.tags(Name=self._inputs.group_name, **facts)

    @property
    def _most_healthy_percent(self) -> int:
        """AWS: 100 to 200 and at most 100 above the minimum; here room for one replacement before a removal."""
        least = self._inputs.min_healthy_percent
        return min(200, least + 100, max(110, least + 10))

    def _maintenance(self) -> AutoscalingGroupInstanceMaintenancePolicy:
        return AutoscalingGroupInstanceMaintenancePolicy(
            min_healthy_percentage=self._inputs.min_healthy_percent, max_healthy_percentage=self._most_healthy_percent
        )

    def _refresh(self) -> AutoscalingGroupInstanceRefresh:
        preferences = AutoscalingGroupInstanceRefreshPreferences(
            min_healthy_percentage=self._inputs.min_healthy_percent,
            # The provider sends 100 otherwise: one worker is then taken out before another is launched.
            max_healthy_percentage=self._most_healthy_percent,
            instance_warmup=str(self._inputs.scaling.instance_warmup_seconds),
            auto_rollback=True,
            skip_matching=True,
            scale_in_protected_instances="Wait",
            standby_instances="Wait",
        )
        return AutoscalingGroupInstanceRefresh(strategy="Rolling", preferences=preferences)

    def _hooks(self) -> list[AutoscalingGroupInitialLifecycleHook]:
        """Held from the first launch on: in service means that the engine generates, gone that no request is lost.

        An agent that dies while it starts leaves the group with its host; one that dies while it drains lets it go.
        """
        life = self._inputs.life_cycle
        return [
            AutoscalingGroupInitialLifecycleHook(
                name=name,
                lifecycle_transition=f"autoscaling:{transition}",
                heartbeat_timeout=life.heartbeat_seconds,
                default_result=default,
            )
            for name, transition, default in (
                (life.launching_hook, "EC2_INSTANCE_LAUNCHING", "ABANDON"),
                (life.terminating_hook, "EC2_INSTANCE_TERMINATING", "CONTINUE"),
            )
        ]

    def _warm_pool(self) -> AutoscalingGroupWarmPool | None:
        warm = self._inputs.warm_pool
        if not warm.enabled:
            return None
        return AutoscalingGroupWarmPool(
            pool_state=warm.state.capitalize(),
            min_size=warm.min_size,
            max_group_prepared_capacity=warm.max_prepared,
            instance_reuse_policy=AutoscalingGroupWarmPoolInstanceReusePolicy(reuse_on_scale_in=warm.reuse_on_scale_in),
        )

    def _mixed(self, template: LaunchTemplate, spot: SpotPlan) -> AutoscalingGroupMixedInstancesPolicy:
        specification = AutoscalingGroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecification(
            launch_template_id=template.id, version=f"{template.latest_version}"
        )
        return AutoscalingGroupMixedInstancesPolicy(
            launch_template=AutoscalingGroupMixedInstancesPolicyLaunchTemplate(
                launch_template_specification=specification,
                override=[
                    AutoscalingGroupMixedInstancesPolicyLaunchTemplateOverride(instance_type=kind)
                    for kind in spot.instance_types
                ],
            ),
            instances_distribution=AutoscalingGroupMixedInstancesPolicyInstancesDistribution(
                on_demand_allocation_strategy="prioritized",
                on_demand_base_capacity=spot.on_demand_base,
                on_demand_percentage_above_base_capacity=spot.on_demand_percentage,
                spot_allocation_strategy="price-capacity-optimized",
            ),
        )
