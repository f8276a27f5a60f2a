"""Which blocks hold which text."""

from __future__ import annotations

from allocator.integrity import check


class BlockIndex:
    """Blocks by key, in each of several groups; a key may have several blocks, a block has one key.

    Attributes:
        num_forgotten: Blocks forgotten so far; what was found before may be gone if it has risen.
    """

    def __init__(self, num_groups: int) -> None:
        self.num_forgotten = 0
        self._blocks: list[dict[bytes, dict[int, None]]] = [{} for _ in range(num_groups)]
        self._key_of: dict[int, tuple[int, bytes]] = {}

    def register(self, group: int, key: bytes, block: int) -> None:
        """Note the text of a block that has none yet."""
        self._blocks[group].setdefault(key, {})[block] = None
        self._key_of[block] = group, key

    def forget(self, block: int) -> None:
        """Forget the text of a block."""
        group, key = self._key_of.pop(block)
        blocks = self._blocks[group][key]
        del blocks[block]
        if not blocks:
            del self._blocks[group][key]
        self.num_forgotten += 1

    def first(self, group: int, key: bytes) -> int | None:
        """The block that was registered first of those that hold a text; None if none does."""
        blocks = self._blocks[group].get(key)
        return next(iter(blocks)) if blocks else None

    def __contains__(self, block: object) -> bool:
        return block in self._key_of

    def key(self, block: int) -> tuple[int, bytes]:
        """Group and key of a block that has one."""
        return self._key_of[block]

    def check_integrity(self) -> None:
        """Raise AssertionError unless blocks and keys name each other."""
        listed = {
            block: (group, key)
            for group, keys in enumerate(self._blocks)
            for key, blocks in keys.items()
            for block in blocks
        }
        check(listed == self._key_of, "block index: a block and its key do not match")
        total = sum(len(blocks) for keys in self._blocks for blocks in keys.values())
        check(total == len(self._key_of), "block index: a block has two keys")
        full = all(blocks for keys in self._blocks for blocks in keys.values())
        check(full, "block index: a key has no block")
