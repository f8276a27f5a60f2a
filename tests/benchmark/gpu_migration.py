"""A decode step with capacity moving beside it, against the step alone; writes JSON.

python tests/benchmark/gpu_migration.py OUT.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gpu_backend.bench_caches import Load, RandomCaches
from gpu_backend.bench_timing import Times, captured, times_in_turn
from gpu_backend.decoder import Decoder
from gpu_backend.decoder_weights import RandomWeights
from gpu_backend.driver import CudaDriver
from gpu_backend.kernels.device.kernels import TritonKernels
from gpu_backend.measure import host_timing
from gpu_backend.primitives import CapacityMove
from gpu_backend.vmm_backing import VmmBacking
from scenarios.decoder import decoder_shape_of
from scenarios.machine import MachineOptions
from scenarios.model_file import load_model

MIB = 1 << 20
SIZES_MIB = (2, 128, 512)
LOAD = Load.alike(64, 2048)
REPEATS = 30


def main() -> None:
    shape = decoder_shape_of(load_model("nemotron-h-8b"), MachineOptions())
    decoder = Decoder(shape, RandomWeights(shape, "cuda").decoder(), TritonKernels())
    decoder.reach(LOAD.reach)
    made = RandomCaches(shape, LOAD, "cuda")
    caches, ragged = made.caches(), made.decodes()
    out = torch.empty(LOAD.sequences, dtype=torch.int64, device="cuda")
    graph = captured(lambda: torch.argmax(decoder.logits(ragged, caches), -1, out=out))
    driver, result = CudaDriver(), {}
    for size_mib in SIZES_MIB:
        with VmmBacking(2 * size_mib * MIB, driver) as backing:
            move = CapacityMove(backing, size_mib * MIB, min(size_mib, 128) * MIB)

            def beside(move: CapacityMove = move) -> None:
                graph.replay()
                move.run()

            found: dict[str, Any] = {"move_host": host_timing(move.run, REPEATS).to_json()}
            alone, moved = times_in_turn([_waited(graph.replay), _waited(beside)], REPEATS)
            found["step_alone"], found["step_beside"] = (
                asdict(Times.of(times)) for times in (alone, moved)
            )
        result[f"{size_mib} MiB"] = found
        sys.stdout.write(f"{size_mib} MiB {found}\n")
    Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")


def _waited(work: Any) -> Any:  # noqa: ANN401 - a call
    """Work that starts on an idle device, as a step does."""

    def run() -> None:
        torch.cuda.synchronize()
        work()

    return run


if __name__ == "__main__":
    with torch.inference_mode():
        main()
