"""Two pools behind one page table that exchange capacity: asymmetric virtual memory paging."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from allocator.interface import Migration, OutOfMemoryError
from allocator.pool import Placement, Pool
from allocator.rebalance.on_failure import OnFailure
from allocator.rebalance.policy import PoolView, Shortage
from allocator.rebalance.predictive import Predictive
from allocator.rebalance.restraints import Direction, Hysteresis
from allocator.span import SpanGeometry
from allocator.spec import CacheKind, Granularity, ceil_div
from allocator.split import POOL_NAMES, SplitManager

if TYPE_CHECKING:
    from allocator.backing import Backing
    from allocator.rebalance.policy import RebalancePolicy
    from allocator.spec import CacheSpec


class Trigger(Enum):
    """When capacity moves, and how much."""

    FAILURE = "failure"
    PREDICTIVE = "predictive"
    OFF = "off"


class Relocation(Enum):
    """Whether live pages may be copied out of a span so that it can go."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class AvmpOptions:
    """Options of `avmp`."""

    state_ratio: float = field(
        default=0.5,
        metadata={"help": "share of the budget that the state pool starts with"},
    )
    trigger: Trigger = field(
        default=Trigger.FAILURE,
        metadata={
            "help": "failure: when a call would fail, a batch; predictive: then, as far as the"
            " lengths seen so far suggest; off: never"
        },
    )
    batch: int = field(
        default=32,
        metadata={"help": "granules that a migration takes if they are empty (trigger=failure)"},
    )
    direction: Direction = field(
        default=Direction.BOTH,
        metadata={"help": "both, to-kv (as the paper in effect), or to-state"},
    )
    relocation: Relocation = field(
        default=Relocation.ON,
        metadata={"help": "on: copy live pages out of the emptiest spans when too few are empty"},
    )
    hysteresis: int = field(
        default=0,
        metadata={"help": "admissions and releases before a batch, not only need, moves back"},
    )
    placement: Placement = field(
        default=Placement.PACK,
        metadata={"help": "pack: fill the fullest span first; spread: the emptiest"},
    )
    span: int = field(
        default=4,
        metadata={"help": "granules mapped together at least; larger spans, fewer mappings"},
    )
    granularity: Granularity = field(
        default=Granularity.LAYER,
        metadata={"help": "what a page holds: one layer (finer spans) or a whole group"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.state_ratio < 1:
            raise ValueError(f"state_ratio must lie between 0 and 1, not {self.state_ratio}")
        if self.batch < 1 or self.span < 1 or self.hysteresis < 0:
            raise ValueError("batch and span must be at least 1 granule, hysteresis at least 0")


class AvmpManager(SplitManager):
    """When a pool is short, the other unmaps empty spans and their granules are mapped here.

    Unlike the paper's prototype, capacity moves in both directions, the physical footprint never
    exceeds the budget, any span can go (its live pages are copied out first if need be), and a
    move takes place only if it ends the shortage. Without migration (`trigger=off`) the pools are
    those of `static`. Each concern is an object of its own (`allocator.rebalance`), so that
    options combine freely.
    """

    name = "avmp"
    summary = "two pools that exchange spans of granules when one is short"
    source = "AVMP paper (arXiv 2605.22416), with both directions, relocation and no oversizing"
    Options = AvmpOptions

    def __init__(self, spec: CacheSpec, backing: Backing, options: AvmpOptions) -> None:
        self._options = options
        self._policy = _policy(spec, backing, options)
        self._migrations: list[Migration] = []
        self._num_operations = 0
        super().__init__(spec, backing, options.granularity, options.state_ratio)

    @property
    def _moves(self) -> bool:
        """Whether capacity can move at all: the model has two kinds and migration is on."""
        return self._options.trigger is not Trigger.OFF and len(self.spec.kinds()) > 1

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`.

        Alone, a sequence can have every granule; where capacity moves one way only, what has
        moved so far decides.
        """
        if not self._moves:
            return self._tokens_alone([pool.num_pages for pool in self._pools])
        kv, state = self._pools
        per_kv, per_state = kv.geometry.granules_per_span, state.geometry.granules_per_span
        state_spans = ceil_div(self._pages_of_state[1], state.geometry.pages_per_span)
        gained = max(0, state_spans - state.num_spans) * per_state
        reserve = self.backing.num_free_granules
        if gained > reserve and not self._options.direction.allows(1):
            return 0
        left = self.backing.num_granules - state_spans * per_state
        if not self._options.direction.allows(0):
            left = min(left, kv.num_spans * per_kv + reserve - gained)
        if left < 0:
            return 0
        kv_pages = left // per_kv * kv.geometry.pages_per_span
        return self._tokens_alone([kv_pages, self._pages_of_state[1]])

    def admit(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.admit`."""
        super().admit(sequence, tokens)
        self._num_operations += 1
        self._policy.on_admission(tokens)

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        tokens = self._held[sequence].tokens
        super().release(sequence)
        self._num_operations += 1
        self._policy.on_release(tokens)

    def take_migrations(self) -> list[Migration]:
        """See `CacheManager.take_migrations`."""
        taken, self._migrations = self._migrations, []
        return taken

    def _build_pool(self, kind: CacheKind, num_granules: int) -> Pool:
        if not self._moves:
            return super()._build_pool(kind, num_granules)
        geometry = SpanGeometry.movable(
            self._page_bytes(kind), self.backing.granule_bytes, self._options.span
        )
        pool = Pool(POOL_NAMES[kind], geometry, self.backing, self.backing.num_granules)
        pool.placement = self._options.placement
        pool.add_spans(num_granules // geometry.granules_per_span)
        return pool

    def _make_room(self, by_pool: list[int]) -> None:
        short = [i for i, pool in enumerate(self._pools) if by_pool[i] > pool.num_free]
        if not self._moves or len(short) > 1:  # the reserve never has a span for each pool
            super()._make_room(by_pool)
        self._rebalance(short[0], by_pool)

    def _rebalance(self, recipient: int, by_pool: list[int]) -> None:
        donor = 1 - recipient
        shortage = self._shortage(recipient, by_pool)
        move = self._policy.on_shortage(shortage)
        if move is None:
            raise self._out_of_memory(shortage, by_pool[recipient])
        self._empty_spans(donor, move.donor_spans)
        self._pools[donor].remove_empty_spans(move.donor_spans)
        self._pools[recipient].add_spans(move.recipient_spans)
        if move.donor_spans:
            granules = move.donor_spans * shortage.donor.granules_per_span
            moved = Migration(donor, recipient, granules * self.backing.granule_bytes)
            self._migrations.append(moved)

    def _empty_spans(self, donor: int, count: int) -> None:
        """Copy live pages out of the emptiest spans until so many are empty."""
        pool = self._pools[donor]
        while pool.num_empty_spans < count:
            span = pool.emptiest_span()
            if span is None:
                raise AssertionError(f"pool {pool.name} cannot give {count} spans")
            for source, target in pool.evacuate(span):
                self._table.move(donor, source, target)

    def _shortage(self, recipient: int, by_pool: list[int]) -> Shortage:
        donor = _view(self._pools[1 - recipient])
        if not self._options.direction.allows(recipient):
            donor = replace(donor, free_pages=0, empty_spans=0)  # nothing that it may give
        return Shortage(
            recipient_number=recipient,
            recipient=_view(self._pools[recipient]),
            missing_pages=by_pool[recipient] - self._pools[recipient].num_free,
            donor=donor,
            donor_keeps_pages=by_pool[1 - recipient],
            reserve_granules=self.backing.num_free_granules,
            relocates=self._options.relocation is Relocation.ON,
            operation=self._num_operations,
        )

    def _out_of_memory(self, short: Shortage, asked: int) -> OutOfMemoryError:
        """Say what the call could have had, and whether live pages stood in the way of more."""
        pool, per_span = self._pools[short.recipient_number], short.recipient.granules_per_span
        in_reach = short.donatable_spans * short.donor.granules_per_span + short.reserve_granules
        in_theory = short.sparable_spans * short.donor.granules_per_span + short.reserve_granules
        return OutOfMemoryError(
            pool.name,
            asked,
            pool.num_free,
            largest=pool.num_free + in_reach // per_span * short.recipient.pages_per_span,
            migration_blocked=in_theory >= short.spans_needed * per_span,
        )

    def _reserve_bytes(self) -> int:
        """Unmapped granules, as far as they would fill a span of some pool."""
        if not self._moves:
            return 0
        spans = [pool.geometry.granules_per_span for pool in self._pools]
        free = self.backing.num_free_granules
        return max(free // span * span for span in spans) * self.backing.granule_bytes


def _view(pool: Pool) -> PoolView:
    geometry = pool.geometry
    return PoolView(
        free_pages=pool.num_free,
        empty_spans=pool.num_empty_spans,
        num_spans=pool.num_spans,
        pages_per_span=geometry.pages_per_span,
        granules_per_span=geometry.granules_per_span,
    )


def _policy(spec: CacheSpec, backing: Backing, options: AvmpOptions) -> RebalancePolicy:
    """Compose the policy: what moves, then what holds it back."""
    policy: RebalancePolicy = OnFailure(options.batch)
    if options.trigger is Trigger.PREDICTIVE:
        policy = Predictive(spec, backing.num_granules)
    return Hysteresis(policy, options.hysteresis) if options.hysteresis else policy
