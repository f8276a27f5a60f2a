"""Rows of docs/gpu.md that no single `twinpool validate` gives: one decoder, several budgets.

python tests/benchmark/gpu_validation.py PROFILE.json CONVERSATIONS.csv.gz OUT
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from scenarios.device_rig import rig_of
from scenarios.machine import MachineOptions
from scenarios.model_choice import choose_model
from scenarios.trace_input import TraceInput
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions

MODEL = "nemotron-h-8b"
MIX = (
    "alternating:period_s=6,duration_s=12,short_rate=30,short_prompt=64,short_output=96,"
    "long_rate=3.5,long_prompt=6144,long_output=96"
)


@dataclass(frozen=True)
class Part:
    """What one validation runs."""

    memory_gib: float
    allocators: tuple[str, ...]
    backing: str
    mix: bool
    load: float = 1.0


PARTS = (
    Part(3.0, ("static", "avmp", "padded"), "vmm", mix=True),
    Part(1.5, ("avmp",), "torch", mix=True),  # its slabs take 3 GiB
    Part(3.0, ("avmp",), "torch", mix=False, load=4.0),
    Part(3.0, ("avmp",), "torch", mix=True),
)


class Silent:
    """A watcher that says when a row is done."""

    def starts(self, stage: str, total: int) -> None:
        sys.stdout.write(f"{total} {stage}\n")

    def advanced(self, pieces: int) -> None:
        sys.stdout.write(f"{pieces} done\n")


def main() -> None:
    profile, conversations, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    reading = TraceOptions()
    traces = {
        True: TraceInput(MIX, reading).load(),
        False: TraceInput(conversations, reading, start_s=600, limit=120).load(),
    }
    rig = rig_of(choose_model(MODEL), MachineOptions())
    rows = []
    for number, part in enumerate(PARTS):
        options = ValidateOptions(
            MODEL,
            profile,
            part.allocators,
            (part.backing,),
            (part.load,),
            machine=MachineOptions(memory_gib=part.memory_gib),
        )
        folder = out / f"part-{number}" if number == 0 else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        result = Validation.of(options).run(rig, traces[part.mix], Silent(), folder)
        rows.append(result.to_json())
        (out / "parts.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
