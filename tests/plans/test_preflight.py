from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from plans.preflight import Account, Check, Outcome, preflight, preflight_section
from plans.summary import ExitCode, summarize
from settings.load import load_settings
from settings.model import Settings
from tests.plans.made_up import plan

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "environments"
SERVICES = {"ec2": "ec2", "iam": "iam", "quotas": "service-quotas", "secrets": "secretsmanager", "ssm": "ssm"}
ROLE = {"Path": "/", "RoleName": "AWSServiceRoleForAutoScaling", "RoleId": "A" * 20, "Arn": "a" * 20, "CreateDate": 0}


class Stubbed:
    """An account of stubs; what is not said is answered well. Every answer has to be asked for, once."""

    def __init__(self, settings: Settings, **answers: Any) -> None:
        self.settings = settings
        self.clients = {
            name: boto3.client(service, region_name=settings.region, aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]
            for name, service in SERVICES.items()
        }
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        self.answers = answers

    def say(self, client: str, method: str, good: dict[str, Any]) -> None:
        answer = self.answers.get(method, good)
        if isinstance(answer, str):
            self.stubs[client].add_client_error(method, answer)
        else:
            self.stubs[client].add_response(method, answer)

    def ask(self, *, router_is_there: bool = False) -> dict[str, Check]:
        types = [self.settings.router.instance_type, *(pool.instance_type for pool in self.settings.workers)]
        offered = [
            {"InstanceType": kind, "Location": zone} for kind in types for zone in self.settings.availability_zones
        ]
        self.say("quotas", "get_service_quota", {"Quota": {"Value": 64.0}})
        self.say("ec2", "describe_instance_type_offerings", {"InstanceTypeOfferings": offered})
        for _ in types:
            self.say("ssm", "get_parameter", {"Parameter": {"Value": "ami-1"}})
            if self.answers.get("get_parameter") != "ParameterNotFound":
                self.say("ec2", "describe_images", {"Images": [{"State": "available"}]})
        self.say("ssm", "get_parameter", {"Parameter": {"Value": "encrypted"}})
        if not router_is_there:
            self.say("ec2", "describe_vpcs", {"Vpcs": [{"VpcId": "vpc-1"}]})
            self.say("ec2", "describe_network_interfaces", {"NetworkInterfaces": []})
        self.say("iam", "get_role", {"Role": ROLE})
        with ExitStack() as stack:
            for stub in self.stubs.values():
                stack.enter_context(stub)
            found = preflight(self.settings, Account(**self.clients), router_is_there=router_is_there)
            for stub in self.stubs.values():
                stub.assert_no_pending_responses()
        return {check.what: check for check in found}


@pytest.fixture
def settings() -> Settings:
    return load_settings(ENVIRONMENTS / "rehearsal.toml", {})


def test_an_account_in_which_all_is_well(settings: Settings) -> None:
    found = Stubbed(settings).ask()
    assert {check.outcome for check in found.values()} == {Outcome.OK}
    assert found["quota of G on-demand vCPUs"].told == "16 needed at the most workers, 64 allowed (L-DB2E81BA)"
    assert len(found) == 8


@pytest.mark.parametrize(
    ("answers", "what", "told"),
    [
        (
            {"get_service_quota": {"Quota": {"Value": 8.0}}},
            "quota of G on-demand vCPUs",
            "16 needed at the most workers, 8 allowed",
        ),
        (
            {"describe_instance_type_offerings": {"InstanceTypeOfferings": []}},
            "type g6e.xlarge",
            "not offered in us-east-1a, us-east-1b; choose",
        ),
        (
            {"get_parameter": "ParameterNotFound"},
            "image of router",
            "/sglang-fleet/rehearsal/image/router: none; run `fleet bake`",
        ),
        (
            {"get_parameter": "ParameterNotFound"},
            "API key",
            "/sglang-fleet/rehearsal/api-key is not there; run `fleet init`",
        ),
        ({"describe_images": "InvalidAMIID.NotFound"}, "image of workers-default", "none; run `fleet bake`"),
        ({"describe_images": {"Images": [{"State": "pending"}]}}, "image of router", "ami-1 is pending; wait for it"),
        (
            {"describe_network_interfaces": {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]}},
            "router address",
            "127.64.0.100 is taken by eni-1",
        ),
    ],
)
def test_what_would_be_refused(settings: Settings, answers: dict[str, Any], what: str, told: str) -> None:
    check = Stubbed(settings, **answers).ask()[what]
    assert check.outcome is Outcome.PROBLEM
    assert told in check.told
    summary = summarize([plan("router")], sections=[preflight_section([check])])
    assert summary.exit_code is ExitCode.ATTENTION


def test_what_may_not_be_asked_is_not_checked_and_stops_nothing_else(settings: Settings) -> None:
    found = Stubbed(settings, get_service_quota="AccessDeniedException").ask()
    assert found["quota of G on-demand vCPUs"].outcome is Outcome.UNKNOWN
    assert found["quota of G on-demand vCPUs"].told == "GetServiceQuota: AccessDeniedException"
    assert found["router address"].outcome is Outcome.OK


def test_a_role_that_aws_makes_itself_is_no_problem(settings: Settings) -> None:
    assert Stubbed(settings, get_role="NoSuchEntity").ask()["AWSServiceRoleForAutoScaling"].outcome is Outcome.UNKNOWN


def test_the_routers_own_address_is_not_asked_for(settings: Settings) -> None:
    assert "router address" not in Stubbed(settings).ask(router_is_there=True)
