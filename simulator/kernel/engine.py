"""One worker's continuous batching, as rehearsal.engine.batch has it."""

from __future__ import annotations

from math import inf, log, sqrt

from simulator.compiled import compiled
from simulator.histogram import BINS, FIRST_EDGE_SECONDS, LOG_RATIO
from simulator.kernel import layout as col
from simulator.kernel.heap import STEP_SHIFT, pop, push
from simulator.kernel.layout import State
from simulator.kernel.memory import free_request, release, reserve


@compiled
def run(s: State, w: int, until: float) -> None:
    """Let worker `w` work up to `until`, and note when it is worth coming back."""
    going = True
    while going:
        if s.worker[w, col.PREFILLING]:
            if s.clock[w, col.PREFILL_END] > until:
                break
            _end_prefill(s, w)
            continue
        going = s.worker[w, col.QUEUED] > 0 and not s.worker[w, col.BLOCKED] and _admit(s, w)
        if not going and s.worker[w, col.RUNNING]:
            going = _decode(s, w, until)
    s.next_at[w] = _next_change(s, w)


@compiled
def _next_change(s: State, w: int) -> float:
    if s.worker[w, col.PREFILLING]:
        return float(s.clock[w, col.PREFILL_END])
    if not s.worker[w, col.RUNNING]:
        return inf
    return float(s.clock[w, col.NOW] + _steps_seconds(s, w, _steps_ahead(s, w)))


@compiled
def _steps_ahead(s: State, w: int) -> int:
    """Decode steps until the batch can change: the first finish, or the next step when somebody could join."""
    steps = (s.heap_due[w, 0] >> STEP_SHIFT) - s.worker[w, col.STEPS]
    waits = (
        s.worker[w, col.QUEUED] and not s.worker[w, col.BLOCKED] and s.worker[w, col.RUNNING] < s.bound[col.MAX_RUNNING]
    )
    return int(min(steps, 1) if waits else steps)


@compiled
def _steps_seconds(s: State, w: int, steps: int) -> float:
    batch = s.worker[w, col.RUNNING]
    growth = s.fixed[col.CONTEXT_TOKEN] * batch
    step = s.fixed[col.STEP] + batch * s.fixed[col.SEQUENCE] + s.worker[w, col.CONTEXT] * s.fixed[col.CONTEXT_TOKEN]
    return float(steps * step + growth * steps * (steps - 1) / 2)


@compiled
def _steps_within(s: State, w: int, seconds: float) -> int:
    half_growth = s.fixed[col.CONTEXT_TOKEN] * s.worker[w, col.RUNNING] / 2
    linear = _steps_seconds(s, w, 1) - half_growth
    if half_growth <= 0:
        return int(seconds / linear)
    steps = int((sqrt(linear * linear + 4 * half_growth * seconds) - linear) / (2 * half_growth))
    return steps + (_steps_seconds(s, w, steps + 1) <= seconds)


@compiled
def _decode(s: State, w: int, until: float) -> bool:
    left = until - s.clock[w, col.NOW]
    steps = _steps_ahead(s, w)
    if _steps_seconds(s, w, steps) > left:
        steps = min(steps, _steps_within(s, w, left))
    if steps < 1:
        return False
    s.clock[w, col.NOW] += _steps_seconds(s, w, steps)
    s.worker[w, col.CONTEXT] += steps * s.worker[w, col.RUNNING]
    s.worker[w, col.STEPS] += steps
    _finish_due(s, w)
    return True


@compiled
def _admit(s: State, w: int) -> bool:
    tokens = 0
    if not s.worker[w, col.RUNNING]:
        s.clock[w, col.NOW] = max(s.clock[w, col.NOW], s.moment[s.worker[w, col.QUEUE_HEAD], col.OFFERED])
    slots = s.bound[col.MAX_RUNNING] - s.worker[w, col.RUNNING]
    while s.worker[w, col.QUEUED] and s.worker[w, col.PREFILLING] < slots and tokens < s.bound[col.MAX_PREFILL]:
        r = s.worker[w, col.QUEUE_HEAD]
        if s.moment[r, col.OFFERED] > s.clock[w, col.NOW]:
            break
        if not reserve(s, w, r):
            s.worker[w, col.BLOCKED] = s.worker[w, col.PREFILLING] == 0
            break
        s.worker[w, col.QUEUE_HEAD] = s.request[r, col.LINK]
        s.worker[w, col.QUEUED] -= 1
        _begin_prefill(s, w, r)
        tokens += s.request[r, col.PROMPT] - s.request[r, col.CACHED]
    if s.worker[w, col.PREFILLING]:
        s.clock[w, col.PREFILL_END] = (
            s.clock[w, col.NOW] + s.fixed[col.PREFILL_BATCH] + tokens / s.fixed[col.PREFILL_RATE]
        )
    return bool(s.worker[w, col.PREFILLING] > 0)


