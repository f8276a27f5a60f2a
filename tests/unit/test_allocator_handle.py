import pytest

from allocator.handle import HandleLayout, StaleHandleError
from allocator.page_table import PageTable


@pytest.mark.parametrize(
    ("num_pools", "num_entries", "bits"),
    [
        (1, 1, (1, 8, 1)),
        (2, 2, (1, 8, 1)),
        (2, 1024, (1, 8, 10)),
        (2, 1025, (1, 8, 11)),
        (3, 1024, (2, 8, 10)),
        (2, 1 << 23, (1, 8, 23)),
        (2, 1 << 24, (1, 7, 24)),
        (5, 1 << 23, (3, 6, 23)),
        (2, 1 << 27, (1, 4, 27)),
    ],
)
def test_the_generation_takes_up_to_eight_of_the_bits_that_are_left(
    num_pools: int, num_entries: int, bits: tuple[int, int, int]
) -> None:
    layout = HandleLayout.for_table(num_pools, num_entries)
    assert (layout.pool_bits, layout.generation_bits, layout.index_bits) == bits
    assert layout.num_generations == 2 ** bits[1] - 1


def test_a_table_too_large_for_32_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="granularity=group"):
        HandleLayout.for_table(2, (1 << 27) + 1)


@pytest.mark.parametrize("num_pools", [1, 2, 5])
@pytest.mark.parametrize("num_entries", [1, 2, 1000, 1 << 24])
def test_packing_loses_nothing_and_makes_32_bits_above_zero(
    num_pools: int, num_entries: int
) -> None:
    layout = HandleLayout.for_table(num_pools, num_entries)
    seen = set()
    for pool in range(num_pools):
        for generation in (1, (1 << layout.generation_bits) - 1):
            for index in {0, num_entries - 1}:
                handle = layout.pack(pool, generation, index)
                assert layout.unpack(handle) == (pool, generation, index)
                assert 0 < handle < 1 << 32
                seen.add(handle)
    assert len(seen) == num_pools * 2 * len({0, num_entries - 1})


@pytest.fixture
def table() -> PageTable:
    """The shortest generation there is, 4 bits."""
    return PageTable(HandleLayout(pool_bits=1, index_bits=27), [100, 100])


def issue(table: PageTable, pool: int, *runs: tuple[int, int]) -> list[int]:
    return table.handles(pool, table.issue(pool, list(runs)))


def test_handles_name_their_pages_in_order(table: PageTable) -> None:
    handles = issue(table, 1, (70, 2), (50, 1), (60, 1))
    assert [table.page(handle) for handle in handles] == [(1, 70), (1, 71), (1, 50), (1, 60)]
    assert list(table.live_pages()) == [(1, 50), (1, 60), (1, 70), (1, 71)]


def test_pages_of_two_pools_may_have_the_same_number(table: PageTable) -> None:
    (first,), (second,) = issue(table, 0, (5, 1)), issue(table, 1, (5, 1))
    assert [table.page(first), table.page(second)] == [(0, 5), (1, 5)]
    table.check_integrity()


def test_retiring_returns_the_pages_in_order_and_ends_the_handles(table: PageTable) -> None:
    first, second, third = issue(table, 0, (7, 3))
    assert table.retire(0, [(9, 1), (7, 1)]) == [(9, 1), (7, 1)]
    for stale in (first, third):
        with pytest.raises(StaleHandleError):
            table.page(stale)
    assert table.page(second) == (0, 8)
    assert list(table.live_pages()) == [(0, 8)]


@pytest.mark.parametrize("runs", [[(1, 1), (2, 1), (1, 1)], [(1, 2), (2, 1)], [(1, 2), (1, 2)]])
def test_a_name_retires_once_across_calls_and_within_one(
    table: PageTable, runs: list[tuple[int, int]]
) -> None:
    handles = issue(table, 0, (1, 2))
    with pytest.raises(StaleHandleError):
        table.retire(0, runs)
    assert [table.page(handle) for handle in handles] == [(0, 1), (0, 2)]
    table.retire(0, [(1, 1)])
    with pytest.raises(StaleHandleError):
        table.retire(0, [(1, 1)])


@pytest.mark.parametrize(
    ("runs", "dead"),
    [([(1, 3)], "1 to 3"), ([(1, 1), (2, 1), (3, 1)], "2 to 2"), ([(3, 1), (1, 2)], "1 to 2")],
)
def test_retiring_is_all_or_none(table: PageTable, runs: list[tuple[int, int]], dead: str) -> None:
    first, second, third = issue(table, 0, (1, 3))
    table.retire(0, [(2, 1)])
    with pytest.raises(StaleHandleError, match=f"an entry from {dead} is not live"):
        table.retire(0, runs)
    assert [table.page(first), table.page(third)] == [(0, 1), (0, 3)]
    with pytest.raises(StaleHandleError):
        table.page(second)
    table.check_integrity()


@pytest.mark.parametrize("handle", [0, -1, 1, 99, 100, 1 << 27, 2 << 27, 1 << 32, (1 << 32) - 1])
def test_what_was_never_issued_names_no_page(table: PageTable, handle: int) -> None:
    issue(table, 0, (4, 1))
    with pytest.raises(StaleHandleError):
        table.page(handle)


def test_an_entry_used_again_has_a_new_generation_and_keeps_its_index(table: PageTable) -> None:
    (old,) = issue(table, 0, (3, 1))
    table.retire(0, [(3, 1)])
    (new,) = issue(table, 0, (3, 1))
    assert table.layout.unpack(old) == (0, 1, 3)
    assert table.layout.unpack(new) == (0, 2, 3)
    with pytest.raises(StaleHandleError):
        table.page(old)


