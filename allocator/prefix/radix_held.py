"""What one sequence holds beside a radix tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.held import Held

if TYPE_CHECKING:
    from allocator.prefix.content import Content
    from allocator.prefix.radix_node import Node
    from allocator.run import Run


class RadixHeld(Held):
    """A node of the tree for the start of its text, pages of its own for the rest, and slots.

    Attributes:
        content: Its text; None if that is not known, and nothing of it kept.
        node: The node it holds.
        kept_tokens: Tokens at the end of the node; those after them have pages of its own.
        computed_tokens: Tokens computed when its last chunk ended.
        fork_tokens: Tokens up to which its text had KV in the tree, but no state, when it entered.
        slots: Slots of states: its own, then those of tracked states.
    """

    __slots__ = ("computed_tokens", "content", "fork_tokens", "kept_tokens", "node", "slots")

    def __init__(self, content: Content | None, node: Node) -> None:
        super().__init__(num_groups=1)
        self.content = content
        self.node = node
        self.kept_tokens = 0
        self.computed_tokens = 0
        self.fork_tokens = 0
        self.slots: list[int] = []

    @property
    def own_pages(self) -> list[Run]:
        """Pages of the tokens after those it shares, in order."""
        return self.entries[0]

    @own_pages.setter
    def own_pages(self, runs: list[Run]) -> None:
        self.entries[0] = runs
