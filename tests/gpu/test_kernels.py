from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from gpu_backend.kernels.reference import TorchKernels
from gpu_backend.kernels.views import CONTIGUOUS, PAGE, KvShape, StateShape
from gpu_backend.page_ops import Pattern, TorchPageOps
from tests.gpu.paged_caches import Case, copy_of, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_backend.kernels.interface import Kernels

pytest.importorskip("triton", reason="triton is not installed")

from gpu_backend.kernels.device import pages as page_kernels
from gpu_backend.kernels.device.kernels import TritonKernels

HALF = torch.bfloat16 if torch.cuda.is_available() else torch.float16
"""The interpreter cuts bfloat16 off where devices round."""

TOLERANCE = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Of float32 arithmetic, and of operands and results rounded to 11 bits or to 8."""

KV = {
    "plain": KvShape(16, 4, 64, HALF),
    "odd": KvShape(4, 3, 32, torch.float32),
    "long pages": KvShape(64, 4, 16, torch.float32),
}
STATE = {
    "half": StateShape(8, 16, 32, 2, 4, HALF, HALF),
    "float32 of half": StateShape(4, 16, 16, 1, 4, torch.float32, HALF),
    "float32": StateShape(6, 16, 16, 3, 3, torch.float32, torch.float32),
}
ONE_TOKEN = ((1, 40), (1, 0), (1, 15), (0, 0), (1, 16), (1, 300))
CHUNKS = ((5, 0), (1, 33), (40, 16), (2, 1), (70, 0))
SHORT_CHUNKS = ((5, 0), (1, 33), (20, 16), (2, 1))
GROUPS = 4

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy, in the interpreter


def kernels() -> tuple[Kernels, Kernels]:
    return TritonKernels(), TorchKernels(torch.float64)


def check_attention(case: Case, shape: KvShape, attend: Callable[..., Any]) -> None:
    layer = case.kv(shape, layers_in_page=2)
    qkv = case.random(case.num_tokens, (GROUPS + 2) * shape.kv_heads, shape.head_dim)
    width = GROUPS * shape.kv_heads * shape.head_dim
    fast, exact = (
        torch.full((case.num_tokens, width), torch.nan, device=case.device, dtype=kind)
        for kind in (shape.dtype, torch.float64)
    )
    ours, reference = kernels()
    attend(ours)(qkv, layer, case.runs(), fast)
    attend(reference)(qkv, layer, case.runs(), exact)
    assert error(fast, exact) < TOLERANCE[shape.dtype]


@pytest.mark.parametrize("shape", KV.values(), ids=KV)
@pytest.mark.parametrize("segments", [ONE_TOKEN, ONE_TOKEN[:3]])
def test_decode_attention_is_that_of_float64(
    shape: KvShape, segments: tuple[tuple[int, int], ...], device: str
) -> None:
    check_attention(Case(segments, shape.dtype, device), shape, lambda k: k.attend)


@pytest.mark.parametrize("shape", [*list(KV.values())[:2], KvShape(128, 4, 16, torch.float32)])
@pytest.mark.parametrize("naming", [PAGE, CONTIGUOUS])
def test_pages_are_found_without_handles_where_that_is_measured(
    naming: str, shape: KvShape, device: str
) -> None:
    case = Case(ONE_TOKEN, shape.dtype, device)
    layer = case.kv(shape)
    if naming == PAGE:
        names = layer.pages.of(layer.handles)
    else:
        names = torch.arange(layer.handles.numel(), dtype=torch.int32, device=device)
        names = names.view(layer.handles.shape)
        layer.view().nan_to_num_(0.5)  # other pages than those by handle: nothing is spoilt there
    named = replace(layer, pages=replace(layer.pages, naming=naming), handles=names)
    qkv = case.random(case.num_tokens, (GROUPS + 2) * shape.kv_heads, shape.head_dim)
    fast = torch.full_like(qkv[:, : GROUPS * shape.kv_heads].flatten(1), torch.nan)
    exact = fast.double()
    ours, reference = kernels()
    ours.attend(qkv, named, case.runs(), fast)
    reference.attend(qkv, named, case.runs(), exact)
    assert error(fast, exact) < TOLERANCE[shape.dtype]


@pytest.mark.parametrize("shape", KV.values(), ids=KV)
def test_chunk_attention_is_that_of_float64(shape: KvShape, device: str) -> None:
    check_attention(Case(SHORT_CHUNKS, shape.dtype, device), shape, lambda k: k.attend_chunks)


@pytest.mark.parametrize(
    ("shape", "rotated"), list(zip(KV.values(), (0.5, 1, 0), strict=True)), ids=KV
)
def test_keys_and_values_reach_their_pages_and_nothing_else_changes(
    shape: KvShape, rotated: float, device: str
) -> None:
    case = Case(SHORT_CHUNKS, shape.dtype, device)
    layer, rotary = case.kv(shape), case.rotary(int(rotated * shape.head_dim))
    qkv = case.random(case.num_tokens, (GROUPS + 2) * shape.kv_heads, shape.head_dim)
    other, rotated_by_other = replace(layer, pages=copy_of(layer.pages)), qkv.clone()
    ours, reference = kernels()
    ours.store_kv(qkv, layer, case.runs(), rotary)
    reference.store_kv(rotated_by_other, other, case.runs(), rotary)
    heads = GROUPS * shape.kv_heads
    assert error(qkv[:, :heads], rotated_by_other[:, :heads]) < TOLERANCE[shape.dtype]
    found, expected = (each.pages.slab.view(shape.dtype) for each in (layer, other))
    assert torch.equal(found.isnan(), expected.isnan())
    found, expected = found.nan_to_num(0), expected.nan_to_num(0)
    assert error(found, expected) < TOLERANCE[shape.dtype]
    assert (found != expected).float().mean() < 0.1, "untouched bytes are the same bits"


@pytest.mark.parametrize("shape", STATE.values(), ids=STATE)
@pytest.mark.parametrize("segments", [ONE_TOKEN, CHUNKS])
def test_convolution_and_the_inputs_it_keeps_are_those_of_float64(
    shape: StateShape, segments: tuple[tuple[int, int], ...], device: str
) -> None:
    case = Case(segments, shape.conv_dtype, device)
    layer, inputs = case.state(shape), case.conv_inputs(shape)
    other = replace(layer, pages=copy_of(layer.pages))
    fast = torch.full_like(inputs.x, torch.nan).contiguous()
    exact = fast.double()
    ours, reference = kernels()
    ours.convolve(inputs, layer, case.runs(), fast)
    reference.convolve(inputs, other, case.runs(), exact)
    assert error(fast, exact) < TOLERANCE[shape.conv_dtype]
    assert torch.equal(layer.inputs(), other.inputs())


def check_recurrence(
    case: Case, shape: StateShape, advance: Callable[..., Any], slack: int = 1
) -> None:
    layer, inputs = case.state(shape), case.ssm_inputs(shape)
    layer.recurrent().copy_(case.random(len(case.segments) + 1, *layer.recurrent().shape[1:]))
    other = replace(layer, pages=copy_of(layer.pages))
    fast = case.random(case.num_tokens, shape.inner_size) * torch.nan
    exact = fast.double()
    ours, reference = kernels()
    advance(ours)(inputs, layer, case.runs(), fast)
    advance(reference)(inputs, other, case.runs(), exact)
    tolerance = slack * TOLERANCE[shape.conv_dtype]
    assert error(fast, exact) < tolerance
    assert error(layer.recurrent(), other.recurrent()) < tolerance
    assert torch.equal(layer.inputs(), other.inputs()), "the other part of the page is untouched"


@pytest.mark.parametrize("shape", STATE.values(), ids=STATE)
def test_state_update_is_that_of_float64(shape: StateShape, device: str) -> None:
    check_recurrence(Case(ONE_TOKEN, shape.conv_dtype, device), shape, lambda k: k.update_state)


@pytest.mark.parametrize("shape", STATE.values(), ids=STATE)
def test_scan_is_the_recurrence_in_float64(shape: StateShape, device: str) -> None:
    check_recurrence(Case(CHUNKS, shape.conv_dtype, device), shape, lambda k: k.scan)


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_norms_and_activations_are_those_of_float64(dtype: torch.dtype, device: str) -> None:
    case = Case((), dtype, device)
    x, added, gate = case.random(5, 192), case.random(5, 192) * 2, case.random(5, 256)[:, :192]
    weight = case.random(192)
    ours, reference = kernels()
    sums, exact_sums = x.clone(), x.clone()
    results = [
        (ours.norm(sums, added, weight, 1e-5), reference.norm(exact_sums, added, weight, 1e-5)),
        (ours.norm(x, None, weight, 1e-5), reference.norm(x, None, weight, 1e-5)),
        *(
            (
                ours.gated_norm(x, gate, weight, 1e-5, n),
                reference.gated_norm(x, gate, weight, 1e-5, n),
            )
            for n in (1, 3)
        ),
        (ours.gated_silu(x), reference.gated_silu(x)),
        (ours.squared_relu(x), reference.squared_relu(x)),
    ]
    assert torch.equal(sums, exact_sums)
    for found, expected in results:
        assert error(found, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("page_bytes", [48, 16400])
def test_pages_are_copied_filled_and_compared_in_lists(page_bytes: int, device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    slab = torch.randint(256, (12 * page_bytes,), generator=generator, dtype=torch.uint8)
    slab, other = slab.to(device), slab.to(device).clone()
    offsets = [page * page_bytes for page in (7, 2, 11, 0, 3, 9)]
    pattern = Pattern([-5, 3 << 61], -0x61C8864680B583EB)
    for ops, held in ((page_kernels.TritonPageOps(), slab), (TorchPageOps(), other)):
        ops.copy(held, page_bytes, offsets[:3], offsets[3:])
        ops.fill(held, page_bytes, offsets[:2], pattern)
        held[7 * page_bytes + page_bytes - 1] += 1
        found = ops.differ(held, page_bytes, offsets[:2], pattern)
        assert found.tolist() == [True, False]
    assert torch.equal(slab, other)


def test_words_are_scattered_in_one_launch(device: str) -> None:
    target = torch.zeros(3000, dtype=torch.int32, device=device)
    places = torch.randperm(3000, generator=torch.Generator().manual_seed(1))[:1500]
    changes = torch.stack((places, places * 3 + 1)).to(device, torch.int32)
    page_kernels.scatter(target, changes)
    expected = torch.zeros_like(target)
    expected[changes[0].long()] = changes[1]
    assert torch.equal(target, expected)
