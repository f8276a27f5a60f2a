"""One pool, one page size: the smaller kind of page is padded up to the larger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.pooled import PooledManager
from allocator.slab import fixed_pool
from allocator.spec import Granularity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.pool import Pool
    from allocator.spec import CacheSpec


@dataclass(frozen=True, slots=True)
class PaddedOptions:
    """Options of `padded`."""

    granularity: Granularity = field(
        default=Granularity.LAYER,
        metadata={"help": "what a page holds: one layer (as the paper) or a whole group"},
    )


class PaddedManager(PooledManager):
    """Every page has the size of the largest, and still holds `page_tokens` tokens or one state."""

    name = "padded"
    summary = "one pool of one page size; the smaller kind of page is padded up"
    source = "AVMP paper (arXiv 2605.22416), baseline padded_unified"
    Options = PaddedOptions

    def __init__(self, spec: CacheSpec, backing: Backing, options: PaddedOptions) -> None:
        super().__init__(spec, backing, options.granularity)

    def _page_bytes_by_pool(self) -> list[int]:
        return [max(shape.page_bytes for shape in self._shapes)]

    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        (page_bytes,) = self._page_bytes_by_pool()
        pool = fixed_pool("unified", page_bytes, self.backing, self.backing.num_granules)
        return [pool], (0,) * len(self._shapes)

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`."""
        return self._tokens_alone([self._pools[0].num_pages])
