"""A bill by hand, its prices with unit and day, regions without prices, spot, warm pools and schedules."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from settings.costs.amount import CASES, Amount, Case
from settings.costs.bill import Bill, change
from settings.costs.charge import bill_of
from settings.costs.estate import DEPLOYMENT_METRICS, HOST_METRICS, POOL_METRICS, estate_of
from settings.costs.prices import Price, parse, price_list, rewritten
from settings.costs.report import sections
from settings.costs.schedule import expected_minimum
from settings.costs.tokens import Load, token_cost
from settings.load import load_settings
from settings.model import Settings
from settings.network import NetworkSettings
from settings.router import ImageSettings, RouterSettings
from settings.scaling import ScalingSettings, ScheduleSettings
from settings.workers import ModelVolumeSettings, SpotSettings, WarmPoolSettings, WorkerPool
from user_data.cloudwatch_agent import agent_configuration
from user_data.metrics import ALL_METRICS, LOG_METRICS
from user_data.node_config import DIMENSION_POOL, LogConfig, NodeConfig

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs" / "cost.md"
DEFAULT_BYTES = {"default": 19_300_000_000}
BY_HAND = {
    "example": (DEFAULT_BYTES, None),
    "g6-spot": ({"default": 9_980_000_000}, {"default": 3.5}),
    "p5": ({"default": 470_000_000_000}, None),
}
OPERATION = re.compile(r"[0-9.x+/() ]+")


def _environment(name: str) -> Settings:
    return load_settings(REPOSITORY / "environments" / f"{name}.toml", {})


def _bill(settings: Settings, expected: dict[str, float] | None = None) -> Bill:
    return bill_of(estate_of(settings, DEFAULT_BYTES, expected))


def _usd(bill: Bill, name: str, case: Case = "expected") -> float:
    """USD per hour of a line, 0 where the bill has none of the name."""
    return sum(line.usd_per_hour(case) or 0.0 for line in bill.lines if line.name == name)


def _worked_out(cell: str) -> float:
    assert OPERATION.fullmatch(cell), cell
    return float(eval(cell.replace("x", "*")))  # noqa: S307 - digits and four operations


@pytest.mark.parametrize("name", ["example", "g6-spot", "p5"])
def test_the_bill_is_what_a_hand_works_out(name: str) -> None:
    sums, written = _by_hand(name)
    assert sums == pytest.approx(written, abs=0.00006)
    model_bytes, expected = BY_HAND[name]
    bill = bill_of(estate_of(_environment(name), model_bytes, expected))
    totals = [bill.total(case) for case in CASES]
    assert all(total.is_complete for total in totals)
    assert [total.usd_per_hour for total in totals] == pytest.approx(written, rel=0.02)


def _by_hand(name: str) -> tuple[list[float], list[float]]:
    """The sums of the cells of an environment's table, and its last row."""
    text = DOCS.read_text("utf-8")
    heading = next(line for line in text.splitlines() if line.startswith("### ") and f"/{name}.toml`" in line)
    body = text.split(heading)[1].splitlines()
    start = next(index for index, line in enumerate(body) if line.startswith("| What"))
    end = next(index for index, line in enumerate(body) if line.startswith("| **Sum**"))
    cells = [[_worked_out(cell) for cell in line.strip("|").split("|")[1:]] for line in body[start + 2 : end]]
    assert len(cells) >= 12
    return [sum(column) for column in zip(*cells, strict=True)], [float(one) for one in body[end].split("|")[2:5]]


def test_every_priced_line_names_unit_date_and_source() -> None:
    for name in ("example", "g6-spot", "p5", "two-pools"):
        for line in bill_of(estate_of(_environment(name))).lines:
            assert line.price is not None
            assert line.unit == line.price.unit
            assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", line.date or "")
            assert line.price.source


