"""Leaves that nobody holds, longest unused first."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from allocator.integrity import check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.prefix.radix_node import Node

SPARE_ENTRIES = 64


class LooseLeaves:
    """A heap in which a leaf stands once for each time it was used; all but the last are stale.

    A leaf is held, grows children and is let go far more often than one is evicted, so it is not
    taken out when it stops being loose: what comes out is checked instead.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, Node]] = []
        self._most = SPARE_ENTRIES

    def offer(self, node: Node) -> None:
        """Note that a node has become a loose leaf, or was used while it is one; others are not."""
        if not node.is_loose_leaf:
            return
        heapq.heappush(self._heap, (node.used, node))
        if len(self._heap) > self._most:
            self._sweep()

    def pop(self) -> Node:
        """The one unused for longest; IndexError if there is none. It must go now."""
        while True:
            used, node = heapq.heappop(self._heap)
            if node.used == used and node.is_loose_leaf:
                return node

    def check_integrity(self, nodes: Iterable[Node]) -> None:
        """Raise AssertionError if a loose leaf among all nodes would not be found."""
        found = {node for used, node in self._heap if node.used == used}
        for node in nodes:
            check(not node.is_loose_leaf or node in found, "radix tree: a loose leaf is forgotten")

    def _sweep(self) -> None:
        """Drop stale and doubled entries; there are then as many as loose leaves."""
        fresh = {node: used for used, node in self._heap if node.used == used}
        self._heap = [(used, node) for node, used in fresh.items() if node.is_loose_leaf]
        heapq.heapify(self._heap)
        self._most = 2 * len(self._heap) + SPARE_ENTRIES
