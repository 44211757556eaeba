"""The emulator against real SGLang: same calls, same statuses, same structure, same metric names."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.rehearsal.engine import conformance_calls as calls
from tests.rehearsal.engine.omitted_metrics import NAMES as OMITTED
from tests.rehearsal.engine.shapes import by_kind, differences, event_kind, events, families
from tests.rehearsal.engine.support import KEY, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import httpx

    from tests.rehearsal.engine.conformance_calls import Call
    from tests.rehearsal.engine.support import RunningEngine

pytestmark = pytest.mark.slow
SERVER_INFO_READ = (
    "model_path", "served_model_name", "tp_size", "dp_size", "pp_size", "status", "version", "frontend", "api_key",
    "host", "port", "max_total_num_tokens", "max_req_input_len", "max_running_requests", "page_size", "enable_metrics",
)  # fmt: skip


def both(real: RunningEngine, emulated: RunningEngine, ask: Callable[[httpx.Client], Any]) -> tuple[Any, Any]:
    with real.client() as a, emulated.client() as b:
        return ask(a), ask(b)


def send(client: httpx.Client, call: Call, *, key: bool = True) -> httpx.Response:
    headers = {} if key else {"authorization": "Bearer wrong"}
    if call.body is None and call.raw is None:
        return client.request(call.method, call.path, headers=headers)
    if call.raw is not None:
        headers["content-type"] = call.content_type
        return client.request(call.method, call.path, content=call.raw, headers=headers)
    return client.request(call.method, call.path, json=call.body, headers=headers)


def compare(call_name: str, real: httpx.Response, emulated: httpx.Response) -> list[str]:
    """Status, content type and structure."""
    found = []
    for what, a, b in (
        ("status", real.status_code, emulated.status_code),
        ("content-type", real.headers.get("content-type"), emulated.headers.get("content-type")),
        ("allow", _allow(real), _allow(emulated)),
    ):
        if a != b:
            found.append(f"{call_name}: {what}: real {a}, emulated {b}")
    kind = real.headers.get("content-type", "")
    if found or not real.content:
        return found
    if kind.startswith("text/event-stream"):
        return compare_streams(call_name, real.text, emulated.text)
    if kind == "application/json":
        return differences(
            call_name.split(" ", maxsplit=1)[0].strip("/"), real.json(), emulated.json(), calls.ALLOWED_KEYS
        )
    return found


def _allow(response: httpx.Response) -> set[str]:
    return set(filter(None, response.headers.get("allow", "").split(", ")))


def compare_streams(name: str, real: str, emulated: str) -> list[str]:
    """Framing, order of kinds of events, and the structure of each kind."""
    a, b = by_kind(events(real)), by_kind(events(emulated))
    if list(a) != list(b):
        return [f"{name}: events: real {list(a)}, emulated {list(b)}"]
    return [d for kind in a for d in differences(f"{name} {kind}", a[kind], b[kind], calls.ALLOWED_KEYS)]


def run(real: RunningEngine, emulated: RunningEngine, all_calls: Iterable[Call], *, key: bool = True) -> list[str]:
    found = []
    for call in all_calls:
        a, b = both(real, emulated, partial(send, call=call, key=key))
        skip = key and call.path.endswith("server_info")
        found += [] if skip else compare(call.name, a, b)
    return found


def test_generations_have_the_same_structure(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    found = run(real_engine, emulated_engine, calls.GENERATIONS)
    assert not found, "\n".join(found)


def test_faults_are_answered_alike(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    found = run(real_engine, emulated_engine, calls.FAULTS)
    assert not found, "\n".join(found)


def test_questions_and_commands_are_answered_alike(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    found = run(real_engine, emulated_engine, (*calls.QUESTIONS, *calls.COMMANDS))
    assert not found, "\n".join(found)


def test_the_same_paths_are_open_without_the_key(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    every = (*calls.QUESTIONS, *calls.COMMANDS, calls.GENERATIONS[0], calls.FAULTS[0])
    found = run(real_engine, emulated_engine, every, key=False)
    assert not found, "\n".join(found)


def test_server_info_shows_what_routers_read(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    real, emulated = both(real_engine, emulated_engine, lambda client: client.get("/server_info").json())
    read = [{name: body.get(name) for name in SERVER_INFO_READ} for body in (real, emulated)]
    assert differences("server_info", read[0], read[1]) == []
    invented = emulated.keys() - real.keys() - calls.ALLOWED_KEYS - {"config"}  # SGLang forgets where it read the rest
    assert not invented
    missing = real.keys() - emulated.keys() - calls.ALLOWED_KEYS - calls.SERVER_INFO_ONLY_REAL
    assert not {name for name in missing if not name.startswith("_")}


def test_a_full_queue_refuses_alike(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    def flood(path: str, body: dict[str, Any]) -> tuple[httpx.Response, httpx.Response]:
        def one(client: httpx.Client) -> httpx.Response:
            with ThreadPoolExecutor(24) as pool:
                answers = list(pool.map(lambda _: client.post(path, json=body), range(24)))
            refused = [a for a in answers if "queue is full" in a.text]
            assert refused, f"{client.base_url}{path}: 24 at once and none refused"
            return refused[0]

        return both(real_engine, emulated_engine, one)

    found = []
    for stream in (False, True):
        completion = calls.GENERATIONS[6].body | {"max_tokens": 60, "stream": stream}
        generate = calls.GENERATIONS[0].body | {"stream": stream}
        found += compare(f"completion full {stream=}", *flood("/v1/completions", completion))
        found += compare(f"generate full {stream=}", *flood("/generate", generate))
    assert not found, "\n".join(found)


def test_an_abort_ends_the_answer_alike(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    def aborted(call: Call, *, stream: bool) -> Callable[[httpx.Client], httpx.Response]:
        def ask(client: httpx.Client) -> httpx.Response:
            length = {"sampling_params": {"max_new_tokens": 3000, "ignore_eos": True}, "max_tokens": 3000}
            body = call.body | length | {"stream": stream}
            timer = threading.Timer(1, lambda: client.post("/abort_request", json={"abort_all": True}))
            timer.start()
            answer = client.post(call.path, json=body)
            timer.join()
            return answer

        return ask

    found = []
    for call in (calls.GENERATIONS[0], calls.GENERATIONS[6], calls.GENERATIONS[14]):
        for stream in (False, True):
            pair = both(real_engine, emulated_engine, aborted(call, stream=stream))
            assert all('"abort"' in answer.text for answer in pair)
            found += compare(f"{call.name} aborted {stream=}", *pair)
    assert not found, "\n".join(found)


def test_metrics_have_the_same_names_types_labels_and_buckets(
    real_engine: RunningEngine, emulated_engine: RunningEngine
) -> None:
    run(real_engine, emulated_engine, (*calls.GENERATIONS, *calls.COMMANDS, calls.QUESTIONS[12]))
    real, emulated = both(real_engine, emulated_engine, lambda client: families(client.get("/metrics").text))
    found = [f"{name}: the emulator invents it" for name in emulated.keys() - real.keys()]
    found += [f"{name}: not emulated, and not listed as omitted" for name in real.keys() - emulated.keys() - OMITTED]
    found += [f"{name}: listed as omitted, but emulated" for name in emulated.keys() & OMITTED]
    found += [
        f"{name}: real {real[name]}, emulated {emulated[name]}"
        for name in sorted(real.keys() & emulated.keys())
        if real[name] != emulated[name]
    ]
    assert not found, "\n".join(found)


def test_the_key_is_in_no_process_argument_but_in_the_log(
    real_engine: RunningEngine, emulated_engine: RunningEngine
) -> None:
    """SGLang logs its arguments at start, the key among them: the worker agent takes it out, so both must do it."""
    for engine in (real_engine, emulated_engine):
        family = [process for process in processes() if process.group == engine.process.pid]
        assert family
        assert not [process for process in family if KEY in process.arguments + process.environment]
        assert f"'api_key': '{KEY}'" in engine.log.read_text()


def test_both_drain_after_sigterm(real_engine: RunningEngine, emulated_engine: RunningEngine) -> None:
    """Last in this file: it ends both engines."""
    seen = [drain(real_engine, tokens=1500), drain(emulated_engine, tokens=400)]
    assert seen[0] == seen[1]
    assert seen[0]["stream"][-1] == "[DONE]"


def drain(engine: RunningEngine, tokens: int) -> dict[str, Any]:
    """Send SIGTERM under a running stream and write down what an observer sees."""
    body = calls.GENERATIONS[9].body | {"max_tokens": tokens}
    with engine.client() as client, ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: client.post("/v1/completions", json=body).text)
        time.sleep(1)
        os.kill(engine.process.pid, signal.SIGTERM)
        time.sleep(0.3)
        probes = {path: client.get(path).status_code for path in ("/ready", "/health", "/ping", "/v1/loads")}
        late = client.post("/v1/completions", json=calls.GENERATIONS[6].body | {"max_tokens": 3}).status_code
        kinds = [event_kind(event) for event in by_kind(events(running.result())).values()]
        status = engine.process.wait(40)
    return {"probes": probes, "new request": late, "stream": kinds, "exit status": status}
