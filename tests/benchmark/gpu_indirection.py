"""What finding pages by handle costs, on a device and on its host; writes JSON.

python tests/benchmark/gpu_indirection.py OUT.json [host|device]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from allocator.backing import HostBacking
from allocator.managers.avmp import AvmpManager, AvmpOptions
from gpu_backend.arena import Arena
from gpu_backend.bench_caches import Load, RandomCaches
from gpu_backend.bench_timing import Times, captured, times_in_turn
from gpu_backend.decoder import Decoder
from gpu_backend.decoder_weights import RandomWeights
from gpu_backend.kernels.views import CONTIGUOUS, HANDLE, PAGE
from gpu_backend.sequence_tables import Limits, SequenceTables, table_shapes
from scenarios.decoder import decoder_shape_of
from scenarios.machine import MachineOptions
from scenarios.model_file import load_model
from sim.request import Sequence
from traces.record import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.pooled import PooledManager

MODELS = ("nemotron-h-8b", "llama-3.1-8b")
PAGE_TOKENS = (16, 32, 64, 128, 256, 512)
MIXES = {
    "64 of 2,048": (2048,) * 64,
    "128 of 256": (256,) * 128,
    "12 of 8,192": (8192,) * 12,
    "60 of 256, 4 of 8,192": (256,) * 60 + (8192,) * 4,
    "32 of 512, 32 of 4,096": (512,) * 32 + (4096,) * 32,
    "tenants: 96 of 128, 24 of 1,024, 8 of 8,192": (128,) * 96 + (1024,) * 24 + (8192,) * 8,
}
NAMINGS = (HANDLE, PAGE, CONTIGUOUS)
REPEATS = 30
GIB = 1 << 30


class Named:
    """A decode step over caches whose pages are found in one way, and its attention alone."""

    def __init__(self, decoder: Decoder, load: Load, naming: str) -> None:
        made = RandomCaches(decoder.shape, load, "cuda", naming)
        self._decoder, self._caches, self._ragged = decoder, made.caches(), made.decodes()
        attention = decoder.shape.attention
        dim, dtype = attention.kv.head_dim, attention.kv.dtype
        heads = attention.query_heads + 2 * attention.kv.kv_heads
        self._out = torch.empty(load.sequences, dtype=torch.int64, device="cuda")
        self._qkv = torch.randn(load.sequences, heads, dim, dtype=dtype, device="cuda")
        self._mixed = self._qkv.new_empty(load.sequences, attention.query_heads * dim)
        self.step, self.attention = captured(self._step), captured(self._attend)

    def _step(self) -> None:
        logits = self._decoder.logits(self._ragged, self._caches)
        torch.argmax(logits, -1, out=self._out)

    def _attend(self) -> None:
        decodes = self._ragged.decodes
        assert decodes is not None
        for layer in self._caches.kv:
            self._decoder.kernels.attend(self._qkv, layer, decodes, self._mixed)


def measure_step(decoder: Decoder, load: Load) -> dict[str, Any]:
    """A decode step, and its attention alone, by each naming, in turn."""
    named = [Named(decoder, load, naming) for naming in NAMINGS]  # graphs need what they read
    return {
        "step": _in_turn([each.step.replay for each in named]),
        "attention": _in_turn([each.attention.replay for each in named]),
    }


def _in_turn(works: list[Callable[[], None]]) -> dict[str, Any]:
    """Times by naming, and by how much handles are slower, run by run: median and quartiles."""
    found = dict(zip(NAMINGS, times_in_turn(works, REPEATS), strict=True))
    result: dict[str, Any] = {name: asdict(Times.of(times)) for name, times in found.items()}
    for other in (PAGE, CONTIGUOUS):
        slower = np.array(found[HANDLE]) - np.array(found[other])
        quartiles = np.percentile(slower, (25, 50, 75))
        result[f"slower than {other}"] = {
            "us": quartiles.tolist(),
            "pct": (100 * quartiles / np.median(found[other])).tolist(),
        }
    return result


def on_device(result: dict[str, Any], save: Callable[[], None]) -> None:
    from gpu_backend.kernels.device.kernels import TritonKernels  # noqa: PLC0415 - not on hosts

    for name in MODELS:
        model = load_model(name)
        plain = decoder_shape_of(model, MachineOptions())
        weights = RandomWeights(plain, "cuda").decoder()
        cases = [(tokens, "64 of 2,048") for tokens in PAGE_TOKENS]
        cases += [(16, mix) for mix in list(MIXES)[1:]]
        for page_tokens, mix in cases:
            load = Load(MIXES[mix])
            shape = decoder_shape_of(model, MachineOptions(), page_tokens)
            decoder = Decoder(shape, weights, TritonKernels())
            decoder.reach(load.reach)
            found = measure_step(decoder, load)
            result[f"{name}, pages of {page_tokens}, {mix}"] = found
            save()
            step = found["step"]
            sys.stdout.write(
                f"{name} {page_tokens} [{mix}] step {step[HANDLE]['median_us']:.1f} us, slower than"
                f" page {step['slower than page']['pct'][1]:+.3f} %, contiguous"
                f" {step['slower than contiguous']['pct'][1]:+.3f} %; attention"
                f" {found['attention'][HANDLE]['median_us']:.1f} us,"
                f" {found['attention']['slower than page']['us'][1]:+.2f} us\n"
            )
            torch.cuda.empty_cache()
        del weights
        torch.cuda.empty_cache()


def _ns(call: Callable[[], object], calls: int, rounds: int = 9) -> float:
    """Nanoseconds a call, median of some rounds."""
    found = []
    for _ in range(rounds):
        started_ns = time.perf_counter_ns()
        for _ in range(calls):
            call()
        found.append((time.perf_counter_ns() - started_ns) / calls)
    return statistics.median(found)


def manager_of(name: str, page_tokens: int) -> PooledManager:
    spec = decoder_shape_of(load_model(name), MachineOptions(), page_tokens).cache_spec()
    return AvmpManager(spec, HostBacking(24 * GIB, 2 << 20), AvmpOptions())


def on_host(result: dict[str, Any], save: Callable[[], None]) -> None:
    """Look-ups and updates of a page table, and of what a device has of it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name, page_tokens in product(MODELS, PAGE_TOKENS):
        manager = manager_of(name, page_tokens)
        limits = Limits(4, 4096 + page_tokens, 8192)
        arena = Arena(table_shapes(manager, limits), device)
        tables = SequenceTables(manager, arena, 4)
        arena.flush()
        manager.admit(0, 4096)
        handles = manager.block_table(0, "attention")
        table, _ = manager.paging
        sequence = Sequence(Request(0, 0, 4096, page_tokens))

        def fill(sequence: Sequence = sequence, tables: SequenceTables = tables) -> None:
            sequence.place += 1  # another admission: all its words are noted anew
            tables.row_of(sequence, 4096)
            arena.flush()  # noqa: B023 - called at once

        filled_ns = _ns(fill, 3)
        manager.extend(0, 1)
        last = manager.block_table_from(0, 0, 4096 // page_tokens)

        def cross(manager: PooledManager = manager, block: int = 4096 // page_tokens) -> None:
            manager.block_table_from(0, 0, block)

        found = {
            "handles_of_4096_tokens": len(handles),
            "handles_of_a_block": len(last),
            "lookup_ns": _ns(lambda h=handles[7], t=table: t.page(h), 2000),  # type: ignore[misc]
            "block_table_ns": _ns(lambda m=manager: m.block_table(0, "attention"), 5),  # type: ignore[misc]
            "newest_block_ns": _ns(cross, 200),
            "row_of_in_a_block_ns": _ns(lambda s=sequence, t=tables: t.row_of(s, 4096), 2000),  # type: ignore[misc]
            "row_filled_and_flushed_ns": filled_ns,
        }
        result[f"host, {name}, pages of {page_tokens}"] = found
        save()
        sys.stdout.write(f"{name} {page_tokens} {found}\n")


def main() -> None:
    out, parts = Path(sys.argv[1]), sys.argv[2:] or ["host", "device"]
    result: dict[str, Any] = {}

    def save() -> None:
        out.write_text(json.dumps(result, indent=1) + "\n")

    if "host" in parts:
        on_host(result, save)
    if "device" in parts:
        on_device(result, save)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
