"""The model that a rehearsal's hub holds is a real one: its files are what the safetensors format and its index say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rehearsal.bake.weights import write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model")
    return tmp_path / "model"


def header(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON header of a safetensors file, and how many bytes follow it."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), len(content) - 8 - length


def test_every_shard_holds_its_tensors_without_gaps(model: Path) -> None:
    for shard in sorted(model.glob("*.safetensors")):
        tensors, size = header(shard)
        assert tensors.pop("__metadata__") == {"format": "pt"}
        spans = sorted(tensor["data_offsets"] for tensor in tensors.values())
        assert [begin for begin, _ in spans] == [0, *(end for _, end in spans)][:-1]
        assert spans[-1][1] == size
        for tensor in tensors.values():
            count = 2
            for length in tensor["shape"]:
                count *= length
            assert tensor["data_offsets"][1] - tensor["data_offsets"][0] == count


def test_the_index_names_every_tensor_and_its_shard(model: Path) -> None:
    index = json.loads((model / "model.safetensors.index.json").read_text())
    found = {name: shard.name for shard in model.glob("*.safetensors") for name in header(shard)[0]}
    del found["__metadata__"]
    assert index["weight_map"] == found


def test_two_are_the_same_byte_for_byte(model: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "again")
    for path in model.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_vocabulary_and_configuration_fit(model: Path) -> None:
    configuration = json.loads((model / "config.json").read_text())
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(configuration["vocab_size"]))
