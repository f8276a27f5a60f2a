"""A listener of a page table hears of every handle, in order, and the table works as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from allocator.backing import HostBacking
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from scenarios.validation.decisions import HandleDigest
from scenarios.validation.steps import LiveHandles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.page_table import PageTable

SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 2, 64), CacheGroup("ssm", CacheKind.STATE, 3, 512)), 4
)


class Heard:
    """Keeps what it hears, with the sign of what happened."""

    def __init__(self) -> None:
        self.handles: list[tuple[str, int]] = []

    def given(self, pool: int, handles: Sequence[int]) -> None:
        del pool
        self.handles += [("+", handle) for handle in handles]

    def taken(self, pool: int, handles: Sequence[int]) -> None:
        del pool
        self.handles += [("-", handle) for handle in handles]


def manager() -> tuple[AvmpManager, PageTable]:
    made = AvmpManager(SPEC, HostBacking(64 << 10, 1024), AvmpOptions(unit=1))
    return made, made.paging[0]


def tables(of: AvmpManager, *sequences: int) -> list[int]:
    return [h for s in sequences for g in SPEC.groups for h in of.block_table(s, g.name)]


def test_every_handle_is_heard_of_once() -> None:
    made, table = manager()
    heard, live = Heard(), LiveHandles()
    table.report_to(heard)
    table.report_to(live)  # both hear it
    for sequence in range(6):
        made.admit(sequence, 5 + sequence)
    made.extend_all(range(6), 9)
    made.check_integrity()
    assert sorted(h for _, h in heard.handles) == sorted(tables(made, *range(6)))
    gone = tables(made, 2)
    before = len(heard.handles)
    made.release(2)
    made.check_integrity()
    assert heard.handles[before:] == [("-", handle) for handle in gone]
    assert set(live.places(made)) == set(tables(made, 0, 1, 3, 4, 5))
    assert all(place == made.place(handle) for handle, place in live.places(made).items())
    made.check_integrity()


@pytest.mark.parametrize("other", [(5, 6), (6, 5)])
def test_a_digest_tells_runs_apart(other: tuple[int, int]) -> None:
    digests = []
    for lengths in ((5, 6), other):
        made, table = manager()
        digest = HandleDigest()
        table.report_to(digest)
        for sequence, tokens in enumerate(lengths):
            made.admit(sequence, 4 * tokens)
        made.release(0)
        made.check_integrity()
        digests.append(digest.hexdigest())
        assert digest.num_given == len(tables(made, 1)) + 2 * lengths[0] + 3
    assert (digests[0] == digests[1]) == (other == (5, 6))