def test_another_region_has_no_figure_and_says_so() -> None:
    bill = _bill(Settings(region="eu-central-1"))
    assert all(line.usd_per_hour("most") is None for line in bill.lines)
    assert str(bill.total("expected")) == f"unknown ({len(bill.lines)} lines have no price)"
    assert bill.problems[0].startswith("no price in eu-central-1 for vpc/nat-gateway")
    assert "it has them for us-east-1; `fleet prices --region eu-central-1 --write` reads them" in bill.problems[0]
    assert bill.oldest_price is None


def test_one_type_without_a_price_leaves_the_rest_and_an_open_total() -> None:
    pool = WorkerPool(instance_type="p5e.48xlarge")
    bill = _bill(Settings(workers=(pool,)))
    total = bill.total("least")
    assert total.unpriced == ("workers-default: workers, p5e.48xlarge",)
    assert str(total).startswith("more than 0.")
    assert str(total).endswith("USD per hour (1 line has no price)")


def test_a_price_of_one_region_is_not_taken_for_another() -> None:
    home = price_list().find("us-east-1", "ec2/g6e.xlarge")
    assert home is not None
    there = replace(home, region="eu-central-1", usd=2.327)
    prices = price_list().updated([there])
    bill = bill_of(estate_of(Settings(region="eu-central-1"), DEFAULT_BYTES), prices=prices)
    assert _usd(bill, "workers, g6e.xlarge") == 2.327
    assert not bill.total("expected").is_complete


def test_a_model_of_unknown_size_has_no_figure() -> None:
    bill = bill_of(estate_of(Settings()))
    storage = next(line for line in bill.lines if line.name == "model volumes, storage")
    assert (storage.amount, storage.usd_per_hour("least")) == (None, None)
    assert "set workers.model_volume.size_gib, or bake first" in bill.problems[0]
    known = Settings(workers=(WorkerPool(model_volume=ModelVolumeSettings(size_gib=40)),))
    assert bill_of(estate_of(known)).total("least").is_complete


def test_the_model_volume_has_the_size_that_a_bake_gives_it() -> None:
    storage = next(line for line in _bill(Settings()).lines if line.name == "model volumes, storage")
    assert storage.amount == Amount(22, 22, 88)


def test_spot_is_an_estimate_below_and_on_demand_at_most() -> None:
    pool = WorkerPool(spot=SpotSettings(enabled=True, on_demand_base=1, on_demand_percentage=50), max_size=4)
    bill = _bill(Settings(workers=(pool,)), {"default": 3.0})
    # Of 2 above the base, 1 is on demand.
    assert _usd(bill, "workers, g6e.xlarge") == pytest.approx(2 * 1.861)
    assert _usd(bill, "spot workers, g6e.xlarge (estimate)") == pytest.approx(1.861 / 2)
    assert _usd(bill, "workers, g6e.xlarge", "most") == pytest.approx(4 * 1.861)
    newest = Price("us-east-1", "ec2-spot/g6e.xlarge", 0.7, "hour", "2027-01-01", "history")
    settings = Settings(workers=(pool,))
    read = bill_of(estate_of(settings, DEFAULT_BYTES, {"default": 3.0}), prices=price_list().updated([newest]))
    assert _usd(read, "spot workers, g6e.xlarge (estimate)") == 0.7


def test_a_stopped_warm_pool_costs_its_volumes_and_a_running_one_its_hours() -> None:
    def bill(state: str, least: int = 0, prepared: int | None = None) -> Bill:
        warm = WarmPoolSettings(enabled=True, state=state, min_size=least, max_prepared=prepared)  # type: ignore[arg-type]
        return _bill(Settings(workers=(WorkerPool(warm_pool=warm),)))

    stopped, running = bill("stopped"), bill("running")
    # 1 to 4 workers: 3 wait at the least size, none at the largest.
    assert _usd(stopped, "root volumes, storage", "least") == pytest.approx(4 * 100 * 0.08 / 730 + 30 * 0.08 / 730)
    assert _usd(stopped, "root volumes, storage", "most") == _usd(stopped, "root volumes, storage", "least")
    assert _usd(stopped, "workers, g6e.xlarge", "least") == 1.861
    assert _usd(running, "running warm pool, g6e.xlarge", "least") == pytest.approx(3 * 1.861)
    assert _usd(running, "running warm pool, g6e.xlarge", "most") == 0
    assert _usd(bill("running", 2), "running warm pool, g6e.xlarge", "most") == pytest.approx(2 * 1.861)
    assert _usd(bill("running", 0, 3), "running warm pool, g6e.xlarge", "least") == pytest.approx(2 * 1.861)


