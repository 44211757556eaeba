"""Which kind of attention and of feed-forward each layer has: the many ways in which configurations say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from settings.fit.config_json import Config
from settings.fit.facts import UnreadableModelError

Attention = Literal["full", "window", "linear", "mamba", "none"]
FeedForward = Literal["dense", "experts", "none"]

_ATTENTION: Mapping[str, Attention] = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "window",
    "chunked_attention": "window",
    "linear_attention": "linear",
    "mamba": "mamba",
    "mamba2": "mamba",
    "moe": "none",
    "mlp": "none",
}
# Nemotron-H writes one letter for each layer: Mamba, attention, MLP, experts.
_LETTERS: Mapping[str, tuple[Attention, FeedForward]] = {
    "M": ("mamba", "none"),
    "*": ("full", "none"),
    "-": ("none", "dense"),
    "E": ("none", "experts"),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what its attention is, what its feed-forward is, and its widths where layers differ."""

    index: int
    attention: Attention
    feed_forward: FeedForward
    kv_heads: int | None = None
    intermediate: int | None = None


def layers_of(config: Config) -> tuple[Layer, ...]:
    """Return the layers of a language model.

    Raises:
        UnreadableModelError: a layer is of a kind that is not known.
    """
    if blocks := config.items("block_configs"):
        return tuple(_block(config, index, block) for index, block in enumerate(blocks))
    if (letters := config.get("hybrid_override_pattern")) or config.items("layers_block_type"):
        return _by_letters(config, letters)
    count = config.layers("num_hidden_layers", "n_layer", "num_layers", "n_layers")
    attention = _attentions(config, count)
    return tuple(Layer(index, attention[index], _feed_forward(config, index)) for index in range(count))


def _by_letters(config: Config, letters: object) -> tuple[Layer, ...]:
    if not isinstance(letters, str):
        named = config.items("layers_block_type")
        return tuple(_named(config, index, str(name)) for index, name in enumerate(named))
    unknown = set(letters) - set(_LETTERS)
    if unknown:
        raise UnreadableModelError(f"hybrid_override_pattern of config.json has {sorted(unknown)}, not known")
    return tuple(Layer(index, *_LETTERS[letter]) for index, letter in enumerate(letters))


def _named(config: Config, index: int, name: str) -> Layer:
    if config.text("model_type") == "nemotron_h":
        ahead: FeedForward = {"mlp": "dense", "moe": "experts"}.get(name, "none")  # type: ignore[assignment]
        return Layer(index, _known(name), ahead)
    return Layer(index, _known(name), _feed_forward(config, index))


def _known(name: str) -> Attention:
    if name.endswith("sparse_attention"):  # reads a part of the cache, keeps all of it
        return "full"
    if name not in _ATTENTION:
        raise UnreadableModelError(f"config.json has layers of the type {name}, which is not known")
    return _ATTENTION[name]


def _attentions(config: Config, count: int) -> list[Attention]:
    if names := config.items("layer_types"):
        return _whole([_known(str(name)) for name in names], count, "layer_types")
    for field, first, second in (("attn_type_list", "linear", "full"), ("hybrid_layer_pattern", "full", "window")):
        if marks := config.items(field):
            return _whole([second if mark else first for mark in marks], count, field)  # type: ignore[misc]
    if linear := config.section("linear_attn_config"):
        full = set(linear.items("full_attn_layers"))
        return ["full" if index + 1 in full else "linear" for index in range(count)]
    if marked := config.items("attn_layer_indices"):
        return ["full" if index in marked else "mamba" for index in range(count)]
    return [_periodic(config, index) for index in range(count)]


def _whole(kinds: list[Attention], count: int, field: str) -> list[Attention]:
    if len(kinds) < count:
        raise UnreadableModelError(f"{field} of config.json has {len(kinds)} entries for {count} layers")
    return kinds[:count]


def _periodic(config: Config, index: int) -> Attention:
    """Every n-th layer is of the other kind."""
    if period := config.integer("attn_layer_period", default=0):
        return "full" if index % period == config.integer("attn_layer_offset", default=0) else "mamba"
    if period := config.integer("full_attention_interval", default=0):
        return "linear" if (index + 1) % period else "full"
    if config.get("attention_chunk_size") and config.text("model_type").startswith("llama4"):
        return "window" if (index + 1) % 4 else "full"
    if period := _window_period(config):
        return "window" if (index + 1) % period else "full"
    return "full"


def _window_period(config: Config) -> int:
    if not config.get("sliding_window"):
        return 0
    pattern = config.get("sliding_window_pattern", "_sliding_window_pattern")
    if isinstance(pattern, int):
        return pattern
    # Without the field: every second layer of Gemma 2, every sixth of Gemma 3 and every fourth of Cohere 2 is full
    # (configuration classes in Hugging Face transformers).
    return {"gemma2": 2, "gemma3_text": 6, "gemma3": 6, "cohere2": 4}.get(config.text("model_type"), 0)


def _feed_forward(config: Config, index: int) -> FeedForward:
    if not experts_of(config):
        return "dense"
    if kinds := config.items("mlp_layer_types"):
        return "experts" if kinds[index] in ("sparse", "moe") else "dense"
    if isinstance(marks := config.get("moe_layer_freq"), list):
        return "experts" if marks[index] else "dense"
    return "experts" if _is_sparse(config, index) else "dense"


def _is_sparse(config: Config, index: int) -> bool:
    if listed := _listed_layers(config):
        return index in listed
    if index < config.integer("first_k_dense_replace", "moe_layer_start_index", "num_dense_layers", default=0):
        return False
    if index in config.items("mlp_only_layers"):
        return False
    end = config.integer("moe_layer_end_index", default=10**6)
    if period := config.integer("expert_layer_period", default=0):
        return index % period == config.integer("expert_layer_offset", default=0)
    step = config.integer("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval", default=1)
    start = config.integer("moe_layer_freq", default=1)
    return index <= end and (index + 1) % max(step, 1) == 0 and index % max(start, 1) == 0


def _listed_layers(config: Config) -> set[int]:
    named = config.get("moe_layers", "moe_layers_enum")
    if isinstance(named, str):
        return {int(item) for item in named.split(",") if item.strip().isdigit()}
    return {int(item) for item in named} if isinstance(named, list) else set()


def experts_of(config: Config) -> int:
    """Return how many routed experts a layer has, or zero."""
    return config.integer(
        "num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts", "num_routed_experts", default=0
    )


def _block(config: Config, index: int, block: Mapping[str, Any]) -> Layer:
    """One block of a model that a search has pruned (DeciLM, Nemotron Super): each with widths of its own."""
    attention, ahead = Config(block.get("attention", {})), Config(block.get("ffn", {}))
    group = attention.integer("n_heads_in_group", default=0)
    heads = config.positive("num_attention_heads")
    width = ahead.get("intermediate_size") or _pruned(ahead.get("ffn_mult"), config.positive("hidden_size"))
    return Layer(
        index,
        "full" if group and not attention.flag("no_op") else "none",
        "dense" if width and not ahead.flag("no_op") else "none",
        heads // group if group else None,
        int(width) if width else None,
    )


def _pruned(factor: float | None, hidden: int) -> int:
    """The width that DeciLM's code makes of a factor: two thirds of it, rounded up to a multiple of 256."""
    return 0 if factor is None else -(-int(2 * factor * hidden / 3) // 256) * 256
