"""Under a long run of calls every page keeps its bytes, and nothing of a device stays behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from allocator.pooled import PooledManager
from allocator.registry import known_managers
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import Place
    from gpu_backend.byte_backing import ByteBacking
    from tests.conformance.conftest import Churn
    from tests.conftest import Design, MemoryCase

RELOCATING = ("avmp", "two-ended")
"""With their defaults they copy live pages."""


def places(manager: PooledManager, sequences: list[int]) -> dict[int, Place]:
    """Where every live page lies, by handle."""
    names = [group.name for group in manager.spec.groups]
    tables = (manager.block_table(sequence, name) for sequence in sequences for name in names)
    return {handle: manager.place(handle) for table in tables for handle in table}


def test_every_page_keeps_its_bytes(
    paged_design: Design,
    byte_case: MemoryCase,
    new_memory: Callable[[MemoryCase], ByteBacking],
    new_churn: type[Churn],
) -> None:
    from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

    with new_memory(byte_case) as memory:
        guard = GuardedBacking(memory)
        manager: PooledManager = paged_design.build(byte_case.spec, guard)  # type: ignore[assignment]
        churn = new_churn(manager)
        for _ in range(30):
            churn.run(3)  # a scheduler makes several calls before anybody looks
            guard.observe(places(manager, list(churn.tokens)))
            guard.verify()
        memory.check_integrity()
        assert guard.corrupted_pages == 0
        assert guard.verified_pages > 100
    assert memory.physical_bytes == 0


@pytest.mark.parametrize("name", RELOCATING)
def test_relocated_pages_keep_their_bytes(
    name: str,
    byte_case: MemoryCase,
    new_memory: Callable[[MemoryCase], ByteBacking],
    new_churn: type[Churn],
) -> None:
    from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

    groups = (
        CacheGroup("kv", CacheKind.ATTENTION, 2, 32),
        CacheGroup("ssm", CacheKind.STATE, 3, 800),
    )
    with new_memory(replace(byte_case, num_granules=160)) as memory:
        guard = GuardedBacking(memory)
        design = known_managers()[name]
        manager = design.build(CacheSpec(groups, 4), guard, design.Options())
        assert isinstance(manager, PooledManager)
        churn = new_churn(manager)
        while guard.counters().copies < 4:
            churn.run(8)
            guard.observe(places(manager, list(churn.tokens)))
            guard.verify()
        assert guard.corrupted_pages == 0
        assert guard.counters().copied_bytes > 0


def test_a_byte_that_changes_is_found(
    new_memory: Callable[[MemoryCase], ByteBacking], byte_case: MemoryCase
) -> None:
    from allocator.backing import Place  # noqa: PLC0415 - beside what needs torch
    from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

    with new_memory(byte_case) as memory:
        guard = GuardedBacking(memory)
        slab, size = guard.reserve(memory.granule_bytes), 48
        guard.map(slab, 0, 1)
        guard.observe({handle: Place(slab, handle * size, size) for handle in range(10)})
        assert guard.verify() == []
        view = memory.slab_bytes(slab)
        view[4 * size + 7] ^= 1
        assert guard.verify() == [4]
        guard.observe({handle: Place(slab, handle * size, size) for handle in range(10, 14)})
        view[10 * size : 11 * size] = view[11 * size : 12 * size].clone()
        assert guard.verify() == [10]  # a whole page of somebody else
        assert guard.corrupted_pages == 2


def test_a_page_that_moves_without_its_bytes_is_found(
    new_memory: Callable[[MemoryCase], ByteBacking], byte_case: MemoryCase
) -> None:
    from allocator.backing import Place  # noqa: PLC0415 - beside what needs torch
    from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

    with new_memory(byte_case) as memory:
        guard = GuardedBacking(memory)
        slab = guard.reserve(memory.granule_bytes)
        guard.map(slab, 0, 1)
        guard.observe({1: Place(slab, 0, 64), 2: Place(slab, 64, 64)})
        guard.copy_pages(slab, 64, [(0, 128)])
        guard.observe({1: Place(slab, 128, 64), 2: Place(slab, 256, 64)})
        assert guard.corrupted_pages == 1
        words = memory.slab_bytes(slab)[:128].tolist()
        assert words == [0xEF, 0xBE, 0xAD, 0xDE] * 32  # nobody reads what has gone


def test_fresh_memory_holds_nobodys_bytes(
    new_memory: Callable[[MemoryCase], ByteBacking], byte_case: MemoryCase
) -> None:
    from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

    with new_memory(byte_case) as memory:
        guard = GuardedBacking(memory)
        slab = guard.reserve(2 * memory.granule_bytes)
        guard.map(slab, 0, 2)
        memory.slab_bytes(slab)[:] = 1
        guard.unmap(slab, 0, 2)
        guard.map(slab, 0, 2)
        assert set(memory.slab_bytes(slab).tolist()) == {0xEF, 0xBE, 0xAD, 0xDE}
        with pytest.raises(ValueError, match="cannot flip"):
            guard.map(slab, 1, 1)
