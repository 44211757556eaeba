"""The prediction: seconds from launch to first token and to the first routed request, by phase, for each load path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.boots import constants as known
from settings.boots.paths import LoadPath, ModelSize, Situation, root_step, weight_step
from settings.boots.phases import (
    ENGINE_LISTENING,
    ENGINE_SPAWNED,
    FIRST_GENERATION,
    HOST_STARTED,
    KEY_FETCHED,
    ROUTABLE,
    Boot,
    Phase,
    Step,
)
from settings.boots.rates import nvme_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from settings.boots.constants import Constant
    from settings.workers import WorkerPool

HOPPER = 9.0
"""DeepGEMM makes FP8 kernels for compute capability 9.0 and above (its documentation)."""
SMALLEST_STORE = 1.1
"""The model and a tenth free, as on the image's own volume."""
GB = 1_000_000_000


def predict(pool: WorkerPool, model: ModelSize, path: LoadPath) -> Boot:
    """Predict the boot of a pool's worker with this model on one load path, in seconds."""
    now = Situation(pool, model, path)
    start, guest = _launch(now)
    before = _before_weights(now)
    elapsed = sum(step.seconds for step in (*guest, *before))
    listening = (*before, weight_step(now, elapsed), *_after_weights(now))
    phases = (
        Phase(HOST_STARTED, start),
        Phase(KEY_FETCHED, guest),
        Phase(ENGINE_SPAWNED, ()),
        Phase(ENGINE_LISTENING, listening),
        Phase(FIRST_GENERATION, (_step(known.WARM_UP_SECONDS),)),
        Phase(ROUTABLE, (_step(known.ROUTABLE_SECONDS),)),
    )
    return Boot(path.value, phases, tuple(_notes(now)))


def _step(constant: Constant, count: float = 1.0) -> Step:
    return Step(constant.name, constant.value * count, constant.source)


def _launch(now: Situation) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """EC2's part and the system's part; of a warm pool, a running host needs neither and a stopped one less."""
    if now.path is not LoadPath.WARM_POOL:
        return (_step(known.API_SECONDS), _step(known.PENDING_SECONDS)), (_step(known.GUEST_SECONDS),)
    if now.pool.warm_pool.state == "running":
        return (), ()
    guest = _step(known.GUEST_SECONDS)
    whole = known.STOPPED_SECONDS
    return (Step(whole.name, whole.value - guest.seconds, whole.source),), (guest,)


def _before_weights(now: Situation) -> tuple[Step, ...]:
    distributed = (_step(known.DISTRIBUTED_SECONDS),) if now.gpus > 1 else ()
    return (root_step(now), _step(known.START_SECONDS), *distributed)


def _after_weights(now: Situation) -> tuple[Step, ...]:
    kernels = (_step(known.JIT_SECONDS),) if _makes_kernels(now) else ()
    return (_step(known.KV_SECONDS), *kernels, _graphs(now))


def _makes_kernels(now: Situation) -> bool:
    return now.model.is_fp8 and float(now.instance.compute_capability) >= HOPPER


def _graphs(now: Situation) -> Step:
    layer = known.MOE_GRAPH_SECONDS if now.model.is_moe else known.DENSE_GRAPH_SECONDS
    count = 0.0 if now.pool.engine.get("cuda_graph_backend_decode") == "disabled" else known.GRAPHS.value
    what = f"{count:g} CUDA graphs of {now.model.layers} layers"
    return Step(what, count * now.model.layers * layer.value, layer.source)


def _notes(now: Situation) -> Iterator[str]:
    if now.path in {LoadPath.BAKED_COLD, LoadPath.BAKED_INITIALIZED, LoadPath.WARM_POOL} and not now.reads_in_parallel:
        yield (
            "SGLang's default loader reads with one thread; engine.weight_loader_prefetch_checkpoints = true reads "
            "as fast as the volume gives"
        )
    if now.path is LoadPath.WARM_POOL and not now.pool.warm_pool.enabled:
        yield "needs workers.warm_pool.enabled = true, and as many hosts as are wanted at once"
    if now.path in {LoadPath.S3, LoadPath.INSTANCE_STORE}:
        yield "the deployment has no such path yet: what it would take is told, to compare"


def paths_of(pool: WorkerPool, model: ModelSize) -> tuple[LoadPath, ...]:
    """Return the paths that the pool's instance type and volumes allow."""
    now = Situation(pool, model, LoadPath.BAKED_COLD)
    room = now.instance.nvme_gb * GB >= model.weight_bytes * SMALLEST_STORE and nvme_rate(now.instance) > 0
    without_volume = not pool.model_volume.enabled
    left_out = {
        LoadPath.BAKED_INITIALIZED: without_volume,
        LoadPath.INSTANCE_STORE: not room,
    }
    return tuple(path for path in LoadPath if not left_out.get(path))


def current_path(pool: WorkerPool) -> LoadPath:
    """Return the path that a new host of the pool takes as it is set."""
    return LoadPath.BAKED_INITIALIZED if pool.model_volume.enabled else LoadPath.BAKED_COLD


def logged_path(pool: WorkerPool) -> LoadPath:
    """Return the path of what a pool's agents log last: a host of a warm pool is started a second time."""
    return LoadPath.WARM_POOL if pool.warm_pool.enabled else current_path(pool)


def boots(pool: WorkerPool, model: ModelSize) -> tuple[Boot, ...]:
    """Return the prediction for every path that is possible, fastest first."""
    return tuple(
        sorted((predict(pool, model, path) for path in paths_of(pool, model)), key=lambda one: one.to_routable)
    )
