"""A small real model: valid safetensors in two shards with an index, configuration and tokenizer, without torch.

Format: safetensors, "Format" (8 bytes little-endian length of the header, the header as JSON, the tensors).
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HIDDEN, LAYERS, VOCABULARY = 64, 2, 256
BYTES_OF = {"F16": 2}
SHARD = "model-{number:05d}-of-{count:05d}.safetensors"
CONFIGURATION: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": 4 * HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
}


@dataclass(frozen=True)
class Tensor:
    """A tensor's name and shape; all are of 16-bit floats."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        count = BYTES_OF["F16"]
        for length in self.shape:
            count *= length
        return count


def _layer(number: int) -> tuple[Tensor, ...]:
    prefix, inner, values = f"model.layers.{number}", 4 * HIDDEN, HIDDEN // 2
    return (
        Tensor(f"{prefix}.self_attn.q_proj.weight", (HIDDEN, HIDDEN)),
        Tensor(f"{prefix}.self_attn.k_proj.weight", (values, HIDDEN)),
        Tensor(f"{prefix}.self_attn.v_proj.weight", (values, HIDDEN)),
        Tensor(f"{prefix}.self_attn.o_proj.weight", (HIDDEN, HIDDEN)),
        Tensor(f"{prefix}.mlp.gate_proj.weight", (inner, HIDDEN)),
        Tensor(f"{prefix}.mlp.up_proj.weight", (inner, HIDDEN)),
        Tensor(f"{prefix}.mlp.down_proj.weight", (HIDDEN, inner)),
        Tensor(f"{prefix}.input_layernorm.weight", (HIDDEN,)),
        Tensor(f"{prefix}.post_attention_layernorm.weight", (HIDDEN,)),
    )


def shards() -> tuple[tuple[Tensor, ...], ...]:
    """What each shard holds."""
    ends = (Tensor("model.embed_tokens.weight", (VOCABULARY, HIDDEN)), Tensor("lm_head.weight", (VOCABULARY, HIDDEN)))
    layers = [tensor for number in range(LAYERS) for tensor in _layer(number)]
    return (ends, (*layers, Tensor("model.norm.weight", (HIDDEN,))))


def safetensors(tensors: tuple[Tensor, ...], seed: int) -> bytes:
    """One file. The same seed gives the same bytes: two bakes of one model must not differ."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        span = [offset, offset + tensor.size]
        header[tensor.name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": span}
        offset += tensor.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + random.Random(seed).randbytes(offset)  # noqa: S311 - no secret


def _index() -> dict[str, Any]:
    parts = shards()
    names = [SHARD.format(number=number + 1, count=len(parts)) for number in range(len(parts))]
    where = {tensor.name: name for name, part in zip(names, parts, strict=True) for tensor in part}
    return {"metadata": {"total_size": sum(t.size for part in parts for t in part)}, "weight_map": where}


def _tokenizer() -> dict[str, Any]:
    """Each of 253 bytes is a token, behind three special ones."""
    special = ["<unk>", "<s>", "</s>"]
    words = [*special, *(f"<0x{number:02X}>" for number in range(VOCABULARY - len(special)))]
    added = [{"id": i, "content": word, "special": True, "normalized": False} for i, word in enumerate(special)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }


def write_model(folder: Path, seed: int = 0) -> None:
    """Write the model as a repository of the hub holds it, with things that no engine loads beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = shards()
    for number, part in enumerate(parts):
        name = SHARD.format(number=number + 1, count=len(parts))
        (folder / name).write_bytes(safetensors(part, seed + number))
    documents = {
        "config.json": dict(CONFIGURATION),
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2},
        "model.safetensors.index.json": _index(),
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1))
    (folder / "README.md").write_text("A model of random numbers, made by a rehearsal.\n")
    (folder / "pytorch_model.bin").write_bytes(b"the same weights once more, which an image must not carry")
