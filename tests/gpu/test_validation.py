"""Calibrating and validating, whole, on the host: a tiny model, real pages, a clock made up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from allocator.backing import HostBacking
from gpu_backend.executor import DeviceExecutor
from gpu_backend.page_ops import TorchPageOps
from gpu_backend.rig import BACKINGS, Rig
from gpu_backend.sequence_tables import page_of_name
from scenarios.calibration import Subject, write_profile
from scenarios.cell import Cell
from scenarios.decoder import decoder_shape_of
from scenarios.device_calibration import Bench, CalibrationSize
from scenarios.errors import UserError
from scenarios.profile import read_profile
from scenarios.validation.kept import RESULT, read_steps
from scenarios.validation.runs import Case, laid_out, limits_of, repeat
from scenarios.validation.terminal import validation_table
from scenarios.validation.validate import KNOWN_BACKINGS, ValidateOptions, Validation, validate_case
from scenarios.validation.warm_up import warm_up
from sim.engine import Engine
from sim.metric import Slo
from sim.preemptions.recompute import Recompute
from tests.gpu.tiny_model import FILE, OPTIONS, paced_rig, tiny_machine, tiny_model
from traces.record import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from allocator.pooled import PooledManager
    from scenarios.machine import Machine
    from sim.step import StepPlan

pytest.importorskip("scipy", reason="scipy is not installed")

torch.set_num_threads(1)

GRANULE = 4096  # what the host maps
BUDGET = 60 * GRANULE


def trace(count: int) -> Trace:
    rng = np.random.default_rng(5)
    prompts, outputs = rng.integers(4, 90, count), rng.integers(2, 30, count)
    return Trace("burst", prompts, outputs, np.sort(rng.integers(0, 1_000_000, count)))


def small_machine(budget_bytes: int = BUDGET) -> Machine:
    return replace(tiny_machine(), budget_bytes=budget_bytes, granule_bytes=GRANULE)


def case(allocator: str, backing: str = "vmm") -> Case:
    scheduler = "fcfs:max_seqs=12,max_batched_tokens=64"
    return Case(Cell(small_machine(), allocator, scheduler, Slo()), trace(20), backing)


@pytest.mark.parametrize(
    ("allocator", "backing"),
    [
        ("avmp:unit=1,batch=2", "vmm"),
        ("avmp:unit=1,batch=2", "torch"),
        ("static", "vmm"),
        ("padded", "torch"),
    ],
)
def test_a_device_decides_what_the_simulator_decides(allocator: str, backing: str) -> None:
    chosen = case(allocator, backing)
    rig = paced_rig(chosen.cell.machine.executor(), factor=1.25)
    row = validate_case(chosen, 1.0, rig)
    found = row.to_json()
    assert found["decisions_identical"]
    assert found["event_log_identical"]
    assert found["corrupted_pages"] == 0
    assert found["verified_pages"] > 100
    decisions = found["decisions"]
    assert decisions["oom_events"] > 0
    assert decisions["num_handles"] > 200
    if allocator.startswith("avmp"):
        assert decisions["migrations"] > 0
        assert found["physical_bytes"] == BUDGET * (2 if backing == "torch" else 1)
    assert found["host"]["allocator_pct"] > 0
    assert 0 < found["host"]["allocator_p50_us"] < found["host"]["all_p50_us"]
    waits = [step.aside.remaps > 0 for step in row.measured.steps]
    assert found["remapping"]["steps_that_wait"] >= sum(waits)
    assert any(waits) == allocator.startswith("avmp")
    # Every step takes a quarter longer than predicted, up to rounding to nanoseconds.
    assert found["steps"]["all"]["total_error_pct"] == pytest.approx(-20, abs=0.1)
    assert found["steps"]["all"]["p50_error_pct"] == pytest.approx(-20, abs=0.1)
    assert found["tpot_error_pct"]["p50"] < -10
    assert found["throughput_error_pct"] > 5
    # A run of other steps is not the same run.
    assert repeat(chosen, row.measured.steps[:-1]) is None
    longer = [replace(step, measured_ns=2 * step.measured_ns) for step in row.measured.steps]
    assert repeat(chosen, longer) != row.measured.decisions


class Mirror:
    """Runs steps, and compares the device's page table with the manager's for all that ran."""

    def __init__(self, runs: DeviceExecutor, manager: PooledManager) -> None:
        self._runs = runs
        self._manager = manager
        self.compared = 0

    def execute(self, plan: StepPlan) -> int:
        sections = self._runs._arena.sections  # noqa: SLF001 - what kernels read
        self._runs.execute(plan)
        table, _ = self._manager.paging
        for sequence in (*plan.decodes, *(chunk.sequence for chunk in plan.chunks)):
            for group in self._manager.spec.groups:
                for handle in self._manager.block_table(sequence.request_id, group.name):
                    pool, page = table.page(handle)
                    entry = handle & table.layout.index_mask
                    assert sections[page_of_name(pool)][entry] == page
                    self.compared += 1
        return 100_000


def test_kernels_find_the_pages_that_handles_mean() -> None:
    chosen = replace(case("avmp:unit=1,batch=2", "torch"), trace=trace(40))
    rig = Rig.on_host(decoder_shape_of(tiny_model(), OPTIONS))
    with rig.backing("torch", BUDGET, GRANULE) as backing:
        manager = laid_out(chosen, backing)
        executor = rig.executor(manager, backing, limits_of(chosen))
        assert isinstance(executor, DeviceExecutor)
        mirror = Mirror(executor, manager)
        wiring = chosen.cell.wire_with(manager, mirror, Recompute())
        Engine(chosen.trace, wiring).run()
    assert backing.counters().copies > 1
    assert mirror.compared > 2000


class Told:
    """A watcher that notes what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done = 0

    def starts(self, stage: str, total: int) -> None:
        self.stages.append((stage, total))

    def advanced(self, pieces: int) -> None:
        self.done += pieces


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of the tiny model, calibrated against a roofline that is a tenth slower."""
    from tests.unit.test_calibrate import PRIMITIVES  # noqa: PLC0415 - beside torch

    machine = small_machine(16 << 20)
    rig = paced_rig(machine.executor(), factor=1.1)
    told: list[int] = []

    def starts(total: int) -> Callable[[int], None]:
        told.append(total)
        return told.append

    size = CalibrationSize(13, 300, 1100, trials=1)
    subject = Subject("tiny-hybrid", "h200", {"kv": "bf16"}, rig.measured_on)
    made, evidence = Bench(rig, machine, size).calibrate(subject, PRIMITIVES, starts)
    assert told == [told[0], *range(1, told[0] + 1)]
    assert evidence["host_ns_per_allocator_op"]["static"] > 0
    assert made.fit_error.median_pct < 1
    file = tmp_path_factory.mktemp("profile") / "tiny.json"
    write_profile(file, made, evidence)
    return file


def test_a_calibrated_device_is_predicted(profile: Path, tmp_path: Path) -> None:
    options = ValidateOptions(str(FILE), str(profile), ("avmp", "static"), loads=(1.0, 2.0))
    validation = replace(Validation.of(options), machine=priced(profile))
    prices = tiny_machine().executor()
    told, rig = Told(), paced_rig(prices, factor=1.1)
    result = validation.run(rig, trace(6), told, tmp_path)
    assert told.stages == [("rows", 4)]
    assert told.done == 4
    found = result.to_json()
    assert found["decisions_identical"]
    assert found["oom_identical"]
    assert found["peak_bytes_identical"]
    assert found["corrupted_pages"] == 0
    assert abs(found["throughput_error_pct"]) < 1
    assert abs(found["tpot_error_pct"]["p95"]) < 2
    assert (tmp_path / RESULT).exists()
    assert len(read_steps(tmp_path, 4)) == result.rows[3]["steps"]["all"]["count"]
    assert validation_table(result, width=80).row_count == 4


class CountedOps(TorchPageOps):
    """Notes how large the pages are that it copies."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def copy(
        self, slab: torch.Tensor, page_bytes: int, sources: Sequence[int], targets: Sequence[int]
    ) -> None:
        self.sizes.append(page_bytes)
        super().copy(slab, page_bytes, sources, targets)


