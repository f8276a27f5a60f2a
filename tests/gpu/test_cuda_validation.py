"""A model on a device, and its simulation: the same decisions, and every page keeps its bytes."""

from __future__ import annotations

import pytest

from scenarios.device_rig import check_device, rig_of
from scenarios.machine import MachineOptions
from scenarios.model_file import load_model
from scenarios.trace_input import TraceInput
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions

pytestmark = pytest.mark.gpu


class Unwatched:
    """Is told of progress, and does nothing."""

    def starts(self, stage: str, total: int) -> None:
        pass

    def advanced(self, pieces: int) -> None:
        pass


def test_a_device_decides_what_the_simulator_decides() -> None:
    from gpu_backend.availability import UnavailableError  # noqa: PLC0415 - with the GPU mode

    try:
        check_device()
    except UnavailableError as error:
        pytest.skip(str(error))
    machine = MachineOptions(memory_gib=1.5)
    names = ("nemotron-h-8b", "nemotron-h-8b-h200", ("avmp", "static"))
    options = ValidateOptions(*names, backings=("vmm", "torch"), machine=machine)
    trace = TraceInput("azure-like:n=30,rate=20", TraceOptions()).load()
    rig = rig_of(load_model("nemotron-h-8b"), machine)
    found = Validation.of(options).run(rig, trace, Unwatched()).to_json()
    assert found["decisions_identical"]
    assert found["oom_identical"]
    assert found["peak_bytes_identical"]
    assert found["corrupted_pages"] == 0
    by_backing = {(row["allocator"], row["backing"]): row for row in found["rows"]}
    assert by_backing["avmp", "vmm"]["physical_bytes"] == 1.5 * (1 << 30)
    assert by_backing["avmp", "torch"]["physical_bytes"] == 3 * (1 << 30)
