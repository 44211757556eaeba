"""The AWS price list as this project's catalogue names things: one edge to the Price List API and to spot prices.

Each of our items is one product of the list: a service, a few attributes, and the end of its usage type, which starts
with a short name of the region outside us-east-1 (`EUC1-NatGateway-Hours`). Tiers: the first one counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
from botocore.config import Config

from settings.costs.prices import Price

API_REGION: Final = "us-east-1"
"""The API itself is in few regions; it has the prices of all."""
CONFIG: Final = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4})
SOURCE: Final = "AWS price list (Price List API, GetProducts)"
SPOT_SOURCE: Final = "EC2 spot price history: mean of the zones' newest prices"
GIBPS: Final = 1024
THOUSAND: Final = 1000
Filter = dict[str, str]


class PriceListError(RuntimeError):
    """The price list answers something that cannot be taken for a price."""


@dataclass(frozen=True)
class Wanted:
    """One of our items and how the price list calls it. `factor` turns its unit's price into ours."""

    item: str
    unit: str
    service: str
    usage_end: str
    factor: float = 1.0
    attributes: Mapping[str, str] = field(default_factory=dict)


EC2, VPC, WATCH = "AmazonEC2", "AmazonVPC", "AmazonCloudWatch"
NETWORK_BALANCER = {"productFamily": "Load Balancer-Network"}
WANTED: Final = (
    Wanted("ebs/gp3-storage", "GiB-month", EC2, "EBS:VolumeUsage.gp3"),
    Wanted("ebs/gp3-iops", "IOPS-month", EC2, "EBS:VolumeP-IOPS.gp3"),
    Wanted("ebs/gp3-throughput", "MiB/s-month", EC2, "EBS:VolumeP-Throughput.gp3", 1 / GIBPS),
    Wanted("ebs/snapshot", "GiB-month", EC2, "EBS:SnapshotUsage"),
    Wanted("vpc/nat-gateway", "hour", EC2, "NatGateway-Hours"),
    Wanted("vpc/nat-data", "GB", EC2, "NatGateway-Bytes"),
    Wanted("vpc/public-address", "hour", VPC, "PublicIPv4:InUseAddress"),
    Wanted("vpc/endpoint", "hour", VPC, "VpcEndpoint-Hours"),
    Wanted("vpc/endpoint-data", "GB", VPC, "VpcEndpoint-Bytes"),
    Wanted("elb/network", "hour", "AWSELB", "LoadBalancerUsage", attributes=NETWORK_BALANCER),
    Wanted("elb/network-capacity", "NLCU-hour", "AWSELB", "LCUUsage", attributes=NETWORK_BALANCER),
    Wanted("cloudwatch/metric", "metric-month", WATCH, "CW:MetricMonitorUsage"),
    Wanted("cloudwatch/requests", "1000 requests", WATCH, "CW:Requests", THOUSAND),
    Wanted("cloudwatch/alarm", "metric-month", WATCH, "CW:AlarmMonitorUsage"),
    Wanted("cloudwatch/alarm-high-resolution", "metric-month", WATCH, "CW:HighResAlarmMonitorUsage"),
    Wanted("logs/ingested", "GB", WATCH, "DataProcessing-Bytes"),
    Wanted("logs/stored", "GB-month", WATCH, "TimedStorage-ByteHrs"),
)
NOT_LISTED: Final = ("ebs/initialization", "cloudwatch/dashboard")
"""What the API does not tell under a usage type that this project knows; a region needs a row by hand."""


@dataclass(frozen=True)
class Reading:
    """What was read of a region, and the items that the list does not have there."""

    prices: tuple[Price, ...]
    missing: tuple[str, ...]


