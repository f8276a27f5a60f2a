"""Decode steps against their memory floor, and where their time goes; writes JSON.

python tests/benchmark/gpu_decode.py OUT.json [MODEL:SEQUENCESxTOKENS...]
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import torch

from gpu_backend.bench_caches import Load, RandomCaches, floor_bytes
from gpu_backend.bench_timing import captured, copy_bytes_per_s, time_of
from gpu_backend.decoder import Decoder
from gpu_backend.decoder_weights import RandomWeights, weight_bytes
from gpu_backend.kernels.device.kernels import TritonKernels
from scenarios.decoder import decoder_shape_of
from scenarios.machine import MachineOptions
from scenarios.model_file import load_model

CASES = (
    "bamba-9b:64x2048",
    "bamba-9b:128x2048",
    "bamba-9b:256x2048",
    "bamba-9b:64x8192",
    "bamba-9b:128x8192",
    "bamba-9b:256x8192",
    "nemotron-h-8b:64x2048",
    "nemotron-h-8b:128x2048",
    "nemotron-h-8b:256x2048",
    "nemotron-h-8b:64x8192",
    "nemotron-h-8b:128x8192",
    "nemotron-h-8b:256x8192",
    "llama-3.1-8b:64x2048",
    "llama-3.1-8b:128x2048",
    "llama-3.1-8b:256x2048",
    "llama-3.1-8b:64x8192",
    "llama-3.1-8b:96x8192",
)
"""Keys and values of 128 sequences of 8,192 tokens of the last take 128 GiB: none of these fits."""


def breakdown(graph: torch.cuda.CUDAGraph) -> dict[str, list[float]]:
    """Microseconds and launches of each kernel in a replay."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        graph.replay()
        torch.cuda.synchronize()
    spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for event in profile.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            spent[event.name][0] += event.device_time
            spent[event.name][1] += 1
    return dict(sorted(spent.items(), key=lambda item: -item[1][0])[:24])


def measure(decoder: Decoder, load: Load, copy_rate: float) -> dict[str, object]:
    made = RandomCaches(decoder.shape, load, "cuda")
    caches, ragged = made.caches(), made.decodes()
    out = torch.empty(load.sequences, dtype=torch.int64, device="cuda")
    graph = captured(lambda: torch.argmax(decoder.logits(ragged, caches), -1, out=out))
    times = time_of(graph.replay)
    floor = floor_bytes(decoder.shape, weight_bytes(decoder.weights), load)
    floor_us = floor / copy_rate * 1e6
    return {
        **asdict(times), "floor_bytes": floor, "floor_us": floor_us,
        "share_of_floor": floor_us / times.median_us, "kernels_us": breakdown(graph),
        "finite": bool(torch.isfinite(decoder.logits(ragged, caches)).all()),
    }  # fmt: skip


def main() -> None:
    out, cases = Path(sys.argv[1]), sys.argv[2:] or CASES
    rate = copy_bytes_per_s()
    result: dict[str, object] = {"device": torch.cuda.get_device_name(), "copy_bytes_per_s": rate}
    decoders: dict[str, Decoder] = {}
    for case in cases:
        name, size = case.split(":")
        load = Load.alike(*map(int, size.split("x")))
        if name not in decoders:
            decoders.clear()
            torch.cuda.empty_cache()
            shape = decoder_shape_of(load_model(name), MachineOptions())
            decoders[name] = Decoder(shape, RandomWeights(shape, "cuda").decoder(), TritonKernels())
        decoders[name].reach(load.reach)
        found = measure(decoders[name], load, rate)
        result[case] = found
        out.write_text(json.dumps(result, indent=1))
        shown = {key: value for key, value in found.items() if key != "kernels_us"}
        sys.stdout.write(f"{case} {shown}\n")
        torch.cuda.empty_cache()


if __name__ == "__main__":
    with torch.inference_mode():
        main()
