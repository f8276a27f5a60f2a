"""What managers with pools of pages share: what is granted, by count, and what that takes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from allocator.cohort import BlockCohort
from allocator.demand import Demand, pages_by_pool
from allocator.granted import Granted
from allocator.handle import HandleLayout
from allocator.held import Held
from allocator.integrity import check
from allocator.interface import NO_TERMS, CacheManager, OutOfMemoryError, PoolUsage, Terms, Usage
from allocator.journaled_register import JournaledRegister
from allocator.page_table import PageTable
from allocator.register import PlainRegister, Register
from allocator.run import pages_of_runs, tail_of_runs
from allocator.spec import CacheKind, PageShape, ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from allocator.backing import Backing, Place
    from allocator.cohort import Cohort
    from allocator.pool import Pool
    from allocator.spec import CacheSpec, Granularity


class PooledManager(CacheManager):
    """A manager whose cache groups draw pages from pools.

    Subclasses say how groups map to pools (`_build`), and may find room (`_make_room`).
    Whether a call fits is decided by counts; which pages it gets is the business of a `Register`.
    """

    def __init__(self, spec: CacheSpec, backing: Backing, granularity: Granularity) -> None:
        self.spec = spec
        self.backing = backing
        self._shapes = tuple(PageShape.of(g, spec.page_tokens, granularity) for g in spec.groups)
        self._is_state = tuple(g.kind is CacheKind.STATE for g in spec.groups)
        budget_bytes = backing.num_granules * backing.granule_bytes
        most_pages = [budget_bytes // size for size in self._page_bytes_by_pool()]
        layout = HandleLayout.for_table(len(most_pages), max(most_pages))
        self._table = PageTable(layout, most_pages)
        self._pools, self._pool_of_group = self._build()
        self._cuts = list(zip(self._pool_of_group, self._shapes, self._is_state, strict=True))
        self._pages_per_block, self._pages_of_state = pages_by_pool(self._cuts, len(self._pools))
        self._admission = Demand.of(self._cuts, len(self._pools), with_state=True)
        self._growth = Demand.of(self._cuts, len(self._pools), with_state=False)
        self._register = self._new_register()
        self._held: dict[int, Held] = {}
        self._free_seats: list[int] = []  # those below the number of seats ever taken at once
        self._cohort = BlockCohort(self, self._held, spec.page_tokens)
        pages = list(zip(self._pages_per_block, self._pages_of_state, strict=True))
        self._granted = Granted(pages, [pool.page_bytes for pool in self._pools])

    @abstractmethod
    def _page_bytes_by_pool(self) -> list[int]:
        """Bytes of a page of each pool, in order of pool number."""

    @abstractmethod
    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        """The pools, and the number of the pool that each group draws from."""

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`."""
        if sequence in self._held:
            raise ValueError(f"sequence {sequence} is already admitted")
        if tokens < 1:
            raise ValueError("a sequence is admitted with at least one token")
        if terms is not NO_TERMS:
            self._meet(terms, tokens)
        blocks = ceil_div(tokens, self.spec.page_tokens)
        self._find_room(blocks, self._admission)
        seat = self._free_seats.pop() if self._free_seats else len(self._held)
        self._register.admit(seat, blocks)
        self._held[sequence] = Held(seat, tokens)
        self._granted.admit(tokens, blocks)

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`."""
        held = self._held[sequence]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        blocks = self._missing_blocks(held, tokens)
        if blocks:
            self._grow([(held.seat, blocks)])
        held.tokens += tokens
        self._granted.tokens += tokens

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """See `CacheManager.extend_all`."""
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        batch = [self._held[sequence] for sequence in sequences]
        missing = [(held.seat, self._missing_blocks(held, tokens)) for held in batch]
        growing = [share for share in missing if share[1]]
        if growing:
            self._grow(growing)
        for held in batch:
            held.tokens += tokens
        self._granted.tokens += tokens * len(batch)

    def new_cohort(self) -> Cohort:
        """See `CacheManager.new_cohort`."""
        self._cohort = BlockCohort(self, self._held, self.spec.page_tokens)
        return self._cohort

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        held = self._held.pop(sequence)
        tokens = held.tokens
        blocks = ceil_div(tokens, self.spec.page_tokens)
        self._register.release(held.seat, blocks)
        self._free_seats.append(held.seat)
        self._granted.release(tokens, blocks)

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """See `CacheManager.block_table`."""
        number = {g.name: i for i, g in enumerate(self.spec.groups)}[group]
        entries = self._register.entries(self._held[sequence].seat)
        return tuple(self._table.handles(self._pool_of_group[number], entries[number]))

    def block_table_from(self, sequence: int, group: int, block: int) -> Sequence[int]:
        """Its end, from a block on, at that cost; of an attention group, by its number."""
        held, (pool, shape, _) = self._held[sequence], self._cuts[group]
        pages = (ceil_div(held.tokens, self.spec.page_tokens) - block) * shape.pages_per_block
        entries = self._register.entries(held.seat)[group]
        return tuple(self._table.handles(pool, tail_of_runs(entries, pages)))

    @property
    def paging(self) -> tuple[PageTable, Sequence[tuple[int, PageShape, bool]]]:
        """What handles mean now, and how each group is cut into pages: a device keeps a copy."""
        self._register.settle()
        return self._table, self._cuts

    def usage(self) -> Usage:
        """See `CacheManager.usage`."""
        granule, granted = self.backing.granule_bytes, self._granted
        granted.note_peak()
        pools = tuple(
            PoolUsage(pool.name, pool.page_bytes, self._num_pages(i), granted.live(i))
            for i, pool in enumerate(self._pools)
        )
        state_bytes = len(self._held) * self.spec.bytes_per_sequence()
        return Usage(
            budget_bytes=self.backing.num_granules * granule,
            footprint_bytes=(self.backing.num_granules - self.backing.num_free_granules) * granule,
            pools=pools,
            needed_bytes=granted.tokens * self.spec.bytes_per_token() + state_bytes,
            reserve_bytes=self._reserve_bytes(),
            peak_granted_bytes=granted.peak_bytes,
        )

    def place(self, handle: int) -> Place:
        """Where the page of a live handle lies; a stale one raises `StaleHandleError`."""
        self._register.settle()
        number, page = self._table.page(handle)
        return self._pools[number].place(page)

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
        self._register.check_integrity()
        self.backing.check_integrity()
        self._table.check_integrity()
        self._cohort.check_integrity()
        for pool in self._pools:
            pool.check_integrity()
        held_pages = self._check_sequences()
        named = set(self._table.live_pages())
        check(held_pages <= named, "a sequence holds a page without a name")
        check(named <= held_pages, "a live page belongs to no sequence")
        for number, pool in enumerate(self._pools):
            pool.check_live({page for owner, page in held_pages if owner == number})
            check(pool.num_live == self._granted.live(number), "granted pages are miscounted")
        lengths = [held.tokens for held in self._held.values()]
        self._granted.check_integrity(lengths, self.spec.page_tokens)
        usage = self.usage()
        check(usage.external_waste_bytes >= 0, "pages lie outside the budget")
        check(usage.internal_waste_bytes >= 0, "sequences need more than they hold")

    def _check_sequences(self) -> set[tuple[int, int]]:
        pages: list[tuple[int, int]] = []
        for held in self._held.values():
            check(held.tokens > 0, "a sequence has no token")
            entries_by_group = self._register.entries(held.seat)
            for (pool, shape, is_state), entries in zip(self._cuts, entries_by_group, strict=True):
                blocks = 1 if is_state else ceil_div(held.tokens, self.spec.page_tokens)
                named = pages_of_runs(self._table.pages(pool, entries))
                check(len(named) == blocks * shape.pages_per_block, "a group lacks pages")
                pages += [(pool, page) for page in named]
        check(len(set(pages)) == len(pages), "two sequences hold one page")
        seats = sorted([*self._free_seats, *(held.seat for held in self._held.values())])
        check(seats == list(range(len(seats))), "a seat is lost or taken twice")
        return set(pages)

    def _bytes_of(self, pages_by_pool: Sequence[int]) -> int:
        """Bytes of so many pages of each pool."""
        return sum(n * p.page_bytes for p, n in zip(self._pools, pages_by_pool, strict=True))

    def _new_register(self) -> Register:
        """Places are looked after when somebody looks, as no decision here depends on them."""
        return JournaledRegister(self._plain_register())

    def _plain_register(self) -> PlainRegister:
        """A register that looks after places at once."""
        return PlainRegister(self._pools, self._table, self._admission, self._growth)

    def __getstate__(self) -> dict[str, object]:
        """A copy looks at everything."""
        self._register.settle()
        return self.__dict__

    def _num_pages(self, number: int) -> int:
        """Pages that a pool holds, free or live."""
        return self._pools[number].num_pages

    def _num_free(self, number: int) -> int:
        """Pages of a pool that can be granted."""
        return self._num_pages(number) - self._granted.live(number)

    def _frees(self) -> Iterable[int]:
        """Pages of each pool that can be granted."""
        return map(self._num_free, range(len(self._pools)))

    def _missing_blocks(self, held: Held, tokens: int) -> int:
        """Blocks that a sequence lacks for so many more tokens."""
        size, had = self.spec.page_tokens, held.tokens
        return ceil_div(had + tokens, size) - ceil_div(had, size)

    def _grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """Give (seat, blocks) their blocks, all of them, or raise."""
        blocks = sum(count for _, count in shares)
        self._find_room(blocks, self._growth)
        self._register.grow(shares)
        self._granted.blocks += blocks

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Grower.grow_in_rounds`; in each round group by group."""
        blocks = len(seats)
        self._find_room(blocks, self._growth)
        self._register.grow_in_rounds(seats, sizes)
        self._granted.blocks += blocks

    def growth_blocks(self) -> int:
        """Blocks that running sequences can gain while nothing moves: those of free pages."""
        return self._growth.blocks_within(self._num_free)

    def count_tokens(self, tokens: int) -> None:
        """So many tokens more have room, by a cohort."""
        self._granted.tokens += tokens

    def _find_room(self, blocks: int, demand: Demand) -> None:
        """See to it that every pool has the pages of so many blocks free, or raise."""
        granted = self._granted
        most_blocks = granted.blocks + blocks
        most_sequences = granted.sequences + (demand is self._admission)
        for number, _, _ in demand.by_pool:
            each, once = granted.pages[number]
            if most_blocks * each + most_sequences * once > self._num_pages(number):
                self._make_room(demand.pages_by_pool(blocks, len(self._pools)))
                return

    def _make_room(self, by_pool: list[int]) -> None:
        """Called when a pool is short: make room for what is asked, or raise OutOfMemoryError."""
        for pool, asked, free in zip(self._pools, by_pool, self._frees(), strict=True):
            if asked > free:
                raise OutOfMemoryError(pool.name, asked, free, largest=free)

    def _meet(self, terms: Terms, tokens: int) -> None:
        """Raise OutOfMemoryError unless an admission with so many tokens can have its terms."""
        blocks = ceil_div(max(tokens, terms.room_tokens), self.spec.page_tokens)
        blocks += ceil_div(terms.others_tokens, self.spec.page_tokens)
        by_pool = self._admission.pages_by_pool(blocks, len(self._pools))
        if terms.margin:
            margin = (self._margin_pages(i, terms.margin) for i in range(len(self._pools)))
            by_pool = [pages + more for pages, more in zip(by_pool, margin, strict=True)]
        if any(pages > free for pages, free in zip(by_pool, self._frees(), strict=True)):
            self._could_have(by_pool)

    def _margin_pages(self, number: int, share: float) -> int:
        """Pages of a pool that a share of it means."""
        return int(share * self._num_pages(number))

    def _could_have(self, by_pool: list[int]) -> None:
        """Called when a pool is short of pages that nobody takes yet: raise if none can be made.

        Where making room leaves pages that must not stay untaken, a subclass only looks.
        """
        self._make_room(by_pool)

    def _reserve_bytes(self) -> int:
        """Unmapped budget that a pool could still map; none unless a subclass moves capacity."""
        return 0

    def _tokens_alone(self, pages_by_pool: Sequence[int]) -> int:
        """Tokens of one sequence with the given pages in each pool to itself."""
        return self._admission.tokens_within(pages_by_pool, self.spec.page_tokens)