def test_network_and_balancer() -> None:
    private = NetworkSettings(nat="none", interface_endpoints=("autoscaling", "ec2", "ssm", "logs", "monitoring"))
    bill = _bill(Settings(network=private))
    assert _usd(bill, "interface endpoints") == pytest.approx(5 * 2 * 0.01)
    assert _usd(bill, "data through endpoints") == pytest.approx(2 * 0.012 * 0.01)
    assert _usd(bill, "NAT gateways") == _usd(bill, "data through NAT gateways") == 0
    per_az = _bill(Settings(network=NetworkSettings(nat="per_az", interface_endpoints=("logs",))))
    assert _usd(per_az, "NAT gateways") + _usd(per_az, "public addresses") == pytest.approx(2 * 0.05)
    assert _usd(per_az, "data through NAT gateways") == pytest.approx(2 * 0.002 * 0.045)
    assert _usd(per_az, "data through endpoints") == pytest.approx(2 * 0.01 * 0.01)
    several = _bill(Settings(router=RouterSettings(count=2)))
    assert _usd(several, "load balancer") == 0.0225
    assert _usd(several, "load balancer, capacity", "most") == 0.006
    assert _usd(several, "hosts, c7i.large") == pytest.approx(2 * 0.08925)


def test_snapshots_of_an_own_image_are_not_the_deployments() -> None:
    own = ImageSettings(ami="ami-00000000000000000")
    pools = (WorkerPool(name="router", image=own), WorkerPool(name="other"))
    bill = bill_of(estate_of(Settings(workers=pools), {"router": 19_300_000_000, "other": 19_300_000_000}))
    stacks = {line.stack for line in bill.lines if line.name.startswith("image, snapshot")}
    assert stacks == {"router", "workers-other"}


def test_a_change_is_told_line_by_line() -> None:
    before = _bill(Settings())
    after = _bill(Settings(workers=(WorkerPool(instance_type="g6e.2xlarge"),), network=NetworkSettings(nat="per_az")))
    told = {one.name: one.usd_per_hour("most") for one in change(before, after)}
    assert told == pytest.approx(
        {
            "NAT gateways": 0.045,
            "public addresses": 0.005,
            "workers, g6e.xlarge": -4 * 1.861,
            "workers, g6e.2xlarge": 4 * 2.24208,
        }
    )
    assert change(before, before) == ()


def test_a_change_to_a_region_without_prices_has_no_figure() -> None:
    told = change(_bill(Settings()), _bill(Settings(region="eu-central-1")))
    assert told
    assert all(one.usd_per_hour("least") is None for one in told)


def test_schedules_set_the_expected_size() -> None:
    office = _environment("office-hours").workers[0]
    # Two workers from 7:30 to 19:00 on five days of seven, none else; 2027 has 261 weekdays.
    assert expected_minimum(office) == pytest.approx(2 * 11.5 * 261 / (365 * 24), rel=0.001)
    assert expected_minimum(WorkerPool(desired_size=3)) == 3
    estate = estate_of(_environment("office-hours"))
    assert (estate.pools[0].workers.least, estate.pools[0].workers.most) == (0, 4)


@pytest.mark.parametrize(
    ("recurrence", "share"),
    [
        ("0 0 1 * *", 12 / 365),  # a month's first day
        ("0 0 1 1,7 *", 2 / 365),
        ("0 0 * * SUN", 52 / 365),
        ("0 0 1 * MON", (52 + 12 - 3) / 365),  # either (crontab(5)); three first days of 2027 are Mondays
        ("0 0 1-31/10 * *", (12 * 3 + 7) / 365),  # 1, 11, 21, and 31 in seven months
    ],
)
def test_a_day_a_cron_line(recurrence: str, share: float) -> None:
    schedules = (
        ScheduleSettings(name="on", recurrence=recurrence, min_size=3),
        ScheduleSettings(name="off", recurrence="59 23 * * *", min_size=0),
    )
    pool = WorkerPool(scaling=ScalingSettings(schedules=schedules))
    assert expected_minimum(pool) == pytest.approx(3 * share * (1439 / 1440), rel=1e-6)


