"""The encoder of images or sound in front of a language model: counted from its own section of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.fit.config_json import Config
from settings.fit.facts import Tensor

_SECTIONS = ("vision_config", "audio_config", "visual", "vit_config")


def tower_of(data: Mapping[str, Any], hidden: int) -> tuple[tuple[Tensor, ...], tuple[int, int] | None]:
    """Return the encoders' tensors, and layers and width of the one for images.

    They are not quantized and not split: SGLang keeps a copy on each GPU or pads its heads.
    """
    outer = Config(data)
    thinker = outer.section("thinker_config")
    found = [section for name in _SECTIONS if (section := (thinker or outer).section(name))]
    tensors = tuple(tensor for section in found for tensor in _encoder(section, hidden))
    seen = next(((_depth(one), _width(one)) for one in found if _width(one) and _depth(one)), None)
    return tensors, seen


def _width(config: Config) -> int:
    if config.text("model_type").startswith("qwen2_vl") or config.get("embed_dim"):
        return config.integer("embed_dim", "hidden_size", default=0)
    return config.integer("hidden_size", "vt_hidden_size", "d_model", "width", default=0)


def _depth(config: Config) -> int:
    return config.integer("depth", "num_hidden_layers", "vt_num_hidden_layers", "encoder_layers", "layers", default=0)


def _encoder(config: Config, hidden: int) -> Iterator[Tensor]:
    width, depth = _width(config), _depth(config)
    if not width or not depth:
        return
    ratio = config.get("mlp_ratio") or 4
    inner = config.integer("intermediate_size", "vt_intermediate_size", "encoder_ffn_dim", default=int(width * ratio))
    matrices = 3 if config.text("hidden_act") == "silu" else 2
    layer = 4 * width * width + matrices * width * inner
    merge = config.integer("spatial_merge_size", default=1) ** 2
    joined = width * merge
    yield Tensor("tower.blocks", depth * layer, linear=False, spread="copied")
    yield Tensor("tower.projector", joined * joined + joined * hidden, linear=False, spread="copied")
