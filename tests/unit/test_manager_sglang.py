from collections.abc import Callable

import pytest

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError, PoolUsage
from allocator.managers.sglang import SglangManager, SglangOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

MakeBacking = Callable[[int], HostBacking]
GIB = 1 << 30
KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 64)  # 128 bytes a token
SSM = CacheGroup("ssm", CacheKind.STATE, 3, 320)  # 960 bytes a slot
SPEC = CacheSpec((KV, SSM), page_tokens=4)


def hybrid(layers: int, state_bytes: int) -> CacheSpec:
    kv = CacheGroup("kv", CacheKind.ATTENTION, layers, 4096)
    return CacheSpec((kv, CacheGroup("ssm", CacheKind.STATE, 24, state_bytes)))


@pytest.mark.parametrize(
    ("spec", "slots", "tokens"),
    [
        (hybrid(4, 4_255_744), 198, 10_788 * 128),  # Nemotron-H-8B
        (hybrid(8, 2_146_304), 393, 10_802 * 64),  # Qwen3.5-9B
    ],
)
def test_40_gib_by_hand(spec: CacheSpec, slots: int, tokens: int) -> None:
    """State has 20,344,581,928 of 42,949,672,960 bytes: 199.2 slots of 102,137,856 bytes, or 394.9
    of 51,511,296. 199 slots fill 9,692 of 20,480 granules, 394 fill 9,678; the rest is for KV.
    """
    kv, state = SglangManager(spec, HostBacking(40 * GIB), SglangOptions()).usage().pools
    assert (state.num_pages, state.page_bytes) == (slots, spec.bytes_per_sequence())
    assert (kv.num_pages, kv.page_bytes) == (tokens, spec.bytes_per_token())


def test_the_formula_and_the_dummy_slot(host_backing: MakeBacking) -> None:
    """40 KiB x 0.5 hold 21 slots of 960 bytes in 20 granules; 20 of them are for requests."""
    usage = SglangManager(SPEC, host_backing(40), SglangOptions(ratio=1)).usage()
    assert usage.pools == (PoolUsage("kv", 128, 160, 0), PoolUsage("state", 960, 20, 0))
    assert usage.external_waste_bytes == 20 * 1024 - 20 * 960


@pytest.mark.parametrize("states", [1, 3, 4, 5])
def test_a_request_reserves_its_slots(host_backing: MakeBacking, states: int) -> None:
    options = SglangOptions(ratio=1, states=states)
    manager = SglangManager(SPEC, host_backing(40), options)
    for sequence in range(20 // states):
        manager.admit(sequence, 1)
    left = 20 % states
    with pytest.raises(OutOfMemoryError, match=f"pool state: {states} asked, {left} free"):
        manager.admit(99, 1)
    assert len(manager.block_table(0, "ssm")) == states


def test_eight_requests_run_in_forty_slots(host_backing: MakeBacking) -> None:
    """S06: K // S = 40 // 5, though 8 slots may then be idle."""
    kv = CacheGroup("kv", CacheKind.ATTENTION, 1, 16)
    spec = CacheSpec((kv, CacheGroup("ssm", CacheKind.STATE, 1, 1024)))
    manager = SglangManager(spec, host_backing(82), SglangOptions(ratio=1, states=5))
    assert manager.usage().pools[1].num_pages == 40
    for sequence in range(8):
        manager.admit(sequence, 1)
    with pytest.raises(OutOfMemoryError):
        manager.admit(8, 1)


@pytest.mark.parametrize(("page_size", "pages"), [(1, 9), (4, 3), (16, 1)])
def test_tokens_take_pages_of_the_chosen_size(
    host_backing: MakeBacking, page_size: int, pages: int
) -> None:
    manager = SglangManager(SPEC, host_backing(40), SglangOptions(page_size=page_size))
    manager.admit(0, 9)
    assert len(manager.block_table(0, "kv")) == pages
    assert manager.usage().internal_waste_bytes == (pages * page_size - 9) * 128
    assert manager.max_sequence_tokens % page_size == 0


@pytest.mark.parametrize(
    ("group", "pool"),
    [(KV, PoolUsage("kv", 128, 80, 0)), (SSM, PoolUsage("state", 960, 9, 0))],
)
def test_one_kind_gets_everything(
    host_backing: MakeBacking, group: CacheGroup, pool: PoolUsage
) -> None:
    manager = SglangManager(CacheSpec((group,)), host_backing(10), SglangOptions())
    assert manager.usage().pools == (pool,)


def test_groups_of_one_kind_have_slots_of_their_own_sizes(host_backing: MakeBacking) -> None:
    """A slot is 960 + 100 (aligned to 112) bytes; 19.1 of them in half of 40 KiB, one spare."""
    conv = CacheGroup("conv", CacheKind.STATE, 1, 100)
    options = SglangOptions(ratio=1)
    usage = SglangManager(CacheSpec((KV, SSM, conv)), host_backing(40), options).usage()
    assert usage.pools[1:] == (
        PoolUsage("state ssm", 960, 18, 0),
        PoolUsage("state conv", 112, 18, 0),
    )


@pytest.mark.parametrize(
    ("name", "value"), [("ratio", 0.0), ("ratio", float("inf")), ("states", 2), ("page_size", 0)]
)
def test_impossible_options_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        SglangOptions(**{name: value})  # type: ignore[arg-type]
