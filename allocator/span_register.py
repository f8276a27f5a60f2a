"""A register over pools whose spans come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.register import PlainRegister

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.span_pool import SpanPool


class SpanRegister(PlainRegister):
    """Does at once what it is told; whoever adds and removes spans maps them."""

    _pools: Sequence[SpanPool]

    def num_pages(self, number: int) -> int:
        """Pages of a pool, free or live."""
        return self._pools[number].num_pages

    def num_empty_spans(self, number: int) -> int:
        """Spans of a pool without a live page."""
        return self._pools[number].num_empty_spans

    def add_spans(self, number: int, count: int) -> list[int]:
        """See `SpanPool.add_spans`."""
        return self._pools[number].add_spans(count)

    def remove_empty_spans(self, number: int, count: int) -> list[int]:
        """See `SpanPool.remove_empty_spans`."""
        return self._pools[number].remove_empty_spans(count)
