"""A radix tree over texts, with KV pages on its edges and states at some of its nodes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.prefix.interface import Evictions
from allocator.prefix.loose_leaves import LooseLeaves
from allocator.prefix.radix_node import Node
from allocator.prefix.spans import common_tokens, cut_runs, cut_spans
from allocator.run import pages_of_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.prefix.radix_node import Head
    from allocator.prefix.spans import Span
    from allocator.run import Run


class RadixTree:
    """What was computed, by text, until it is evicted; who owns the pages of sequences is not here.

    Whoever holds a node holds the KV of all its path, and the state of that node alone. What
    nobody holds is *cached* and can be evicted: KV from the leaves, longest unused first, with
    the state of the leaf; a state alone, longest unused first, wherever it is. An inner node that
    has lost its state keeps its KV; a leaf whose state goes, goes. A leaf without a state stays.

    Attributes:
        root: Holds nothing.
        cached_tokens: Tokens of nodes that nobody holds.
        held_tokens: Tokens of the others.
        cached_states: States that nobody holds.
        num_removed: Leaves and states evicted so far; what was found before may be gone if it has
            risen.
    """

    def __init__(self, page_tokens: int, *, has_kv: bool, has_states: bool) -> None:
        self.root = Node(None, [], [])
        self.cached_tokens = 0
        self.held_tokens = 0
        self.cached_states = 0
        self.num_removed = 0
        self._page_tokens = page_tokens
        self._has_kv = has_kv
        self._has_states = has_states
        self._now = 0
        self._leaves = LooseLeaves()
        self._states: OrderedDict[Node, None] = OrderedDict()  # longest unused first
        self._evicted = [0, 0, 0]

    def find(self, spans: Sequence[Span]) -> tuple[int, int]:
        """How far a text, whole pages of it, is there; nothing changes.

        Returns:
            Tokens that need not be computed, and tokens whose KV is there. With states the former
            end at a node that has one.
        """
        usable = depth = 0
        for node, common in self._walk(self.root, spans):
            depth += common
            if not self._has_states or (node.state is not None and common == node.tokens):
                usable = depth
        return usable, depth

    def reach(self, spans: Sequence[Span]) -> Node:
        """The node at the end of a text that is there, made if that lies on an edge; uses it."""
        node = self.root
        for child, common in list(self._walk(self.root, spans)):
            node = child if common == child.tokens else self._split(child, common)
        self._use(node)
        if node.state is not None:
            self._states.move_to_end(node)
        return node

    def insert(
        self, below: Node, spans: Sequence[Span], pages: Sequence[Run]
    ) -> tuple[Node, list[Run]]:
        """Add a text, whole pages of it, below a node.

        Args:
            below: Where the text starts.
            spans: The text from there on.
            pages: Pages of its KV, in order; from now on the tree's.

        Returns:
            The node at its end, and the pages of what was there already: not the tree's.
        """
        node, left, rest = below, list(pages), list(spans)
        doubles: list[Run] = []
        for child, common in list(self._walk(below, spans)):
            node = child if common == child.tokens else self._split(child, common)
            mine, left = cut_runs(left, self._num_pages(common))
            doubles += mine
            rest = cut_spans(rest, common)[1]
        if rest:
            node = self._add_leaf(node, rest, left)
        self._use(node)
        return node, doubles

    def leave_state(self, node: Node, slot: int) -> bool:
        """Keep the state after a node's last token; False if the node has one already.

        A node that is held has one: it was found by it, or was given it before it was held.
        """
        if node.state is not None:
            self._states.move_to_end(node)
            return False
        node.state = slot
        self._states[node] = None
        self.cached_states += 1
        return True

    def hold(self, node: Node) -> None:
        """Add a holder to a node; to the root nothing happens."""
        if node.parent is None:
            return
        if not node.state_holders and node.state is not None:
            self.cached_states -= 1
        node.state_holders += 1
        for member in node.path():
            if not member.kv_holders:
                self._loosen(-member.tokens)
            member.kv_holders += 1

    def let_go(self, node: Node) -> None:
        """Take a holder off a node."""
        if node.parent is None:
            return
        node.state_holders -= 1
        if not node.state_holders and node.state is not None:
            self.cached_states += 1
        for member in node.path():
            member.kv_holders -= 1
            if not member.kv_holders:
                self._loosen(member.tokens)
        self._leaves.offer(node)

    def loose_part(self, spans: Sequence[Span]) -> tuple[int, bool]:
        """Tokens of a text that is there, and whether its state: as far as nobody holds them."""
        found = list(self._walk(self.root, spans))
        tokens = sum(common for node, common in found if not node.kv_holders)
        last = found[-1][0] if found else self.root
        return tokens, last.state is not None and not last.state_holders

    def evict_leaf(self) -> tuple[list[Run], int | None]:
        """Drop the cached leaf unused for longest; returns its pages and the slot of its state.

        IndexError if nothing is cached.
        """
        return self._remove(self._leaves.pop())

    def evict_state(self) -> tuple[list[Run], int | None]:
        """Drop the cached state unused for longest, and its node if that is a leaf to go.

        Returns as `evict_leaf`; StopIteration if no state is cached.
        """
        node = next(node for node in self._states if not node.state_holders)
        if node.is_loose_leaf:
            return self._remove(node)
        self._evicted[2] += 1
        self.num_removed += 1
        return [], self._drop_state(node)

    def evictions(self) -> Evictions:
        """What was evicted so far."""
        return Evictions(*self._evicted)

    def nodes(self) -> Iterator[Node]:
        """All nodes but the root, parents before children."""
        stack = [*self.root.children.values()]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())

    def check_integrity(self) -> None:
        """Raise AssertionError if edges, pages, holders or counts contradict each other."""
        nodes = list(self.nodes())
        for node in nodes:
            self._check_node(node)
        loose = [node for node in nodes if not node.kv_holders]
        cached = sum(node.tokens for node in loose)
        check(cached == self.cached_tokens, "radix tree: cached tokens are miscounted")
        held = sum(node.tokens for node in nodes) - cached
        check(held == self.held_tokens, "radix tree: held tokens are miscounted")
        stateful = [node for node in nodes if node.state is not None]
        check(set(stateful) == set(self._states), "radix tree: a state is in no list, or gone")
        free = sum(not node.state_holders for node in stateful)
        check(free == self.cached_states, "radix tree: cached states are miscounted")
        used = [node.used for node in nodes]
        check(len(set(used)) == len(used), "radix tree: two nodes were used at once")
        self._leaves.check_integrity(nodes)

    def _check_node(self, node: Node) -> None:
        tokens = sum(count for _, _, count in node.spans)
        check(0 < tokens == node.tokens, "radix tree: an edge's tokens are miscounted")
        check(tokens % self._page_tokens == 0, "radix tree: an edge holds part of a page")
        pages = sum(count for _, count in node.pages)
        check(pages == self._num_pages(tokens), "radix tree: an edge's pages do not fit its tokens")
        parent = node.parent
        named = parent is not None and parent.children.get(self._head(node.spans)) is node
        check(named, "radix tree: a node is not where its text leads")
        below = sum(child.kv_holders for child in node.children.values())
        counted = node.kv_holders == below + node.state_holders
        check(counted and node.state_holders >= 0, "radix tree: holders are miscounted")
        check(self._has_states or node.state is None, "radix tree: a state of a model without any")
        bare = self._has_states and node.state is None
        check(not (bare and node.state_holders), "radix tree: a held node has no state")

    def _num_pages(self, tokens: int) -> int:
        return tokens // self._page_tokens if self._has_kv else 0

    def _head(self, spans: Sequence[Span]) -> Head:
        return tuple(cut_spans(spans, self._page_tokens)[0])

    def _walk(self, node: Node, spans: Sequence[Span]) -> Iterator[tuple[Node, int]]:
        """(node, tokens of its edge that are the text's) down from a node, as far as they are."""
        while spans:
            child = node.children.get(self._head(spans))
            if child is None:
                return
            common = common_tokens(child.spans, spans)
            common -= common % self._page_tokens
            yield child, common
            if common < child.tokens:
                return
            node, spans = child, cut_spans(spans, common)[1]

    def _use(self, node: Node) -> None:
        """Use a node and all above it; the deeper, the later."""
        for member in node.path():
            self._touch(member)

    def _touch(self, node: Node) -> None:
        self._now += 1
        node.used = self._now
        self._leaves.offer(node)

    def _add_leaf(self, parent: Node, spans: list[Span], pages: list[Run]) -> Node:
        leaf = parent.children[self._head(spans)] = Node(parent, spans, pages)
        self.cached_tokens += leaf.tokens
        return leaf

    def _split(self, node: Node, tokens: int) -> Node:
        """Cut an edge after so many tokens; the node stays the lower end, with its state."""
        parent = node.parent
        if parent is None:
            raise ValueError("the root has no edge")
        spans, node.spans = cut_spans(node.spans, tokens)
        pages, node.pages = cut_runs(node.pages, self._num_pages(tokens))
        upper = parent.children[self._head(spans)] = Node(parent, spans, pages)
        upper.kv_holders = node.kv_holders
        upper.children[self._head(node.spans)] = node
        node.parent = upper
        node.tokens -= tokens
        self._touch(upper)
        self._touch(node)
        return upper

    def _loosen(self, tokens: int) -> None:
        """So many tokens are held no more, or, below 0, again."""
        self.cached_tokens += tokens
        self.held_tokens -= tokens

    def _drop_state(self, node: Node) -> int | None:
        if node.state is None:
            return None
        slot, node.state = node.state, None
        del self._states[node]
        self.cached_states -= 1
        self._evicted[1] += 1
        return slot

    def _remove(self, leaf: Node) -> tuple[list[Run], int | None]:
        parent, slot = leaf.parent, self._drop_state(leaf)
        if parent is None:
            raise ValueError("the root does not go")
        del parent.children[self._head(leaf.spans)]
        leaf.parent = None
        self.cached_tokens -= leaf.tokens
        self._evicted[0] += leaf.tokens
        self.num_removed += 1
        self._leaves.offer(parent)
        return leaf.pages, slot

    def pages(self) -> list[int]:
        """Every page of the tree."""
        return [page for node in self.nodes() for page in pages_of_runs(node.pages)]

    def slots(self) -> list[int]:
        """Every slot of the tree."""
        return [node.state for node in self.nodes() if node.state is not None]
