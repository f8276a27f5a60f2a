from collections.abc import Callable

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError, PoolUsage
from allocator.managers.contiguous import ContiguousManager, ContiguousOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

MakeBacking = Callable[[int], HostBacking]
GIB = 1 << 30
KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 64)  # 128 bytes a token
SSM = CacheGroup("ssm", CacheKind.STATE, 3, 320)
SPEC = CacheSpec((KV, SSM), page_tokens=4)


def test_nemotron_h_8b_in_40_gib_by_hand() -> None:
    """A row of 8,192 tokens fills 64 granules, a state 48.703: 181.7 of both fit 20,480."""
    kv = CacheGroup("kv", CacheKind.ATTENTION, 4, 4096)
    spec = CacheSpec((kv, CacheGroup("ssm", CacheKind.STATE, 24, 4_255_744)))
    manager = ContiguousManager(spec, HostBacking(40 * GIB), ContiguousOptions())
    assert manager.usage().pools == (
        PoolUsage("kv", 134_217_728, 181, 0),
        PoolUsage("state", 102_137_856, 181, 0),
    )
    assert manager.max_sequence_tokens == 8192


def test_a_sequence_holds_its_greatest_length_from_the_first_token(
    host_backing: MakeBacking,
) -> None:
    """16 tokens are 2,048 bytes, with the state 3,008: 13 in 40 KiB."""
    manager = ContiguousManager(SPEC, host_backing(40), ContiguousOptions(max_tokens=16))
    manager.admit(0, 1)
    assert [pool.num_pages for pool in manager.usage().pools] == [13, 13]
    assert manager.usage().internal_waste_bytes == 15 * 128
    before = manager.block_table(0, "kv")
    manager.extend(0, 15)
    assert manager.block_table(0, "kv") == before
    assert manager.usage().internal_waste_bytes == 0


def test_growing_never_fails_within_it_however_full(host_backing: MakeBacking) -> None:
    manager = ContiguousManager(SPEC, host_backing(40), ContiguousOptions(max_tokens=16))
    for sequence in range(13):
        manager.admit(sequence, 1)
    with pytest.raises(OutOfMemoryError, match="pool kv: 1 asked, 0 free"):
        manager.admit(13, 1)
    for sequence in range(13):
        manager.extend(sequence, 15)
    manager.check_integrity()


def test_beyond_it_nothing_fits_however_empty(host_backing: MakeBacking) -> None:
    manager = ContiguousManager(SPEC, host_backing(40), ContiguousOptions(max_tokens=16))
    assert manager.max_sequence_tokens == 16
    with pytest.raises(OutOfMemoryError, match="pool kv: 2 asked, 1 free, 1 at most"):
        manager.admit(0, 17)
    manager.admit(0, 16)
    with pytest.raises(OutOfMemoryError, match="pool kv: 1 asked, 0 free, 0 at most"):
        manager.extend(0, 1)


def test_a_length_nobody_chose_leaves_room_for_eight(host_backing: MakeBacking) -> None:
    """An eighth of 40 KiB is 5,120 bytes: a state of 960 and 32 tokens of 128."""
    manager = ContiguousManager(SPEC, host_backing(40), ContiguousOptions())
    assert manager.max_sequence_tokens == 32
    assert manager.usage().pools[0].num_pages == 8


def test_a_reservation_beyond_memory_fits_nobody(host_backing: MakeBacking) -> None:
    manager = ContiguousManager(SPEC, host_backing(40), ContiguousOptions(max_tokens=400))
    assert manager.max_sequence_tokens == 0
    with pytest.raises(OutOfMemoryError, match="pool kv: 1 asked, 0 free"):
        manager.admit(0, 1)


def test_a_row_more_in_one_pool_is_noticed(host_backing: MakeBacking) -> None:
    manager = ContiguousManager(SPEC, host_backing(40), ContiguousOptions(max_tokens=16))
    manager.admit(0, 1)
    manager._held.clear()  # noqa: SLF001 - damage
    with pytest.raises(AssertionError):
        manager.check_integrity()


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        ContiguousOptions(max_tokens=-1)
