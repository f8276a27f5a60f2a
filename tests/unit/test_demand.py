"""Pages by pool that a grant takes: two attention groups and a state over two pools."""

from allocator.demand import Demand
from allocator.interface import UNBOUNDED_TOKENS
from allocator.spec import PageShape

KV, STATE = 0, 1
CUTS = (
    (KV, PageShape(64, 3), False),
    (STATE, PageShape(512, 5), True),
    (KV, PageShape(64, 2), False),
)


def test_a_sequence_takes_pages_a_block_and_its_state_once() -> None:
    demand = Demand.of(CUTS, 2, with_state=True)
    assert demand.by_pool == ((KV, 5, 0), (STATE, 0, 5))
    assert demand.by_group == ((0, KV, 3, 0), (1, STATE, 0, 5), (2, KV, 2, 0))
    assert demand.pages_by_pool(4, 3) == [20, 5, 0]


def test_more_tokens_take_nothing_of_a_pool_of_states() -> None:
    demand = Demand.of(CUTS, 2, with_state=False)
    assert demand.by_pool == ((KV, 5, 0),)
    assert demand.by_group == ((0, KV, 3, 0), (2, KV, 2, 0))
    assert demand.pages_by_pool(4, 2) == [20, 0]


def test_the_longest_sequence_is_what_the_scarcest_pool_holds() -> None:
    demand = Demand.of(CUTS, 2, with_state=True)
    assert demand.tokens_within([24, 5], page_tokens=16) == 4 * 16
    assert demand.tokens_within([25, 9], page_tokens=16) == 5 * 16
    assert demand.tokens_within([25, 4], page_tokens=16) == 0  # its state has no room
    shared = Demand.of(
        [(0, PageShape(64, 3), False), (0, PageShape(64, 7), True)], 1, with_state=True
    )
    assert shared.by_pool == ((0, 3, 7),)
    assert shared.tokens_within([13], page_tokens=16) == 2 * 16
    states = Demand.of(CUTS[1:2], 2, with_state=True)
    assert states.tokens_within([0, 5], page_tokens=16) == UNBOUNDED_TOKENS
