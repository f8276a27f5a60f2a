"""Growing in rounds leaves what growing token by token leaves: the same pages and future."""

from collections.abc import Callable
from typing import Any

import pytest

from allocator.cohort import Cohort
from allocator.interface import CacheManager, OutOfMemoryError

SEEDS = range(4)


def remembered(manager: CacheManager, sequences: list[int]) -> tuple[object, ...]:
    """What can be seen of a manager."""
    names = [group.name for group in manager.spec.groups]
    tables = [tuple(manager.block_table(s, name)) for s in sequences for name in names]
    return tables, manager.usage(), manager.take_migrations(), manager.backing.counters()


@pytest.mark.parametrize("seed", SEEDS)
def test_rounds_are_calls_one_by_one(
    new_manager: Callable[[], CacheManager],
    new_churn: type[Any],
    seed: int,
) -> None:
    pasts = [new_churn(new_manager(), seed) for _ in range(2)]
    for past in pasts:
        past.run(40 + 7 * seed)
        while len(past.tokens) > 3:
            past.release(next(iter(past.tokens)))
    manager, other = (past.manager for past in pasts)
    sequences = list(pasts[0].tokens)
    cohort = manager.new_cohort()
    for sequence in reversed(sequences):  # the rank counts, not who joins first
        cohort.join(sequence, rank=sequence)
    rounds = cohort.sure_rounds(50)
    assert 0 <= rounds <= 50
    other.take_migrations()
    manager.take_migrations()
    counters = manager.backing.counters()
    cohort.extend_in_rounds(rounds)
    assert manager.backing.counters() == counters
    for _ in range(rounds):
        other.extend_all(sequences, 1)
    assert remembered(manager, sequences) == remembered(other, sequences)
    assert not manager.take_migrations()
    manager.check_integrity()
    for sequence in sequences:
        cohort.leave(sequence)
    for past in pasts:
        past.tokens = {sequence: had + rounds for sequence, had in past.tokens.items()}
        past.run(60)
    live = list(pasts[0].tokens)
    assert remembered(manager, live) == remembered(other, live)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cohort_extends_all_or_nobody_as_the_manager_does(
    new_manager: Callable[[], CacheManager], new_churn: type[Any], seed: int
) -> None:
    pasts = [new_churn(new_manager(), seed) for _ in range(2)]
    for past in pasts:
        past.run(30)
    manager, other = (past.manager for past in pasts)
    sequences = list(pasts[0].tokens)
    cohort = manager.new_cohort()
    for sequence in sequences:
        cohort.join(sequence, rank=sequence)
    for _ in range(30):
        refusals = []
        for extend in (cohort.extend, lambda: other.extend_all(sequences, 1)):
            try:
                extend()
            except OutOfMemoryError as error:
                refusals.append((error.pool, error.asked, error.free, error.largest))
        assert len(refusals) in {0, 2}
        assert len(set(refusals)) < 2
        assert remembered(manager, sequences) == remembered(other, sequences)
        manager.check_integrity()


def test_a_cohort_knows_its_members(new_manager: Callable[[], CacheManager]) -> None:
    manager = new_manager()
    cohort = manager.new_cohort()
    with pytest.raises(KeyError):
        cohort.leave(7)
    cohort.extend()
    assert manager.usage().granted_bytes == 0
    manager.check_integrity()
    with pytest.raises(KeyError):
        join_and_grow(cohort)


def join_and_grow(cohort: Cohort) -> None:
    cohort.join(7, rank=0)
    cohort.extend()
