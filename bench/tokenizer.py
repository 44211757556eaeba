"""A made-up tokenizer, written where the generator looks for one: each byte of a text is a token.

The generator makes prompts of a wanted number of tokens and needs a tokenizer for it; a real one would have to be
downloaded. With this one lengths are given in characters, CHARACTERS_PER_TOKEN for each token that is meant. What is
reported as tokens is what the server counted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHARACTERS_PER_TOKEN = 4
"""The usual rule of thumb for English and today's vocabularies; the engine emulator counts exactly so."""
# GPT-2's byte alphabet: bytes that print stand for themselves, the others for characters from here on.
_FIRST_STAND_IN = 256
_PRINTING = frozenset([*range(33, 127), *range(161, 173), *range(174, 256)])

NAME = "sglang-fleet/tokenizer"
_COMMIT = "0" * 40


def write_tokenizer(folder: Path) -> Path:
    """Write the two files of a Hugging Face tokenizer into `folder` (made here) and return it."""
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(_description()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def as_repository(home: Path, folder: Path) -> str:
    """Show the tokenizer in `folder` as a repository of the hub's cache under `home` (HF_HOME); returns its name.

    AIPerf 0.13.0 looks a tokenizer up in the cache once it is told to stay offline, and some of its processes always
    are: a folder's own path is then refused.
    """
    repository = home / "hub" / f"models--{NAME.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(_COMMIT)
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / _COMMIT).symlink_to(folder.resolve(), target_is_directory=True)
    return NAME


def _description() -> dict[str, Any]:
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    model = {"type": "BPE", "vocab": _alphabet(), "merges": [], "fuse_unk": False, "byte_fallback": False}
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": bytes_only,
        "decoder": bytes_only,
        "model": model,
    }


def _alphabet() -> dict[str, int]:
    stand_ins = (number for number in range(256) if number not in _PRINTING)
    characters = {number: chr(_FIRST_STAND_IN + place) for place, number in enumerate(stand_ins)}
    return {characters.get(number, chr(number)): number for number in range(256)}
