"""Growing in rounds leaves what growing token by token leaves: the same pages and future."""

from collections.abc import Callable
from typing import Any

import pytest

from allocator.interface import CacheManager

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
    digest: Callable[[CacheManager], str],
    seed: int,
) -> None:
    pasts = [new_churn(new_manager(), seed) for _ in range(2)]
    for past in pasts:
        past.run(40 + 7 * seed)
        while len(past.tokens) > 3:
            past.release(next(iter(past.tokens)))
    manager, other = (past.manager for past in pasts)
    sequences, before = list(pasts[0].tokens), digest(manager)
    rounds = manager.sure_rounds(sequences, 50)
    assert digest(manager) == before
    assert 0 <= rounds <= 50
    other.take_migrations()
    manager.take_migrations()
    counters = manager.backing.counters()
    manager.extend_in_rounds(sequences, rounds)
    assert manager.backing.counters() == counters
    for _ in range(rounds):
        other.extend_all(sequences, 1)
    assert remembered(manager, sequences) == remembered(other, sequences)
    assert not manager.take_migrations()
    manager.check_integrity()
    for past in pasts:
        past.tokens = {sequence: had + rounds for sequence, had in past.tokens.items()}
        past.run(60)
    live = list(pasts[0].tokens)
    assert remembered(manager, live) == remembered(other, live)


def test_unknown_sequences_are_key_errors(new_manager: Callable[[], CacheManager]) -> None:
    manager = new_manager()
    if manager.sure_rounds([], 5):
        with pytest.raises(KeyError):
            manager.sure_rounds([7], 5)
