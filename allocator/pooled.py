"""What managers with pools of pages share: who holds which handles."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from allocator.cohort import BlockCohort
from allocator.demand import Demand, pages_by_pool
from allocator.handle import HandleLayout
from allocator.held import Held
from allocator.integrity import check
from allocator.interface import NO_TERMS, CacheManager, OutOfMemoryError, Terms, Usage
from allocator.page_table import PageTable
from allocator.run import append_run, deal_runs, pages_of_runs
from allocator.spec import CacheKind, PageShape, ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing, Place
    from allocator.cohort import Cohort
    from allocator.pool import Pool
    from allocator.spec import CacheSpec, Granularity


class PooledManager(CacheManager):
    """A manager whose cache groups draw pages from pools.

    Subclasses say how groups map to pools (`_build`), and may find room in other ways
    (`_make_room`). Everything else, from admission to integrity, is here once.
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
        self._block_bytes = self._bytes_of(self._pages_per_block)
        self._state_bytes = self._bytes_of(self._pages_of_state)
        self._admission = Demand.of(self._cuts, len(self._pools), with_state=True)
        self._growth = Demand.of(self._cuts, len(self._pools), with_state=False)
        self._held: dict[int, Held] = {}
        self._cohort = BlockCohort(self, self._held, spec.page_tokens)
        self._live_tokens = 0
        self._granted_bytes = 0
        self._peak_granted_bytes = 0

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
        held = Held(len(self._shapes))
        self._grant(held, blocks, self._admission)
        held.tokens = tokens
        self._live_tokens += tokens
        self._held[sequence] = held

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`."""
        held = self._held[sequence]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        total = held.tokens + tokens
        if total > held.room_tokens:
            self._grow(sequence, held, ceil_div(total - held.room_tokens, self.spec.page_tokens))
        held.tokens = total
        self._live_tokens += tokens

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """See `CacheManager.extend_all`."""
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        size, growing = self.spec.page_tokens, []
        batch = [self._held[sequence] for sequence in sequences]
        for sequence, held in zip(sequences, batch, strict=True):
            missing = held.tokens + tokens - held.room_tokens
            if missing > 0:
                growing.append((sequence, held, ceil_div(missing, size)))
        if growing:
            self._find_room(sum(blocks for _, _, blocks in growing), self._growth)
            self._grow_all(growing)
        for held in batch:
            held.tokens += tokens
        self._live_tokens += tokens * len(batch)

    def new_cohort(self) -> Cohort:
        """See `CacheManager.new_cohort`."""
        self._cohort = BlockCohort(self, self._held, self.spec.page_tokens)
        return self._cohort

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        held = self._held.pop(sequence)
        for number, entries in zip(self._pool_of_group, held.entries, strict=True):
            self._pools[number].give(self._table.retire(number, entries))
        blocks = held.room_tokens // self.spec.page_tokens
        self._granted_bytes -= blocks * self._block_bytes + self._state_bytes
        self._live_tokens -= held.tokens

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """See `CacheManager.block_table`."""
        held = self._held[sequence]
        cuts = zip(self.spec.groups, self._pool_of_group, held.entries, strict=True)
        for candidate, pool, entries in cuts:
            if candidate.name == group:
                return tuple(self._table.handles(pool, entries))
        raise KeyError(group)

    @property
    def paging(self) -> tuple[PageTable, Sequence[tuple[int, PageShape, bool]]]:
        """What handles mean, and how each group is cut into pages: a device keeps a copy."""
        return self._table, self._cuts

    def usage(self) -> Usage:
        """See `CacheManager.usage`."""
        granule = self.backing.granule_bytes
        state_bytes = len(self._held) * self.spec.bytes_per_sequence()
        return Usage(
            budget_bytes=self.backing.num_granules * granule,
            footprint_bytes=(self.backing.num_granules - self.backing.num_free_granules) * granule,
            pools=tuple(pool.usage() for pool in self._pools),
            needed_bytes=self._live_tokens * self.spec.bytes_per_token() + state_bytes,
            reserve_bytes=self._reserve_bytes(),
            peak_granted_bytes=self._peak_granted_bytes,
        )

    def place(self, handle: int) -> Place:
        """Where the page of a live handle lies; a stale one raises `StaleHandleError`."""
        number, page = self._table.page(handle)
        return self._pools[number].place(page)

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
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
        tokens = sum(held.tokens for held in self._held.values())
        check(tokens == self._live_tokens, "live tokens are miscounted")
        usage = self.usage()
        check(usage.granted_bytes == self._granted_bytes, "granted bytes are miscounted")
        check(self._granted_bytes <= usage.peak_granted_bytes, "the peak lies below the present")
        check(usage.external_waste_bytes >= 0, "pages lie outside the budget")
        check(usage.internal_waste_bytes >= 0, "sequences need more than they hold")

    def _check_sequences(self) -> set[tuple[int, int]]:
        pages: list[tuple[int, int]] = []
        for held in self._held.values():
            check(0 < held.tokens <= held.room_tokens, "a token has no page")
            check(held.room_tokens - held.tokens < self.spec.page_tokens, "a page holds no token")
            for (pool, shape, is_state), entries in zip(self._cuts, held.entries, strict=True):
                blocks = 1 if is_state else held.room_tokens // self.spec.page_tokens
                named = pages_of_runs(self._table.pages(pool, entries))
                check(len(named) == blocks * shape.pages_per_block, "a group lacks pages")
                pages += [(pool, page) for page in named]
        check(len(set(pages)) == len(pages), "two sequences hold one page")
        return set(pages)

    def _bytes_of(self, pages_by_pool: Sequence[int]) -> int:
        """Bytes of so many pages of each pool."""
        return sum(n * p.page_bytes for p, n in zip(self._pools, pages_by_pool, strict=True))

    def _grow(self, sequence: int, held: Held, blocks: int) -> None:
        """Give a sequence so many more blocks."""
        del sequence  # for managers that keep sequences apart
        self._grant(held, blocks, self._growth)

    def _grow_all(self, growing: Sequence[tuple[int, Held, int]]) -> None:
        """Give (sequence, what it holds, blocks) their blocks; there is room for all of them."""
        for group, number, each, _ in self._growth.by_group:
            shares = [(held.entries[group], each * blocks) for _, held, blocks in growing]
            taken = self._pools[number].take(sum(count for _, count in shares))
            deal_runs(self._table.issue(number, taken), shares)
        total = 0
        for _, held, blocks in growing:
            held.room_tokens += blocks * self.spec.page_tokens
            total += blocks
        self._count_granted(total, 0)

    def grow_in_rounds(self, rounds: Sequence[Sequence[tuple[int, Held]]]) -> None:
        """Give (sequence, what it holds) a block each, round by round, group by group, or raise.

        Pools hand out the same pages whether they are asked once or several times.
        """
        total = sum(map(len, rounds))
        self._find_room(total, self._growth)
        for number, _, _ in self._growth.by_pool:
            cuts = [(g, each) for g, pool, each, _ in self._growth.by_group if pool == number]
            shares = [
                (held.entries[group], each)
                for members in rounds
                for group, each in cuts
                for _, held in members
            ]
            taken = self._pools[number].take(sum(count for _, count in shares))
            deal_runs(self._table.issue(number, taken), shares)
        for members in rounds:
            for _, held in members:
                held.room_tokens += self.spec.page_tokens
        self._count_granted(total, 0)

    def growth_blocks(self) -> int:
        """Blocks that running sequences can gain while nothing moves: those of free pages."""
        return self._growth.tokens_within([pool.num_free for pool in self._pools], page_tokens=1)

    def count_tokens(self, tokens: int) -> None:
        """So many tokens more have room, by a cohort."""
        self._live_tokens += tokens

    def _find_room(self, blocks: int, demand: Demand) -> None:
        """See to it that every pool has the pages of so many blocks free, or raise."""
        pools = self._pools
        for number, each, once in demand.by_pool:
            if each * blocks + once > pools[number].num_free:
                self._make_room(demand.pages_by_pool(blocks, len(pools)))
                return

    def _grant(self, held: Held, blocks: int, demand: Demand) -> None:
        """Give a sequence the pages of so many blocks, and of its state if it is in the demand."""
        self._find_room(blocks, demand)
        pools, issue = self._pools, self._table.issue
        for group, number, each, once in demand.by_group:
            entries = held.entries[group]
            runs = issue(number, pools[number].take(each * blocks + once))
            if entries:
                for first, length in runs:
                    append_run(entries, first, length)
            else:
                held.entries[group] = runs
        held.room_tokens += blocks * self.spec.page_tokens
        self._count_granted(blocks, self._state_bytes if demand is self._admission else 0)

    def _count_granted(self, blocks: int, state_bytes: int) -> None:
        self._granted_bytes += blocks * self._block_bytes + state_bytes
        self._peak_granted_bytes = max(self._peak_granted_bytes, self._granted_bytes)

    def _make_room(self, by_pool: list[int]) -> None:
        """Called when a pool is short: make room for what is asked, or raise OutOfMemoryError."""
        for pool, asked in zip(self._pools, by_pool, strict=True):
            if asked > pool.num_free:
                raise OutOfMemoryError(pool.name, asked, pool.num_free, largest=pool.num_free)

    def _meet(self, terms: Terms, tokens: int) -> None:
        """Raise OutOfMemoryError unless an admission with so many tokens can have its terms."""
        blocks = ceil_div(max(tokens, terms.room_tokens), self.spec.page_tokens)
        blocks += ceil_div(terms.others_tokens, self.spec.page_tokens)
        by_pool = self._admission.pages_by_pool(blocks, len(self._pools))
        if terms.margin:
            margin = (self._margin_pages(pool, terms.margin) for pool in self._pools)
            by_pool = [pages + more for pages, more in zip(by_pool, margin, strict=True)]
        if any(pages > pool.num_free for pages, pool in zip(by_pool, self._pools, strict=True)):
            self._could_have(by_pool)

    def _margin_pages(self, pool: Pool, share: float) -> int:
        """Pages of a pool that a share of it means."""
        return int(share * pool.num_pages)

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
