"""A variant of the paper, with some of its habits fixed, becomes an open loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from allocator.backing import Backing, HostBacking
from allocator.paper.aliased_release import AliasedRelease
from allocator.paper.eviction import EvictEnough, EvictOne, OldestFirst, OldestOther
from allocator.paper.holdings import ListedHoldings, OwnedHoldings
from allocator.paper.layer_pools import HeldPool, LayerPools
from allocator.paper.migration import (
    FreeTail,
    MigrateOnFailure,
    OneBatch,
    RelocatedTail,
    WholeBatches,
)
from allocator.paper.oversized_backing import OversizedBacking
from allocator.paper.recovering import Recovering, Remedy
from allocator.paper.restrained import Restrained, Restraints
from allocator.paper.stack_pool import StackPool
from allocator.spec import CacheKind, Granularity, PageShape
from sim.event_log import LogHeader, PoolHeader
from sim.open_loop import CarryOn, GiveUp, LayerCalls, OpenLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.paper.holdings import Holdings
    from allocator.paper.interface import LayerAllocator, Witness
    from allocator.spec import CacheSpec
    from scenarios.reproduce.variants import Variant

PAGE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Setup:
    """What determines an open loop, besides the stream.

    Attributes:
        spec: Cache groups of the model: attention first, then state.
        budget_bytes: What the allocator may use.
        variant: Which allocator.
        fixes: Names of habits that are fixed.
    """

    spec: CacheSpec
    budget_bytes: int
    variant: Variant
    fixes: frozenset[str] = frozenset()

    def page_bytes(self, kind: CacheKind) -> int:
        """Bytes of an unpadded page of 16 tokens, or of the state of one layer."""
        (group,) = (group for group in self.spec.groups if group.kind is kind)
        return PageShape.of(group, PAGE_TOKENS, Granularity.LAYER).page_bytes

    @property
    def padded_bytes(self) -> int:
        """Bytes of a page that holds either kind."""
        return max(self.page_bytes(kind) for kind in CacheKind)

    @property
    def page_tokens(self) -> int:
        """Tokens of a KV page."""
        if self.variant.is_padded and "page-tokens" in self.fixes:
            return PAGE_TOKENS * (self.padded_bytes // self.page_bytes(CacheKind.ATTENTION))
        return PAGE_TOKENS

    @property
    def calls(self) -> LayerCalls:
        """The calls that a request makes."""
        attention, state = (group.num_layers for group in self.spec.groups)
        return LayerCalls(attention, state, self.page_tokens)

    def capacities(self) -> tuple[tuple[str, int, int], ...]:
        """(name, bytes of a page, bytes of capacity) of each pool."""
        ratio = self.variant.state_ratio
        if ratio is None:
            return (("unified", self.padded_bytes, self.budget_bytes),)
        state_bytes = int(self.budget_bytes * ratio)
        kv = ("kv", self.page_bytes(CacheKind.ATTENTION), self.budget_bytes - state_bytes)
        return kv, ("state", self.page_bytes(CacheKind.STATE), state_bytes)

    def open_loop(
        self, build: Callable[[Setup, Witness], LayerAllocator] | None = None
    ) -> OpenLoop:
        """Compose it; each run of it gets an allocator of its own, by `assemble` unless told."""
        names = tuple(PoolHeader(name, page_bytes) for name, page_bytes, _ in self.capacities())
        return OpenLoop(
            header=LogHeader(0, self.budget_bytes, 0, names),
            calls=self.calls,
            build=partial(build or assemble, self),
            after_failure=GiveUp() if "refuse-failed" in self.fixes else CarryOn(),
            after_eviction=GiveUp() if "tell-victims" in self.fixes else CarryOn(),
        )


def assemble(setup: Setup, witness: Witness) -> LayerAllocator:
    """The allocator of a setup, which tells a witness what it does to others."""
    return Assembly(setup, witness).allocator()


class Assembly:
    """The parts of one allocator."""

    def __init__(self, setup: Setup, witness: Witness) -> None:
        self._setup = setup
        self._fixes = setup.fixes
        self._witness = witness
        # The smallest page is the unit of memory here: the paper's tensors know no larger one.
        granule_bytes = setup.page_bytes(CacheKind.ATTENTION)
        self._memory = HostBacking(setup.budget_bytes, granule_bytes)
        self._backing: Backing = self._memory
        if setup.variant.is_avmp and "mapped-capacity" not in self._fixes:
            self._memory = HostBacking(2 * setup.budget_bytes, granule_bytes)
            self._backing = OversizedBacking(self._backing, self._memory)

    def allocator(self) -> LayerAllocator:
        """Pools, remedies and adaptors put together."""
        aliases = self._setup.variant.is_padded and "page-ownership" not in self._fixes
        owned = OwnedHoldings()
        held = tuple(
            HeldPool(
                StackPool(name, page_bytes, self._backing, capacity_bytes),
                owned if aliases else self._holdings(),
            )
            for name, page_bytes, capacity_bytes in self._setup.capacities()
        )
        pools = LayerPools(held, (0, len(held) - 1), self._memory)
        recovering = Recovering(pools, self._remedies(pools))
        if aliases:
            return AliasedRelease(recovering, held[0].pool, owned, self._witness)
        return recovering

    def _holdings(self) -> Holdings:
        """Who holds the pages of a pool."""
        return ListedHoldings()

    def _remedies(self, pools: LayerPools) -> list[Remedy]:
        """Eviction and migration, in the order they are tried."""
        remedies = [self._eviction(pools)]
        if self._setup.variant.batch_pages:
            first = "migrate-first" in self._fixes
            remedies.insert(0 if first else 1, self._migration(pools))
        return remedies

    def _eviction(self, pools: LayerPools) -> Remedy:
        victims = OldestOther() if "spare-asker" in self._fixes else OldestFirst()
        evict = EvictEnough if "evict-until-fits" in self._fixes else EvictOne
        return evict(pools.held_pools, victims, self._witness)

    def _migration(self, pools: LayerPools) -> Remedy:
        variant = self._setup.variant
        amount = WholeBatches if "enough-batches" in self._fixes else OneBatch
        cut = RelocatedTail() if "relocate" in self._fixes else FreeTail()
        migrate = MigrateOnFailure(
            pools.held_pools, amount(variant.batch_pages), cut, self._witness
        )
        if "thresholds" not in self._fixes:
            return migrate
        restraints = Restraints(variant.donor_above, variant.recipient_below)
        return Restrained(migrate, pools, restraints)