def test_a_schedule_that_goes_by_minutes() -> None:
    schedules = (
        ScheduleSettings(name="on", recurrence="*/30 * * * *", min_size=4),
        ScheduleSettings(name="off", recurrence="15,45 * * * *", min_size=2),
    )
    assert expected_minimum(WorkerPool(scaling=ScalingSettings(schedules=schedules))) == pytest.approx(3)


def test_tokens_pay_for_the_whole_deployment() -> None:
    cost = token_cost(Settings(), Load("default", hours=2, gpu_hours=4, output_tokens=7_200_000), DEFAULT_BYTES)
    per_hour = _bill(Settings(), {"default": 2.0}).total("expected").usd_per_hour
    assert cost.usd_per_million_output == pytest.approx(per_hour / 3.6)
    assert str(cost) == f"{per_hour / 3.6:.2f} USD per million output tokens at 3.60 million an hour"
    elsewhere = token_cost(Settings(region="eu-central-1"), Load("default", 1, 1, 1000), DEFAULT_BYTES)
    assert elsewhere.usd_per_million_output is None
    assert str(elsewhere).startswith("USD per million output tokens: unknown (unknown (")


@pytest.mark.parametrize("load", [Load("default", 0, 1, 1), Load("default", 1, 1, 0)])
def test_a_load_of_nothing_is_refused(load: Load) -> None:
    with pytest.raises(ValueError, match="load of pool 'default': needs hours and output tokens above 0"):
        token_cost(Settings(), load)


def test_the_documented_example_of_tokens() -> None:
    cost = token_cost(_environment("example"), Load("default", 1, 1, 3_600_000), DEFAULT_BYTES)
    assert f"{cost.usd_per_million_output:.2f} USD per million" in DOCS.read_text("utf-8")


def test_metrics_are_counted_as_the_hosts_publish_them() -> None:
    of_pool = sum(DIMENSION_POOL in metric.dimensions for metric in ALL_METRICS) + len(LOG_METRICS)
    logs = LogConfig(group="g", metrics_namespace="n")
    node = NodeConfig(deployment="d", stack="s", region="r", logs=logs, api_key_parameter=None)
    collected = str(agent_configuration(node)["metrics"])
    assert (of_pool, len(ALL_METRICS) - of_pool) == (POOL_METRICS, DEPLOYMENT_METRICS)
    assert sum(collected.count(word) for word in ("usage_active", "used_percent")) == HOST_METRICS


def test_the_price_file_keeps_its_notes_when_it_is_written() -> None:
    text = "# note\nregion,item,usd,unit,date,source\nus-east-1,a,1,hour,2026-01-01,x\n"
    new = Price("eu-west-1", "a", 0.5, "hour", "2026-02-02", "y, z")
    written = rewritten(text, [new])
    assert written.startswith("# note\nregion,")
    assert [(row.region, row.usd, row.source) for row in parse(written)] == [
        ("eu-west-1", 0.5, "y, z"),
        ("us-east-1", 1.0, "x"),
    ]


def test_the_document_says_what_a_region_without_prices_gets() -> None:
    text = " ".join(DOCS.read_text("utf-8").replace("> ", "").split())
    bill = bill_of(estate_of(_environment("office-hours")))
    assert bill.problems[0] in text
    assert str(bill.total("most")) in text


@pytest.mark.parametrize("name", ["bill", "usage", "not counted"])
def test_the_document_shows_the_tables(name: str) -> None:
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)\n<!-- end: {name} -->", DOCS.read_text("utf-8"), re.DOTALL)
    assert found
    assert found[1] == sections()[name], "run `python -m settings.costs.report` and put its output into docs/cost.md"
