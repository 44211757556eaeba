"""The emulator's tokenizer: a token is four characters of text, counted from the start.

Four characters is the usual rule of thumb for English. Cutting from the start keeps what matters about a real
tokenizer here: texts with a common beginning have common first tokens, so the prefix cache can be honest.
"""

import zlib
from hashlib import blake2b

CHARACTERS_PER_TOKEN = 4
VOCABULARY = 32_000


def count(text: str) -> int:
    """How many tokens `text` is; a shorter rest counts as one."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def encode(text: str) -> list[int]:
    """Token ids of `text`: the same piece has the same id in every process."""
    size = CHARACTERS_PER_TOKEN
    return [zlib.crc32(text[i : i + size].encode()) % VOCABULARY for i in range(0, len(text), size)]


def text_of_ids(ids: list[int]) -> str:
    """A text with one token per id, for prompts that arrive as `input_ids`."""
    return "".join(f"{token % 0x10000:04x}" for token in ids)


def blocks(text: str, block_tokens: int) -> tuple[int, ...]:
    """Keys of the full blocks of `block_tokens` tokens that `text` starts with.

    A key stands for its block and everything before it, so equal keys mean an equal beginning.
    """
    size = block_tokens * CHARACTERS_PER_TOKEN
    keys: list[int] = []
    before = b""
    for start in range(0, len(text) - size + 1, size):
        before = blake2b(text[start : start + size].encode(), digest_size=8, key=before).digest()
        keys.append(int.from_bytes(before, "big"))
    return tuple(keys)
