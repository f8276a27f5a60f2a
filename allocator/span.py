"""How pages lie in granules: spans."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.spec import ceil_div

MAX_SPAN_WASTE_PERCENT = 1
"""Part of a span that rounding up to granules may leave without a page."""


@dataclass(frozen=True, slots=True)
class SpanGeometry:
    """How pages lie in granules.

    A *span* is a run of pages mapped and unmapped together: the smallest run that fills whole
    granules well. No page crosses the edge of a span, so a span without live pages can go.

    Attributes:
        page_bytes: Bytes of one page.
        pages_per_span: Pages that fit a span.
        granules_per_span: Granules of a span.
    """

    page_bytes: int
    pages_per_span: int
    granules_per_span: int

    @classmethod
    def movable(cls, page_bytes: int, granule_bytes: int, min_granules: int = 1) -> SpanGeometry:
        """The smallest span of at least `min_granules` that wastes at most 1 % on rounding."""
        granules = max(min_granules, ceil_div(page_bytes, granule_bytes))
        while True:
            pages, waste_bytes = divmod(granules * granule_bytes, page_bytes)
            if waste_bytes * 100 <= MAX_SPAN_WASTE_PERCENT * granules * granule_bytes:
                return cls(page_bytes, pages, granules)
            granules += 1
