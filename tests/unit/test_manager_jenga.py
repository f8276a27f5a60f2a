from collections.abc import Callable

import pytest

from allocator.backing import BackingCounters, HostBacking
from allocator.interface import OutOfMemoryError, PoolUsage
from allocator.managers.jenga import MIB, Fit, JengaManager, JengaOptions, LargePage
from allocator.spec import CacheGroup, CacheKind, CacheSpec

MakeBacking = Callable[[int], HostBacking]
GIB = 1 << 30
KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 64)  # pages of 256 bytes, four a large page
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 1024)
SPEC = CacheSpec((KV, SSM), page_tokens=4)


def hybrid(attention_layers: int, state_layers: int, state_bytes: int) -> CacheSpec:
    kv = CacheGroup("kv", CacheKind.ATTENTION, attention_layers, 4096)
    return CacheSpec((kv, CacheGroup("ssm", CacheKind.STATE, state_layers, state_bytes)))


NEMOTRON_H_8B = hybrid(4, 24, 4_255_744)
QWEN_3_5_9B = hybrid(8, 24, 2_146_304)
NEMOTRON_NANO_9B_V2 = hybrid(4, 27, 5_316_608)


def free_large(manager: JengaManager) -> int:
    return manager.usage().pools[-1].num_pages


@pytest.mark.parametrize(
    ("spec", "max_mib", "size_bytes", "fit"),
    [
        (QWEN_3_5_9B, 16, 8_585_216, Fit.LAYER),  # 4 states or 131 KV pages of a layer
        (QWEN_3_5_9B, 8, 2_162_688, Fit.PADDED),  # 33 KV pages, or a state and 16,384 bytes
        (QWEN_3_5_9B, 197, 206_045_184, Fit.MODEL),
        (NEMOTRON_H_8B, 16, 4_259_840, Fit.PADDED),  # 65 KV pages, or a state and 4,096 bytes
        (NEMOTRON_H_8B, 65, 68_091_904, Fit.LAYER),  # 16 states or 1,039 KV pages of a layer
        (NEMOTRON_H_8B, 780, 817_102_848, Fit.MODEL),
        (NEMOTRON_NANO_9B_V2, 16, 5_316_608, Fit.PADDED),  # a state, or 81 KV pages and 8,192 bytes
        (NEMOTRON_NANO_9B_V2, 41, 42_532_864, Fit.LAYER),
        (NEMOTRON_NANO_9B_V2, 5000, 4_593_549_312, Fit.MODEL),
    ],
)
def test_the_large_page_of_models(spec: CacheSpec, max_mib: int, size_bytes: int, fit: Fit) -> None:
    assert LargePage.of(spec, 100 * GIB, max_mib * MIB) == LargePage(size_bytes, fit)


def test_a_large_page_is_at_most_a_16th_of_memory() -> None:
    assert LargePage.of(QWEN_3_5_9B, 16 * 8_585_216, 16 * MIB).fit is Fit.LAYER
    assert LargePage.of(QWEN_3_5_9B, 16 * 8_585_216 - 1, 16 * MIB).fit is Fit.PADDED


def test_qwen_in_40_gib_by_hand() -> None:
    """5,002 large pages; a state fills 6, and 131 pages of a layer hold 16.4 blocks of tokens."""
    manager = JengaManager(QWEN_3_5_9B, HostBacking(40 * GIB), JengaOptions())
    assert free_large(manager) == 5002
    assert manager.max_sequence_tokens == 4996 * 131 // 8 * 16
    manager.admit(0, 4096)  # 256 blocks x 8 layers = 2,048 pages in 16 large pages
    assert free_large(manager) == 5002 - 6 - 16
    assert len(manager.block_table(0, "kv")) == 2048
    assert len(manager.block_table(0, "ssm")) == 24


def test_sequences_do_not_share_large_pages_while_there_are_others(
    host_backing: MakeBacking,
) -> None:
    manager = JengaManager(SPEC, host_backing(64), JengaOptions())
    assert manager.large == LargePage(1024, Fit.MODEL)
    for sequence in range(2):
        manager.admit(sequence, 4)
    assert free_large(manager) == 64 - 2 * 2
    for _ in range(3):
        for sequence in range(2):
            manager.extend(sequence, 4)
    assert free_large(manager) == 64 - 2 * 2  # each filled its own
    manager.release(0)
    assert free_large(manager) == 64 - 2
    manager.check_integrity()


def test_without_free_large_pages_sequences_share(host_backing: MakeBacking) -> None:
    manager = JengaManager(SPEC, host_backing(64), JengaOptions())
    for sequence in range(32):
        manager.admit(sequence, 4)
    assert free_large(manager) == 0
    manager.extend(0, 12)
    manager.extend(0, 4)  # its own large page is full: a page of another's
    manager.check_integrity()
    manager.release(1)
    manager.check_integrity()


def test_a_state_waits_for_a_whole_large_page(host_backing: MakeBacking) -> None:
    """Three of four pages are free in each of 32 large pages, and none of the large ones."""
    manager = JengaManager(SPEC, host_backing(64), JengaOptions())
    for sequence in range(32):
        manager.admit(sequence, 4)
    with pytest.raises(OutOfMemoryError, match="pool state: 1 asked, 0 free, 0 at most") as caught:
        manager.admit(32, 4)
    assert caught.value.migration_blocked


def test_large_pages_change_hands_without_being_remapped(host_backing: MakeBacking) -> None:
    manager = JengaManager(SPEC, host_backing(64), JengaOptions())
    mapped = BackingCounters(maps=1, mapped_granules=64)
    assert manager.backing.counters() == mapped
    manager.admit(0, manager.max_sequence_tokens)
    manager.release(0)
    for sequence in range(32):
        manager.admit(sequence, 1)
    assert manager.backing.counters() == mapped
    assert manager.take_migrations() == []


def test_every_byte_is_small_pages_large_pages_or_rest(host_backing: MakeBacking) -> None:
    """Pages of 240 and 400 bytes: 512 bytes hold either, and leave 32 or 112."""
    kv = CacheGroup("kv", CacheKind.ATTENTION, 1, 60)
    spec = CacheSpec((kv, CacheGroup("ssm", CacheKind.STATE, 1, 400)), 4)
    manager = JengaManager(spec, host_backing(4), JengaOptions())
    assert manager.large == LargePage(512, Fit.PADDED)
    manager.admit(0, 4)
    usage = manager.usage()
    assert usage.pools == (
        PoolUsage("kv", 240, 2, 1),
        PoolUsage("state", 400, 1, 1),
        PoolUsage("large", 512, 6, 0),
    )
    assert usage.external_waste_bytes == 32 + 112
    assert usage.internal_waste_bytes == 0


def test_memory_below_a_large_page_holds_nothing(host_backing: MakeBacking) -> None:
    spec = CacheSpec((KV, CacheGroup("ssm", CacheKind.STATE, 1, 5000)), 4)
    manager = JengaManager(spec, host_backing(4), JengaOptions())
    assert free_large(manager) == 0
    assert manager.max_sequence_tokens == 0


def test_an_owner_who_is_gone_is_noticed(host_backing: MakeBacking) -> None:
    manager = JengaManager(SPEC, host_backing(64), JengaOptions())
    manager.admit(0, 4)
    manager._owned[0].forget(0)  # noqa: SLF001 - a sequence may have nothing open
    manager.check_integrity()
    manager._owned[0]._open[7] = 0  # noqa: SLF001 - damage
    with pytest.raises(AssertionError, match="an owner is gone"):
        manager.check_integrity()


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="max_large_mib"):
        JengaOptions(max_large_mib=0)
