"""One buffer: KV pages grow from one end, state pages from the other; holes are squeezed out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from allocator.backing import Place
from allocator.integrity import check
from allocator.interface import UNBOUNDED_TOKENS, OutOfMemoryError
from allocator.placed_register import PlacedRegister
from allocator.places import Holdings, Places
from allocator.pool_names import POOL_NAMES
from allocator.reach import LowReach
from allocator.row_pool import RowPool
from allocator.spec import Granularity, ceil_div
from allocator.split import ByKindManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocator.backing import Backing
    from allocator.demand import Demand
    from allocator.pool import Pool
    from allocator.register import Register
    from allocator.spec import CacheSpec


class Compaction(Enum):
    """When the pages at an edge move into holes."""

    LAZY = "lazy"
    EAGER = "eager"


@dataclass(frozen=True, slots=True)
class TwoEndedOptions:
    """Options of `two-ended`."""

    compaction: Compaction = field(
        default=Compaction.LAZY,
        metadata={"help": "lazy: when an edge needs the room; eager: at every release"},
    )
    granularity: Granularity = field(
        default=Granularity.GROUP,
        metadata={"help": "what a page holds: one layer or a whole group"},
    )


class TwoEndedManager(ByKindManager):
    """Whatever lies between the two edges is free for either kind, byte by byte.

    A release leaves a hole unless the page lay at the edge. Compaction moves the page at the edge
    into the lowest hole, one copy a page, so the edge falls and the gap grows. Eager compaction
    leaves no holes; lazy compaction waits until the gap is too small. Names of pages stay valid,
    since the page table follows the move.
    """

    name = "two-ended"
    summary = "one buffer, KV from one end and state from the other, compacted by edge moves"
    source = "SGLang --enable-unified-memory (pull requests 29678 and 35177), semantics only"
    Options = TwoEndedOptions
    _slab: int

    def __init__(self, spec: CacheSpec, backing: Backing, options: TwoEndedOptions) -> None:
        self._is_eager = options.compaction is Compaction.EAGER
        super().__init__(spec, backing, options.granularity)
        self._budget_bytes = backing.num_granules * backing.granule_bytes
        self._slab = backing.reserve(self._budget_bytes)
        backing.map(self._slab, 0, backing.num_granules)

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`."""
        sizes = [pool.page_bytes for pool in self._pools]
        state = sum(n * size for n, size in zip(self._pages_of_state, sizes, strict=True))
        block = sum(n * size for n, size in zip(self._pages_per_block, sizes, strict=True))
        if state > self._budget_bytes:
            return 0
        if not block:
            return UNBOUNDED_TOKENS
        return (self._budget_bytes - state) // block * self.spec.page_tokens

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        super().release(sequence)
        if self._is_eager:
            for number in range(len(self._pools)):
                self._squeeze(number, self._granted.live(number))

    def place(self, handle: int) -> Place:
        """See `PooledManager.place`."""
        self._register.settle()
        number, page = self._table.page(handle)
        offset_bytes = self._offset_bytes(number, page)
        return Place(self._slab, offset_bytes, self._pools[number].page_bytes)

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
        super().check_integrity()
        check(self._gap_bytes() >= 0, "the edges have crossed")
        check(not (self._is_eager and any(self._frees())), "eager compaction has left a hole")

    def growth_blocks(self) -> int:
        """Beside its holes the KV pool has the gap: its edge rises without a copy.

        Counts tell how far the other edge is at most; if that is too little, it is looked for.
        """
        if not self._growth.by_pool:
            return super().growth_blocks()
        blocks = self._blocks_beside(self._register.end_at_most)
        if blocks < len(self._held):
            blocks = self._blocks_beside(self._register.end_of_live)
        return blocks

    def _blocks_beside(self, edge: Callable[[int], int]) -> int:
        """Blocks that running sequences can gain while the other pools end where they do."""
        ((number, each, _),) = self._growth.by_pool
        sizes = [pool.page_bytes for pool in self._pools]
        others = sum(edge(i) * size for i, size in enumerate(sizes) if i != number)
        left = (self._budget_bytes - others) // sizes[number]
        return (left - self._granted.live(number)) // each

    def _new_register(self) -> Register:
        """Where the edges are depends on places, and they may be anywhere."""
        held = [Holdings(1, pool.num_pages) for pool in self._pools]
        places = Places(held, self._admission, self._growth)
        return PlacedRegister(self._plain_register(), places, LowReach(self._admission))

    def _build(self) -> tuple[Sequence[Pool], tuple[int, ...]]:
        """Rows as long as the buffer; how far each is used is what matters."""
        kinds = self.spec.kinds()
        budget_bytes = self.backing.num_granules * self.backing.granule_bytes
        pools = []
        for kind in kinds:
            size = self._page_bytes(kind)
            pool = RowPool(POOL_NAMES[kind], size, budget_bytes // size)
            pool.lengthen(pool.max_pages)
            pools.append(pool)
        return pools, self._numbers()

    def _num_pages(self, number: int) -> int:
        """Pages up to the edge."""
        return self._register.end_of_live(number)

    def _find_room(self, blocks: int, demand: Demand) -> None:
        """Edges may be raised as long as they do not meet, and mostly counts can tell."""
        sequences, most_bytes = int(demand is self._admission), 0
        for number, pool in enumerate(self._pools):
            asked = self._granted.live(number, blocks, sequences)
            most_bytes += max(self._register.end_at_most(number), asked) * pool.page_bytes
        if most_bytes > self._budget_bytes:
            self._make_room(demand.pages_by_pool(blocks, len(self._pools)))

    def _make_room(self, by_pool: list[int]) -> None:
        """Squeeze out spare holes if the gap lacks room."""
        lacking, spare = self._lacking_and_spare(by_pool)
        for number, count in enumerate(spare):
            size = self._pools[number].page_bytes
            if lacking > 0 and count:
                moved = min(count, ceil_div(lacking, size))
                self._squeeze(number, self._num_pages(number) - moved)
                lacking -= moved * size

    def _could_have(self, by_pool: list[int]) -> None:
        self._lacking_and_spare(by_pool)

    def _lacking_and_spare(self, by_pool: list[int]) -> tuple[int, list[int]]:
        """Bytes that the gap lacks for the pages asked, and the holes that can be squeezed out.

        Raises:
            OutOfMemoryError: If that is not enough.
        """
        holes = list(self._frees())
        missing = [max(0, asked - free) for asked, free in zip(by_pool, holes, strict=True)]
        spare = [max(0, free - asked) for asked, free in zip(by_pool, holes, strict=True)]
        lacking = self._bytes_of(missing) - self._gap_bytes()
        if lacking > self._bytes_of(spare):
            raise self._out_of_memory(by_pool, missing, spare)
        return lacking, spare

    def _out_of_memory(
        self, by_pool: list[int], missing: list[int], spare: list[int]
    ) -> OutOfMemoryError:
        """Blame the pool that lacks the most bytes."""
        lacks = [n * pool.page_bytes for n, pool in zip(missing, self._pools, strict=True)]
        number = lacks.index(max(lacks))
        pool, others = self._pools[number], sum(lacks) - max(lacks)
        room = max(0, self._gap_bytes() + self._bytes_of(spare) - others)
        free = self._num_free(number)
        largest = free + room // pool.page_bytes
        return OutOfMemoryError(pool.name, by_pool[number], free, largest=largest)

    def _squeeze(self, number: int, edge: int) -> None:
        """Let an edge fall to some page at least, moving live pages above it into holes."""
        moves = self._register.vacate(number, edge)
        if moves:
            pairs = [
                (self._offset_bytes(number, source), self._offset_bytes(number, target))
                for source, target in moves
            ]
            self.backing.copy_pages(self._slab, self._pools[number].page_bytes, pairs)

    def _offset_bytes(self, number: int, page: int) -> int:
        """KV pages lie from the start of the buffer, state pages from its end."""
        size = self._pools[number].page_bytes
        return page * size if number == 0 else self._budget_bytes - (page + 1) * size

    def _gap_bytes(self) -> int:
        edges = [self._num_pages(number) for number in range(len(self._pools))]
        return self._budget_bytes - self._bytes_of(edges)

    def _reserve_bytes(self) -> int:
        """The gap."""
        return self._gap_bytes()
