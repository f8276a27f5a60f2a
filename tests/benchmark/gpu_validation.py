"""Rows of docs/gpu.md that no single `twinpool validate` gives: one decoder, several budgets.

python tests/benchmark/gpu_validation.py PROFILE.json CONVERSATIONS.csv.gz OUT PART...
PART is one of PARTS; its result and steps go to OUT/PART.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scenarios.device_rig import rig_of
from scenarios.machine import MachineOptions
from scenarios.model_choice import choose_model
from scenarios.profile import load_profile
from scenarios.trace_input import TraceInput
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions

MIX = (
    "alternating:period_s=6,duration_s=12,short_rate=30,short_prompt=64,short_output=96,"
    "long_rate=3.5,long_prompt=6144,long_output=96"
)
LOADS = (1.5, 2.0, 4.0)
"""Under, at and over what `avmp` serves; `padded` is over its capacity at the first of them."""

START_S, LIMIT = 600, 120


@dataclass(frozen=True)
class Part:
    """What one validation runs.

    Attributes:
        allocators: By name.
        backing: Kind of device memory.
        loads: Of conversations, how many times as fast; of the mix, none.
        memory_gib: For caches.
    """

    allocators: tuple[str, ...]
    backing: str
    loads: tuple[float, ...] = ()
    memory_gib: float = 3.0


ALL = ("static", "avmp", "padded")
PARTS = {
    "conversations": Part(ALL[:2], "vmm", LOADS[:2]),
    "conversations-padded": Part(ALL[2:], "vmm", LOADS[:2]),
    "conversations-4": Part(ALL, "vmm", LOADS[2:]),
    "conversations-torch": Part(("avmp",), "torch", LOADS),
    "mix": Part(ALL, "vmm"),
    "mix-torch": Part(("avmp",), "torch"),
    "mix-torch-half": Part(("avmp",), "torch", memory_gib=1.5),  # its slabs take 3 GiB
    "whole-run": Part(("avmp",), "vmm", (2.0,), memory_gib=6.0),
}


class Plain:
    """A watcher that says when a row is done."""

    def starts(self, stage: str, total: int) -> None:
        sys.stdout.write(f"{total} {stage}\n")

    def advanced(self, pieces: int) -> None:
        sys.stdout.write(f"{pieces} done at {time.perf_counter():.1f} s\n")


def main() -> None:
    profile, conversations, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    model, reading = load_profile(profile).model, TraceOptions()
    rig = rig_of(choose_model(model), MachineOptions())
    for name in sys.argv[4:]:
        part, folder = PARTS[name], out / name
        trace = TraceInput(MIX, reading)
        if part.loads:
            trace = TraceInput(conversations, reading, start_s=START_S, limit=LIMIT)
        options = ValidateOptions(
            model,
            profile,
            part.allocators,
            (part.backing,),
            part.loads or (1.0,),
            machine=MachineOptions(memory_gib=part.memory_gib),
        )
        folder.mkdir(parents=True, exist_ok=True)
        sys.stdout.write(f"{name}\n")
        Validation.of(options).run(rig, trace.load(), Plain(), folder)


if __name__ == "__main__":
    main()
