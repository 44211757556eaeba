"""What the model hub answers, and the sentence that each refusal becomes. The real client, a hub on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from packer.hub import Hub, Wanted
from settings.errors import FaultyValueError
from tests.packer.hub_server import (
    COMMIT,
    FILES,
    MODEL,
    OTHER_COMMIT,
    SHA,
    TOKEN,
    UNKNOWN_TOKEN,
    FakeHub,
    serving,
    sibling,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMETER = "/sglang-fleet/hub-token"
WANTED = Wanted("workers[0]", MODEL, None)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving() as served:
        served.add(MODEL)
        yield served


def fault(hub: FakeHub, wanted: Wanted = WANTED, token: str | None = None) -> str:
    with pytest.raises(FaultyValueError) as raised:
        Hub(hub.url, token, token_parameter=PARAMETER).find(wanted)
    return str(raised.value).replace(hub.url, "HUB")


def test_a_model_is_pinned_to_its_newest_commit_with_hashes_of_its_files(hub: FakeHub) -> None:
    model = Hub(hub.url).find(WANTED)
    assert (model.revision, model.directory, model.restricted) == (COMMIT, "tiny", False)
    assert [(file.path, file.sha256, file.git_blob) for file in model.files] == [
        ("config.json", None, "d" * 40),
        ("model.safetensors", SHA, None),
        ("tokenizer.json", None, "d" * 40),
    ]
    assert model.size == 50_001_600
    assert hub.seen == [f"/api/models/{MODEL}?blobs=true"]


def test_a_revision_that_is_given_is_taken(hub: FakeHub) -> None:
    assert Hub(hub.url).find(Wanted("workers[0]", MODEL, OTHER_COMMIT)).revision == OTHER_COMMIT


def test_a_model_that_does_not_exist(hub: FakeHub) -> None:
    assert fault(hub, Wanted("workers[1]", "org/nothing", None)) == (
        "workers[1].model_id: 'org/nothing' does not exist on HUB, or is private; "
        "check the spelling; for a private model set bake.hub_token_parameter"
    )
    assert "or the token may not see it" in fault(hub, Wanted("workers[1]", "org/nothing", None), TOKEN)


def test_a_revision_that_does_not_exist(hub: FakeHub) -> None:
    assert fault(hub, Wanted("workers[0]", MODEL, "f" * 40)) == (
        f"workers[0].model_revision: '{'f' * 40}' is no commit of org/tiny; "
        "take a commit from the model's page, or leave model_revision out for the newest"
    )


def test_a_gated_model_needs_a_token_that_may_read_it(hub: FakeHub) -> None:
    hub.add(MODEL, gated=True)
    assert fault(hub) == (
        "workers[0].model_id: 'org/tiny' is gated, and no token is given; accept its terms on HUB/org/tiny, put a "
        "token into an SSM SecureString, set bake.hub_token_parameter to it"
    )
    assert fault(hub, token="hf_of_somebody_else") == (
        "workers[0].model_id: 'org/tiny' is gated, and the token in /sglang-fleet/hub-token may not read it; "
        "accept its terms on HUB/org/tiny as the token's owner, or use another token"
    )
    assert Hub(hub.url, TOKEN).find(WANTED).restricted


def test_a_token_that_the_hub_does_not_know(hub: FakeHub) -> None:
    hub.add(MODEL, gated=True)
    assert fault(hub, token=UNKNOWN_TOKEN) == (
        "bake.hub_token_parameter: '/sglang-fleet/hub-token' holds a token that HUB does not know; make a new one "
        "there (Settings, Access Tokens, kind Read) and put it into the parameter"
    )


def test_a_token_saved_on_this_computer_is_not_used(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(MODEL, gated=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "no token is given" in fault(hub)


def test_a_hub_that_is_not_there(hub: FakeHub) -> None:
    hub.url = "http://127.0.0.1:9"
    said = fault(hub)
    assert said.startswith("workers[0].model_id: 'org/tiny' cannot be looked up: HUB does not answer (ConnectError")
    assert said.endswith("; check the network and HTTPS_PROXY, then try again")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (429, "HUB limits the rate of requests (429); wait some minutes"),
        (500, "HUB answered 500 Internal Server Error; try again later"),
    ],
)
def test_a_hub_that_will_not(hub: FakeHub, status: int, sentence: str) -> None:
    hub.answers = [(status, {})] * 20
    assert sentence in fault(hub)


def test_an_answer_in_another_form(hub: FakeHub) -> None:
    hub.answers = [(200, {"Content-Type": "application/json"})]
    assert "is described by HUB in a form unknown here: 'id'; check bake.hub_url, or choose" in fault(hub)
    hub.add(MODEL, files=[{"rfilename": "model.safetensors"}])
    assert "in a form unknown here: model.safetensors has no size; check bake.hub_url" in fault(hub)


def test_a_model_without_weights(hub: FakeHub) -> None:
    hub.add(MODEL, files=FILES[:2])
    assert "holds no weights that SGLang loads (safetensors, or PyTorch's .bin); choose another model" in fault(hub)


def test_a_file_name_that_leaves_the_models_folder(hub: FakeHub) -> None:
    hub.add(MODEL, files=[*FILES, sibling("../../etc/cron.d/x.json", 5)])
    assert "has a file that would be written elsewhere: '../../etc/cron.d/x.json'" in fault(hub)
