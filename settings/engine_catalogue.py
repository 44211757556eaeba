"""The server arguments of the pinned SGLang release, and the names that it, or the fleet, does not take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

ArgumentKind = Literal["bool", "int", "human_int", "float", "str", "json"]

# argparse `type` functions of SGLang, by name, and what they read; an argument without one is a switch.
_KINDS: Mapping[str, ArgumentKind] = {
    "int": "int",
    "human_readable_int": "human_int",
    "float": "float",
    "str": "str",
    "nullable_str": "str",
    "parse_cuda_graph_backend_arg": "str",
    "loads": "json",
    "json_list_type": "json",
    "parse_cuda_graph_config_arg": "json",
}

# SGLang's argparse takes these as unambiguous prefixes of its long flags, and everybody writes them.
_SHORT = {"tp": "tp_size", "dp": "dp_size", "ep": "ep_size"}

# Names of earlier releases and what says the same today. Read in the 0.5.23 wheel: srt/arg_groups/serving_hook.py,
# srt/arg_groups/argparse_actions.py, srt/arg_groups/parallel_hook.py; "gone" = its parser rejects the flag.
RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "disable_cuda_graph": 'set cuda_graph_backend_decode = "disabled" and cuda_graph_backend_prefill = "disabled"',
        "cuda_graph_max_bs": "set cuda_graph_max_bs_decode and cuda_graph_max_bs_prefill",
        "cuda_graph_bs": "set cuda_graph_bs_decode and cuda_graph_bs_prefill",
        "enable_dp_attention": "set attn_dp_size to the number of attention data-parallel groups",
        "grpc_mode": "it became smg_grpc_mode, which the fleet does not use: the router speaks HTTP to its workers",
        "enable_flashinfer_allreduce_fusion": "set flashinfer_allreduce_fusion_backend",
        "disable_fast_image_processor": 'set image_processor_backend = "pil"',
        "monokernel_backend": "set enable_amd_monokernel",
        "collect_tokens_histogram": "leave it out; the token histograms are part of the metrics, which are always on",
        "torchao_config": "set quantization",
        "metrics_port": "leave it out; the engine serves its metrics on its own port, workers[].port",
    }
)

# Arguments whose value the fleet itself decides, and where to say so instead.
MANAGED: Mapping[str, str] = MappingProxyType(
    {
        "model_path": "set model_id of the pool",
        "served_model_name": "set served_model_name of the pool, one level up",
        "revision": "set model_revision of the pool",
        "download_dir": "leave it out; the model is on the image",
        "host": "leave it out; the engine listens on its host's private address",
        "port": "set port of the pool, one level up",
        "config": "leave it out; write the arguments here, one key each",
        "api_key": "set access.api_key = true; the key itself is kept in SSM and read by the host",
        "admin_api_key": "leave it out; the fleet has one key, kept in SSM (access.api_key_parameter)",
        "enable_metrics": "leave it out; metrics are always on, scaling needs them",
        "ssl_keyfile": "set router.tls; between router and workers traffic stays inside the VPC",
        "ssl_certfile": "set router.tls; between router and workers traffic stays inside the VPC",
        "ssl_ca_certs": "set router.tls; between router and workers traffic stays inside the VPC",
        "ssl_keyfile_password": "set router.tls; between router and workers traffic stays inside the VPC",
        "enable_ssl_refresh": "set router.tls; between router and workers traffic stays inside the VPC",
        "smg_grpc_mode": "leave it out; the router speaks HTTP to its workers",
        "nnodes": "leave it out; a worker is one host, choose an instance type with enough GPUs",
        "node_rank": "leave it out; a worker is one host, choose an instance type with enough GPUs",
        "dist_init_addr": "leave it out; a worker is one host, choose an instance type with enough GPUs",
    }
)


@dataclass(frozen=True)
class EngineArgument:
    """One server argument."""

    dest: str
    flags: tuple[str, ...]
    kind: ArgumentKind
    nargs: Literal["+", "*", "?"] | None
    choices: tuple[str, ...]
    negatable: bool
    default: bool | int | float | str | None

    @property
    def flag(self) -> str:
        """The spelling used on the command line."""
        return self.flags[0]

    @property
    def negative_flag(self) -> str:
        """The spelling that turns a negatable switch off."""
        return f"--no-{self.flag.removeprefix('--')}"

    @property
    def many(self) -> bool:
        """Whether it takes a list."""
        return self.nargs in ("+", "*")


@dataclass(frozen=True)
class EngineCatalogue:
    """All arguments of one SGLang release: by canonical name, and the canonical name of every spelling."""

    version: str
    arguments: Mapping[str, EngineArgument]
    spellings: Mapping[str, str]


def _argument(entry: dict[str, object]) -> EngineArgument:
    flags, choices = entry["flags"], entry.get("choices", ())
    nargs, default = entry.get("nargs"), entry.get("default")
    if not isinstance(flags, list) or not isinstance(choices, list | tuple):
        raise TypeError(f"{entry['dest']}: flags and choices are lists")
    return EngineArgument(
        dest=str(entry["dest"]),
        flags=tuple(flags),
        kind=_KINDS[str(entry["type"])] if "type" in entry else "bool",
        nargs=nargs if nargs in ("+", "*", "?") else None,
        choices=tuple(choices),
        negatable=entry["action"] == "BooleanOptionalAction",
        default=default if isinstance(default, bool | int | float | str) else None,
    )


def spell(name: str) -> str:
    """Return a flag or a name in the form of a settings key: `--tp-size` → `tp_size`."""
    return name.removeprefix("--").replace("-", "_")


@cache
def engine_catalogue() -> EngineCatalogue:
    """Return the arguments of the pinned release, without the spellings that it calls deprecated.

    Source: `settings/data/sglang_arguments.json`, written by `scripts/dump_engine_arguments.py`.
    """
    data = json.loads(files("settings").joinpath("data/sglang_arguments.json").read_text(encoding="utf-8"))
    current = [_argument(entry) for entry in data["arguments"] if not entry.get("deprecated")]
    spellings = {name: argument.dest for argument in current for name in (argument.dest, *map(spell, argument.flags))}
    negatives = {spell(argument.negative_flag) for argument in current if argument.negatable}
    known = {name: dest for name, dest in (spellings | _SHORT).items() if name not in negatives}
    arguments = {argument.dest: argument for argument in current}
    return EngineCatalogue(data["sglang"], MappingProxyType(arguments), MappingProxyType(known))


def settable_arguments() -> Mapping[str, EngineArgument]:
    """Return the arguments that a settings file may give, by canonical name."""
    return {dest: argument for dest, argument in engine_catalogue().arguments.items() if dest not in MANAGED}