def test_pages_of_every_size_have_been_copied_before_anything_is_measured() -> None:
    cases = [case("static"), case("padded"), case("avmp:unit=1,batch=2")]
    ops = CountedOps()
    rig = replace(paced_rig(cases[0].cell.machine.executor()), page_ops=ops)
    assert warm_up(cases, rig) > 5
    sizes = {
        pool.page_bytes
        for chosen in cases
        for pool in laid_out(chosen, HostBacking(BUDGET, GRANULE)).usage().pools
    }
    assert len(sizes) > 1
    assert sorted(ops.sizes) == sorted(sizes)


def test_backings_go_by_the_names_of_the_command_line() -> None:
    assert set(KNOWN_BACKINGS) == set(BACKINGS)


def priced(profile: Path) -> Machine:
    return replace(small_machine(1 << 20), cost_table=read_profile(profile).table)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"allocators": ()}, "no allocator"),
        ({"allocators": ("vllm",)}, "cannot read the pages of vllm"),
        ({"backings": ("cuda",)}, "unknown backing 'cuda': use one of"),
        ({"model": "bamba-9b"}, "was measured for tiny-hybrid"),
    ],
)
def test_what_cannot_be_validated_is_said_in_one_sentence(
    profile: Path, change: dict[str, Any], complaint: str
) -> None:
    options = ValidateOptions(str(FILE), str(profile), ("avmp",))
    with pytest.raises(UserError, match=complaint):
        Validation.of(replace(options, **change))