@pytest.mark.parametrize("count", [1, 2])
def test_the_generation_comes_round_from_one(table: PageTable, count: int) -> None:
    generations = []
    for _ in range(17):
        handle = issue(table, 0, (3, count))[-1]
        generations.append(table.layout.unpack(handle)[1])
        table.retire(0, [(3, count)])
    assert generations == [*range(1, 16), 1, 2]


@pytest.mark.parametrize("run", [(3, 1), (2, 4)])
@pytest.mark.parametrize("index_bits", [27, 25, 23, 3])
def test_a_stale_handle_is_noticed_until_all_other_generations_passed(
    index_bits: int, run: tuple[int, int]
) -> None:
    """Neither while its entry is free nor while another page's name uses it."""
    layout = HandleLayout(pool_bits=1, index_bits=index_bits)
    table = PageTable(layout, [8])
    names = issue(table, 0, run)
    for _ in range((1 << layout.generation_bits) - 2):
        table.retire(0, [run])
        for old in names:
            with pytest.raises(StaleHandleError):
                table.page(old)
        issue(table, 0, run)
        for old in names:
            with pytest.raises(StaleHandleError):
                table.page(old)
    table.retire(0, [run])
    for old in names:
        with pytest.raises(StaleHandleError):
            table.page(old)
    assert issue(table, 0, run) == names


def test_generations_rise_by_entries_not_by_pages(table: PageTable) -> None:
    """The page left behind comes back under the name of the entry that went there."""
    issue(table, 0, (7, 1))
    table.move(0, 7, 40)
    table.retire(0, [(7, 1)])
    (seventh,), (fortieth,) = issue(table, 0, (7, 1)), issue(table, 0, (40, 1))
    assert table.layout.unpack(seventh) == (0, 2, 7)
    assert table.layout.unpack(fortieth) == (0, 1, 40)


def test_a_table_names_each_page_once() -> None:
    table = PageTable(HandleLayout(pool_bits=1, index_bits=2), [4])
    for _ in range(3):
        handles = issue(table, 0, (0, 4))
        assert {handle & 3 for handle in handles} == {0, 1, 2, 3}
        assert len(list(table.live_pages())) == 4
        table.retire(0, [(0, 4)])
    assert not list(table.live_pages())


def test_a_moved_page_keeps_its_handle(table: PageTable) -> None:
    first, second, third = issue(table, 0, (7, 3))
    table.move(0, 8, 40)
    assert [table.page(handle) for handle in (first, second, third)] == [(0, 7), (0, 40), (0, 9)]
    assert table.pages(0, [(7, 3)]) == [(7, 1), (40, 1), (9, 1)]
    assert table.retire(0, [(7, 3)]) == [(7, 1), (40, 1), (9, 1)]
    table.check_integrity()


def test_the_page_left_behind_goes_by_the_entry_of_the_other(table: PageTable) -> None:
    issue(table, 0, (7, 3))
    table.move(0, 8, 40)
    assert table.issue(0, [(8, 1)]) == [(40, 1)]
    (handle,) = table.handles(0, [(40, 1)])
    assert table.page(handle) == (0, 8)
    assert sorted(table.live_pages()) == [(0, 7), (0, 8), (0, 9), (0, 40)]


def test_live_pages_may_change_places(table: PageTable) -> None:
    first, second = issue(table, 0, (7, 2))
    table.move(0, 7, 8)
    assert [table.page(first), table.page(second)] == [(0, 8), (0, 7)]
    table.move(0, 7, 8)
    assert [table.page(first), table.page(second)] == [(0, 7), (0, 8)]
    table.check_integrity()


def test_a_move_leaves_other_pools_alone(table: PageTable) -> None:
    (handle,) = issue(table, 1, (7, 1))
    table.move(0, 7, 8)
    assert table.page(handle) == (1, 7)


def is_at_home(table: PageTable) -> bool:
    return not any(table._page_of + table._entry_at)  # noqa: SLF001 - no caller needs to know


def test_pages_back_home_need_no_book(table: PageTable) -> None:
    issue(table, 0, (7, 1))
    for source, target in ((7, 50), (50, 60), (60, 7)):
        table.move(0, source, target)
    assert is_at_home(table)


def test_entries_that_changed_pages_go_home_when_neither_is_live(table: PageTable) -> None:
    issue(table, 0, (7, 2))
    table.move(0, 8, 40)
    table.issue(0, [(8, 1)])  # entry 40 has it now
    table.retire(0, [(8, 1)])
    assert not is_at_home(table)
    assert table.pages(0, [(40, 1)]) == [(8, 1)]
    table.retire(0, [(40, 1)])
    assert is_at_home(table)
    table.check_integrity()


@pytest.mark.parametrize("last", [(7, 1), (7, 4)])
def test_a_page_that_moved_many_times_leaves_nobody_astray(
    table: PageTable, last: tuple[int, int]
) -> None:
    """Capacity that goes again and again moves the page of a long sequence each time."""
    (handle, *_) = issue(table, 0, last)
    for source, target in ((7, 60), (60, 50), (50, 40), (40, 30), (30, 20)):
        table.move(0, source, target)
        table.check_integrity()
    assert table.page(handle) == (0, 20)
    assert table.retire(0, [last])[0] == (20, 1)
    assert is_at_home(table)


def test_live_entries_on_each_others_pages_go_home_together(table: PageTable) -> None:
    issue(table, 0, (7, 4))
    for source, target in ((7, 8), (8, 9), (9, 10)):
        table.move(0, source, target)
    assert not is_at_home(table)
    table.retire(0, [(7, 4)])
    assert is_at_home(table)
    table.check_integrity()
