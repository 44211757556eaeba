from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from user_data.agent.occupancy import EngineLoads, Occupancy, OccupancyError, read_loads, read_metrics

METRICS = """# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{engine_type="unified",tp_rank="0"} 3.0
sglang:num_queue_reqs{engine_type="unified",tp_rank="0"} 2.0
sglang:num_used_tokens{engine_type="unified",tp_rank="0"} 700.0
"""


def _rank(**values: object) -> dict[str, object]:
    return {"timestamp": 1.0, "dp_rank": 0, "num_running_reqs": 0, "num_waiting_reqs": 0, **values}


def _body(*ranks: dict[str, object]) -> str:
    return json.dumps({"version": "0.5.23", "loads": list(ranks)})


def test_ranks_are_added_up_with_the_queues_that_are_in_no_count() -> None:
    found = read_loads(
        _body(
            _rank(num_running_reqs=2, num_waiting_reqs=1, queues={"waiting": 1, "grammar": 1, "paused": 1}),
            _rank(num_running_reqs=1, num_waiting_uncached_tokens=5000),
        )
    )
    assert (found.running, found.queued, found.unread_tokens, found.idle) == (3, 3, 5000, False)
    assert read_loads(_body(_rank(), _rank())).idle


@pytest.mark.parametrize("name", ["num_running_reqs", "num_waiting_reqs", "num_waiting_uncached_tokens"])
def test_any_request_is_work(name: str) -> None:
    assert not read_loads(_body(_rank(), _rank(**{name: 1}))).idle


@pytest.mark.parametrize(
    "changed",
    [
        {"num_used_tokens": 1},
        {"total_prefill_uncached_tokens": 1},
        {"total_prefill_busy_us": 1},
        {"decode_moments": [1.0, 2.0]},
    ],
    ids=str,
)
def test_progress_shows(changed: dict[str, object]) -> None:
    assert read_loads(_body(_rank(**changed))).progress != read_loads(_body(_rank())).progress


def test_time_and_arrivals_are_no_progress() -> None:
    later = _rank(timestamp=2.0, num_waiting_reqs=5)
    assert read_loads(_body(later)).progress == read_loads(_body(_rank())).progress


@pytest.mark.parametrize("text", ["", "[]", '{"loads": []}', '{"loads": [{"dp_rank": 0}]}'])
def test_a_strange_answer_is_an_error(text: str) -> None:
    with pytest.raises(OccupancyError, match=r"^/v1/loads"):
        read_loads(text)


def test_the_gauges_say_it_too() -> None:
    assert read_metrics(METRICS) == Occupancy(3, 2, progress=(3.0, 2.0, 700.0))
    with pytest.raises(OccupancyError, match="no sglang:num_running_reqs"):
        read_metrics("# nothing\n")


Pages = dict[str, str]


@pytest.fixture
def serve() -> Iterator[Callable[[Pages], str]]:
    servers: list[ThreadingHTTPServer] = []

    def start(pages: Pages) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = pages.get(self.path.split("?")[0])
                self.send_response(404 if text is None else 200)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                del format, args

        server = ThreadingHTTPServer(("127.64.9.2", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.64.9.2:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_metrics_answer_where_loads_do_not(serve: Callable[[Pages], str]) -> None:
    loads = EngineLoads(serve({"/metrics": METRICS}), "key")
    assert loads.occupancy().running == 3
    loads.close()


def test_an_engine_that_says_nothing_is_an_error_with_both_reasons(serve: Callable[[Pages], str]) -> None:
    loads = EngineLoads(serve({}), None)
    with pytest.raises(OccupancyError, match=r"/v1/loads.*answered 404; /metrics: the engine answered 404"):
        loads.occupancy()


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(OccupancyError, match="ConnectError"):
        EngineLoads("http://127.64.9.2:1", None).occupancy()
