"""Two pools behind one page table that exchange capacity: asymmetric virtual memory paging."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.interface import NO_TERMS, Migration, OutOfMemoryError, Terms
from allocator.mapped_pool import Extent, MappedPool
from allocator.placed_register import PlacedRegister
from allocator.places import Holdings, Places, unit_of
from allocator.pool_names import POOL_NAMES
from allocator.reach import reach_of
from allocator.rebalance.ahead import Ahead
from allocator.rebalance.composed import composed_policy
from allocator.rebalance.policy import Shortage
from allocator.rebalance.restraints import Direction
from allocator.row_pool import Placement
from allocator.spec import CacheKind, Granularity, ceil_div
from allocator.split import SplitManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.pool import Pool
    from allocator.register import Register
    from allocator.spec import CacheSpec

UNITS_PER_BUDGET = 256
"""Units that a budget is cut into unless told: one that stands idle is 0.4 % of it."""

MOST_GRANULES = 64
"""Granules of a unit at most unless told: a mapping of 128 MiB costs what one of 2 MiB costs."""


class Trigger(Enum):
    """When capacity moves, and how much."""

    FAILURE = "failure"
    PREDICTIVE = "predictive"
    OFF = "off"


class Switch(Enum):
    """Whether something is done."""

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
    ahead: Switch = field(
        default=Switch.ON,
        metadata={"help": "on: capacity that is free also moves while a step runs, before need"},
    )
    batch: int = field(
        default=32,
        metadata={"help": "granules that a migration takes if they are free (trigger=failure)"},
    )
    direction: Direction = field(
        default=Direction.BOTH,
        metadata={"help": "both, to-kv (as the paper in effect), or to-state"},
    )
    relocation: Switch = field(
        default=Switch.ON,
        metadata={"help": "on: copy live pages out of the way when capacity must go"},
    )
    hysteresis: int = field(
        default=0,
        metadata={"help": "admissions and releases before a batch, not only need, moves back"},
    )
    placement: Placement = field(
        default=Placement.LOW,
        metadata={"help": "low: the lowest free page, so that the end stays free; next: in turn"},
    )
    unit: int = field(
        default=0,
        metadata={"help": "granules mapped together; 0: a 256th of the budget, at most 64"},
    )
    granularity: Granularity = field(
        default=Granularity.LAYER,
        metadata={"help": "what a page holds: one layer (finer spans) or a whole group"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.state_ratio < 1:
            raise ValueError(f"state_ratio must lie between 0 and 1, not {self.state_ratio}")
        if self.batch < 1 or self.unit < 0 or self.hysteresis < 0:
            raise ValueError("batch must be at least 1 granule, unit and hysteresis at least 0")

    def unit_granules(self, num_granules: int) -> int:
        """Granules of a unit, for a budget."""
        return self.unit or min(MOST_GRANULES, ceil_div(num_granules, UNITS_PER_BUDGET))


class AvmpManager(SplitManager):
    """When a pool is short, the other unmaps units of granules at its end and they are mapped here.

    Each pool maps a prefix of its slab, with pages end to end. Unlike the paper's prototype,
    capacity moves in both directions, the physical footprint never exceeds the budget, live pages
    at the end are copied down if need be, a move takes place only if it ends the shortage, and
    what is free at an end may move before it is needed, while the device is busy. Without
    migration (`trigger=off`) the pools are those of `static`. Each concern is an object of its own
    (`allocator.rebalance`), so that options combine freely.
    """

    name = "avmp"
    summary = "two pools that exchange units of granules when one is short, or about to be"
    source = "AVMP paper (arXiv 2605.22416), with both directions, relocation and no oversizing"
    Options = AvmpOptions
    _pools: Sequence[MappedPool]

    def __init__(self, spec: CacheSpec, backing: Backing, options: AvmpOptions) -> None:
        self._options = options
        self._moves = options.trigger is not Trigger.OFF and len(spec.kinds()) > 1
        self._unit_granules = options.unit_granules(backing.num_granules)
        batch_units = ceil_div(options.batch, self._unit_granules)
        predicts = options.trigger is Trigger.PREDICTIVE
        self._policy = composed_policy(spec, batch_units, options.hysteresis, predicts=predicts)
        self._ahead = Ahead()
        self._migrations: list[Migration] = []
        self._num_operations = 0
        super().__init__(spec, backing, options.granularity, options.state_ratio)

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`.

        Alone, a sequence can have every unit; where capacity moves one way only, what has moved
        so far decides.
        """
        if not self._moves:
            return self._tokens_alone([pool.num_pages for pool in self._pools])
        kv, state = self._pools
        gained = state.units_of(self._pages_of_state[1]) - state.num_units
        allows = self._options.direction.allows
        if gained > (kv.num_units if allows(1) else 0):
            return 0
        spare = -gained if gained > 0 or allows(0) else 0
        kv_pages = kv.pages_of(kv.num_units + spare)
        return self._tokens_alone([kv_pages, self._pages_of_state[1]])

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`; capacity moves for all that the terms ask for."""
        super().admit(sequence, tokens, terms)
        self._num_operations += 1
        room_tokens = max(tokens, terms.room_tokens)
        self._policy.on_admission(room_tokens)
        self._ahead.on_admission(ceil_div(room_tokens, self.spec.page_tokens))

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        tokens = self._held[sequence].tokens
        super().release(sequence)
        self._num_operations += 1
        self._policy.on_release(tokens)

    def prepare(self, next_tokens: int) -> None:
        """See `CacheManager.prepare`."""
        if not self._moves or self._options.ahead is Switch.OFF:
            return
        granted, pools = self._granted, self._pools
        admitted = self._ahead.admission_blocks(ceil_div(next_tokens, self.spec.page_tokens))
        blocks, sequences = admitted + len(self._held), int(admitted > 0)
        most_blocks, most_sequences = granted.blocks + blocks, granted.sequences + sequences
        for recipient, (each, once) in enumerate(granted.pages):
            if most_blocks * each + most_sequences * once > pools[recipient].mapped_pages:
                wanted = [granted.live(i, blocks, sequences) - granted.live(i) for i in (0, 1)]
                missing = self._missing_units(recipient, wanted)
                sparable = self._sparable_units(1 - recipient, wanted)
                self._migrate(recipient, self._ready_units(1 - recipient, min(missing, sparable)))

    def take_migrations(self) -> list[Migration]:
        """See `CacheManager.take_migrations`."""
        taken, self._migrations = self._migrations, []
        return taken

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`; the budget is mapped, all of it."""
        super().check_integrity()
        check(self.backing.num_free_granules == 0, "a granule is mapped nowhere")

    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        if not self._moves:
            return super()._build()
        size, total = self._unit_granules, self.backing.num_granules
        kv_share = self._granules_by_kind(self.spec.kinds())[CacheKind.ATTENTION]
        units = total // size  # the rest is the base of the KV pool
        kv_units = kv_share // size
        bases = (total - units * size, 0)
        pools = [
            self._mapped_pool(kind, Extent(base, size, units))
            for kind, base in zip(self.spec.kinds(), bases, strict=True)
        ]
        for pool, count in zip(pools, (kv_units, units - kv_units), strict=True):
            pool.gain(count)
        return pools, self._numbers()

    def _new_register(self) -> Register:
        """Places decide once live pages are in the way of capacity."""
        if not self._moves:
            return super()._new_register()
        order, pools = self._options.placement, self._pools
        units = [unit_of(self._admission, i, *pool.lengths) for i, pool in enumerate(pools)]
        held = [Holdings(u, p.num_pages, order) for u, p in zip(units, pools, strict=True)]
        places = Places(held, self._admission, self._growth)
        return PlacedRegister(self._plain_register(), places, reach_of(order, self._admission))

    def _num_pages(self, number: int) -> int:
        return self._pools[number].mapped_pages if self._moves else super()._num_pages(number)

    def _mapped_pool(self, kind: CacheKind, extent: Extent) -> MappedPool:
        size, placement = self._page_bytes(kind), self._options.placement
        return MappedPool(POOL_NAMES[kind], size, self.backing, extent, placement)

    def _make_room(self, by_pool: list[int]) -> None:
        short = [i for i, free in enumerate(self._frees()) if by_pool[i] > free]
        if not self._moves or len(short) > 1:  # neither pool has a unit to give
            super()._make_room(by_pool)
        shortage = self._shortage(short[0], by_pool)
        units = self._policy.on_shortage(shortage)
        if not units:
            raise self._out_of_memory(shortage, by_pool)
        self._migrate(shortage.recipient, units)

    def _migrate(self, recipient: int, units: int) -> None:
        if not units:
            return
        donor = self._pools[1 - recipient]
        left = donor.pages_of(donor.num_units - units)
        donor.lose(units, self._register.resize(1 - recipient, left))
        self._pools[recipient].map_units(units)
        self._register.resize(recipient, self._num_pages(recipient))
        num_bytes = units * self._unit_granules * self.backing.granule_bytes
        self._migrations.append(Migration(1 - recipient, recipient, num_bytes))

    def _shortage(self, recipient: int, by_pool: list[int]) -> Shortage:
        pool, donor = self._pools[recipient], self._pools[1 - recipient]
        sparable = self._sparable_units(1 - recipient, by_pool)
        if self._options.relocation is Switch.OFF:
            sparable = self._ready_units(1 - recipient, sparable)
        return Shortage(
            recipient=recipient,
            missing_units=self._missing_units(recipient, by_pool),
            sparable_units=sparable,
            ready=lambda most: self._ready_units(1 - recipient, min(most, sparable)),
            recipient_units=pool.num_units,
            total_units=pool.num_units + donor.num_units,
            operation=self._num_operations,
        )

    def _missing_units(self, number: int, by_pool: Sequence[int]) -> int:
        """Units that a pool must gain to have so many pages free."""
        pool, pages = self._pools[number], self._granted.live(number) + by_pool[number]
        return 0 if pages <= pool.mapped_pages else pool.units_of(pages) - pool.num_units

    def _sparable_units(self, number: int, by_pool: Sequence[int]) -> int:
        """Units that a pool can and may lose and still have so many pages free."""
        pool = self._pools[number]
        if not self._options.direction.allows(1 - number):
            return 0
        return pool.sparable_units(self._granted.live(number) + by_pool[number])

    def _ready_units(self, number: int, most: int) -> int:
        """Units, no more than asked, that a pool can lose without a copy."""
        pool = self._pools[number]
        ready = pool.num_units - pool.units_of(self._register.end_at_most(number))
        if ready < most:
            ready = pool.num_units - pool.units_of(self._register.end_of_live(number))
        return min(ready, most)

    def _out_of_memory(self, short: Shortage, by_pool: list[int]) -> OutOfMemoryError:
        """Say what the call could have had, and whether live pages stood in the way of more."""
        pool, live = self._pools[short.recipient], self._granted.live(short.recipient)
        most = pool.pages_of(pool.num_units + short.sparable_units) - live
        in_theory = self._sparable_units(1 - short.recipient, by_pool)
        return OutOfMemoryError(
            pool.name,
            by_pool[short.recipient],
            pool.mapped_pages - live,
            largest=most,
            migration_blocked=short.sparable_units < short.missing_units <= in_theory,
        )
