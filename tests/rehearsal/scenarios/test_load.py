"""The load against a server that answers badly on purpose, and against the emulator."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.engine.ledger import read_ledger
from rehearsal.scenarios import load as load_module
from rehearsal.scenarios.ledger import Tally, account
from rehearsal.scenarios.load import Load, LoadError, Timed
from rehearsal.scenarios.measures import prefix_hit_rate
from rehearsal.scenarios.prompts import LoadPlan, ask_of
from rehearsal.scenarios.record import Outcome, Record
from tests.rehearsal.engine.support import KEY, emulator_command, free_port, started, write_config
from tests.rehearsal.scenarios.support import (
    ADDRESS,
    LAST_CHUNK,
    STREAM_HEAD,
    WORKER,
    chunk,
    delta,
    event,
    reset,
    serving,
    sized,
    stream_of,
    wait_for,
    whole_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Play = Callable[[socket.socket, dict[str, Any]], None]


def plan(**changes: Any) -> LoadPlan:
    """One slot with short answers; after one that is not complete it sends no other within the test."""
    small: dict[str, Any] = {"concurrency": 1, "ramp_seconds": 0, "pause_seconds": 60, "stream_seconds": (1, 2)}
    return LoadPlan("test", ("tiny",), **(small | {"prefix_tokens": 32} | changes))


def first_of(url: str, **changes: Any) -> Record:
    load = Load(plan(**changes), url, "key")
    load.start()
    wait_for(load.records_so_far)
    records = load.finish(5)
    assert len({item.id for item in records}) == len(records)
    return records[0]


def answered(play: Play, **changes: Any) -> Record:
    with serving(play) as url:
        return first_of(url, **changes)


def send_stream(connection: socket.socket, events: list[bytes], end: bytes = LAST_CHUNK) -> None:
    connection.sendall(STREAM_HEAD + b"".join(map(chunk, events)) + end)


def test_a_complete_stream() -> None:
    record = answered(lambda connection, body: send_stream(connection, stream_of(body)))
    assert (record.outcome, record.fault) == (Outcome.COMPLETE, None)
    assert (record.id, record.streamed, record.model, record.worker) == ("test-000000", True, "tiny", WORKER)
    assert (record.status, record.finish_reason, record.cached_tokens) == (200, "length", 480)
    assert record.completion_tokens == record.expected_tokens
    assert record.sha256 == record.expected_sha256
    assert record.first_byte is not None
    assert record.sent <= record.first_byte <= record.ended
    assert abs(record.ended - time.time()) < 30


def test_a_complete_plain_answer() -> None:
    record = answered(lambda connection, body: connection.sendall(sized("200 OK", whole_of(body))), streamed_share=0)
    assert (record.outcome, record.fault, record.streamed) == (Outcome.COMPLETE, None, False)
    assert (record.worker, record.sha256) == (WORKER, record.expected_sha256)


def test_a_truncated_stream_is_lost() -> None:
    record = answered(lambda connection, body: send_stream(connection, stream_of(body)[:3], end=b""))
    assert record.outcome is Outcome.LOST
    assert (record.fault or "").startswith("connection closed after ")
    assert (record.completion_tokens, record.worker) == (2, WORKER)


def test_a_stream_that_ends_well_formed_without_done_is_lost() -> None:
    record = answered(lambda connection, body: send_stream(connection, stream_of(body)[:-1]))
    assert (record.outcome, record.fault) == (Outcome.LOST, "the stream ended without [DONE]")


def test_an_error_event_after_text_is_lost_and_before_it_refused() -> None:
    gone = [event({"error": {"message": "worker gone"}}), b"data: [DONE]\n\n"]
    late = answered(lambda connection, _: send_stream(connection, [delta("abc "), *gone]))
    assert (late.outcome, late.fault) == (Outcome.LOST, "error in the answer: worker gone")
    early = answered(lambda connection, _: send_stream(connection, [delta(""), *gone]))
    assert (early.outcome, early.fault) == (Outcome.REFUSED, "error event: worker gone")
    assert early.first_byte is None


def test_503_is_a_refusal_with_its_sentence() -> None:
    body = b'{"error": {"message": "no workers"}}'
    record = answered(lambda connection, _: connection.sendall(sized("503 Service Unavailable", body)))
    assert (record.outcome, record.status, record.fault) == (Outcome.REFUSED, 503, "HTTP 503: no workers")


def test_a_reset_before_any_byte_is_a_refusal() -> None:
    record = answered(lambda connection, _: reset(connection))
    assert (record.outcome, record.fault) == (Outcome.REFUSED, "connection reset before any byte of an answer")


def test_a_reset_in_the_middle_of_the_head_is_a_loss() -> None:
    def play(connection: socket.socket, _: dict[str, Any]) -> None:
        connection.sendall(STREAM_HEAD[:9])
        time.sleep(0.05)  # so that the bytes arrive: a reset overtakes what is still on its way
        reset(connection)

    record = answered(play)
    assert (record.outcome, record.fault) == (Outcome.LOST, "connection reset after 9 bytes")


def test_an_address_where_nobody_listens_is_a_refusal() -> None:
    record = first_of(f"http://{ADDRESS}:{free_port(ADDRESS)}")
    assert record.outcome is Outcome.REFUSED
    assert (record.fault or "").startswith("not connected: ")


def test_a_wrong_text_is_lost() -> None:
    def play(connection: socket.socket, body: dict[str, Any]) -> None:
        send_stream(connection, stream_of(body, "oops" * body["max_tokens"]))

    assert answered(play).fault == "the text is not what the engine must have sent"
    assert answered(play, text_known=False).outcome is Outcome.COMPLETE


def test_what_is_no_http_is_lost() -> None:
    record = answered(lambda connection, _: connection.sendall(b"220 mail ready\r\n\r\n"))
    assert (record.outcome, (record.fault or "")[:18]) == (Outcome.LOST, "malformed response")


def test_a_request_longer_than_its_limit_is_lost() -> None:
    record = answered(lambda *_: time.sleep(2), timeout_seconds=0.1)
    assert (record.outcome, record.fault) == (Outcome.LOST, "no end within 0.1 s")


def test_what_is_open_shows_and_is_lost_when_the_limit_is_over() -> None:
    def play(connection: socket.socket, body: dict[str, Any]) -> None:
        send_stream(connection, stream_of(body)[:3], end=b"")
        time.sleep(2)

    with serving(play) as url:
        load = Load(plan(concurrency=6), url, None)
        load.start()
        wait_for(lambda: sum(flight.first_byte is not None for flight in load.in_flight()) == 6)
        flights = {flight.id: flight for flight in load.in_flight()}
        records = load.finish(0.05)
    assert {item.id for item in records} == {f"test-{number:06d}" for number in range(6)} == set(flights)
    assert all((item.outcome, item.fault) == (Outcome.LOST, "still open") for item in records)
    assert all(flight.worker == WORKER and flight.received_bytes > 300 for flight in flights.values())
    assert load.in_flight() == ()


def test_stopping_lets_what_is_in_flight_end() -> None:
    def play(connection: socket.socket, body: dict[str, Any]) -> None:
        time.sleep(0.1)
        send_stream(connection, stream_of(body))

    with serving(play) as url:
        load = Load(plan(concurrency=3, streamed_share=1), url, None)
        load.start()
        wait_for(lambda: len(load.in_flight()) == 3)
        load.stop_sending()
        records = load.finish(5)
    assert [item.outcome for item in records] == [Outcome.COMPLETE] * 3


def test_it_keeps_its_slots_filled_and_pauses_after_a_refusal() -> None:
    with serving(lambda connection, _: reset(connection)) as url:
        load = Load(plan(concurrency=2, pause_seconds=0.1), url, None)
        begun = time.monotonic()
        load.start()
        wait_for(lambda: len(load.records_so_far()) >= 6)
        records = load.finish(5)
        turns = (time.monotonic() - begun) / 0.1 + 1
    assert 6 <= len(records) <= 2 * turns
    assert {item.id for item in records} == {f"test-{number:06d}" for number in range(len(records))}


def test_an_open_loop_sends_in_time_whatever_became_of_those_before() -> None:
    timed = [Timed(at, ask_of(plan(), 0, turn)) for turn, at in enumerate((0.0, 0.1, 0.2, 60.0))]
    with serving(lambda _connection, _body: time.sleep(1)) as url:
        load = Load(plan(concurrency=0), url, "key", timed)
        load.start()
        wait_for(lambda: len(load.in_flight()) == 3)
        load.stop_sending()
        records = load.finish(5)
    assert [record.id for record in sorted(records, key=lambda record: record.sent)] == [
        one.ask.id for one in timed[:3]
    ], "none waits for an answer, and after the stop none is sent"


def test_a_fault_of_the_load_itself_is_raised_where_it_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = []

    def fail(*_: object) -> None:
        failed.append(True)
        raise ZeroDivisionError

    monkeypatch.setattr(load_module, "ask_of", fail)
    load = Load(plan(), f"http://{ADDRESS}:1", None)
    load.start()
    wait_for(lambda: failed)
    with pytest.raises(LoadError, match="thread failed"):
        load.finish(5)


def test_it_is_used_in_order() -> None:
    load = Load(plan(), f"http://{ADDRESS}:1", None)
    with pytest.raises(LoadError, match="was not started"):
        load.finish(1)
    load.start()
    with pytest.raises(LoadError, match="started once"):
        load.start()
    load.finish(5)
    with pytest.raises(LoadError, match="not an http:// address"):
        Load(plan(), "https://127.0.0.1", None)


@pytest.mark.slow
def test_fifty_at_once_are_complete_with_the_emulator(tmp_path: Path) -> None:
    engine_ledger = tmp_path / "ledger.jsonl"
    environment = write_config(tmp_path, time_scale=0.2, ledger=str(engine_ledger))
    command = emulator_command("--enable-cache-report", "--max-total-tokens", "200000", "--served-model-name", "tiny")
    fifty = plan(concurrency=50, prefix_groups=5, prefix_tokens=256, ramp_seconds=0.5, plain_seconds=(0.5, 1))
    with started(command, "127.64.40.2", tmp_path, environment) as engine:
        engine.wait_ready(10)
        load = Load(fifty, engine.url, KEY)
        load.start()
        wait_for(lambda: len(load.records_so_far()) >= 60, 30)
        records = load.finish(30)
        wait_for(lambda: len(read_ledger(engine_ledger)) == len(records), 5)  # it writes after the last byte
    ledger = account(records, read_ledger(engine_ledger), {})
    assert ledger.total == Tally(complete=len(records))
    assert ledger.compared == len(records) >= 60
    assert ledger.streamed.complete > ledger.plain.complete > 10
    hit_rate = prefix_hit_rate(records)
    assert hit_rate is not None
    assert 0.5 < hit_rate < 1
