"""`fleet facts`: from a folder, and from a hub that is made up for the test on this machine."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleet.cli import main
from fleet.model_facts import add_line, facts_of, read_folder, read_hub
from settings.errors import SettingsError
from settings.fit.known_models import parse_line
from settings.fit.weights import weight_bytes
from tests.settings.fit.test_config_json import MINI

if TYPE_CHECKING:
    from collections.abc import Iterator

INDEX = {"metadata": {"total_size": 20_000_000}, "weight_map": {}}


@contextmanager
def _hub(files: dict[str, bytes], token: str | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            allowed = token is None or self.headers.get("authorization") == f"Bearer {token}"
            body = files.get(self.path, b"")
            self.send_response((200 if self.path in files else 404) if allowed else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _files(**named: Any) -> dict[str, bytes]:
    names = {"config": "config.json", "index": "model.safetensors.index.json", "modelopt": "hf_quant_config.json"}
    return {f"/org/mini/resolve/main/{names[key]}": json.dumps(value).encode() for key, value in named.items()}


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fleet", "facts", *words])
    monkeypatch.setenv("COLUMNS", "120")
    try:
        main()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def test_from_a_hub_config_and_index_are_read() -> None:
    with _hub(_files(config=MINI, index=INDEX)) as url:
        known = read_hub("org/mini", hub=url)
    assert known.weight_bytes == 20_000_000
    assert weight_bytes(facts_of(known)) == 20_000_000
    assert known.source == f"{url}/org/mini, main"


def test_one_file_has_no_index_and_is_asked_for_its_size() -> None:
    weights = {"/org/mini/resolve/main/model.safetensors": b"x" * 1000}
    with _hub({**_files(config=MINI), **weights}) as url:
        assert read_hub("org/mini", hub=url).weight_bytes == 1000


def test_the_older_file_of_modelopt_says_how_the_model_is_quantized() -> None:
    with _hub(_files(config=MINI, modelopt={"quantization": {"quant_algo": "FP8"}})) as url:
        found = facts_of(read_hub("org/mini", hub=url)).quantization
    assert found is not None
    assert found.method == "modelopt_fp8"


def test_a_token_is_sent_where_it_is_given() -> None:
    with _hub(_files(config=MINI), token="hf_madeupfortests") as url:
        assert read_hub("org/mini", hub=url, token="hf_madeupfortests").model_id == "org/mini"
        with pytest.raises(SettingsError, match="401 Unauthorized"):
            read_hub("org/mini", hub=url)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "has no config.json"),
        ({"/org/mini/resolve/main/config.json": b"<html>"}, "has a config.json that is not a JSON object"),
        ({"/org/mini/resolve/main/config.json": b"[]"}, "has a config.json that is not a JSON object"),
        ({"/org/mini/resolve/main/config.json": b"[" * 100_000}, "has a config.json that is not a JSON object"),
    ],
)
def test_what_is_no_model_is_refused(files: dict[str, bytes], says: str) -> None:
    with _hub(files) as url, pytest.raises(SettingsError, match=says):
        read_hub("org/mini", hub=url)


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with _hub({}) as url:
        pass
    assert _run(monkeypatch, "org/mini", "--hub", url) == 2
    assert "'org/mini' cannot be read from" in capsys.readouterr().err


def test_from_a_folder_with_its_name_and_into_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mini"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**MINI, "rope_scaling": None}))
    (folder / "model.safetensors").write_bytes(b"x" * 2000)
    catalogue = tmp_path / "settings" / "data" / "models.jsonl"
    catalogue.parent.mkdir(parents=True)
    other = '{"id": "z/z", "config": {}, "source": "s"}'
    catalogue.write_text(f'// a note\n{other}\n{{"id": "ORG/mini", "config": {{}}, "source": "old"}}\n')
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, str(folder), "--name", "org/mini", "--add") == 0
    assert capsys.readouterr().out.splitlines()[0] == "org/mini: llama, 4 layers, 8 heads"
    note, line, last = catalogue.read_text().splitlines()
    assert (note, last) == ("// a note", other)
    known = parse_line(line)
    assert (known.model_id, known.config, known.weight_bytes) == ("org/mini", MINI, 2000)


def test_a_model_of_a_kind_that_is_not_modelled(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**MINI, "quantization_config": {"quant_method": "of-tomorrow"}}))
    with pytest.raises(SettingsError, match=r"cannot be judged: .*of-tomorrow"):
        facts_of(read_folder(tmp_path, "org/mini"))


def test_a_line_that_is_written_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "models.jsonl"
    file.write_text("")
    (tmp_path / "config.json").write_text(json.dumps(MINI))
    known = read_folder(tmp_path, "org/mini")
    add_line(known, file)
    assert parse_line(file.read_text().strip()) == known
