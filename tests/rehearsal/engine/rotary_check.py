"""Run by the CPU environment's Python: exit status 0 when the shim agrees with transformers."""

import torch  # type: ignore[import-not-found,unused-ignore]
from transformers.models.llama.modeling_llama import (  # type: ignore[import-not-found,unused-ignore]
    apply_rotary_pos_emb,
)
from vllm._custom_ops import rotary_embedding  # type: ignore[import-not-found,unused-ignore]

TOKENS, HEADS, KV_HEADS, SIZE = 7, 4, 2, 32

torch.manual_seed(1)
positions = torch.randint(0, 100, (TOKENS,))
frequencies = 10_000.0 ** (-torch.arange(0, SIZE, 2) / SIZE)
angles = torch.arange(100)[:, None] * frequencies
cache = torch.cat((angles.cos(), angles.sin()), dim=-1)
query, key = torch.randn(TOKENS, HEADS * SIZE), torch.randn(TOKENS, KV_HEADS * SIZE)

wide = torch.cat((angles, angles), dim=-1)[positions][None]
shaped = [tensor.view(1, TOKENS, -1, SIZE).transpose(1, 2) for tensor in (query, key)]
expected = apply_rotary_pos_emb(*shaped, wide.cos(), wide.sin())

# Neighbouring pairs instead of halves: the same rotation of the same elements in another order.
order = torch.arange(SIZE).view(2, -1).T.flatten()
mixed = query.view(TOKENS, HEADS, SIZE)[..., order].reshape(TOKENS, -1).clone()

rotary_embedding(positions, query, key, SIZE, cache)
rotary_embedding(positions, mixed, None, SIZE, cache, is_neox=False)

for found, wanted in zip((query, key), expected, strict=True):
    torch.testing.assert_close(found.view(TOKENS, -1, SIZE), wanted[0].transpose(0, 1))
torch.testing.assert_close(mixed.view(TOKENS, HEADS, SIZE), query.view(TOKENS, HEADS, SIZE)[..., order])
