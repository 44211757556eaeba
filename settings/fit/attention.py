"""Tensors and caches of the attention of each layer: grouped heads, latent (MLA), windows, linear and Mamba layers."""

from __future__ import annotations

from collections.abc import Iterator

from settings.fit.config_json import Config
from settings.fit.facts import Cache, Tensor
from settings.fit.layers import Layer

_INDEXER_SCALE_BLOCK = 128  # one 4-byte scale for so many of an indexer's 8-bit numbers (SGLang, DSATokenToKVPool)


def heads_of(config: Config) -> int:
    """Return the number of query heads."""
    return config.positive("num_attention_heads", "n_head", "num_heads", "n_heads")


def kv_heads_of(config: Config) -> int:
    """Return the number of key-value heads; without the field every query head has its own."""
    if config.flag("multi_query") and not config.flag("new_decoder_architecture"):  # Falcon 7B says so beside a number
        return 1
    groups = config.integer("multi_query_group_num", default=0) if config.flag("multi_query_attention") else 0
    names = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads")
    return groups or config.positive(*names, default=heads_of(config))


def hidden_of(config: Config) -> int:
    """Return the width of the model."""
    return config.positive("hidden_size", "n_embd", "d_model", "dim")


def head_size_of(config: Config) -> int:
    """Return the width of a head."""
    return config.positive(
        "head_dim", "kv_channels", "attention_head_dim", default=hidden_of(config) // heads_of(config)
    )


def is_latent(config: Config) -> bool:
    """Tell whether attention is MLA."""
    return config.integer("kv_lora_rank", default=0) > 0


def attention_tensors(config: Config, layer: Layer) -> Iterator[Tensor]:
    """Yield the weights of a layer's attention."""
    if layer.attention == "linear":
        yield from _linear(config, layer)
    elif layer.attention == "mamba":
        yield from _mamba(config, layer)
    elif layer.attention != "none":
        yield from _latent(config, layer) if is_latent(config) else _grouped(config, layer)


def _shape(config: Config, layer: Layer) -> tuple[int, int, int, int]:
    """Return query heads, key-value heads, and the widths of a key and of a value, of one layer."""
    heads, size = heads_of(config), head_size_of(config)
    kv_heads = layer.kv_heads or kv_heads_of(config)
    value = config.positive("v_head_dim", default=size) if not is_latent(config) else size
    if layer.attention == "window":
        heads = config.positive("swa_num_attention_heads", default=heads)
        kv_heads = config.positive("swa_num_key_value_heads", default=kv_heads)
        size, value = config.positive("swa_head_dim", default=size), config.positive("swa_v_head_dim", default=value)
        if other := config.section("attention_other_setting"):
            heads = other.positive("num_attention_heads", default=heads)
            kv_heads = other.positive("num_attention_groups", default=kv_heads)
    elif config.get("global_head_dim"):
        size = value = config.positive("global_head_dim")
        kv_heads = config.positive("num_global_key_value_heads", default=kv_heads)
    if config.get("num_attention_groups"):
        kv_heads = kv_heads if layer.attention == "window" else config.positive("num_attention_groups")
    return heads, kv_heads, size, value


def _grouped(config: Config, layer: Layer) -> Iterator[Tensor]:
    heads, kv_heads, size, value = _shape(config, layer)
    hidden, name = hidden_of(config), f"layers.{layer.index}.self_attn"
    gate = 2 if config.flag("attn_output_gate") else 1
    yield Tensor(f"{name}.q_proj", hidden * heads * size * gate)
    yield Tensor(f"{name}.k_proj", hidden * kv_heads * size, heads=kv_heads)
    shares = config.flag("attention_k_eq_v") and layer.attention == "full"
    if not shares:
        yield Tensor(f"{name}.v_proj", hidden * kv_heads * value, heads=kv_heads)
    yield Tensor(f"{name}.o_proj", heads * value * hidden)


def _latent(config: Config, layer: Layer) -> Iterator[Tensor]:
    heads, hidden, name = heads_of(config), hidden_of(config), f"layers.{layer.index}.self_attn"
    plain, turned = config.positive("qk_nope_head_dim"), config.integer("qk_rope_head_dim", default=0)
    rank = config.positive("kv_lora_rank")
    value = config.positive("v_head_dim", default=head_size_of(config))
    query, queries = config.integer("q_lora_rank", default=0), heads * (plain + turned)
    if query:
        yield Tensor(f"{name}.q_a_proj", hidden * query, spread="copied")
        yield Tensor(f"{name}.q_b_proj", query * queries)
    else:
        yield Tensor(f"{name}.q_proj", hidden * queries)
    yield Tensor(f"{name}.kv_a_proj_with_mqa", hidden * (rank + turned), spread="copied")
    yield Tensor(f"{name}.kv_b_proj", rank * heads * (plain + value))
    # SGLang keeps that matrix a second time, unpacked, for decoding (models/deepseek_v2: w_kc, w_vc).
    yield Tensor(f"{name}.absorbed", rank * heads * (plain + value), linear=False)
    yield Tensor(f"{name}.o_proj", heads * value * hidden)
    if index := config.integer("index_head_dim", default=0):
        many = config.integer("index_n_heads", default=1)
        yield Tensor(f"{name}.indexer.wq_b", query * many * index, spread="copied")
        yield Tensor(f"{name}.indexer.wk", hidden * (index + many), spread="copied")


