"""Which pages everybody holds, and by what names: what depends on places, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from allocator.rounds import by_round
from allocator.run import append_run, deal_runs, pages_of_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.demand import Demand
    from allocator.page_table import PageTable
    from allocator.pool import Pool
    from allocator.row_pool import Moves
    from allocator.run import Run

    Entries = list[list[Run]]
    """Of one sequence: the entries of each group as runs."""


class Register(ABC):
    """Gives sequences pages and names for them, and takes both back.

    A manager decides by counts whether a call fits, and says here what it grants. Sequences go by
    their *seats*: small integers that are given again once they are free.
    """

    @abstractmethod
    def admit(self, seat: int, blocks: int) -> None:
        """Give a new sequence so many blocks and its state; its pools have the pages free."""

    @abstractmethod
    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """Give (seat, blocks) their blocks, group by group, in order of the list."""

    @abstractmethod
    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """Give seats a block each, in rounds of so many, and in each round group by group."""

    @abstractmethod
    def release(self, seat: int, blocks: int) -> None:
        """Take all pages of a sequence back, which has so many blocks."""

    @abstractmethod
    def resize(self, number: int, num_pages: int) -> Moves:
        """Let a pool have so many pages; those that come at its end are free.

        Returns:
            (page, page it moves to) of live ones that were in the way: to the lowest free pages.
        """

    @abstractmethod
    def vacate(self, number: int, first: int) -> Moves:
        """Let no page of a pool be live from one on; live ones move as when the pool ended there.

        Returns:
            (page, page it moves to) of each.
        """

    @abstractmethod
    def entries(self, seat: int) -> Entries:
        """The entries of the page table that a sequence holds."""

    @abstractmethod
    def end_of_live(self, number: int) -> int:
        """The first page of a pool from which on all pages are free; that may take a look."""

    def end_at_most(self, number: int) -> int:
        """A page of a pool from which on all are surely free, as far as can be told at once."""
        return self.end_of_live(number)

    @abstractmethod
    def settle(self) -> None:
        """See to it that pools and page table are what all calls so far have made them."""

    def check_integrity(self) -> None:
        """Settle, and raise AssertionError if something was counted wrongly until then."""
        self.settle()


class PlainRegister(Register):
    """Does at once what it is told."""

    def __init__(
        self, pools: Sequence[Pool], table: PageTable, admission: Demand, growth: Demand
    ) -> None:
        self._pools = pools
        self._table = table
        self._admission = admission
        self._growth = growth
        self._entries: dict[int, Entries] = {}

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        pools, issue = self._pools, self._table.issue
        self._entries[seat] = [
            issue(number, pools[number].take(each * blocks + once))
            for _, number, each, once in self._admission.by_group
        ]

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        for group, number, each, _ in self._growth.by_group:
            wanted = [(self._entries[seat][group], each * blocks) for seat, blocks in shares]
            self._deal(number, wanted)

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`.

        Pools hand out the same pages whether they are asked once or several times.
        """
        entries = self._entries
        for number, _, _ in self._growth.by_pool:
            cuts = [(g, each) for g, pool, each, _ in self._growth.by_group if pool == number]
            wanted = [
                (entries[seat][group], each)
                for members in by_round(seats, sizes)
                for group, each in cuts
                for seat in members
            ]
            self._deal(number, wanted)

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        del blocks
        cuts = zip(self._admission.by_group, self._entries.pop(seat), strict=True)
        for (_, number, _, _), entries in cuts:
            self._pools[number].give(self._table.retire(number, entries))

    def resize(self, number: int, num_pages: int) -> Moves:
        """See `Register.resize`."""
        moves = self._pools[number].resize(num_pages)
        for page, target in moves:
            self._table.move(number, page, target)
        return moves

    def vacate(self, number: int, first: int) -> Moves:
        """See `Register.vacate`: the pool becomes shorter for a moment."""
        num_pages = self._pools[number].num_pages
        moves = self.resize(number, first)
        self.resize(number, num_pages)
        return moves

    def entries(self, seat: int) -> Entries:
        """See `Register.entries`."""
        return self._entries[seat]

    def end_of_live(self, number: int) -> int:
        """See `Register.end_of_live`."""
        return self._pools[number].end_of_live

    def pages(self, number: int) -> dict[int, set[int]]:
        """The pages of a pool that each seat holds."""
        groups = [i for i, (_, pool, _, _) in enumerate(self._admission.by_group) if pool == number]
        held = {}
        for seat, entries in self._entries.items():
            named = [run for group in groups for run in entries[group]]
            held[seat] = set(pages_of_runs(self._table.pages(number, named)))
        return held

    def settle(self) -> None:
        """See `Register.settle`: nothing is left to do."""

    def _deal(self, number: int, wanted: Sequence[tuple[list[Run], int]]) -> None:
        """Take what is wanted from a pool, and add its names to each list of entries."""
        taken = self._table.issue(number, self._pools[number].take(sum(n for _, n in wanted)))
        if len(wanted) == 1:
            entries = wanted[0][0]
            for first, count in taken:
                append_run(entries, first, count)
        else:
            deal_runs(taken, wanted)
