"""Backings with real bytes do what the host backing counts, and keep every byte that is mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from allocator.backing import BackingExhaustedError, HostBacking

if TYPE_CHECKING:
    from collections.abc import Callable

torch = pytest.importorskip("torch", reason="torch is not installed")
host_driver = pytest.importorskip("gpu_backend.host_driver")
page_ops = pytest.importorskip("gpu_backend.page_ops")
torch_backing = pytest.importorskip("gpu_backend.torch_backing")
vmm_backing = pytest.importorskip("gpu_backend.vmm_backing")

GRANULE = 4096
NUM_GRANULES = 9
SLABS = (7, 12)
"""Granules of each slab."""

PAGE = 1024


class BackingMachine(RuleBasedStateMachine):
    """The model is a host backing, and what each mapped granule holds."""

    def __init__(self, backing: Any, driver: Any) -> None:  # noqa: ANN401 - imported if torch is
        super().__init__()
        self.backing = backing
        self.driver = driver
        self.model = HostBacking(NUM_GRANULES * GRANULE, GRANULE)
        self.runs: dict[tuple[int, int], int] = {}  # what one call mapped
        self.held: dict[tuple[int, int], int] = {}  # by slab and page, the byte it is full of
        self.views = []
        for slab, size in enumerate(SLABS):
            assert self.backing.reserve(size * GRANULE) == slab
            self.model.reserve(size * GRANULE)
            self.views.append(self.backing.slab_bytes(slab))
        self.counter = 0

    def same(self, call: Callable[[Any], None]) -> bool:
        """Whether both succeed; they fail alike."""
        errors: list[Exception | None] = []
        for backing in (self.model, self.backing):
            try:
                call(backing)
            except (ValueError, BackingExhaustedError) as error:
                errors.append(error)
            else:
                errors.append(None)
        assert repr(errors[0]) == repr(errors[1])
        return errors[0] is None

    def pages_of(self, slab: int, first: int, count: int) -> list[tuple[int, int]]:
        per = GRANULE // PAGE
        return [(slab, page) for page in range(first * per, (first + count) * per)]

    @rule(slab=st.integers(0, 1), first=st.integers(0, 11), count=st.integers(1, 5))
    def map(self, slab: int, first: int, count: int) -> None:
        if self.same(lambda backing: backing.map(slab, first, count)):
            self.runs[slab, first] = count
            for place in self.pages_of(slab, first, count):
                self.write(place)

    def write(self, place: tuple[int, int]) -> None:
        slab, page = place
        self.counter = (self.counter + 1) % 256
        self.held[place] = self.counter
        self.views[slab][page * PAGE : (page + 1) * PAGE] = self.counter

    @precondition(lambda self: self.runs)
    @rule(choice=st.integers(0, 999))
    def unmap(self, choice: int) -> None:
        (slab, first), count = sorted(self.runs.items())[choice % len(self.runs)]
        del self.runs[slab, first]
        assert self.same(lambda backing: backing.unmap(slab, first, count))
        for place in self.pages_of(slab, first, count):
            del self.held[place]

    @rule(slab=st.integers(0, 1), first=st.integers(0, 11), count=st.integers(1, 3))
    def unmap_nothing(self, slab: int, first: int, count: int) -> None:
        """What is not all mapped cannot go."""
        if not all(place in self.held for place in self.pages_of(slab, first, count)):
            assert not self.same(lambda backing: backing.unmap(slab, first, count))

    @precondition(lambda self: self.held)
    @rule(slab=st.integers(0, 1), choices=st.lists(st.integers(0, 999), max_size=8))
    def copy(self, slab: int, choices: list[int]) -> None:
        live = sorted(page for owner, page in self.held if owner == slab)
        chosen = list(dict.fromkeys(live[choice % len(live)] for choice in choices if live))
        half = len(chosen) // 2
        pairs = list(zip(chosen[:half], chosen[half : 2 * half], strict=True))
        in_bytes = [(source * PAGE, target * PAGE) for source, target in pairs]
        assert self.same(lambda backing: backing.copy_pages(slab, PAGE, in_bytes))
        for source, target in pairs:
            self.held[slab, target] = self.held[slab, source]

    @rule(slab=st.integers(0, 1), page=st.integers(0, 48), span=st.integers(1, 9))
    def copy_somewhere(self, slab: int, page: int, span: int) -> None:
        """Fails alike where a byte is not mapped; pages onto themselves otherwise."""
        offset, size = page * PAGE, span * PAGE
        self.same(lambda backing: backing.copy_pages(slab, size, [(offset, offset)]))

    @invariant()
    def agrees(self) -> None:
        self.backing.check_integrity()
        assert self.backing.counters() == self.model.counters()
        assert self.backing.num_free_granules == self.model.num_free_granules
        if self.driver is not None:
            assert self.driver.held_bytes == self.backing.physical_bytes
            assert self.backing.physical_bytes <= NUM_GRANULES * GRANULE

    @invariant()
    def keeps_every_byte(self) -> None:
        for (slab, page), byte in self.held.items():
            assert (self.views[slab][page * PAGE : (page + 1) * PAGE] == byte).all()

    def teardown(self) -> None:
        self.views.clear()
        self.backing.close()
        assert self.backing.physical_bytes == 0
        if self.driver is not None:
            assert self.driver.held_bytes == self.driver.reserved_bytes == 0


@pytest.mark.parametrize("kind", ["torch", "vmm"])
def test_every_call_does_what_the_host_backing_counts(kind: str) -> None:
    class Machine(BackingMachine):
        def __init__(self) -> None:
            if kind == "torch":
                backing = torch_backing.TorchBacking(NUM_GRANULES * GRANULE, GRANULE)
                super().__init__(backing, None)
            else:
                driver = host_driver.HostDriver()
                backing = vmm_backing.VmmBacking(NUM_GRANULES * GRANULE, driver)
                super().__init__(backing, driver)

    few = settings(max_examples=settings().max_examples // 2, stateful_step_count=25)
    run_state_machine_as_test(Machine, settings=few)


@pytest.mark.parametrize("kind", ["torch", "vmm"])
def test_slabs_are_aligned_and_whole(kind: str) -> None:
    backings = {
        "torch": lambda: torch_backing.TorchBacking(9 * GRANULE, GRANULE),
        "vmm": lambda: vmm_backing.VmmBacking(9 * GRANULE, host_driver.HostDriver()),
    }
    with backings[kind]() as backing:
        slab = backing.reserve(2 * GRANULE + 1)
        view = backing.slab_bytes(slab)
        assert view.dtype == torch.uint8
        assert view.shape == (3 * GRANULE,)
        assert view.data_ptr() % 128 == 0
        assert backing.slab_bytes(slab) is view


def test_a_torch_slab_is_held_whole_and_a_virtual_one_as_far_as_mapped() -> None:
    """Two slabs of the budget each, as in the paper: twice the budget, or once."""
    budget = 8 * GRANULE
    held = []
    for backing in (
        torch_backing.TorchBacking(budget, GRANULE),
        vmm_backing.VmmBacking(budget, host_driver.HostDriver()),
    ):
        with backing:
            for slab in (backing.reserve(budget), backing.reserve(budget)):
                backing.map(slab, 0, 4)
            held.append(backing.physical_bytes)
    assert held == [2 * budget, budget]
