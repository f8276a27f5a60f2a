"""How a model's cache groups lie in block tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Equal blocks, a table for each part of a cache group that takes blocks of its own.

    Attributes:
        block_tokens: Tokens of a block, the same in every attention table.
        block_bytes: Bytes of a block.
        names: Cache group of each table, in order.
        is_state: Whether a table holds states.
        token_bytes: Bytes of a token in each table; 0 for states.
    """

    block_tokens: int
    block_bytes: int
    names: tuple[str, ...]
    is_state: tuple[bool, ...]
    token_bytes: tuple[int, ...]

    def tables_of(self, group: str) -> list[int]:
        """Numbers of the tables of a cache group.

        Raises:
            KeyError: If there is no such group.
        """
        found = [number for number, name in enumerate(self.names) if name == group]
        if not found:
            raise KeyError(group)
        return found
