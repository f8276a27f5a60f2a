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
        own_pages: Pages of the tokens after those it shares, in order.
        slots: Slots of states: its own, then those of tracked states.
    """

    __slots__ = (
        "computed_tokens",
        "content",
        "fork_tokens",
        "kept_tokens",
        "node",
        "own_pages",
        "slots",
    )

    def __init__(self, sequence: int, content: Content | None, node: Node) -> None:
        """Nothing yet; its own number is its seat."""
        super().__init__(sequence, 0)
        self.content = content
        self.node = node
        self.kept_tokens = 0
        self.computed_tokens = 0
        self.fork_tokens = 0
        self.own_pages: list[Run] = []
        self.slots: list[int] = []
