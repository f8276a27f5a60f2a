"""Batched page operations against the same done page by page in numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")
page_ops = pytest.importorskip("gpu_backend.page_ops", reason="torch is not installed")

SLAB_BYTES = 4096
STRIDE = -0x61C8864680B583EB


@st.composite
def page_lists(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A page size, and offsets of pages that do not overlap: from the start, the end, or odd."""
    unit = draw(st.sampled_from([1, 4, 16, 128]))
    page_bytes = unit * draw(st.integers(1, 24))
    most = SLAB_BYTES // page_bytes
    numbers = draw(st.lists(st.integers(0, most - 1), min_size=1, max_size=20, unique=True))
    rest = SLAB_BYTES - most * page_bytes
    start = draw(st.sampled_from([0, rest, rest // 16 * 16]))
    offsets = [start + number * page_bytes for number in numbers]
    return page_bytes, offsets


def random_slab(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SLAB_BYTES, dtype=np.uint8)


@given(pages=page_lists(), seed=st.integers(0, 999))
def test_copying_moves_exactly_those_bytes(pages: tuple[int, list[int]], seed: int) -> None:
    page_bytes, offsets = pages
    half = len(offsets) // 2
    sources, targets = offsets[:half], offsets[half : 2 * half]
    before = random_slab(seed)
    wanted = before.copy()
    for source, target in zip(sources, targets, strict=True):
        wanted[target : target + page_bytes] = before[source : source + page_bytes]
    slab = torch.from_numpy(before.copy())
    page_ops.TorchPageOps().copy(slab, page_bytes, sources, targets)
    np.testing.assert_array_equal(slab.numpy(), wanted)


@given(
    pages=page_lists(),
    stride=st.sampled_from([0, 1, STRIDE]),
    spoiled=st.integers(0, 10_000),
    data=st.data(),
)
def test_a_filled_page_differs_as_soon_as_one_byte_does(
    pages: tuple[int, list[int]], stride: int, spoiled: int, data: st.DataObject
) -> None:
    page_bytes, offsets = pages
    words = st.integers(-(2**63), 2**63 - 1)
    seeds = data.draw(st.lists(words, min_size=len(offsets), max_size=len(offsets)))
    pattern = page_ops.Pattern(seeds, stride)
    before = random_slab(spoiled)
    slab = torch.from_numpy(before.copy())
    ops = page_ops.TorchPageOps()
    ops.fill(slab, page_bytes, offsets, pattern)
    inside = np.zeros(SLAB_BYTES, dtype=bool)
    for offset in offsets:
        inside[offset : offset + page_bytes] = True
    np.testing.assert_array_equal(slab.numpy()[~inside], before[~inside])
    assert not ops.differ(slab, page_bytes, offsets, pattern).any()
    victim = spoiled % len(offsets)
    slab[offsets[victim] + spoiled % page_bytes] ^= 0x40
    found = ops.differ(slab, page_bytes, offsets, pattern).nonzero().flatten().tolist()
    assert found == [victim]


def test_a_kernel_may_do_the_copies() -> None:
    seen: list[object] = []
    slab = torch.zeros(256, dtype=torch.uint8)
    ops = page_ops.TorchPageOps(lambda *arguments: seen.extend(arguments))
    ops.copy(slab, 16, [], [])
    assert not seen
    ops.copy(slab, 16, [0, 32], [64, 128])
    assert seen[0] is slab
    assert seen[1] == 16
    assert [offsets.tolist() for offsets in seen[2:]] == [[0, 32], [64, 128]]  # type: ignore[attr-defined]


def test_a_word_is_seed_and_place() -> None:
    slab = torch.zeros(64, dtype=torch.uint8)
    pattern = page_ops.Pattern([2**63 - 1, 5], 3)
    page_ops.TorchPageOps().fill(slab, 16, [16, 48], pattern)
    words = slab.view(torch.int64).tolist()
    assert words == [0, 0, 2**63 - 1, -(2**63) + 2, 0, 0, 5, 8]


def test_long_lists_are_worked_off_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_ops, "MOST_BYTES", 64)
    slab = torch.from_numpy(random_slab(3))
    offsets = list(range(0, 2048, 32))
    pattern = page_ops.Pattern(list(range(64)), STRIDE)
    ops = page_ops.TorchPageOps()
    ops.fill(slab, 32, offsets, pattern)
    ops.copy(slab, 32, offsets, [offset + 2048 for offset in offsets])
    moved = [offset + 2048 for offset in offsets]
    assert not ops.differ(slab, 32, moved, pattern).any()
    slab[2048 + 5 * 32] += 1
    assert ops.differ(slab, 32, moved, pattern).nonzero().flatten().tolist() == [5]
