"""Whatever call of the driver fails, nothing is half done and nothing stays allocated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

torch = pytest.importorskip("torch", reason="torch is not installed")
availability = pytest.importorskip("gpu_backend.availability")
driver_module = pytest.importorskip("gpu_backend.driver")
host_driver = pytest.importorskip("gpu_backend.host_driver")
vmm_backing = pytest.importorskip("gpu_backend.vmm_backing")

GRANULE = 4096
FAILING = {"reserve", "create", "map", "allow_access", "unmap", "release", "tensor"}


class FaultyDriver:
    """Fails at the n-th of the calls that can fail; then never again."""

    def __init__(self, fails_at: int) -> None:
        self.inner = host_driver.HostDriver()
        self.granule_bytes = self.inner.granule_bytes
        self.left = fails_at

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method of the driver
        method = getattr(self.inner, name)
        return partial(self._perhaps, name, method) if name in FAILING else method

    def _perhaps(self, name: str, method: Callable[..., Any], *arguments: int) -> Any:  # noqa: ANN401 - what the driver returns
        self.left -= 1
        if self.left == 0:
            raise driver_module.DriverError(f"{name} failed: out of luck")
        return method(*arguments)


def everything(backing: Any) -> None:  # noqa: ANN401 - imported if torch is
    """Reserve, map pieces of several sizes, move them, copy, and split the budget anew."""
    one, two = backing.reserve(8 * GRANULE), backing.reserve(8 * GRANULE)
    backing.map(one, 0, 3)
    backing.map(one, 3, 3)
    backing.slab_bytes(one)[:16] = 7
    backing.copy_pages(one, 16, [(0, 64)])
    backing.unmap(one, 3, 3)
    backing.map(two, 0, 3)
    backing.map(two, 3, 2)
    backing.unmap(two, 0, 5)
    backing.map(two, 0, 5)  # no such piece: those of 3 and 2 granules are released first
    backing.unmap(one, 0, 3)
    backing.map(one, 4, 1)


def state_of(backing: Any) -> tuple[object, ...]:  # noqa: ANN401 - imported if torch is
    return backing.counters(), backing.num_free_granules


def count_calls() -> int:
    driver = FaultyDriver(0)
    with vmm_backing.VmmBacking(8 * GRANULE, driver) as backing:
        everything(backing)
        return -driver.left


@pytest.mark.parametrize("fails_at", range(1, count_calls() + 1))
def test_a_run_that_fails_half_way_leaves_nothing_allocated(fails_at: int) -> None:
    driver = FaultyDriver(fails_at)
    with vmm_backing.VmmBacking(8 * GRANULE, driver) as backing:
        with pytest.raises(driver_module.DriverError, match="out of luck"):
            everything(backing)
        backing.check_integrity()
        assert driver.inner.held_bytes == backing.physical_bytes
    assert driver.inner.held_bytes == driver.inner.reserved_bytes == 0


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_mapping_that_fails_changes_nothing_and_works_the_next_time(fails_at: int) -> None:
    driver = FaultyDriver(0)
    with vmm_backing.VmmBacking(8 * GRANULE, driver) as backing:
        slab = backing.reserve(8 * GRANULE)
        before = state_of(backing)
        driver.left = fails_at  # create, map or access
        with pytest.raises(driver_module.DriverError):
            backing.map(slab, 2, 4)
        assert state_of(backing) == before
        backing.check_integrity()
        backing.map(slab, 2, 4)
        backing.slab_bytes(slab)[2 * GRANULE : 6 * GRANULE] = 1


def test_closing_goes_on_after_a_failure_and_says_so() -> None:
    driver = FaultyDriver(0)
    backing = vmm_backing.VmmBacking(8 * GRANULE, driver)
    everything(backing)
    driver.left = 1
    with pytest.raises(driver_module.DriverError, match="unmap failed"):
        backing.close()
    assert driver.inner.held_bytes == driver.inner.reserved_bytes == 0


def test_a_run_that_cuts_a_mapping_is_refused() -> None:
    with vmm_backing.VmmBacking(8 * GRANULE, host_driver.HostDriver()) as backing:
        slab = backing.reserve(8 * GRANULE)
        backing.map(slab, 0, 4)
        backing.map(slab, 4, 2)
        before = state_of(backing)
        for first, count in [(0, 2), (2, 2), (1, 3), (0, 5), (3, 3)]:
            with pytest.raises(ValueError, match="cut what one call mapped"):
                backing.unmap(slab, first, count)
        assert state_of(backing) == before
        backing.unmap(slab, 0, 6)


def test_pieces_are_created_once_and_moved() -> None:
    driver = host_driver.HostDriver()
    created: list[int] = []
    create = driver.create

    def noted(size_bytes: int) -> int:
        created.append(size_bytes)
        return int(create(size_bytes))

    driver.create = noted
    with vmm_backing.VmmBacking(8 * GRANULE, driver) as backing:
        slabs = [backing.reserve(8 * GRANULE) for _ in range(2)]
        for unit in range(4):
            backing.map(slabs[0], 2 * unit, 2)
        for turn in range(20):
            backing.unmap(slabs[turn % 2], 0, 2)
            backing.map(slabs[1 - turn % 2], 0, 2)
    assert created == [2 * GRANULE] * 4


def test_unmapping_waits_for_copies_in_its_slab_and_for_nothing_else() -> None:
    driver = host_driver.HostDriver()
    waits: list[str] = []

    class Fence:
        def synchronize(self) -> None:
            waits.append("waited")

    driver.fence = Fence
    with vmm_backing.VmmBacking(8 * GRANULE, driver) as backing:
        one, two = (backing.reserve(4 * GRANULE) for _ in range(2))
        backing.map(one, 0, 2)
        backing.map(one, 2, 2)
        backing.map(two, 0, 2)
        backing.copy_pages(one, 16, [(0, 64)])
        backing.unmap(two, 0, 2)
        assert not waits
        backing.unmap(one, 2, 2)
        backing.unmap(one, 0, 2)
        assert waits == ["waited"]


def test_granules_are_made_of_those_of_the_device() -> None:
    driver = host_driver.HostDriver()
    for size in (GRANULE // 2, GRANULE + 128):
        with pytest.raises(availability.UnavailableError, match="is not supported"):
            vmm_backing.VmmBacking(64 * GRANULE, driver, size)
    with vmm_backing.VmmBacking(64 * GRANULE, driver, 4 * GRANULE) as backing:
        assert backing.num_granules == 16
        backing.map(backing.reserve(16 * GRANULE), 0, 4)
        assert driver.held_bytes == 16 * GRANULE
