"""Bytes of a model's weights: on the disk, and on each GPU that tensor and pipeline parallelism spread them over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from settings.fit.facts import ModelFacts, Tensor

_ABSORBED = ".absorbed"  # made while loading, on no disk
_MXFP4_ALIGNMENT = 256


@dataclass(frozen=True, slots=True)
class Split:
    """How an engine spreads a model: tensor and pipeline parallel GPUs, and groups with attention of their own."""

    tensor: int = 1
    pipeline: int = 1
    attention_groups: int = 1


def tensor_bytes(facts: ModelFacts, tensor: Tensor) -> float:
    """Bytes of one tensor: its parameters at the quantization's bits, or at the model's own type."""
    quantization = facts.quantization
    if quantization and tensor.linear:
        return tensor.parameters * quantization.bits / 8
    return tensor.parameters * facts.dtype_bytes


def total_bytes(facts: ModelFacts, tensors: Iterable[Tensor]) -> float:
    """Bytes of several tensors, without what exists only in memory."""
    return sum(tensor_bytes(facts, tensor) for tensor in tensors if not tensor.module.endswith(_ABSORBED))


def weight_bytes(facts: ModelFacts) -> float:
    """Bytes of the weights that serving loads: those of the files less the draft layers, or an estimate by tensor."""
    estimate = total_bytes(facts, (*facts.tensors, *facts.tower_tensors))
    if facts.checkpoint_bytes is None:
        return estimate
    drafts = total_bytes(facts, facts.draft_tensors)
    # An index may or may not count the draft layers: the nearer of the two is taken for what it holds.
    with_drafts = facts.checkpoint_bytes - drafts
    nearer = abs(with_drafts - estimate) < abs(facts.checkpoint_bytes - estimate)
    return with_drafts if nearer else float(facts.checkpoint_bytes)


def gpu_bytes(facts: ModelFacts, split: Split, *, drafts: bool = False) -> float:
    """Bytes of weights on the fullest GPU.

    Each tensor is cut into as many parts as tensor parallelism allows: what is copied (norms, routers, the compressing
    matrices of MLA, encoders) stays whole, keys and values are not cut finer than their heads, attention is copied once
    for each attention group. The estimate is scaled to the size of the files where that is known.
    """
    tensors = (*facts.tensors, *facts.tower_tensors)
    estimate = total_bytes(facts, tensors)
    scale = weight_bytes(facts) / estimate if estimate else 1.0
    share = sum(tensor_bytes(facts, tensor) * _padding(facts, tensor) / _parts(tensor, split) for tensor in tensors)
    share *= scale
    extra = (
        sum(tensor_bytes(facts, tensor) / _parts(tensor, split) for tensor in facts.draft_tensors) if drafts else 0.0
    )
    return (share + extra) / split.pipeline


def _padding(facts: ModelFacts, tensor: Tensor) -> float:
    """How much larger a tensor is on the GPU: MXFP4 kernels want experts whose width is a multiple of 256.

    Of gpt-oss-120b, 60.8 GiB on the disk, logs of vLLM say 64.4 to 66.0 GiB on the GPU
    (https://github.com/vllm-project/vllm/issues/33155, https://github.com/vllm-project/vllm/issues/23278).
    """
    if facts.quantization is None or facts.quantization.scheme != "MXFP4" or not tensor.module.endswith("experts"):
        return 1.0
    hidden = facts.sizes.hidden
    return -(-hidden // _MXFP4_ALIGNMENT) * _MXFP4_ALIGNMENT / hidden


def _parts(tensor: Tensor, split: Split) -> int:
    groups = split.attention_groups if ".self_attn" in tensor.module or ".linear_attn" in tensor.module else 1
    return tensor.parts(max(split.tensor // groups, 1))
