"""What a rehearsal looks for in images: texts across the borders of what is read at once, and lists of contents."""

from __future__ import annotations

import json
from pathlib import Path

from rehearsal.bake.evidence import CHUNK, holders, needed_of, read_bill
from rehearsal.bake.weights import write_model


def test_a_text_is_found_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "across").write_bytes(b"x" * (CHUNK - 3) + b"secret")
    (tmp_path / "at the end").write_bytes(b"secret")
    (tmp_path / "not").write_bytes(b"x" * CHUNK + b"secre")
    (tmp_path / "a link").symlink_to(tmp_path / "across")
    assert {path.name for path in holders([tmp_path], "secret")} == {"across", "at the end"}


def test_a_package_without_hash_and_the_models_files_are_told(tmp_path: Path) -> None:
    file = {"type": "file", "name": "config.json", "hashes": [{"alg": "SHA-256", "content": "ab"}]}
    components = [
        {"type": "library", "name": "good", "version": "1", "hashes": [{"alg": "SHA-256", "content": "cd"}]},
        {"type": "library", "name": "without hash", "version": "1"},
        {"type": "library", "name": "without version", "hashes": [{"alg": "SHA-256", "content": "cd"}]},
        {"type": "machine-learning-model", "name": "m", "version": "c", "components": [file]},
    ]
    (tmp_path / "sbom").write_text(json.dumps({"components": components}))
    bill = read_bill(tmp_path / "sbom")
    assert (bill.packages, bill.incomplete) == (3, ("without hash", "without version"))
    assert bill.model_files == {"config.json": "ab"}


def test_an_image_needs_the_weights_once(tmp_path: Path) -> None:
    write_model(tmp_path)
    assert {"model-00001-of-00002.safetensors", "config.json", "tokenizer.json"} <= needed_of(tmp_path).keys()
    assert not {"README.md", "pytorch_model.bin"} & needed_of(tmp_path).keys()
