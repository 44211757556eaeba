"""SGLang's command line, from the committed list of the pinned release's own arguments.

Whatever SGLang takes is taken, whatever it refuses is refused with argparse's exit status 2; the emulator uses the few
fields of `EngineArguments` and shows the rest in /server_info.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CATALOGUE = Path(__file__).resolve().parent.parent.parent / "settings" / "data" / "sglang_arguments.json"
_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True)
class EngineArguments:
    """The arguments that change what the emulator does, and all of them as SGLang names them."""

    model_path: str
    served_model_name: str
    host: str
    port: int
    api_key: str | None
    admin_api_key: str | None
    tp_size: int
    page_size: int
    context_length: int | None
    max_total_tokens: int | None
    max_running_requests: int | None
    max_queued_requests: int | None
    mem_fraction_static: float | None
    enable_metrics: bool
    enable_cache_report: bool
    log_level: str
    everything: Mapping[str, Any]


def parse_arguments(argv: Sequence[str], catalogue: Path = CATALOGUE) -> EngineArguments:
    """Read `serve [MODEL] --flags … [--config YAML]`; exits with status 2 as SGLang's parser does."""
    parser = build_parser(json.loads(catalogue.read_text(encoding="utf-8"))["arguments"])
    words = list(argv)
    if words[:1] == ["serve"]:
        words = words[1:]
    if words and not words[0].startswith("-"):
        words = ["--model-path", *words]  # `sglang serve MODEL`
    first, _ = parser.parse_known_args(words)
    if first.config:
        words = [*_config_words(parser, Path(first.config)), *words]  # the command line wins, as in SGLang
    return _typed(parser, vars(parser.parse_args(words)))


def build_parser(catalogue: Sequence[Mapping[str, Any]]) -> argparse.ArgumentParser:
    """An argparse parser that takes what the catalogue lists."""
    parser = argparse.ArgumentParser(prog="sglang serve (sglang-emulator)")
    for argument in catalogue:
        options: dict[str, Any] = {"dest": argument["dest"], "default": argument.get("default")}
        action = argument["action"]
        if action == "BooleanOptionalAction":
            parser.add_argument(argument["flags"][0], action=argparse.BooleanOptionalAction, **options)
        elif action.endswith("StoreTrueAction"):
            parser.add_argument(*argument["flags"], action="store_true", **options)
        else:
            options |= {key: argument[key] for key in ("nargs", "choices") if key in argument}
            parser.add_argument(*argument["flags"], type=_reader(argument.get("type", "str")), **options)
    return parser


def human_readable_int(text: str) -> int:
    """SGLang's spelling of large numbers: 8k = 8000, 8Ki = 8192."""
    for suffix, factor in _SUFFIXES.items():
        if text.endswith(suffix):
            return int(float(text.removesuffix(suffix)) * factor)
    return int(text)


def _reader(name: str) -> Callable[[str], Any]:
    readers: dict[str, Callable[[str], Any]] = {
        "int": int,
        "float": float,
        "loads": json.loads,
        "human_readable_int": human_readable_int,
    }
    return readers.get(name, str)


def _config_words(parser: argparse.ArgumentParser, path: Path) -> list[str]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        parser.error(f"argument --config: cannot read {path}: {error}")
    if not isinstance(settings, dict):
        parser.error(f"argument --config: {path} must hold key: value lines")
    words: list[str] = []
    for key, value in settings.items():
        if value is False or value is None:
            continue
        words.append("--" + str(key).replace("_", "-"))
        if value is not True:
            words += [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return words


def _typed(parser: argparse.ArgumentParser, everything: dict[str, Any]) -> EngineArguments:
    if not everything["model_path"]:
        parser.error("the following arguments are required: --model-path/--model")
    everything["served_model_name"] = everything["served_model_name"] or everything["model_path"]
    everything["tokenizer_path"] = everything["tokenizer_path"] or everything["model_path"]
    everything["page_size"] = everything["page_size"] or 1
    names = set(EngineArguments.__dataclass_fields__) - {"everything"}
    return EngineArguments(everything=everything, **{name: everything[name] for name in names})
