"""The KV memory of an engine, as blocks: pinned by requests that run, kept for later ones, evicted oldest first.

A block stands for a run of tokens and all before it (`tokens.blocks`), so a list of keys is a path in the radix tree.
Oldest first would break paths if a parent could be older than its child; touching a path from its leaf to its root
keeps every parent newer.
"""

from collections import OrderedDict
from collections.abc import Sequence


class PrefixCache:
    """Blocks of `block_tokens` tokens in a memory of `capacity_tokens`."""

    def __init__(self, capacity_tokens: int, block_tokens: int) -> None:
        self.capacity_tokens = capacity_tokens
        self.block_tokens = block_tokens
        self._kept: OrderedDict[int, None] = OrderedDict()
        self._pinned: dict[int, int] = {}
        self._private = 0

    def match(self, keys: Sequence[int]) -> int:
        """How many blocks at the beginning of `keys` are in memory."""
        for index, key in enumerate(keys):
            if key not in self._pinned and key not in self._kept:
                return index
        return len(keys)

    def reserve(self, keys: Sequence[int], private_tokens: int) -> bool:
        """Pin `keys` and set aside `private_tokens` for a request; False, and no change, when it does not fit."""
        pinned = self._pinned
        added = len([key for key in keys if key not in pinned])
        if self.used_tokens + added * self.block_tokens + private_tokens > self.capacity_tokens:
            return False
        for key in keys:
            self._kept.pop(key, None)
            self._pinned[key] = self._pinned.get(key, 0) + 1
        self._private += private_tokens
        self._evict()
        return True

    def release(self, keys: Sequence[int], private_tokens: int) -> None:
        """Undo one `reserve`; the blocks stay in memory until the room is needed."""
        self._private -= private_tokens
        for key in reversed(keys):
            self._pinned[key] -= 1
            if not self._pinned[key]:
                del self._pinned[key]
                self._kept[key] = None

    def keep(self, keys: Sequence[int]) -> None:
        """Remember blocks that were just computed, as the newest."""
        for key in reversed(keys):
            if key not in self._pinned:
                self._kept[key] = None
                self._kept.move_to_end(key)
        self._evict()

    def flush(self) -> None:
        """Forget everything that no running request holds."""
        self._kept.clear()

    @property
    def used_tokens(self) -> int:
        """Tokens held for requests that run."""
        return len(self._pinned) * self.block_tokens + self._private

    @property
    def evictable_tokens(self) -> int:
        """Tokens kept only because they may be asked for again."""
        return len(self._kept) * self.block_tokens

    def _evict(self) -> None:
        room = (self.capacity_tokens - self.used_tokens) // self.block_tokens
        while len(self._kept) > room:
            self._kept.popitem(last=False)
