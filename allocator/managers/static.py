"""Two pools with a fixed split of the budget, one a kind of cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.spec import Granularity
from allocator.split import SplitManager

if TYPE_CHECKING:
    from allocator.backing import Backing
    from allocator.spec import CacheSpec


@dataclass(frozen=True, slots=True)
class StaticOptions:
    """Options of `static`."""

    state_ratio: float = field(
        default=0.5,
        metadata={"help": "share of the budget for the state pool, between 0 and 1"},
    )
    granularity: Granularity = field(
        default=Granularity.LAYER,
        metadata={"help": "what a page holds: one layer (as the paper) or a whole group"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.state_ratio < 1:
            raise ValueError(f"state_ratio must lie between 0 and 1, not {self.state_ratio}")


class StaticManager(SplitManager):
    """The split is chosen once; a pool that runs out fails whatever the other has free."""

    name = "static"
    summary = "two pools, exact page sizes, a split of the budget fixed at start"
    source = "AVMP paper (arXiv 2605.22416), baseline fixed_dual"
    Options = StaticOptions

    def __init__(self, spec: CacheSpec, backing: Backing, options: StaticOptions) -> None:
        super().__init__(spec, backing, options.granularity, options.state_ratio)

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`."""
        return self._tokens_alone([pool.num_pages for pool in self._pools])
