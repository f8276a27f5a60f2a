import pytest

from allocator.handle import HandleLayout, StaleHandleError
from allocator.page_table import PageTable


@pytest.mark.parametrize(
    ("num_pools", "num_entries", "bits"),
    [
        (1, 1, (1, 30, 1)),
        (2, 2, (1, 30, 1)),
        (2, 1024, (1, 21, 10)),
        (2, 1025, (1, 20, 11)),
        (3, 1024, (2, 20, 10)),
        (2, 1 << 27, (1, 4, 27)),
    ],
)
def test_the_generation_takes_the_bits_that_are_left(
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
        for generation in (1, layout.num_generations):
            for index in {0, num_entries - 1}:
                handle = layout.pack(pool, generation, index)
                assert layout.unpack(handle) == (pool, generation, index)
                assert 0 < handle < 1 << 32
                seen.add(handle)
    assert len(seen) == num_pools * 2 * len({0, num_entries - 1})


@pytest.fixture
def table() -> PageTable:
    return PageTable(HandleLayout(pool_bits=1, index_bits=27))


def test_handles_name_their_pages_in_order(table: PageTable) -> None:
    handles = table.issue(1, [70, 50, 60])
    assert [table.page(handle) for handle in handles] == [70, 50, 60]
    assert [table.layout.unpack(handle)[0] for handle in handles] == [1, 1, 1]
    assert sorted(table.live_pages()) == [(1, 50), (1, 60), (1, 70)]
    assert table.num_live == 3


def test_pages_of_two_pools_may_have_the_same_number(table: PageTable) -> None:
    table.issue(0, [5])
    table.issue(1, [5])
    table.check_integrity()


def test_retiring_returns_the_pages_in_order_and_ends_the_handles(table: PageTable) -> None:
    first, second, third = table.issue(0, [7, 8, 9])
    assert table.retire([third, first]) == [9, 7]
    assert table.num_live == 1
    for stale in (first, third):
        with pytest.raises(StaleHandleError):
            table.page(stale)
    assert table.page(second) == 8


def test_a_handle_retires_once_across_calls_and_within_one(table: PageTable) -> None:
    first, second = table.issue(0, [1, 2])
    with pytest.raises(StaleHandleError, match="twice"):
        table.retire([first, second, first])
    assert table.num_live == 2
    table.retire([first])
    with pytest.raises(StaleHandleError):
        table.retire([first])


def test_retiring_is_all_or_none(table: PageTable) -> None:
    first, second, third = table.issue(0, [1, 2, 3])
    table.retire([second])
    with pytest.raises(StaleHandleError):
        table.retire([first, second, third])
    assert [table.page(first), table.page(third)] == [1, 3]
    table.check_integrity()


@pytest.mark.parametrize("handle", [0, -1, 1, 1 << 32, (1 << 32) - 1])
def test_what_was_never_issued_names_no_page(table: PageTable, handle: int) -> None:
    table.issue(0, [4])
    with pytest.raises(StaleHandleError):
        table.page(handle)


def test_an_entry_used_again_has_a_new_generation_and_keeps_its_index(table: PageTable) -> None:
    (old,) = table.issue(0, [3])
    table.retire([old])
    (new,) = table.issue(0, [3])
    assert table.layout.unpack(old) == (0, 1, 0)
    assert table.layout.unpack(new) == (0, 2, 0)
    with pytest.raises(StaleHandleError):
        table.page(old)


def test_the_generation_comes_round_without_zero(table: PageTable) -> None:
    generations = []
    for _ in range(table.layout.num_generations + 2):
        (handle,) = table.issue(0, [3])
        generations.append(table.layout.unpack(handle)[1])
        table.retire([handle])
    assert generations == [*range(1, 16), 1, 2]


def test_the_table_is_no_longer_than_its_most_live_pages() -> None:
    table = PageTable(HandleLayout(pool_bits=1, index_bits=2))
    for _ in range(3):
        handles = table.issue(0, [0, 1, 2, 3])
        with pytest.raises(ValueError, match="no entry left"):
            table.issue(0, [4])
        assert table.num_live == 4
        assert {handle & 3 for handle in handles} == {0, 1, 2, 3}
        table.retire(handles)
