"""The rehearsal's model hub, asked by the client library that the bake asks the real one with."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from rehearsal.bake.hub import Hub, HubServer
from rehearsal.bake.weights import write_model
from rehearsal.cloud_config import HubConfig, HubModel

pytestmark = pytest.mark.slow  # importing the client takes a second, and it waits a second before it resumes

TOKEN = "hf_madeupfortests"
WEIGHTS = "model-00002-of-00002.safetensors"
ADDRESS = "127.64.255.252"


@dataclass(frozen=True)
class Running:
    """A hub on an address."""

    hub: Hub
    url: str
    model: Path

    def api(self, token: str | None = None) -> HfApi:
        return HfApi(endpoint=self.url, token=token or False)

    def download(self, model: str, folder: Path, token: str | None = None, revision: str = "main") -> Path:
        told = token or False
        return Path(
            snapshot_download(
                model, revision=revision, local_dir=folder, cache_dir=folder / "c", endpoint=self.url, token=told
            )
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("NO_PROXY", "*")
    write_model(tmp_path / "model")
    models = (
        HubModel(id="a/open", folder=tmp_path / "model"),
        HubModel(id="a/gated", folder=tmp_path / "model", gated=True),
    )
    port = free_port()
    hub = Hub(HubConfig(port=port, models=models, token=TOKEN, packages=tmp_path / "packages"))
    server = HubServer(ADDRESS, port, hub)
    server.start()
    yield Running(hub, f"http://{ADDRESS}:{port}", tmp_path / "model")
    server.stop()


def test_a_snapshot_is_the_folder(running: Running, tmp_path: Path) -> None:
    commit = running.api().model_info("a/open").sha
    assert commit is not None
    folder = running.download("a/open", tmp_path / "snapshot", revision=commit)
    for path in running.model.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_description_has_size_and_hash_of_every_file(running: Running) -> None:
    siblings = running.api().model_info("a/open", files_metadata=True).siblings or []
    assert {item.rfilename for item in siblings} == {path.name for path in running.model.iterdir()}
    assert {item.rfilename for item in siblings if item.lfs} == {
        "model-00001-of-00002.safetensors",
        WEIGHTS,
        "pytorch_model.bin",
    }
    assert all(item.size == (running.model / item.rfilename).stat().st_size for item in siblings)


def test_what_is_not_there_is_told_as_the_hub_tells_it(running: Running) -> None:
    with pytest.raises(RepositoryNotFoundError):
        running.api().model_info("a/absent")
    with pytest.raises(RevisionNotFoundError):
        running.api().model_info("a/open", revision="0" * 40)


def test_a_gated_model_is_described_to_everybody_and_given_to_the_holder_of_the_token(
    running: Running, tmp_path: Path
) -> None:
    assert running.api().model_info("a/gated").gated == "manual"
    with pytest.raises(GatedRepoError):
        running.download("a/gated", tmp_path / "nobody")
    assert (running.download("a/gated", tmp_path / "holder", TOKEN) / "config.json").is_file()


def test_an_unknown_token_is_refused(running: Running) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        running.api("hf_another").model_info("a/open")
    assert caught.value.response.status_code == 401


def test_a_spoilt_file_differs_in_one_byte(running: Running, tmp_path: Path) -> None:
    running.hub.faults.corrupt = frozenset({f"a/open/{WEIGHTS}"})
    folder = running.download("a/open", tmp_path / "snapshot")
    good, bad = (running.model / WEIGHTS).read_bytes(), (folder / WEIGHTS).read_bytes()
    assert len(good) == len(bad)
    assert sum(one != other for one, other in zip(good, bad, strict=True)) == 1


def test_a_cut_download_never_comes_to_its_end(running: Running, tmp_path: Path) -> None:
    running.hub.faults.cut = frozenset({f"a/open/{WEIGHTS}"})
    with pytest.raises(Exception, match="peer closed connection"):
        running.download("a/open", tmp_path / "snapshot")
    running.hub.faults.cut = frozenset()
    folder = running.download("a/open", tmp_path / "snapshot")  # it is resumed where it was cut
    assert (folder / WEIGHTS).read_bytes() == (running.model / WEIGHTS).read_bytes()


def test_packages_are_handed_out(running: Running) -> None:
    (running.model.parent / "packages").mkdir()
    (running.model.parent / "packages" / "agent.deb").write_bytes(b"a package")
    assert running.hub.answer("/packages/agent.deb", {}).body == b"a package"
    assert running.hub.answer("/packages/../model/config.json", {}).status == 404
