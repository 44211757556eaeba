"""`fleet prices` against a stand-in for the price list: what it reads, writes, and says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fleet.prices_command import PRICES_FILE, command
from settings.costs.prices import PriceList, parse
from tests.fleet.price_list_server import PriceListServer, product, serving

ENVIRONMENT = Path(__file__).parents[2] / "environments" / "example.toml"
PRODUCTS = {
    "AmazonEC2": [
        product("EUC1-EBS:VolumeUsage.gp3", ("0", "0.0952")),
        product("EUC1-EBS:VolumeP-IOPS.gp3", ("0", "0.006")),
        product("EUC1-EBS:VolumeP-Throughput.gp3", ("0", "48.8")),
        product("EUC1-NatGateway-Hours", ("0", "0.052")),
        product("EUC1-BoxUsage:g6e.xlarge", ("0", "2.327"), instanceType="g6e.xlarge"),
        product("EUC1-BoxUsage:c7i.large", ("0", "0.102"), instanceType="c7i.large"),
    ],
    "AmazonCloudWatch": [
        product("EUC1-CW:HighResAlarmMonitorUsage", ("0", "0.3")),
        product("EUC1-CW:AlarmMonitorUsage", ("0", "0.1")),
        product("EUC1-CW:MetricMonitorUsage", ("10000", "0.1"), ("0", "0.3")),
        product("EUC1-CW:Requests", ("0", "0.0"), ("1000000", "0.00001")),
    ],
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceListServer]:
    with serving(PriceListServer(PRODUCTS, (("a", "0.9"), ("b", "1.1"), ("a", "5.0")))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield server


@pytest.fixture
def catalogue_copy(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    path.write_bytes(PRICES_FILE.read_bytes())
    return path


def _run(*words: str) -> Result:
    return CliRunner().invoke(command, ["-e", str(ENVIRONMENT), *words])


def test_a_region_is_read_and_written(aws: PriceListServer, catalogue_copy: Path) -> None:
    before = parse(catalogue_copy.read_text())
    result = _run("--region", "eu-central-1", "--write", "--file", str(catalogue_copy))
    assert result.exit_code == 0, result.output
    rows = parse(catalogue_copy.read_text())
    found = {row.item: row.usd for row in rows if row.region == "eu-central-1"}
    assert found == pytest.approx(
        {
            "ebs/gp3-storage": 0.0952,
            "ebs/gp3-iops": 0.006,
            "ebs/gp3-throughput": 48.8 / 1024,  # told per GiB/s
            "vpc/nat-gateway": 0.052,
            "ec2/g6e.xlarge": 2.327,
            "ec2/c7i.large": 0.102,
            "ec2-spot/g6e.xlarge": 1.0,  # the newest of each zone
            "ec2-spot/c7i.large": 1.0,
            "cloudwatch/alarm": 0.1,  # not the high-resolution one, which ends alike
            "cloudwatch/alarm-high-resolution": 0.3,
            "cloudwatch/metric": 0.3,  # the first tier
            "cloudwatch/requests": 0.01,  # behind the free ones, of a thousand
        }
    )
    assert {row.date for row in rows if row.region == "eu-central-1"} != {""}
    assert tuple(row for row in rows if row.region != "eu-central-1") == tuple(
        sorted(before, key=lambda row: (row.region, row.item))
    )
    assert catalogue_copy.read_text().startswith("# List prices")
    services = {service for service, filters in aws.asked if filters["regionCode"] == "eu-central-1"}
    assert services == {"AmazonEC2", "AmazonVPC", "AWSELB", "AmazonCloudWatch"}


def test_what_the_list_does_not_tell_is_said(aws: PriceListServer, catalogue_copy: Path) -> None:
    del aws
    result = _run("--region", "eu-central-1", "--write", "--file", str(catalogue_copy))
    assert "The price list does not tell: ebs/snapshot, vpc/nat-data" in result.stderr
    assert "ebs/initialization" in result.stderr


@pytest.mark.usefixtures("aws")
def test_reading_twice_changes_nothing_more(catalogue_copy: Path) -> None:
    words = ("--region", "eu-central-1", "--write", "--file", str(catalogue_copy))
    _run(*words)
    first = catalogue_copy.read_bytes()
    _run(*words)
    assert catalogue_copy.read_bytes() == first


def test_expired_credentials_write_nothing(aws: PriceListServer, catalogue_copy: Path) -> None:
    aws.refuse = "ExpiredTokenException"
    before = catalogue_copy.read_bytes()
    result = _run("--write", "--file", str(catalogue_copy))
    assert result.exit_code == 2
    assert "ExpiredTokenException" in result.stderr
    assert catalogue_copy.read_bytes() == before


def test_a_product_without_a_price_writes_nothing(aws: PriceListServer, catalogue_copy: Path) -> None:
    aws.products = {"AmazonEC2": [product("EUC1-EBS:VolumeUsage.gp3")]}
    before = catalogue_copy.read_bytes()
    result = _run("--region", "eu-central-1", "--write", "--file", str(catalogue_copy))
    assert result.exit_code == 2
    assert "has no price on demand in USD" in result.stderr
    assert catalogue_copy.read_bytes() == before


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch, catalogue_copy: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("fleet.price_list.CONFIG", None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = _run("--write", "--file", str(catalogue_copy))
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_catalogue_is_shown_with_unit_date_and_source() -> None:
    shown = json.loads(_run("--json").stdout)
    gpu = next(row for row in shown if row["item"] == "ec2/g6e.xlarge")
    assert (gpu["usd"], gpu["unit"], gpu["date"]) == (1.861, "hour", "2026-07-20")
    assert all(row["region"] == "us-east-1" and row["source"] for row in shown)


def test_a_region_without_prices_says_how_to_get_them() -> None:
    result = _run("--region", "eu-central-1")
    assert result.exit_code == 2
    assert "no price of eu-central-1 in the catalogue; `fleet prices --region eu-central-1 --write`" in result.stderr


def test_a_price_read_replaces_the_old_one() -> None:
    (old,) = (row for row in parse(PRICES_FILE.read_text()) if row.item == "vpc/nat-gateway")
    new = type(old)(old.region, old.item, 9.0, old.unit, "2027-01-01", "made up")
    assert PriceList({}).updated([old]).updated([new]).find("us-east-1", "vpc/nat-gateway") == new
