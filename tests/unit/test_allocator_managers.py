from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from allocator import managers
from allocator.backing import HostBacking
from allocator.discovery import discover
from allocator.interface import UNBOUNDED_TOKENS, CacheManager, OutOfMemoryError, PoolUsage, Usage
from allocator.managers.avmp import AvmpManager, AvmpOptions, Trigger
from allocator.managers.padded import PaddedManager, PaddedOptions
from allocator.managers.shared_bytes import SharedBytesManager, SharedBytesOptions
from allocator.managers.static import StaticManager, StaticOptions
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec, Granularity

MakeBacking = Callable[[int], HostBacking]
KV = CacheGroup("kv", CacheKind.ATTENTION, 2, 64)  # 256-byte pages a layer, 4 tokens each
SSM = CacheGroup("ssm", CacheKind.STATE, 3, 320)  # 320-byte pages a layer
SPEC = CacheSpec((KV, SSM), page_tokens=4)


BY_GROUP = StaticOptions(granularity=Granularity.GROUP)


def test_the_registry_finds_every_design_in_order_of_name() -> None:
    assert list(known_managers()) == [
        "avmp",
        "contiguous",
        "granule",
        "jenga",
        "padded",
        "sglang",
        "shared-bytes",
        "static",
        "two-ended",
        "vllm",
    ]
    assert known_managers()["avmp"] is AvmpManager


def test_two_designs_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PaddedManager, "name", "static")
    with pytest.raises(ValueError, match="two designs are called static"):
        discover(managers, CacheManager)  # type: ignore[type-abstract]


@pytest.mark.parametrize("ratio", [0, 1, -0.5, 1.5, float("nan")])
@pytest.mark.parametrize("options", [StaticOptions, AvmpOptions])
def test_a_split_leaves_something_to_both(
    options: type[StaticOptions] | type[AvmpOptions], ratio: float
) -> None:
    with pytest.raises(ValueError, match="state_ratio must lie between 0 and 1"):
        options(state_ratio=ratio)


@pytest.mark.parametrize(("batch", "unit", "hysteresis"), [(0, 8, 0), (1, -1, 0), (1, 0, -1)])
def test_amounts_of_avmp_are_not_below_their_least(batch: int, unit: int, hysteresis: int) -> None:
    with pytest.raises(ValueError, match="at least 1 granule, unit and hysteresis at least 0"):
        AvmpOptions(batch=batch, unit=unit, hysteresis=hysteresis)
    AvmpOptions(batch=1, unit=0, hysteresis=0)


