"""Phases have the agents' names, figures follow from the catalogue, and published times come out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from settings.boots.advice import advise
from settings.boots.measured import PhaseLogged, compare
from settings.boots.paths import LoadPath, ModelSize
from settings.boots.phases import LOGGED, PHASES
from settings.boots.predict import boots, logged_path, predict
from settings.boots.published import TOLERANCE, Kind, Published, published
from settings.boots.rates import ebs_rate, mib_to_mb, s3_rate, seconds_for
from settings.boots.report import sections
from settings.catalogue import catalogue
from settings.engine_arguments import EngineArguments
from settings.workers import ModelVolumeSettings, WarmPoolSettings, WorkerPool
from user_data.agent import readiness

DOCS = Path(__file__).parents[3] / "docs" / "boot.md"
POOL = WorkerPool()
DEFAULT = ModelSize(19_300_000_000, 64)
PARALLEL = EngineArguments.read({"weight_loader_prefetch_checkpoints": True})
TWENTY_GB = 20_000_000_000


def test_the_agent_logs_these_phases_in_this_order() -> None:
    assert readiness.PHASES == LOGGED
    assert ("host_started", *LOGGED, "routable") == PHASES


@pytest.mark.parametrize("row", [row for row in published() if row.kind is not Kind.NOT], ids=lambda row: row.name)
def test_published_times_come_out_within_a_quarter(row: Published) -> None:
    assert row.error is not None
    assert abs(row.error) <= TOLERANCE, (row.measured, row.ours)


def test_what_cannot_be_reproduced_says_why_and_has_no_figure() -> None:
    without = [row for row in published() if row.kind is Kind.NOT]
    assert without
    assert all(row.ours is None and len(row.how) > 20 for row in without)


def test_the_document_says_how_many_rows_are_predictions() -> None:
    counts = [sum(row.kind is kind for row in published()) for kind in (Kind.PREDICTED, Kind.TAKEN, Kind.NOT)]
    assert counts[0] >= 8
    assert "{} predicted, {} given back, {} cannot".format(*counts) in DOCS.read_text("utf-8")


@pytest.mark.parametrize(
    ("instance_type", "baseline", "peak"),
    [("g5.xlarge", 229, 46), ("g6.xlarge", 160, 32), ("g6e.2xlarge", 80, 32), ("p5.48xlarge", 2, 2)],
)
def test_twenty_gigabytes_from_ebs(instance_type: str, baseline: float, peak: float) -> None:
    instance = catalogue().instances[instance_type]
    assert seconds_for(TWENTY_GB, instance.ebs_mb_s) == pytest.approx(baseline, abs=0.6)
    assert seconds_for(TWENTY_GB, ebs_rate(instance, TWENTY_GB)) == pytest.approx(peak, abs=0.6)


def test_twenty_gigabytes_read_ahead() -> None:
    assert seconds_for(TWENTY_GB, mib_to_mb(300)) == pytest.approx(64, abs=0.5)
    assert seconds_for(TWENTY_GB, mib_to_mb(100)) == pytest.approx(191, abs=0.5)


def test_a_reading_longer_than_the_burst_goes_at_the_baseline() -> None:
    instance = catalogue().instances["g6e.xlarge"]
    assert ebs_rate(instance, 30 * 60 * 625_000_000) == 625
    assert ebs_rate(instance, 30 * 60 * 625_000_000 + 1_000_000) == 125


def test_s3_has_a_ceiling_for_a_host() -> None:
    assert s3_rate(catalogue().instances["g6e.xlarge"]) == 20_000 / 8 * 0.75
    assert s3_rate(catalogue().instances["p5.48xlarge"]) == 7000


def test_the_default_model_read_ahead_phase_by_phase() -> None:
    boot = predict(POOL, DEFAULT, LoadPath.BAKED_INITIALIZED)
    root = 2 * 1024**3 / 25e6
    graphs = 12 * 64 * 60 / (67 * 80)
    # EBS has read 300 MiB/s since the host started, longer than its 61 s: only the loader's 340 MB/s is left.
    weights = 19.3e9 / 340e6
    assert boot.seconds("host_started") == pytest.approx(22.6)
    assert boot.seconds("key_fetched") == pytest.approx(3.2)
    assert boot.seconds("engine_listening") == pytest.approx(root + 17.3 + weights + 0.5 + graphs)
    assert boot.seconds("first_generation") == pytest.approx(3.4)
    assert boot.to_routable == pytest.approx(boot.to_first_token + 2.3)
    assert boot.host_uptime("engine_listening") == pytest.approx(3.2 + boot.seconds("engine_listening"))


def test_a_large_model_waits_for_the_initialization_rate() -> None:
    large = ModelSize(131_040_000_000, 64)
    pool = WorkerPool(engine=PARALLEL)
    boot = predict(pool, large, LoadPath.BAKED_INITIALIZED)
    # Read ahead from the host's start at 300 MiB/s: everything from there to the last weight takes just that.
    before_graphs = boot.host_uptime("engine_listening") - 0.5 - 12 * 64 * 60 / (67 * 80)
    assert before_graphs == pytest.approx(131.04e9 / (300 * 1024**2))
    slower = WorkerPool(engine=PARALLEL, model_volume=ModelVolumeSettings(initialization_rate_mib=100))
    assert predict(slower, large, LoadPath.BAKED_INITIALIZED).to_routable > boot.to_routable + 400


def test_lazy_reading_takes_minutes() -> None:
    assert predict(POOL, DEFAULT, LoadPath.BAKED_COLD).to_routable > 15 * 60


def test_the_warm_pool_reads_what_was_read_before() -> None:
    stopped = predict(POOL, DEFAULT, LoadPath.WARM_POOL)
    assert stopped.seconds("host_started") + stopped.seconds("key_fetched") == pytest.approx(21.2)
    again = WorkerPool(engine=PARALLEL)
    faster = predict(again, DEFAULT, LoadPath.WARM_POOL)
    assert stopped.to_routable - faster.to_routable == pytest.approx(19.3e9 / 340e6 - 19.3e9 / 625e6)
    running = WorkerPool(warm_pool=WarmPoolSettings(enabled=True, state="running"))
    assert predict(running, DEFAULT, LoadPath.WARM_POOL).to_routable == pytest.approx(stopped.to_routable - 21.2)


def test_a_slow_volume_is_the_limit() -> None:
    slow = WorkerPool(engine=PARALLEL, model_volume=ModelVolumeSettings(throughput_mib=200))
    weights = next(
        step for step in predict(slow, DEFAULT, LoadPath.WARM_POOL).phases[3].steps if "weights" in step.what
    )
    assert weights.seconds == pytest.approx(19.3e9 / (mib_to_mb(200) * 1e6))


def test_fp8_kernels_and_several_gpus_take_their_time() -> None:
    pool = WorkerPool(instance_type="p5.48xlarge", engine=EngineArguments.read({"tp_size": 8}))
    plain = predict(pool, DEFAULT, LoadPath.S3)
    fp8 = predict(pool, ModelSize(19_300_000_000, 64, is_fp8=True), LoadPath.S3)
    assert fp8.to_routable - plain.to_routable == pytest.approx(23.1)
    alone = predict(WorkerPool(instance_type="p5.48xlarge"), DEFAULT, LoadPath.S3)
    assert plain.to_routable - alone.to_routable == pytest.approx(4.7)
    ada = predict(POOL, ModelSize(19_300_000_000, 64, is_fp8=True), LoadPath.S3)
    assert ada.to_routable == pytest.approx(predict(POOL, DEFAULT, LoadPath.S3).to_routable)


def test_paths_that_a_type_does_not_have_are_left_out() -> None:
    without_disks = WorkerPool(instance_type="g5g.xlarge")
    assert LoadPath.INSTANCE_STORE not in [boot.path for boot in boots(without_disks, DEFAULT)]
    assert LoadPath.INSTANCE_STORE in [boot.path for boot in boots(POOL, DEFAULT)]
    too_large = ModelSize(240_000_000_000)
    assert LoadPath.INSTANCE_STORE not in [boot.path for boot in boots(POOL, too_large)]
    own_image = WorkerPool(model_volume=ModelVolumeSettings(enabled=False))
    assert LoadPath.BAKED_INITIALIZED not in [boot.path for boot in boots(own_image, DEFAULT)]


def test_every_step_names_its_source() -> None:
    for boot in boots(WorkerPool(instance_type="p5.48xlarge"), ModelSize(470_000_000_000, 94, is_moe=True)):
        assert all(step.source and step.seconds > 0 for phase in boot.phases for step in phase.steps)


def test_advice_names_what_to_set() -> None:
    advice = advise(POOL, DEFAULT)
    assert advice.now.path == LoadPath.BAKED_INITIALIZED
    assert advice.best.path == LoadPath.WARM_POOL
    assert "warm pool: about 114 s, with workers.warm_pool.enabled = true" in advice.sentence
    assert "engine.weight_loader_prefetch_checkpoints = true" in advice.sentence
    large = advise(WorkerPool(instance_type="p5.48xlarge"), ModelSize(470_000_000_000, 94, is_moe=True))
    assert "streamed from S3: about 237 s, which no setting does yet" in large.sentence


def test_advice_has_nothing_to_say_where_all_is_set() -> None:
    warm = WarmPoolSettings(enabled=True)
    pool = WorkerPool(engine=PARALLEL, warm_pool=warm)
    assert [remark for remark in advise(pool, DEFAULT).remarks if "=" in remark] == []


def test_measured_beside_predicted() -> None:
    boot = predict(POOL, DEFAULT, LoadPath.BAKED_INITIALIZED)
    logged = [
        PhaseLogged("i-1", "key_fetched", 10.0),
        PhaseLogged("i-1", "engine_listening", 100.0),
        PhaseLogged("i-2", "engine_listening", 300.0),
        PhaseLogged("i-1", "engine_listening", 5000.0),  # its engine was started again: no boot
        PhaseLogged("i-2", "unknown", 301.0),
    ]
    rows = {row.phase: row for row in compare(boot, logged)}
    assert tuple(rows) == LOGGED
    assert rows["engine_listening"].measured == 200.0
    assert rows["engine_listening"].boots == 2
    assert rows["engine_listening"].error == pytest.approx(boot.host_uptime("engine_listening") / 200 - 1)
    assert (rows["first_generation"].measured, rows["first_generation"].error) == (None, None)


def test_a_host_that_was_stopped_counts_with_its_last_boot() -> None:
    pool = WorkerPool(warm_pool=WarmPoolSettings(enabled=True))
    assert logged_path(pool) is LoadPath.WARM_POOL
    assert logged_path(POOL) is LoadPath.BAKED_INITIALIZED
    logged = [
        PhaseLogged("i-1", "key_fetched", 12.0),
        PhaseLogged("i-1", "engine_listening", 170.0),
        PhaseLogged("i-1", "key_fetched", 9.0),
        PhaseLogged("i-1", "engine_listening", 80.0),
    ]
    rows = {row.phase: row for row in compare(predict(pool, DEFAULT, logged_path(pool)), logged)}
    assert (rows["key_fetched"].measured, rows["engine_listening"].measured) == (9.0, 80.0)


@pytest.mark.parametrize("name", ["predicted", "published", "constants"])
def test_the_document_shows_the_tables(name: str) -> None:
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)\n<!-- end: {name} -->", DOCS.read_text("utf-8"), re.DOTALL)
    assert found
    assert found[1] == sections()[name], "run `python -m settings.boots.report` and put its output into docs/boot.md"
