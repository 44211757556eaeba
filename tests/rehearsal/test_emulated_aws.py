"""Rules that the emulated AWS follows; what needs a server is in test_cloud.py."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest

moto = pytest.importorskip("moto")

from rehearsal.emulated_aws.addresses import candidates  # noqa: E402
from rehearsal.emulated_aws.extension import UnknownMethodError, extend  # noqa: E402
from rehearsal.emulated_aws.server import refusal  # noqa: E402
from rehearsal.emulated_aws.transport import needs_plain_http  # noqa: E402

pytestmark = pytest.mark.slow  # importing moto takes two seconds


def test_reserved_addresses_are_never_given() -> None:
    found = list(candidates(IPv4Network("127.64.0.0/28"), 0))
    assert found == [f"127.64.0.{host}" for host in range(4, 15)]


def test_a_search_starts_where_the_last_one_ended_and_goes_round() -> None:
    found = list(candidates(IPv4Network("127.64.0.0/28"), 9))
    assert found[:3] == ["127.64.0.13", "127.64.0.14", "127.64.0.4"]
    assert len(found) == 11


def test_an_extension_fails_when_moto_has_changed() -> None:
    with pytest.raises(UnknownMethodError, match="moto's int has no launch"):
        extend(int, "launch", print)


def test_only_a_condition_on_plain_http_is_passed_over() -> None:
    assert needs_plain_http({"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    assert not needs_plain_http({"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    assert not needs_plain_http({"Effect": "Deny"})


def test_an_unknown_action_is_refused_in_the_protocol_of_the_request() -> None:
    kind, body = refusal("application/x-amz-json-1.1", "nope")
    assert (kind, json.loads(body)["__type"]) == ("application/x-amz-json-1.1", "UnknownOperationException")
    kind, body = refusal("application/x-www-form-urlencoded", "a < b")
    assert kind == "text/xml"
    assert "<Code>InvalidAction</Code><Message>a &lt; b</Message>" in body