@compiled
def _begin_prefill(s: State, w: int, r: int) -> None:
    append(s, w, r, col.PREFILL_HEAD)
    s.moment[r, col.ADMITTED] = s.clock[w, col.NOW]
    s.counts[col.PROMPT_TOKENS] += s.request[r, col.PROMPT]
    s.counts[col.CACHED_TOKENS] += s.request[r, col.CACHED]


@compiled
def append(s: State, w: int, r: int, head: int) -> None:
    """Put a request at the end of the worker's list that starts in column `head`."""
    row = s.worker[w]
    s.request[r, col.LINK] = -1
    if row[head + 2]:
        s.request[row[head + 1], col.LINK] = r
    else:
        row[head] = r
    row[head + 1] = r
    row[head + 2] += 1


@compiled
def _end_prefill(s: State, w: int) -> None:
    s.clock[w, col.NOW] = s.clock[w, col.PREFILL_END]
    r, steps = s.worker[w, col.PREFILL_HEAD], s.worker[w, col.STEPS]
    for _ in range(s.worker[w, col.PREFILLING]):
        s.request[r, col.START] = steps
        s.worker[w, col.CONTEXT] += s.request[r, col.PROMPT] + 1
        last = steps + max(s.request[r, col.OUTPUT], 1) - 1
        push(s, w, (last << STEP_SHIFT) + (s.request[r, col.SERIAL] & 0xFFFFFFFF), r)
        s.moment[r, col.FIRST] = s.clock[w, col.NOW]
        measure(s, col.TTFT, s.moment[r, col.FIRST] - s.moment[r, col.ARRIVED])
        r = s.request[r, col.LINK]
    s.worker[w, col.PREFILLING] = 0
    _finish_due(s, w)


@compiled
def _finish_due(s: State, w: int) -> None:
    while s.worker[w, col.RUNNING] and (s.heap_due[w, 0] >> STEP_SHIFT) <= s.worker[w, col.STEPS]:
        r = pop(s, w)
        s.worker[w, col.CONTEXT] -= s.request[r, col.PROMPT] + 1 + s.worker[w, col.STEPS] - s.request[r, col.START]
        release(s, w, r)
        s.worker[w, col.BLOCKED] = 0
        s.worker[w, col.LOAD] -= 1
        _complete(s, w, r)
        free_request(s, r)


@compiled
def _complete(s: State, w: int, r: int) -> None:
    """Count a request that has its whole answer."""
    now, output = s.clock[w, col.NOW], s.request[r, col.OUTPUT]
    itl = 0.0
    if output > 1:
        itl = (now - s.moment[r, col.FIRST]) / (output - 1)
        measure(s, col.ITL, itl)
    measure(s, col.E2E, now - s.moment[r, col.ARRIVED])
    s.counts[col.COMPLETED] += 1
    s.counts[col.OUTPUT_TOKENS] += output
    within = s.moment[r, col.FIRST] - s.moment[r, col.ARRIVED] <= s.fixed[col.SLO_TTFT]
    s.counts[col.ATTAINED] += within and itl <= s.fixed[col.SLO_ITL]
    line = s.state[col.LOGGED]
    if line < len(s.log):
        s.log[line, 0], s.log[line, 1] = s.request[r, col.SERIAL], s.worker[w, col.NUMBER]
        s.log[line, 2], s.log[line, 3] = s.moment[r, col.ADMITTED], s.moment[r, col.FIRST]
        s.log[line, 4], s.log[line, 5] = now, s.request[r, col.CACHED]
        s.state[col.LOGGED] += 1


@compiled
def measure(s: State, which: int, seconds: float) -> None:
    """Count a time in its histogram."""
    bin_ = 0
    if seconds > FIRST_EDGE_SECONDS:
        bin_ = min(int(log(seconds / FIRST_EDGE_SECONDS) / LOG_RATIO), BINS - 1)
    s.histogram[which, bin_] += 1
