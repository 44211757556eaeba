"""The kernel's memory: which number stands in which column. A row -1 means none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.cluster import EngineProfile, RouterProfile, Slo
from simulator.histogram import BINS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# fixed: what does not change, as floats
PREFILL_RATE, PREFILL_BATCH, STEP, SEQUENCE, CONTEXT_TOKEN, SLO_TTFT, SLO_ITL, REL, THRESHOLD, PATIENCE = range(10)
# bound: as integers
MAX_RUNNING, MAX_QUEUED, CAPACITY, BLOCK, MAX_PREFILL, LONGEST, ABS, MAX_CONCURRENT, TREE_BLOCKS = range(9)
# worker, by row of the worker; a list is three columns: first, last, how many
ALIVE, ROUTABLE, NUMBER, LOAD, STEPS, CONTEXT, RUNNING, BLOCKED, PINNED, PRIVATE = range(10)
QUEUE_HEAD, QUEUE_TAIL, QUEUED, PREFILL_HEAD, PREFILL_TAIL, PREFILLING = range(10, 16)
WORKER_COLUMNS = 16
FIRST_ROWS = 16
# clock, by row of the worker
NOW, PREFILL_END = range(2)
# request, by row of the request
PROMPT, OUTPUT, CACHED, OWN, START, LINK, BLOCKS_AT, BLOCKS, PROMPT_BLOCKS, SERIAL = range(10)
REQUEST_COLUMNS = 10
# moment, by row of the request, in seconds
ARRIVED, OFFERED, ADMITTED, FIRST = range(4)
# node and ends of a block store
KEY, PINS, OLDER, NEWER = range(4)
OLDEST, NEWEST, FREE, KEPT = range(4)
# state
FREE_REQUEST, NEXT_SERIAL, IN_FLIGHT, HELD_HEAD, HELD_TAIL, HELD, ARENA_USED, LOGGED = range(8)
CLASSES = 8  # from here on, the first free run of each size in the arena
STATE_COLUMNS = CLASSES + 40
# counts since the last interval ended; as many follow, of before
ARRIVALS, COMPLETED, REFUSED, LOST, TOO_LONG, ATTAINED, PROMPT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS = range(9)
COUNTS = 9
# rows of the histogram, likewise
TTFT, ITL, E2E = range(3)
TIMES = 3
# seen: the counts of the interval, then how things stand at its end and the bins of its percentiles
SEEN_READY, SEEN_LOAD, SEEN_QUEUED, SEEN_HELD, SEEN_DRAINING, SEEN_USED, SEEN_MOST_USED = range(COUNTS, COUNTS + 7)
SEEN_TTFT, SEEN_ITL = range(COUNTS + 7, COUNTS + 9)
# log: serial number, worker, admitted, first token, finished, cached tokens
LOG_COLUMNS = 6
WORD_BITS = 63  # of a signed word, the sign left alone


class State(NamedTuple):
    """Everything the kernel reads and writes."""

    fixed: Floats
    bound: Ints
    worker: Ints
    clock: Floats
    next_at: Floats
    heap_due: Ints
    heap_request: Ints
    table: Ints
    node: Ints
    ends: Ints
    request: Ints
    moment: Floats
    arena: Ints
    """Block ids of the requests in flight, and beside each the node that `reserve` found or pinned."""
    arena_node: Ints
    tree_table: Ints
    tree_node: Ints
    tree_ends: Ints
    tree_workers: Ints
    matched: Ints
    state: Ints
    counts: Ints
    seen: Ints
    histogram: Ints
    log: Floats


PER_WORKER = ("worker", "clock", "next_at", "heap_due", "heap_request", "table", "node", "ends")


class Arrivals(NamedTuple):
    """The fields of simulator.traces.Chunk."""

    arrival: Floats
    prompt: Ints
    output: Ints
    blocks: Ints
    offsets: Ints
    prompt_blocks: Ints


def new_state(engine: EngineProfile, router: RouterProfile, slo: Slo, block_tokens: int, log: int) -> State:
    """An empty cluster; `log` requests are written down one by one."""
    workers = FIRST_ROWS
    blocks, tree = _most_blocks(engine, router, block_tokens)
    return State(
        fixed=_fixed(engine, router, slo),
        bound=_bound(engine, router, block_tokens),
        worker=np.zeros((workers, WORKER_COLUMNS), np.int64),
        clock=np.zeros((workers, 2)),
        next_at=np.full(workers, np.inf),
        heap_due=np.zeros((workers, engine.max_running), np.int64),
        heap_request=np.zeros((workers, engine.max_running), np.int64),
        table=np.full((workers, _table_size(blocks)), -1, np.int64),
        node=np.zeros((workers, blocks, 4), np.int64),
        ends=np.zeros((workers, 4), np.int64),
        request=_chained(np.zeros((router.max_concurrent_requests, REQUEST_COLUMNS), np.int64), LINK),
        moment=np.zeros((router.max_concurrent_requests, 4)),
        arena=np.zeros(1, np.int64),
        arena_node=np.zeros(1, np.int64),
        tree_table=np.full(_table_size(tree), -1, np.int64),
        tree_node=_chained(np.zeros((tree, 4), np.int64), NEWER),
        tree_ends=np.array([-1, -1, 0, 0], np.int64),
        tree_workers=np.zeros((tree, _words(workers)), np.int64),
        matched=np.zeros(_words(workers), np.int64),
        state=_numbers(),
        counts=np.zeros(2 * COUNTS, np.int64),
        seen=np.zeros(COUNTS + 9, np.int64),
        histogram=np.zeros((2 * TIMES, BINS), np.int64),
        log=np.zeros((log, LOG_COLUMNS)),
    )


def _most_blocks(engine: EngineProfile, router: RouterProfile, block_tokens: int) -> tuple[int, int]:
    """On a worker, and at the router."""
    if not block_tokens:
        return 1, 1
    # Kept and pinned blocks may both fill the memory for a moment, before the kept ones are evicted.
    blocks = 2 * (engine.max_total_tokens // block_tokens) + 2
    return blocks, router.tree_blocks + blocks


def _fixed(engine: EngineProfile, router: RouterProfile, slo: Slo) -> Floats:
    rates = engine.rates
    return np.array([
        rates.prefill_tokens_per_second, rates.prefill_batch_seconds, rates.decode_step_seconds,
        rates.decode_sequence_seconds, rates.decode_context_token_seconds, slo.ttft_seconds, slo.itl_seconds,
        router.balance_rel_threshold, router.cache_threshold, router.patience_seconds,
    ])  # fmt: skip


def _bound(engine: EngineProfile, router: RouterProfile, block_tokens: int) -> Ints:
    queued = np.iinfo(np.int64).max if engine.max_queued is None else engine.max_queued
    longest = min(engine.max_total_tokens, engine.context_length)
    return np.array([
        engine.max_running, queued, engine.max_total_tokens, max(block_tokens, 1), engine.max_prefill_tokens, longest,
        router.balance_abs_threshold, router.max_concurrent_requests, router.tree_blocks,
    ], np.int64)  # fmt: skip


def _numbers() -> Ints:
    state = np.zeros(STATE_COLUMNS, np.int64)
    state[[HELD_HEAD, HELD_TAIL]] = -1
    state[CLASSES:] = -1
    return state


def _table_size(entries: int) -> int:
    return 1 << (2 * entries - 1).bit_length()


def _words(workers: int) -> int:
    return -(-workers // WORD_BITS)


def _chained(rows: Ints, column: int) -> Ints:
    rows[:, column] = np.arange(1, len(rows) + 1)
    rows[-1, column] = -1
    return rows


def more_workers(old: State) -> State:
    """The same cluster with room for twice as many workers."""
    grown = {name: np.concatenate([getattr(old, name), np.zeros_like(getattr(old, name))]) for name in PER_WORKER}
    workers = len(old.worker)
    grown["next_at"][workers:] = np.inf
    words = _words(2 * workers) - old.tree_workers.shape[1]
    wider = np.pad(old.tree_workers, ((0, 0), (0, words)))
    return old._replace(**grown, tree_workers=wider, matched=np.zeros(wider.shape[1], np.int64))


def clear_worker(state: State, row: int, number: int, now: float) -> None:
    """Make a row a new, cold, routable worker."""
    worker = state.worker[row]
    worker[:] = 0
    worker[[ALIVE, ROUTABLE]] = 1
    worker[NUMBER] = number
    worker[[QUEUE_HEAD, QUEUE_TAIL, PREFILL_HEAD, PREFILL_TAIL]] = -1
    state.clock[row] = (now, 0.0)
    state.next_at[row] = np.inf
    state.table[row] = -1
    state.node[row] = 0
    _chained(state.node[row], NEWER)
    state.ends[row] = (-1, -1, 0, 0)


def forget_worker(state: State, row: int) -> None:
    """The router knows no prefix of it any more, and the row is free."""
    word, bit = divmod(row, WORD_BITS)
    state.tree_workers[:, word] &= ~np.int64(1 << bit)
    state.worker[row] = 0
    state.next_at[row] = np.inf


def with_room(state: State, blocks: int) -> State:
    """The same cluster with an arena that takes `blocks` more block ids."""
    needed = int(state.state[ARENA_USED]) + blocks
    if needed <= len(state.arena):
        return state
    more = np.zeros(2 * needed - len(state.arena), np.int64)
    return state._replace(
        arena=np.concatenate([state.arena, more]), arena_node=np.concatenate([state.arena_node, more])
    )