class AwsPrices:
    """Prices of one region as AWS tells them today."""

    def __init__(self, region: str) -> None:
        """Use the usual credentials; both calls are free and change nothing."""
        self.region = region
        # Typed as Any: the stubs of the pricing service are not among the pinned packages.
        self._list: Any = boto3.client("pricing", region_name=API_REGION, config=CONFIG)
        # EC2's stubs would take no instance type newer than they are.
        self._ec2: Any = boto3.client("ec2", region_name=region, config=CONFIG)

    def read(self, instance_types: Iterable[str], now: datetime | None = None) -> Reading:
        """Read every item, the instance types on demand and on the spot market.

        Raises:
            ClientError: AWS refused.
            BotoCoreError: AWS cannot be reached.
            PriceListError: an answer is not a price.
        """
        today = now or datetime.now(UTC)
        types = tuple(dict.fromkeys(instance_types))
        found = [price for wanted in WANTED for price in self._item(wanted, today)]
        found += [price for name in types for price in self._host(name, today)]
        spots = [price for name in types for price in self._spot(name, today)]
        names = {price.item for price in found}
        asked = [*(wanted.item for wanted in WANTED), *(f"ec2/{name}" for name in types)]
        return Reading((*found, *spots), (*(item for item in asked if item not in names), *NOT_LISTED))

    def _item(self, wanted: Wanted, today: datetime) -> Iterator[Price]:
        filters = {"regionCode": self.region, **wanted.attributes}
        for product in self._products(wanted.service, filters):
            usage = str(product["product"]["attributes"].get("usagetype", ""))
            if _is_usage(usage, wanted.usage_end):
                yield self._price(wanted.item, _first_tier(product) * wanted.factor, wanted.unit, today, SOURCE)
                return

    def _host(self, name: str, today: datetime) -> Iterator[Price]:
        filters = {
            "regionCode": self.region,
            "instanceType": name,
            "operatingSystem": "Linux",
            "preInstalledSw": "NA",
            "tenancy": "Shared",
            "capacitystatus": "Used",
            "marketoption": "OnDemand",
        }
        for product in self._products(EC2, filters):
            yield self._price(f"ec2/{name}", _first_tier(product), "hour", today, SOURCE)
            return

    def _spot(self, name: str, today: datetime) -> Iterator[Price]:
        pages = self._ec2.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=[name],
            ProductDescriptions=["Linux/UNIX"],
            StartTime=today - timedelta(minutes=1),
        )
        zones: dict[str, float] = {}
        for page in pages:  # newest first; the price that holds at StartTime is among them
            for entry in page["SpotPriceHistory"]:
                zones.setdefault(entry["AvailabilityZone"], float(entry["SpotPrice"]))
        if zones:
            yield self._price(f"ec2-spot/{name}", sum(zones.values()) / len(zones), "hour", today, SPOT_SOURCE)

    def _products(self, service: str, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        terms = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()]
        for page in self._list.get_paginator("get_products").paginate(ServiceCode=service, Filters=terms):
            yield from (json.loads(text) for text in page["PriceList"])

    def _price(self, item: str, usd: float, unit: str, today: datetime, source: str) -> Price:
        return Price(self.region, item, usd, unit, today.date().isoformat(), source)


def _is_usage(usage: str, end: str) -> bool:
    """The usage type itself, or with a region's short name before it."""
    return usage == end or usage.endswith(f"-{end}")


def _first_tier(product: Mapping[str, Any]) -> float:
    """USD of the first tier on demand."""
    try:
        (offer, *_) = product["terms"]["OnDemand"].values()
        tiers = sorted(offer["priceDimensions"].values(), key=lambda tier: float(tier.get("beginRange", 0)))
        priced = [usd for usd in (float(tier["pricePerUnit"]["USD"]) for tier in tiers) if usd > 0]
        return priced[0]  # what is free at first costs later: a free tier is the account's, not the price
    except (KeyError, ValueError, IndexError) as error:
        sku = product.get("product", {}).get("sku", "unknown")
        raise PriceListError(f"AWS price list: product {sku} has no price on demand in USD ({error!r})") from error
