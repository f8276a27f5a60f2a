"""Every variant of the paper under every mixture of fixes keeps its books."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.interface import Migration, OutOfMemoryError
from allocator.paper.interface import KV, STATE, LayerAllocator
from allocator.paper.timed import PhaseTimes
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from scenarios.reproduce import variants
from scenarios.reproduce.assembly import Setup, assemble
from scenarios.reproduce.fixes import FIXES
from scenarios.reproduce.phases import TimedAssembly

KV_LAYER, STATE_LAYER = 16, 1024
SPEC = CacheSpec(
    (
        CacheGroup("attention", CacheKind.ATTENTION, 2, KV_LAYER),
        CacheGroup("state", CacheKind.STATE, 3, STATE_LAYER),
    )
)
BUDGET_BYTES = 48 * 1024
VARIANTS = (*variants.HEADLINE, variants.avmp_dynamic(1), variants.avmp_dynamic(5))
FIX_NAMES = tuple(fix.name for fix in FIXES)


class Listener:
    """Adds up what was said to move and to be lost."""

    def __init__(self) -> None:
        self.moved: list[Migration] = []
        self.lost: set[int] = set()

    def evicted(self, victim: int, pool: int, num_pages: int, asker: int) -> None:
        del pool, asker
        assert num_pages > 0
        self.lost.add(victim)

    def freed_by_other(self, owner: int, pool: int, num_pages: int, caller: int) -> None:
        assert pool == 0
        assert num_pages > 0
        assert owner != caller
        self.lost.add(owner)

    def migrated(self, migration: Migration) -> None:
        self.moved.append(migration)

    def migration_blocked(self, recipient: int) -> None:
        assert recipient in {0, 1}


calls = st.lists(
    st.one_of(
        st.tuples(st.just("kv"), st.integers(0, 7), st.integers(1, 70)),
        st.tuples(st.just("state"), st.integers(0, 7), st.just(1)),
        st.tuples(st.just("release"), st.integers(0, 7), st.just(0)),
    ),
    max_size=60,
)
setups = st.builds(
    Setup,
    st.just(SPEC),
    st.just(BUDGET_BYTES),
    st.sampled_from(VARIANTS),
    st.frozensets(st.sampled_from(FIX_NAMES)),
)


def drive(allocator: LayerAllocator, wanted: list[tuple[str, int, int]]) -> list[object]:
    """Make calls; returns what each gave."""
    answers: list[object] = []
    for what, request, count in wanted:
        if what == "release":
            allocator.release(request)
        else:
            try:
                answers.append(
                    list(allocator.allocate(request, KV if what == "kv" else STATE, count))
                )
            except OutOfMemoryError as error:
                answers.append((error.asked, error.free))
        allocator.check_integrity()
    return answers


@given(setups, calls)
@settings(max_examples=300, deadline=None)
def test_books_balance_after_every_call(setup: Setup, wanted: list[tuple[str, int, int]]) -> None:
    listener = Listener()
    allocator = assemble(setup, listener)
    drive(allocator, wanted)
    for request in range(8):
        allocator.release(request)
    allocator.check_integrity()
    assert all(pool.num_live == 0 for pool in allocator.pools())
    held = sum(pool.num_pages * pool.page_bytes for pool in allocator.pools())
    assert held <= BUDGET_BYTES
    doubled = setup.variant.is_avmp and "mapped-capacity" not in setup.fixes
    assert held <= allocator.footprint_bytes() <= BUDGET_BYTES * (2 if doubled else 1)


@given(setups, calls)
@settings(max_examples=100, deadline=None)
def test_the_search_and_the_clock_change_no_answer(
    setup: Setup, wanted: list[tuple[str, int, int]]
) -> None:
    plain = assemble(setup, Listener())
    timed = TimedAssembly(setup, Listener(), PhaseTimes()).allocator()
    assert drive(plain, wanted) == drive(timed, wanted)


@given(calls)
@settings(max_examples=100, deadline=None)
def test_a_call_that_fits_a_pool_never_fails_once_others_may_go(
    wanted: list[tuple[str, int, int]],
) -> None:
    """With evictions until it fits, only a call that its pool could never hold fails."""
    fixes = frozenset({"evict-until-fits"})
    allocator = assemble(Setup(SPEC, BUDGET_BYTES, variants.MR05, fixes), Listener())
    sizes = [pool.num_pages for pool in allocator.pools()]
    takes = [call for call in wanted if call[0] != "release"]
    for (what, _, count), answer in zip(takes, drive(allocator, wanted), strict=True):
        fits = count <= sizes[0 if what == "kv" else 1]
        assert isinstance(answer, list) is fits


def test_a_page_of_more_tokens_fills_the_padding() -> None:
    setup = Setup(SPEC, BUDGET_BYTES, variants.PADDED, frozenset({"page-tokens"}))
    assert setup.page_tokens == setup.calls.page_tokens == STATE_LAYER // KV_LAYER
