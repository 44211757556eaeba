"""From a model's `config.json` to the facts that the arithmetic needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.fit import feed_forward
from settings.fit.attention import (
    attention_tensors,
    caches_of,
    heads_of,
    hidden_of,
    is_latent,
    kv_heads_of,
)
from settings.fit.config_json import Config, language_part
from settings.fit.facts import ModelFacts, Sizes, Tensor, UnreadableModelError
from settings.fit.layers import Layer, experts_of, layers_of
from settings.fit.quantization import quantization_of, quantized
from settings.fit.tower import tower_of

# Attention whose cache this arithmetic does not model: it would answer with a number that means nothing.
_NOT_MODELLED: Mapping[str, str] = {
    "compress_ratios": "compresses its cache by a ratio of its own in each layer",
    "zero_expert_num": "has two attentions in each layer",
    "is_encoder_decoder": "is an encoder-decoder",
}
# Models for which SGLang frees what has left the window (model_config.py of 0.5.23: is_hybrid_swa_model). For all
# others with windows, Gemma 2 and 3 among them, every layer keeps every token.
_EVICTING = (
    "Llama4ForConditionalGeneration",
    "GptOssForCausalLM",
    "GraniteSWAForCausalLM",
    "GraniteMoeSWAForCausalLM",
    "MiMoV2",
    "Step3p5ForCausalLM",
    "Step3p7ForConditionalGeneration",
    "Gemma4",
    "LagunaForCausalLM",
    "MellumForCausalLM",
    "MuseGlimmer",
)


def model_facts(
    model_id: str, data: Mapping[str, Any], *, checkpoint_bytes: int | None = None, source: str = ""
) -> ModelFacts:
    """Return the facts of a model.

    `data` is its `config.json`, `checkpoint_bytes` the size of its weights (`metadata.total_size` of the safetensors
    index), `source` where both were read.

    Raises:
        UnreadableModelError: a field is missing or odd, or the model is of a kind that the arithmetic does not know.
    """
    try:
        return _facts(model_id, data, checkpoint_bytes, source)
    except UnreadableModelError:
        raise
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise UnreadableModelError(f"fields of config.json do not go together ({error})") from None


def _facts(model_id: str, data: Mapping[str, Any], checkpoint_bytes: int | None, source: str) -> ModelFacts:
    config = _modelled(language_part(data))
    layers, quantization = layers_of(config), quantization_of(config)
    towers, seen = tower_of(data, hidden_of(config))
    if checkpoint_bytes is not None and _stored_type(config) == "float32":
        checkpoint_bytes //= 2
    caches = caches_of(config, layers)
    if not caches:
        raise UnreadableModelError(f"{config.architecture or model_id} keeps nothing of a request")
    return ModelFacts(
        model_id=model_id,
        architecture=config.architecture,
        sizes=_sizes(config, layers),
        tensors=quantized(_tensors(config, layers), quantization),
        caches=caches,
        dtype=_dtype(config),
        quantization=quantization,
        draft_tensors=quantized(_drafts(config, layers), quantization),
        tower_tensors=towers,
        tower=seen,
        checkpoint_bytes=checkpoint_bytes,
        source=source,
        evicts_windows=config.architecture.startswith(_EVICTING),
    )


def _modelled(config: Config) -> Config:
    for field, reason in _NOT_MODELLED.items():
        if config.get(field):
            raise UnreadableModelError(f"{config.architecture} {reason} ({field} of config.json)")
    return config


def _stored_type(config: Config) -> str:
    return config.text("torch_dtype", "dtype").removeprefix("torch.")


def _dtype(config: Config) -> str:
    """The type a model is served in: its own, and half precision for one that is stored in single precision."""
    return "float16" if _stored_type(config) in ("float16", "half", "float32") else "bfloat16"


def _sizes(config: Config, layers: tuple[Layer, ...]) -> Sizes:
    dense = [
        layer.intermediate or feed_forward.intermediate_of(config) for layer in layers if layer.feed_forward == "dense"
    ]
    sparse = [feed_forward.expert_width(config)] if any(layer.feed_forward == "experts" for layer in layers) else []
    shared = [feed_forward.shared_width(config)] if sparse and feed_forward.shared_width(config) else []
    active = config.integer("num_experts_per_tok", "num_experts_per_token", "experts_per_token", default=1)
    return Sizes(
        layers=len(layers),
        hidden=hidden_of(config),
        heads=heads_of(config),
        kv_heads=1 if is_latent(config) else kv_heads_of(config),
        vocabulary=config.positive("vocab_size", "padded_vocab_size"),
        context=config.positive(
            "max_position_embeddings",
            "n_positions",
            "seq_length",
            "max_sequence_length",
            "model_max_length",
            default=2048,
        ),
        intermediate=max([*dense, *(width * active for width in sparse), 1]),
        divided=tuple(dict.fromkeys((*dense, *shared))),
        expert_width=sparse[0] if sparse else 0,
    )


def _tensors(config: Config, layers: tuple[Layer, ...]) -> Iterator[Tensor]:
    hidden, vocabulary = hidden_of(config), config.positive("vocab_size", "padded_vocab_size")
    yield Tensor("embed_tokens", vocabulary * hidden, linear=False)
    yield Tensor("norm", hidden, linear=False, spread="copied")
    if not _is_tied(config):
        yield Tensor("lm_head", vocabulary * hidden)
    if wide := config.integer("hidden_size_per_layer_input", default=0):
        yield from _per_layer_inputs(config, wide, len(layers))
    for layer in layers:
        yield Tensor(f"layers.{layer.index}.norm", 2 * hidden, linear=False, spread="copied")
        yield from attention_tensors(config, layer)
        yield from feed_forward.feed_forward_tensors(config, layer)


def _is_tied(config: Config) -> bool:
    # These leave the field out and tie (their configuration classes in Hugging Face transformers say so by default).
    default = config.text("model_type").startswith(("gemma", "cohere", "gpt2", "falcon"))
    return config.flag("tie_word_embeddings", default=default)


def _per_layer_inputs(config: Config, wide: int, layers: int) -> Iterator[Tensor]:
    """Gemma 3n and the small Gemma 4 have an embedding of their own for each layer."""
    vocabulary = config.positive("vocab_size_per_layer_input", default=config.positive("vocab_size"))
    yield Tensor("embed_tokens_per_layer", vocabulary * wide * layers, linear=False)
    yield Tensor("per_layer_projection", 3 * hidden_of(config) * wide * layers, linear=False, spread="copied")


def _drafts(config: Config, layers: tuple[Layer, ...]) -> Iterator[Tensor]:
    """Layers that predict more tokens (MTP): in the files, loaded for speculative decoding only."""
    count = config.layers("num_nextn_predict_layers", "mtp_num_hidden_layers", default=0)
    hidden = hidden_of(config)
    sparse = bool(experts_of(config)) and layers[-1].feed_forward != "dense"
    for number in range(count):
        layer = Layer(len(layers) + number, "full", "experts" if sparse else "dense")
        yield Tensor(f"layers.{layer.index}.eh_proj", 2 * hidden * hidden, linear=False)
        if config.get("num_nextn_predict_layers"):  # DeepSeek's files hold its embedding and its head once more
            yield Tensor(f"layers.{layer.index}.shared_head", 2 * config.positive("vocab_size") * hidden, linear=False)
        yield from attention_tensors(config, layer)
        yield from feed_forward.feed_forward_tensors(config, layer)
