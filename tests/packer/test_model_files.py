"""Which files of a model's repository go onto an image."""

from __future__ import annotations

import pytest

from packer.model_files import ModelFile, is_safe, needed_files

CONFIGURATION = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "vocab.txt"]
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
TORCH = ["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"]


def chosen(names: list[str], *, trust_remote_code: bool = False, load_format: str | None = None) -> list[str]:
    files = [ModelFile(name, 1, None, "b") for name in names]
    return [file.path for file in needed_files(files, trust_remote_code=trust_remote_code, load_format=load_format)]


def test_weights_configuration_and_tokenizer_are_taken_and_the_rest_is_not() -> None:
    other = [
        ".gitattributes",
        "README.md",
        "LICENSE",
        "figures/loss.png",
        "model.py",
        "weights.gguf",
        "flax_model.msgpack",
    ]
    assert chosen([*SHARDS, *CONFIGURATION, *other]) == sorted([*SHARDS, *CONFIGURATION])


def test_templates_and_other_tokenizers_are_taken() -> None:
    some = ["additional_chat_templates/tool.jinja", "chat_template.jinja", "qwen.tiktoken"]
    assert set(some) <= set(chosen([*SHARDS, *some]))


def test_weights_are_taken_once() -> None:
    assert chosen([*SHARDS, *TORCH]) == sorted(SHARDS)
    assert chosen(["consolidated.safetensors", *SHARDS]) == sorted(SHARDS)
    copies = ["original/model.safetensors", "onnx/model.json", "metal/model.bin", ".cache/config.json"]
    assert chosen([*SHARDS, *copies]) == sorted(SHARDS)


def test_without_safetensors_the_files_of_pytorch_are_taken_without_what_training_left() -> None:
    assert chosen([*TORCH, "training_args.bin", "optimizer.pt", "config.json"]) == sorted([*TORCH, "config.json"])


def test_a_repository_in_mistrals_naming_only_is_taken() -> None:
    assert chosen(["consolidated.safetensors", "params.json"]) == ["consolidated.safetensors", "params.json"]


@pytest.mark.parametrize(
    ("load_format", "expected"),
    [
        ("mistral", ["consolidated.safetensors"]),
        ("pt", sorted(TORCH)),
        ("npcache", sorted(TORCH)),
        ("runai_streamer", sorted(SHARDS)),
    ],
)
def test_the_load_format_decides_where_several_are_there(load_format: str, expected: list[str]) -> None:
    assert chosen(["consolidated.safetensors", *SHARDS, *TORCH], load_format=load_format) == expected


def test_code_is_taken_only_by_those_who_trust_it() -> None:
    assert "modeling_own.py" not in chosen([*SHARDS, "modeling_own.py"])
    assert "modeling_own.py" in chosen([*SHARDS, "modeling_own.py"], trust_remote_code=True)


@pytest.mark.parametrize("names", [[], CONFIGURATION, ["weights.gguf"], ["training_args.bin"]])
def test_without_weights_nothing_is_taken(names: list[str]) -> None:
    assert chosen(names) == []


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "a\nb"])
def test_a_name_that_leaves_the_folder_is_not_safe(name: str) -> None:
    assert not is_safe(name)


def test_an_ordinary_name_is_safe() -> None:
    assert all(map(is_safe, [*SHARDS, "sub/ordinary name [1].json", "..a/b.."]))
