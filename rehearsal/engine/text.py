"""The answer: a function of prompt, seed and length, so that a client can tell a complete one from a cut one."""

from dataclasses import dataclass
from hashlib import blake2b

from rehearsal.engine.tokens import CHARACTERS_PER_TOKEN

LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
_TOKENS_PER_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """An endless deterministic text, of which a request takes the first tokens."""

    key: bytes

    def text(self, start: int, stop: int) -> str:
        """The text of the tokens from `start` up to, not including, `stop`; every token is four characters."""
        first = start // _TOKENS_PER_DIGEST
        last = -(-stop // _TOKENS_PER_DIGEST)
        whole = "".join(_page(self.key, page) for page in range(first, last))
        offset = first * _TOKENS_PER_DIGEST
        return whole[(start - offset) * CHARACTERS_PER_TOKEN : (stop - offset) * CHARACTERS_PER_TOKEN]

    def natural_length(self, shortest: int, longest: int) -> int:
        """How many tokens the answer has when nothing cuts it: between the two bounds, both included."""
        return shortest + int.from_bytes(self.key[:4], "big") % (longest - shortest + 1)


def answer_to(prompt: str, seed: int = 0) -> Answer:
    """The answer to a prompt (for chat: the prompt after the template) under a sampling seed."""
    return Answer(blake2b(prompt.encode(), digest_size=16, salt=(seed % 2**64).to_bytes(8, "big")).digest())


def _page(key: bytes, number: int) -> str:
    digest = blake2b(number.to_bytes(8, "big"), key=key, digest_size=3 * _TOKENS_PER_DIGEST).digest()
    letters = [LETTERS[byte % len(LETTERS)] for byte in digest]
    return "".join(a + b + c + " " for a, b, c in zip(letters[::3], letters[1::3], letters[2::3], strict=True))
