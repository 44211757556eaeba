"""What is known of a model: its tensors, what it caches per token, how it is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GIB = 2**30

Spread = Literal["split", "copied"]
CacheKind = Literal["full", "window", "latent", "state"]


class UnreadableModelError(ValueError):
    """A model's configuration that this arithmetic cannot read; the message says which field and why."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """The weights of one module. `spread` says what tensor parallelism does with them.

    `heads`: key and value heads that a split goes along; beyond that many GPUs each holds a copy of one head.
    """

    module: str
    parameters: int
    linear: bool = True
    spread: Spread = "split"
    heads: int = 0

    def parts(self, gpus: int) -> int:
        """Return into how many parts the tensor is cut on so many GPUs."""
        if self.spread == "copied":
            return 1
        return min(gpus, self.heads) if self.heads else gpus


@dataclass(frozen=True, slots=True)
class Cache:
    """What a number of equal layers keep of a request.

    `heads` key-value heads with `elements` numbers each per token (key and value together), `plain_bytes` more per
    token whatever the cache's type (an indexer's keys), or `state_bytes` per request, which no token adds to.
    """

    kind: CacheKind
    layers: int
    heads: int = 1
    elements: int = 0
    plain_bytes: int = 0
    state_bytes: int = 0
    window: int = 0


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a checkpoint's linear layers are stored.

    `bits` per parameter holds the scales too; `plain` are patterns of the modules left as they were; `block` is what a
    GPU's share of a linear layer must be a multiple of.
    """

    method: str
    bits: float
    plain: tuple[str, ...] = ()
    block: int = 1
    scheme: str = ""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers that rules and reserves need.

    `intermediate` is the widest feed-forward that a token passes, `divided` the widths that tensor parallelism cuts,
    `expert_width` that of a routed expert (0: none), which expert parallelism leaves whole.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int
    intermediate: int
    divided: tuple[int, ...] = ()
    expert_width: int = 0


@dataclass(frozen=True)
class ModelFacts:
    """A model as its configuration describes it.

    `dtype_bytes` is the size of an unquantized number, `checkpoint_bytes` the size of the weight files where it is
    known, `draft_tensors` what only speculative decoding loads, `tower_tensors` an image or audio encoder.
    """

    model_id: str
    architecture: str
    sizes: Sizes
    tensors: tuple[Tensor, ...]
    caches: tuple[Cache, ...]
    dtype: str
    quantization: Quantization | None = None
    draft_tensors: tuple[Tensor, ...] = ()
    tower_tensors: tuple[Tensor, ...] = ()
    tower: tuple[int, int] | None = None
    checkpoint_bytes: int | None = None
    source: str = ""
    evicts_windows: bool = False

    @property
    def dtype_bytes(self) -> int:
        """Bytes of an unquantized number."""
        return 4 if self.dtype == "float32" else 2

    @property
    def parameters(self) -> int:
        """Parameters that serving loads, the encoder included."""
        return sum(tensor.parameters for tensor in (*self.tensors, *self.tower_tensors))

    @property
    def is_latent(self) -> bool:
        """Whether its attention keeps one compressed vector per token (MLA)."""
        return any(cache.kind == "latent" for cache in self.caches)
