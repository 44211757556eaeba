"""The one function that SGLang's rotary embedding takes from vLLM when it runs on neither CUDA nor an AMX CPU.

Installed as `vllm/_custom_ops.py` in the CPU environment. Plain torch, so slow and right; the CUDA kernel it stands in
for works in place, and so does this.
"""

import torch  # type: ignore[import-not-found,unused-ignore]


def rotary_embedding(  # noqa: PLR0913, PLR0917  (the signature is vLLM's)
    positions: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor | None,
    head_size: int,
    cos_sin_cache: torch.Tensor,
    is_neox: bool = True,  # noqa: FBT001, FBT002
) -> None:
    """Rotate `query` and `key` in place by their token positions.

    `cos_sin_cache` holds one row per position: the cosines of all pairs, then their sines. With `is_neox` a pair is
    element i and element i + half; otherwise it is two neighbours.
    """
    cos, sin = cos_sin_cache[positions.flatten().long()].float().unsqueeze(1).chunk(2, dim=-1)
    for tensor in (query, key):
        if tensor is not None:
            heads = tensor.view(cos.shape[0], -1, head_size)
            _rotate(heads[..., : 2 * cos.shape[-1]], cos, sin, is_neox=is_neox)


def _rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *, is_neox: bool) -> None:
    half = heads.shape[-1] // 2
    first, second = (heads[..., :half], heads[..., half:]) if is_neox else (heads[..., 0::2], heads[..., 1::2])
    x, y = first.float(), second.float()
    # Both before either is written: float() of a float32 tensor is that tensor, not a copy.
    rotated = (x * cos - y * sin, y * cos + x * sin)
    first.copy_(rotated[0])
    second.copy_(rotated[1])