def test_options_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        AvmpOptions().batch = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("num_granules", "ratio", "state_granules"),
    [(10, 0.5, 5), (11, 0.5, 5), (10, 0.99, 9), (10, 0.09, 0), (100, 0.29, 28), (7, 0.75, 5)],
)
def test_the_state_share_is_rounded_down(
    host_backing: MakeBacking, num_granules: int, ratio: float, state_granules: int
) -> None:
    """As the paper: int(total x ratio); 100 x 0.29 is 28.999... in binary."""
    options = StaticOptions(state_ratio=ratio, granularity=Granularity.LAYER)
    kv, state = StaticManager(SPEC, host_backing(num_granules), options).usage().pools
    assert kv == PoolUsage("kv", 256, (num_granules - state_granules) * 4, 0)
    assert state == PoolUsage("state", 320, state_granules * 1024 // 320, 0)


def test_group_pages_hold_all_layers(host_backing: MakeBacking) -> None:
    kv, state = StaticManager(SPEC, host_backing(10), BY_GROUP).usage().pools
    assert (kv.page_bytes, kv.num_pages) == (512, 10)
    assert (state.page_bytes, state.num_pages) == (960, 5)


def test_groups_of_one_kind_share_pages_of_the_largest(host_backing: MakeBacking) -> None:
    local = CacheGroup("local", CacheKind.ATTENTION, 1, 100)
    options = StaticOptions(granularity=Granularity.LAYER)
    manager = StaticManager(CacheSpec((KV, local, SSM), 4), host_backing(10), options)
    assert [pool.page_bytes for pool in manager.usage().pools] == [400, 320]
    manager.admit(0, 5)
    assert len(manager.block_table(0, "kv")) == 2 * 2
    assert len(manager.block_table(0, "local")) == 2
    assert manager.usage().internal_waste_bytes == 6 * 400 - 5 * (128 + 100)


@pytest.mark.parametrize("group", [KV, SSM])
@pytest.mark.parametrize("design", [StaticManager, AvmpManager])
def test_one_kind_of_cache_gets_one_pool_with_everything(
    host_backing: MakeBacking, design: type[CacheManager], group: CacheGroup
) -> None:
    manager = design(CacheSpec((group,), 4), host_backing(10), design.Options(state_ratio=0.1))
    (pool,) = manager.usage().pools
    assert pool.num_pages == 10 * 1024 // pool.page_bytes


def test_a_page_of_padded_has_the_largest_size(host_backing: MakeBacking) -> None:
    manager = PaddedManager(SPEC, host_backing(10), PaddedOptions())
    manager.admit(0, 9)
    (pool,) = manager.usage().pools
    assert pool == PoolUsage("unified", 320, 32, 3 * 2 + 3)
    assert manager.usage().external_waste_bytes == 0


def test_waste_is_told_apart(host_backing: MakeBacking) -> None:
    manager = StaticManager(SPEC, host_backing(10), BY_GROUP)
    manager.admit(0, 5)
    assert manager.usage() == Usage(
        budget_bytes=10240,
        footprint_bytes=10240,
        pools=(PoolUsage("kv", 512, 10, 2), PoolUsage("state", 960, 5, 1)),
        needed_bytes=5 * 128 + 960,
        reserve_bytes=0,
        peak_granted_bytes=2 * 512 + 960,
    )
    assert manager.usage().internal_waste_bytes == 3 * 128
    assert manager.usage().external_waste_bytes == 5 * 1024 - 5 * 960
    assert [pool.free_bytes for pool in manager.usage().pools] == [8 * 512, 4 * 960]


@pytest.mark.parametrize("trigger", Trigger)
def test_a_state_share_of_nothing_has_a_usage(host_backing: MakeBacking, trigger: Trigger) -> None:
    options = AvmpOptions(state_ratio=0.01, trigger=trigger, unit=1, granularity=Granularity.GROUP)
    usage = AvmpManager(SPEC, host_backing(10), options).usage()
    assert [pool.num_pages for pool in usage.pools] == [20, 0]
    assert usage.reserve_bytes == usage.external_waste_bytes == 0


@pytest.mark.parametrize(
    ("design", "options", "tokens"),
    [
        (StaticManager, StaticOptions(state_ratio=0.2), 16 * 4),  # 8 granules of two pages
        (AvmpManager, AvmpOptions(), 18 * 4),  # a unit is a granule; all of them but one
        (AvmpManager, AvmpOptions(unit=3), 14 * 4),  # 1 granule of base, all units but one
        (AvmpManager, AvmpOptions(trigger=Trigger.OFF), 10 * 4),
        (PaddedManager, PaddedOptions(), 9 * 4),  # 20 pages less 2, for two layers
        (SharedBytesManager, SharedBytesOptions(), (10240 - 1024) // 128),
    ],
)
def test_the_longest_sequences_by_hand(
    host_backing: MakeBacking, design: type[CacheManager], options: object, tokens: int
) -> None:
    spec = CacheSpec((KV, CacheGroup("ssm", CacheKind.STATE, 2, 512)), 4)
    assert design(spec, host_backing(10), options).max_sequence_tokens == tokens


def test_a_state_that_does_not_fit_leaves_no_tokens(host_backing: MakeBacking) -> None:
    spec = CacheSpec((KV, CacheGroup("ssm", CacheKind.STATE, 1, 5000)), 4)
    for design in known_managers().values():
        manager = design(spec, host_backing(4), design.Options())
        assert manager.max_sequence_tokens == 0
        with pytest.raises(OutOfMemoryError):
            manager.admit(0, 1)


def test_state_alone_bounds_no_length(host_backing: MakeBacking) -> None:
    for design in known_managers().values():
        manager = design(CacheSpec((SSM,)), host_backing(4), design.Options())
        assert manager.max_sequence_tokens == UNBOUNDED_TOKENS
        manager.admit(0, 10**15)
        assert manager.usage().needed_bytes == 960


def test_out_of_memory_names_the_pool(host_backing: MakeBacking) -> None:
    manager = StaticManager(SPEC, host_backing(10), replace(BY_GROUP, state_ratio=0.2))
    manager.admit(0, 30)
    with pytest.raises(OutOfMemoryError, match="pool kv: 9 asked, 8 free, 8 at most") as caught:
        manager.admit(1, 33)
    assert (caught.value.pool, caught.value.asked, caught.value.free) == ("kv", 9, 8)
    assert not caught.value.migration_blocked
    manager.admit(1, 1)
    with pytest.raises(OutOfMemoryError, match="pool state: 1 asked, 0 free, 0 at most"):
        manager.admit(2, 1)


def test_a_table_beyond_32_bits_is_refused_at_once() -> None:
    tiny = CacheSpec((CacheGroup("kv", CacheKind.ATTENTION, 1, 1),))
    with pytest.raises(ValueError, match="do not fit 32-bit handles"):
        StaticManager(tiny, HostBacking(8 << 30), StaticOptions())
