"""Changes that wait never take memory from a live page, and come to the same in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.managers.granule import GranuleManager, GranuleOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from allocator.pooled import PooledManager

pytest.importorskip("torch", reason="torch is not installed")
deferred = pytest.importorskip("gpu_backend.deferred")
driver_module = pytest.importorskip("gpu_backend.driver")
host_driver = pytest.importorskip("gpu_backend.host_driver")
vmm_backing = pytest.importorskip("gpu_backend.vmm_backing")

GRANULE = 4096
GROUPS = (CacheGroup("kv", CacheKind.ATTENTION, 2, 32), CacheGroup("ssm", CacheKind.STATE, 3, 800))
SPEC = CacheSpec(GROUPS, 4)
calls = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 120)), min_size=20, max_size=60)


def make(name: str, backing: object) -> PooledManager:
    if name == "avmp":
        return AvmpManager(SPEC, backing, AvmpOptions())  # type: ignore[arg-type]
    return GranuleManager(SPEC, backing, GranuleOptions(0, 1))  # type: ignore[arg-type]


def call(manager: PooledManager, number: int, kind: int, tokens: int) -> None:
    live = list(manager._held)  # noqa: SLF001 - the test drives it alone
    try:
        if kind < 4 or not live:
            manager.admit(number, tokens)
        elif kind < 7:
            manager.extend(live[tokens % len(live)], tokens // 3)
        else:
            manager.release(live[tokens % len(live)])
    except OutOfMemoryError:
        for sequence in live[:2]:
            manager.release(sequence)


@pytest.mark.parametrize("name", ["avmp", "granule"])
@settings(max_examples=15)
@given(calls=calls)
def test_what_a_step_needs_is_there_before_what_was_prepared(
    name: str, calls: list[tuple[int, int]]
) -> None:
    with deferred.DeferredBacking(
        vmm_backing.VmmBacking(32 * GRANULE, host_driver.HostDriver())
    ) as backing:
        manager, twin = make(name, backing), make(name, HostBacking(32 * GRANULE, GRANULE))
        for number, (kind, tokens) in enumerate(calls):
            for one in (manager, twin):
                call(one, number, kind, tokens)
            after = backing.counters()
            manager.prepare(tokens)
            twin.prepare(tokens)
            beside = backing.counters()
            prepared = beside.maps + beside.unmaps - after.maps - after.unmaps
            backing.apply(leaving=prepared)
            assert backing.num_waiting == prepared
            handles = [
                handle
                for sequence in manager._held  # noqa: SLF001 - the test drives it alone
                for group in GROUPS
                for handle in manager.block_table(sequence, group.name)
            ]
            places = [manager.place(handle) for handle in handles]
            assert all(backing.inner.books.is_mapped(place) for place in places)
            backing.check_integrity()
            backing.apply()
            assert not backing.num_waiting
            assert backing.counters() == twin.backing.counters()
            assert backing.inner.num_free_granules == backing.num_free_granules


def test_what_the_driver_refuses_is_heard_when_it_is_applied() -> None:
    driver = host_driver.HostDriver()

    def refuse(size_bytes: int) -> int:
        raise driver_module.DriverError(f"no {size_bytes} bytes")

    with deferred.DeferredBacking(vmm_backing.VmmBacking(8 * GRANULE, driver)) as backing:
        slab = backing.reserve(8 * GRANULE)
        backing.map(slab, 0, 1)
        assert backing.apply() == 1
        driver.create = refuse
        backing.map(slab, 1, 1)
        with pytest.raises(driver_module.DriverError, match="no 4096 bytes"):
            backing.apply()
        assert backing.num_waiting == 1
        backing.check_integrity()
    assert driver.held_bytes == driver.reserved_bytes == 0


def test_a_copy_finds_what_was_asked_before_it() -> None:
    driver = host_driver.HostDriver()
    with deferred.DeferredBacking(vmm_backing.VmmBacking(8 * GRANULE, driver)) as backing:
        slab = backing.reserve(8 * GRANULE)
        backing.map(slab, 0, 2)
        assert backing.physical_bytes == 0
        backing.copy_pages(slab, 64, [(0, GRANULE)])
        assert backing.physical_bytes == 2 * GRANULE
        assert backing.counters() == backing.inner.counters()
