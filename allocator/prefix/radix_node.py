"""A node of a radix tree over texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocator.prefix.spans import Span
    from allocator.run import Run

Head = tuple["Span", ...]
"""The first page of an edge; children of a node differ in it."""


class Node:
    """The end of an edge: what stands on it, the pages of its KV, perhaps a state at its end.

    Attributes:
        parent: The node at the start of its edge; None for the root and for nodes that are gone.
        children: By the first page of their edges.
        spans: Tokens of its edge, whole pages of them.
        tokens: How many.
        pages: Pages of their KV; none where the model has none.
        state: Slot of the state after its last token; None if there is none, or not any more.
        kv_holders: Sequences that hold its KV: all that hold it or a node below.
        state_holders: Sequences that hold its state: those that hold the node itself.
        used: When it was last used; no two nodes were used at the same time.
    """

    __slots__ = (
        "children",
        "kv_holders",
        "pages",
        "parent",
        "spans",
        "state",
        "state_holders",
        "tokens",
        "used",
    )

    def __init__(self, parent: Node | None, spans: list[Span], pages: list[Run]) -> None:
        self.parent = parent
        self.children: dict[Head, Node] = {}
        self.spans = spans
        self.tokens = sum(count for _, _, count in spans)
        self.pages = pages
        self.state: int | None = None
        self.kv_holders = 0
        self.state_holders = 0
        self.used = 0

    @property
    def is_loose_leaf(self) -> bool:
        """Whether nothing lies below and nobody holds it, so that its KV can go."""
        return self.parent is not None and not self.children and not self.kv_holders

    def path(self) -> list[Node]:
        """The nodes from below the root down to this one."""
        found: list[Node] = []
        node = self
        while node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]
