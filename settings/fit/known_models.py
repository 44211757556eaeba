"""The committed catalogue of well-known models. Data: `settings/data/models.jsonl`, one model in each line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from settings.fit.facts import ModelFacts, UnreadableModelError
from settings.fit.model import model_facts

_STORED_AS = re.compile(r"[-_.]?(awq|gptq|int4|int8|fp8|nvfp4|w4a16|w8a8|quantized|bnb|4bit|dynamic|instruct-awq)\b.*$")


@dataclass(frozen=True)
class KnownModel:
    """One line: the fields of `config.json` that count, the size of the weights where published, and where from."""

    model_id: str
    config: Mapping[str, Any]
    weight_bytes: int | None
    source: str


@cache
def known_models() -> Mapping[str, KnownModel]:
    """Return the catalogue by model id in lower case."""
    lines = files("settings").joinpath("data/models.jsonl").read_text(encoding="utf-8").splitlines()
    models = (parse_line(line) for line in lines if line.strip() and not line.startswith("//"))
    return MappingProxyType({model.model_id.lower(): model for model in models})


def parse_line(line: str) -> KnownModel:
    """Return the model of a catalogue line."""
    data = json.loads(line)
    return KnownModel(str(data["id"]), data["config"], data.get("bytes"), str(data["source"]))


@cache
def known_facts(model_id: str) -> ModelFacts | None:
    """Return the facts of a model, or None when the catalogue does not have it or cannot say what it caches."""
    known = known_models().get(model_id.lower())
    if known is None:
        return None
    try:
        return model_facts(known.model_id, known.config, checkpoint_bytes=known.weight_bytes, source=known.source)
    except UnreadableModelError:
        return None


def stem(model_id: str) -> str:
    """Return a model's name without its owner and how it is stored: of Qwen/Qwen3-32B-AWQ, qwen3-32b."""
    return _STORED_AS.sub("", model_id.lower().rpartition("/")[2])


def siblings(model_id: str) -> tuple[str, ...]:
    """Return the ids of the catalogue that are the same model stored otherwise."""
    wanted = stem(model_id)
    return tuple(
        known.model_id
        for key, known in known_models().items()
        if key != model_id.lower() and stem(known.model_id) == wanted
    )
