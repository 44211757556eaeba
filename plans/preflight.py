"""Questions to the account whose answers no plan holds: would the launch be refused? Every call reads only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from plans.change import Json
from plans.sections import PlainSection, Problem, Table
from settings import naming
from settings.catalogue import catalogue
from user_data.node_config import TAG_DEPLOYMENT

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_ssm import SSMClient

    from settings.model import Settings
    from settings.workers import WorkerPool

# Quotas count vCPUs of running instances: EC2 user guide, "On-Demand Instance quotas" and "Spot Instance quotas".
QUOTA_CODES = {
    ("g", False): "L-DB2E81BA",  # Running On-Demand G and VT instances
    ("p", False): "L-417A185B",  # Running On-Demand P instances
    ("g", True): "L-3819A6DF",  # All G and VT Spot Instance Requests
    ("p", True): "L-7212CCBC",  # All P4, P3 and P2 Spot Instance Requests
}
# Auto Scaling makes its own at the first group when the caller may (Auto Scaling user guide, "Service-linked roles"); a
# caller who may not gets an error that names no role.
AUTO_SCALING_ROLE = "AWSServiceRoleForAutoScaling"
SPOT_ROLE = "AWSServiceRoleForEC2Spot"
# "There is none", by service: what was asked for is absent, not the right to ask.
ABSENT = frozenset(
    {
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "NoSuchEntity",
        "ParameterNotFound",
        "ResourceNotFoundException",
    }
)


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "not checked"


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    what: str
    outcome: Outcome
    told: str


@dataclass(frozen=True)
class Account:
    """The clients that the checks use, in the deployment's region."""

    ec2: EC2Client
    iam: IAMClient
    quotas: Any  # no types of this client and the next are installed
    secrets: Any
    ssm: SSMClient


Ask = Callable[[], Iterator[Check]]


def preflight(settings: Settings, account: Account, *, router_is_there: bool) -> tuple[Check, ...]:
    """Ask everything; a question that may not be asked, or gets no answer, is one that is not checked.

    Args:
        settings: of the deployment.
        account: where it goes.
        router_is_there: then its address is taken, by itself.
    """
    questions: list[tuple[str, Ask]] = [
        ("quotas", lambda: _quotas(settings, account)),
        ("instance types", lambda: _offered(settings, account.ec2)),
        ("images", lambda: _images(settings, account)),
        ("API key", lambda: _key(settings, account.ssm)),
        ("certificate", lambda: _certificate(settings, account)),
        ("router address", lambda: _address(settings, account.ec2, router_is_there=router_is_there)),
        ("service-linked roles", lambda: _roles(settings, account.iam)),
    ]
    return tuple(check for what, ask in questions for check in _answers(what, ask))


def preflight_section(checks: Sequence[Check]) -> PlainSection:
    """The section of the summary."""
    problems = tuple(Problem(check.what, check.told) for check in checks if check.outcome is Outcome.PROBLEM)
    rows = tuple((check.what, str(check.outcome), check.told) for check in checks)
    told: list[Json] = [{"what": item.what, "outcome": str(item.outcome), "told": item.told} for item in checks]
    return PlainSection("Preflight", (), (Table(("what", "outcome", "answer"), rows),), problems, {"checks": told})


def skipped(reason: str) -> PlainSection:
    """The section where no account can be asked."""
    return PlainSection("Preflight", (f"skipped: {reason}",))


def _answers(what: str, ask: Ask) -> Iterator[Check]:
    try:
        yield from ask()
    except ClientError as error:
        yield Check(what, Outcome.UNKNOWN, f"{error.operation_name}: {error.response['Error']['Code']}")
    except BotoCoreError as error:
        yield Check(what, Outcome.UNKNOWN, str(error))


def _ok(what: str, told: str, *, good: bool, remedy: str) -> Check:
    return Check(what, Outcome.OK if good else Outcome.PROBLEM, told if good else f"{told}; {remedy}")


def _vcpus(settings: Settings) -> dict[tuple[str, bool], int]:
    """VCPUs at the most workers, by quota: class of type, and whether it is the spot quota."""
    needed: dict[tuple[str, bool], int] = {}
    for pool in settings.workers:
        instance = catalogue().instances[pool.instance_type]
        on_demand = _on_demand(pool)
        for spot, number in ((False, on_demand), (True, pool.max_size - on_demand)):
            if number:
                quota = (instance.family[0], spot)
                needed[quota] = needed.get(quota, 0) + number * instance.vcpus
    return needed


def _on_demand(pool: WorkerPool) -> int:
    """How many of a pool's most workers are on demand."""
    spot = pool.spot
    if not spot.enabled:
        return pool.max_size
    base = min(spot.on_demand_base, pool.max_size)
    return base + math.ceil((pool.max_size - base) * spot.on_demand_percentage / 100)


