"""Tensors of each layer's feed-forward: dense, or routed and shared experts."""

from __future__ import annotations

from collections.abc import Iterator

from settings.fit.attention import hidden_of
from settings.fit.config_json import Config
from settings.fit.facts import Tensor
from settings.fit.layers import Layer, experts_of

# Models whose feed-forward has two matrices instead of three (their classes in Hugging Face transformers).
_WITHOUT_GATE = frozenset(
    {"gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "starcoder2", "falcon", "refinedweb", "refinedwebmodel"}
    | {"bloom", "opt", "mpt", "phi", "nemotron", "nemotron_h", "codegen"}
)


def is_gated(config: Config) -> bool:
    """Tell whether a gate multiplies the feed-forward's inner values."""
    squared = config.text("hidden_act", "mlp_hidden_act") == "relu2"
    return config.text("model_type") not in _WITHOUT_GATE and not squared


def intermediate_of(config: Config) -> int:
    """Return the inner width of a dense layer."""
    names: tuple[str, ...] = ("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner", "inner_hidden_size")
    if config.text("model_type").startswith("llama4"):
        names = ("intermediate_size_mlp", *names)
    if config.get("dense_intermediate_size"):
        names = ("dense_intermediate_size", *names)
    return config.positive(*names, default=4 * hidden_of(config))


def expert_width(config: Config) -> int:
    """Return the inner width of a routed expert."""
    names = ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size")
    dense = config.positive("intermediate_size", "ffn_hidden_size", default=4 * hidden_of(config))  # DBRX the second
    return config.positive(*names, default=dense)


def shared_width(config: Config) -> int:
    """Return the inner width of the shared experts together, or zero."""
    given = config.integer(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "share_expert_dim",
        default=0,
    )
    if given:
        return given * (
            config.integer("n_shared_experts", default=1) if config.get("moe_shared_expert_intermediate_size") else 1
        )
    if config.text("model_type").startswith("llama4"):
        return expert_width(config)
    count = config.integer(
        "n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts", default=0
    )
    inner = config.integer("shared_intermediate_size", default=0)
    return count * expert_width(config) if count else inner


def feed_forward_tensors(config: Config, layer: Layer) -> Iterator[Tensor]:
    """Yield the weights of a layer's feed-forward."""
    if layer.feed_forward == "none":
        return
    also_dense = config.flag("enable_moe_block") or config.flag("residual_moe")  # Gemma 4 and Grok 2 have both
    if layer.feed_forward == "dense" or also_dense:
        name = "feed_forward" if config.text("model_type").startswith("llama4") else "mlp"
        width = layer.intermediate or intermediate_of(config)
        yield from _matrices(config, f"layers.{layer.index}.{name}", width, hidden_of(config))
    if layer.feed_forward == "experts":
        yield from _experts(config, layer)


def _matrices(config: Config, name: str, width: int, hidden: int) -> Iterator[Tensor]:
    yield Tensor(f"{name}.up_proj", hidden * width)
    if is_gated(config):
        yield Tensor(f"{name}.gate_proj", hidden * width)
    yield Tensor(f"{name}.down_proj", width * hidden)


def _experts(config: Config, layer: Layer) -> Iterator[Tensor]:
    hidden, many, width = hidden_of(config), experts_of(config), expert_width(config)
    name = f"layers.{layer.index}.mlp"
    inner = config.integer("moe_latent_size", "routed_expert_hidden_size", default=hidden)
    matrices = 3 if is_gated(config) else 2
    yield Tensor(f"{name}.gate", hidden * many, linear=False, spread="copied")
    if inner != hidden:
        yield Tensor(f"{name}.latent", 2 * hidden * inner, linear=False)
    place = f"layers.{layer.index}" if config.flag("enable_moe_block") else name
    yield Tensor(f"{place}.experts", many * matrices * inner * width)
    if shared := shared_width(config):
        kind = "shared_expert" if config.get("shared_expert_intermediate_size") else "shared_experts"
        yield from _matrices(config, f"{name}.{kind}", shared, hidden)
