"""A register that keeps places apart from names, beside one that does everything at once."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator import lowest_free, next_free
from allocator.demand import Demand
from allocator.handle import HandleLayout
from allocator.page_table import PageTable
from allocator.placed_register import PlacedRegister
from allocator.places import Holdings, Places, unit_of
from allocator.reach import reach_of
from allocator.register import PlainRegister
from allocator.row_pool import Placement, RowPool
from allocator.spec import PageShape, align_up

MOST_PAGES, CHOICE = 144, st.integers(0, 99)
FREE = st.one_of(st.integers(0, 5), st.integers(0, MOST_PAGES))
# Two groups of attention share a pool, in front of states in one of their own.
SHAPES = st.sampled_from([(2, 4, 6), (1, 2, 3), (3, 3, 24), (4, 2, 1)])


class RegisterMachine(RuleBasedStateMachine):
    """Calls that fit, as a manager sees to; blocks of each seat are the model."""

    @initialize(
        shapes=SHAPES, step=st.sampled_from([1, 2, 12]), placement=st.sampled_from(Placement)
    )
    def build(self, shapes: tuple[int, int, int], step: int, placement: Placement) -> None:
        # Pools of this size lie within one chapter; units that move from one to another need more.
        self.patched = pytest.MonkeyPatch()
        for module in (lowest_free, next_free):
            self.patched.setattr(module, "CHAPTER_BITS", 3)
        self.patched.setattr(lowest_free, "CHAPTER_UNITS", 8)
        cuts = [(p, PageShape(16, n), p == 1) for p, n in zip((0, 0, 1), shapes, strict=True)]
        self.admission = Demand.of(cuts, 2, with_state=True)
        self.growth = Demand.of(cuts, 2, with_state=False)
        self.step, self.lengths, self.placement = step, [72, 72], placement
        self.plain, inner = self.new_register(), self.new_register()
        units = [unit_of(self.admission, number, step, 72) for number in range(2)]
        held = [Holdings(unit, 72, placement) for unit in units]
        places = Places(held, self.admission, self.growth)
        self.placed = PlacedRegister(inner, places, reach_of(placement, self.admission))
        self.blocks: dict[int, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "patched"):
            self.patched.undo()

    def new_register(self) -> PlainRegister:
        pools = [RowPool("test", 16, MOST_PAGES, self.placement) for _ in range(2)]
        for pool in pools:
            pool.lengthen(72)
        table = PageTable(HandleLayout.for_table(2, MOST_PAGES), [MOST_PAGES] * 2)
        return PlainRegister(pools, table, self.admission, self.growth)

    def live(self, number: int, blocks: int = 0, seats: int = 0) -> int:
        demand = {pool: (each, once) for pool, each, once in self.admission.by_pool}
        each, once = demand[number]
        return (sum(self.blocks.values()) + blocks) * each + (len(self.blocks) + seats) * once

    def fits(self, blocks: int, seats: int = 0) -> bool:
        """Whether so much more fits; pools grow for it."""
        wanted = [self.live(number, blocks, seats) for number in range(2)]
        for number, pages in enumerate(wanted):
            if self.lengths[number] < pages <= MOST_PAGES:
                self.tell("resize", number, MOST_PAGES)
                self.lengths[number] = MOST_PAGES
        return all(pages <= length for pages, length in zip(wanted, self.lengths, strict=True))

    def tell(self, name: str, *values: object) -> None:
        answers = [getattr(register, name)(*values) for register in (self.plain, self.placed)]
        assert answers[0] == answers[1]

    @rule(comers=st.dictionaries(st.integers(0, 9), st.integers(1, 6), min_size=1))
    def admit(self, comers: dict[int, int]) -> None:
        for seat, blocks in comers.items():
            if seat not in self.blocks and self.fits(blocks, 1):
                self.tell("admit", seat, blocks)
                self.blocks[seat] = blocks

    @precondition(lambda self: self.blocks)
    @rule(choices=st.lists(st.tuples(CHOICE, st.integers(1, 3)), max_size=3))
    def grow(self, choices: list[tuple[int, int]]) -> None:
        seats = list(self.blocks)
        shares = list({seats[choice % len(seats)]: blocks for choice, blocks in choices}.items())
        if shares and self.fits(sum(blocks for _, blocks in shares)):
            self.tell("grow", shares)
            for seat, blocks in shares:
                self.blocks[seat] += blocks

    @precondition(lambda self: self.blocks)
    @rule(rounds=st.integers(1, 3), part=st.integers(1, 9))
    def grow_in_rounds(self, rounds: int, part: int) -> None:
        seats = list(self.blocks)[:part]
        if self.fits(rounds * len(seats)):
            self.tell("grow_in_rounds", seats * rounds, [len(seats)] * rounds)
            for seat in seats:
                self.blocks[seat] += rounds

    @precondition(lambda self: self.blocks)
    @rule(choice=CHOICE)
    def release(self, choice: int) -> None:
        seat = list(self.blocks)[choice % len(self.blocks)]
        self.tell("release", seat, self.blocks.pop(seat))

    @precondition(lambda self: len(self.blocks) > 3)
    @rule()
    def release_every_other(self) -> None:
        for seat in list(self.blocks)[::2]:
            self.tell("release", seat, self.blocks.pop(seat))

    @rule(number=st.integers(0, 1), free=FREE)
    def resize(self, number: int, free: int) -> None:
        length = align_up(self.live(number) + free, self.step)
        if length <= MOST_PAGES:
            self.tell("resize", number, length)
            self.lengths[number] = length

    @rule(number=st.integers(0, 1), free=FREE)
    def vacate(self, number: int, free: int) -> None:
        first = align_up(self.live(number) + free, self.step)
        if first <= self.lengths[number]:
            self.tell("vacate", number, first)

    @rule(number=st.integers(0, 1))
    def look_at_an_end(self, number: int) -> None:
        self.tell("end_of_live", number)

    @precondition(lambda self: self.blocks)
    @rule(choice=CHOICE)
    def look_at_names(self, choice: int) -> None:
        self.tell("entries", list(self.blocks)[choice % len(self.blocks)])
        self.placed.check_integrity()

    @invariant()
    def what_is_called_free_is_free(self) -> None:
        for number in range(2) if hasattr(self, "plain") else ():
            assert self.placed.end_at_most(number) >= self.plain.end_of_live(number)


TestRegisterMachine = RegisterMachine.TestCase


def test_a_unit_that_moves_home_goes_back_to_its_own_chapter() -> None:
    chapter = lowest_free.CHAPTER_UNITS
    pool = Holdings(1, 2 * chapter)
    for seat, pages in ((0, chapter - 1), (1, 1), (2, 1)):
        pool.admit(seat, pages)
    pool.release(1)
    assert pool.resize(chapter) == [(chapter, chapter - 1)]
    pool.release(2)
    pool.resize(2 * chapter)
    pool.admit(3, 1)
    pool.admit(
        4, 1
    )  # the first unit of the second chapter, by the name of the one that was moved to
    pool.release(3)
    assert pool.resize(chapter) == [(chapter, chapter - 1)]
    pool.release(4)
    pool.check_integrity()