def _quotas(settings: Settings, account: Account) -> Iterator[Check]:
    for (kind, spot), needed in sorted(_vcpus(settings).items()):
        code = QUOTA_CODES.get((kind, spot))
        what = f"quota of {kind.upper()} {'spot' if spot else 'on-demand'} vCPUs"
        if code is None:
            yield Check(what, Outcome.UNKNOWN, "no quota of this class is known")
            continue
        yield from _answers(what, partial(_quota, account, what, code, needed))


def _quota(account: Account, what: str, code: str, needed: int) -> Iterator[Check]:
    value = account.quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]
    told = f"{needed} needed at the most workers, {value:g} allowed ({code})"
    yield _ok(what, told, good=value >= needed, remedy="ask for more in Service Quotas, or lower max_size")


def _offered(settings: Settings, ec2: EC2Client) -> Iterator[Check]:
    zones = settings.availability_zones
    types = dict.fromkeys((settings.router.instance_type, *(pool.instance_type for pool in settings.workers)))
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    offered = {(item["InstanceType"], item["Location"]) for page in pages for item in page["InstanceTypeOfferings"]}
    for name in types:
        lacking = [zone for zone in zones if (name, zone) not in offered]
        told = f"not offered in {', '.join(lacking)}" if lacking else f"offered in {', '.join(zones)}"
        remedy = "choose network.availability_zones that have it, or another type"
        yield _ok(f"type {name}", told, good=not lacking, remedy=remedy)


def _images(settings: Settings, account: Account) -> Iterator[Check]:
    hosts = [(naming.STACK_ROUTER, settings.router.image)]
    hosts += [(naming.workers_stack(pool.name), pool.image) for pool in settings.workers]
    for stack, image in hosts:
        parameter = image.ssm_parameter or naming.image_parameter(settings, stack)
        try:
            found = image.ami or account.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
            state = account.ec2.describe_images(ImageIds=[found])["Images"][0]["State"]
        except (ClientError, IndexError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] not in ABSENT:
                raise
            yield Check(f"image of {stack}", Outcome.PROBLEM, f"{image.ami or parameter}: none; run `fleet bake`")
            continue
        yield _ok(f"image of {stack}", f"{found} is {state}", good=state == "available", remedy="wait for it")


def _key(settings: Settings, ssm: SSMClient) -> Iterator[Check]:
    if settings.api_key_parameter:
        name = settings.api_key_parameter
        there = _there(lambda: ssm.get_parameter(Name=name, WithDecryption=False))
        yield _ok("API key", f"{name} {'is there' if there else 'is not there'}", good=there, remedy="run `fleet init`")


def _certificate(settings: Settings, account: Account) -> Iterator[Check]:
    tls = settings.router.tls
    for name in (tls.certificate_secret, tls.key_secret) if tls else ():
        there = _there(partial(account.secrets.describe_secret, SecretId=name))
        told = f"{name} {'is there' if there else 'is not there'}"
        yield _ok("certificate", told, good=there, remedy="store the PEM text under this name in Secrets Manager")


def _address(settings: Settings, ec2: EC2Client, *, router_is_there: bool) -> Iterator[Check]:
    """In a VPC that is there, another host may have it: a worker of a pool in the same subnet."""
    if router_is_there:
        return
    address = str(settings.router.address)
    mine = [{"Name": f"tag:{TAG_DEPLOYMENT}", "Values": [settings.name]}]
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs(Filters=mine)["Vpcs"]]  # type: ignore[arg-type]
    within = [{"Name": "private-ip-address", "Values": [address]}, {"Name": "vpc-id", "Values": vpcs}]
    found = ec2.describe_network_interfaces(Filters=within)["NetworkInterfaces"] if vpcs else []  # type: ignore[arg-type]
    told = f"{address} is taken by {found[0]['NetworkInterfaceId']}" if found else f"{address} is free"
    yield _ok("router address", told, good=not found, remedy="choose another router.address, or free it")


def _roles(settings: Settings, iam: IAMClient) -> Iterator[Check]:
    names = [AUTO_SCALING_ROLE]
    if any(pool.spot.enabled for pool in settings.workers):
        names.append(SPOT_ROLE)
    for name in names:
        there = _there(partial(iam.get_role, RoleName=name))
        told = "is there" if there else "is not there yet: AWS makes it if you may iam:CreateServiceLinkedRole"
        yield Check(name, Outcome.OK if there else Outcome.UNKNOWN, told)


def _there(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except ClientError as error:
        if error.response["Error"]["Code"] not in ABSENT:
            raise
        return False
    return True