def _linear(config: Config, layer: Layer) -> Iterator[Tensor]:
    """Gated delta networks (Qwen3-Next, Qwen3.5), Kimi's delta attention, and MiniMax's lightning attention."""
    hidden, name = hidden_of(config), f"layers.{layer.index}.linear_attn"
    keys, values, value_heads = _linear_widths(config)
    delta = config.section("linear_attn_config")
    yield Tensor(f"{name}.in_proj_qkv", hidden * (2 * keys + values))
    if delta and not delta.flag("use_full_rank_gate"):
        rank = delta.positive("head_dim")
        yield Tensor(f"{name}.gates", 2 * rank * (hidden + values) + hidden * value_heads)
    else:
        yield Tensor(f"{name}.in_proj_z", hidden * values)
        yield Tensor(f"{name}.in_proj_ba", hidden * 2 * value_heads, linear=False)
    yield Tensor(f"{name}.out_proj", values * hidden)


def _linear_widths(config: Config) -> tuple[int, int, int]:
    if delta := config.section("linear_attn_config"):
        width = delta.positive("num_heads") * delta.positive("head_dim")
        return width, width, delta.positive("num_heads")
    heads = config.positive("linear_num_value_heads", default=heads_of(config))
    value = config.positive("linear_value_head_dim", default=head_size_of(config))
    key_heads = config.positive("linear_num_key_heads", default=heads)
    return key_heads * config.positive("linear_key_head_dim", default=value), heads * value, heads


def _mamba(config: Config, layer: Layer) -> Iterator[Tensor]:
    hidden, name = hidden_of(config), f"layers.{layer.index}.mixer"
    inner, heads, groups, state = _mamba_widths(config)
    if heads:
        yield Tensor(f"{name}.in_proj", hidden * (2 * inner + 2 * groups * state + heads))
    else:  # the first Mamba makes its time steps from the inner width
        steps = config.positive("mamba_dt_rank", "time_step_rank", default=-(-hidden // 16))
        yield Tensor(f"{name}.in_proj", hidden * 2 * inner)
        yield Tensor(f"{name}.x_proj", inner * (2 * steps + 2 * state))
    yield Tensor(f"{name}.out_proj", inner * hidden)


def _mamba_widths(config: Config) -> tuple[int, int, int, int]:
    """Return the inner width, heads (0: the first Mamba, without), groups and the size of a head's state."""
    heads = config.integer("mamba_num_heads", "mamba_n_heads", default=0)
    size = config.integer("mamba_head_dim", "mamba_d_head", default=0)
    expand = config.integer("expand", "mamba_expand", default=2)
    inner = heads * size or expand * hidden_of(config)
    return (
        inner,
        heads,
        config.integer("n_groups", "mamba_n_groups", default=1),
        config.positive("ssm_state_size", "mamba_d_state", default=16),
    )


def caches_of(config: Config, layers: tuple[Layer, ...]) -> tuple[Cache, ...]:
    """Return what the layers cache, equal layers together; layers that reuse others' keys keep none."""
    own = len(layers) - config.integer("num_kv_shared_layers", default=0)
    found: dict[Cache, int] = {}
    for layer in layers[:own]:
        if layer.attention != "none":
            cache = _cache(config, layer)
            found[cache] = found.get(cache, 0) + 1
    return tuple(_times(cache, count) for cache, count in found.items())


def _times(cache: Cache, count: int) -> Cache:
    return Cache(cache.kind, count, cache.heads, cache.elements, cache.plain_bytes, cache.state_bytes, cache.window)


def _cache(config: Config, layer: Layer) -> Cache:
    if layer.attention == "linear":
        return Cache("state", 1, state_bytes=_delta_state(config))
    if layer.attention == "mamba":
        return Cache("state", 1, state_bytes=_mamba_state(config))
    if is_latent(config):
        index = config.integer("index_head_dim", default=0)
        keys = index + index // _INDEXER_SCALE_BLOCK * 4
        width = config.positive("kv_lora_rank") + config.integer("qk_rope_head_dim", default=0)
        return Cache("latent", 1, elements=width, plain_bytes=keys)
    _, kv_heads, size, value = _shape(config, layer)
    sparse = config.section("sparse_attention_config")
    extra = _sparse_keys(sparse, layer.index) if sparse else 0
    window = config.integer("sliding_window", "attention_chunk_size", "sliding_window_size", default=0)
    is_window = layer.attention == "window"
    return Cache("window" if is_window else "full", 1, kv_heads, size + value, extra, window=window if is_window else 0)


def _sparse_keys(sparse: Config, index: int) -> int:
    """Bytes that MiniMax M3's block indexer keeps for a token in one layer: a key, and a value unless switched off."""
    marks, off = sparse.items("sparse_attention_freq"), sparse.items("sparse_disable_index_value")
    if index >= len(marks) or not marks[index]:
        return 0
    both = 1 if index < len(off) and off[index] else 2
    return 2 * both * sparse.integer("sparse_index_dim", default=128)


def _delta_state(config: Config) -> int:
    keys, values, heads = _linear_widths(config)
    size = 4 if config.text("mamba_ssm_dtype", "mamba_ssm_cache_dtype") != "bfloat16" else 2
    delta = config.section("linear_attn_config")
    key = delta.positive("head_dim") if delta else config.positive("linear_key_head_dim", default=head_size_of(config))
    kernel = config.integer("linear_conv_kernel_dim", default=4)
    return key * values * size + (2 * keys + values) * max(kernel - 1, 0) * 2 + 0 * heads


def _mamba_state(config: Config) -> int:
    inner, _, groups, state = _mamba_widths(config)
    size = 4 if config.text("mamba_ssm_cache_dtype", "mamba_ssm_dtype") != "bfloat16" else 2
    kernel = config.integer("conv_kernel", "mamba_d_conv", default=4)
    return inner * state * size + (inner + 2 * groups * state) * max(kernel - 1, 0) * 2
