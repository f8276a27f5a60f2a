"""A fit finds the costs that made its measurements, and says how far off it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from allocator.backing import HostBacking
from allocator.interface import CacheManager, OutOfMemoryError
from allocator.registry import known_managers
from gpu_backend.calibrate import (
    Measurements,
    Reach,
    StepShape,
    copy_costs,
    designed_steps,
    fit_costs,
    remap_costs,
)
from scenarios.calibration import (
    Subject,
    catalogue_name,
    fitted_profile,
    measure_steps,
    write_profile,
)
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from scenarios.profile import read_profile
from scenarios.step_bench import FILLER_TOKENS, StepBench
from sim.costs.profile import TERMS, CostTable, LaunchCosts, ProfileExecutor
from sim.costs.roofline import RemapCosts
from sim.step import StepPlan, StepWork

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytest.importorskip("scipy", reason="scipy is not installed")

REACH = Reach(256, 8192, 16_384, 600_000)
MACHINE = machine_of(load_model("nemotron-h-8b"), load_device("h200"), MachineOptions())
SUBJECT = Subject("nemotron-h-8b", "h200", {"kv": "bf16"}, {"product": "none: simulated"})


@pytest.fixture
def manager() -> CacheManager:
    design = known_managers()["static"]
    backing = HostBacking(MACHINE.budget_bytes, MACHINE.granule_bytes)
    return design.build(MACHINE.spec, backing, design.Options(state_ratio=0.4))


def measurements(amounts: NDArray[np.float64], durations_ns: NDArray[np.float64]) -> Measurements:
    return Measurements(amounts, durations_ns, np.full(len(durations_ns), -1))


def timing(median_ns: float) -> dict[str, float]:
    return {"median_ns": median_ns}


PRIMITIVES: dict[str, Any] = {
    name: [
        {
            "count": n,
            "unmap": timing(10_000 + 20_000 * n),
            "map": timing(3_000 * n),
            "access": timing(5_000 + 27_000 * n),
        }
        for n in (1, 2, 4, 8, 16)
    ]
    for name in ("mapping_idle", "mapping_beside_kernel")
} | {
    "page_copy": [
        {"page_bytes": size, "count": n, "device": timing(9_000 + 0.0005 * size * n)}
        for size in (65_536, 2_097_152)
        for n in (1, 16, 256)
    ]
}


def test_a_fit_finds_the_table_that_made_the_steps(manager: CacheManager) -> None:
    costs = dict.fromkeys(TERMS, 0.0) | {
        "steps": 3.6e6,
        "chunked_steps": 4e5,
        "mixed_steps": 8e5,
        "decodes": 47_000.0,
        "first_tokens_8": 3e4,
        "tokens_beyond_192": 20_000.0,
        "chunk_pairs": 0.1,
        "first_attended_256": 500.0,
        "attended_tokens": 3.9,
    }
    none = RemapCosts(0.0, 0.0, 0.0)
    hidden = ProfileExecutor(CostTable(tuple(costs.items()), none, none, 0.0, 0.0))
    rows = measure_steps(StepBench(manager, hidden, trials=1), designed_steps(REACH))
    profile, _ = fitted_profile(SUBJECT, rows, PRIMITIVES)
    for name, ns in profile.table.terms:
        assert ns == pytest.approx(costs[name], rel=1e-3, abs=0.01)
    assert profile.fit_error.held_out_p95_pct < 0.01


def test_a_fit_finds_what_the_host_needs_to_start_a_step(manager: CacheManager) -> None:
    costs = {"steps": 4e6, "decodes": 5e4, "tokens_beyond_128": 2.5e4, "attended_tokens": 4.0}
    none, launch = RemapCosts(0.0, 0.0, 0.0), LaunchCosts(8e6, 12e6)
    hidden = CostTable(tuple(costs.items()), none, none, 0.0, 0.0, launch)
    bench = StepBench(manager, ProfileExecutor(hidden), trials=1)
    rows = measure_steps(bench, designed_steps(REACH))
    profile, _ = fitted_profile(SUBJECT, rows, PRIMITIVES)
    assert profile.table.launch.chunks_ns == pytest.approx(8e6, rel=0.01)
    assert profile.table.launch.beside_decodes_ns == pytest.approx(12e6, rel=0.01)
    assert profile.fit_error.p95_pct < 0.1


def test_a_device_that_follows_a_roofline_is_met_within_two_percent(
    manager: CacheManager, tmp_path: Path
) -> None:
    bench = StepBench(manager, MACHINE.executor(), trials=1)
    done: list[int] = []
    rows = measure_steps(bench, designed_steps(REACH), done.append)
    assert done == list(range(1, len(rows) + 1))
    profile, evidence = fitted_profile(SUBJECT, rows, PRIMITIVES)
    assert profile.fit_error.median_pct < 0.5
    assert profile.fit_error.held_out_p95_pct < 2
    file = tmp_path / "made.json"
    write_profile(file, profile, evidence)
    again = read_profile(file)
    assert again.table == profile.table
    assert again.fit_error == profile.fit_error
    assert again.name == "made"
    assert len(again.digest) == 64
    assert len(evidence["steps"]) == len(rows)


def test_noise_shows_in_the_errors_and_hardly_in_the_costs() -> None:
    rng = np.random.default_rng(0)
    amounts = np.column_stack(
        [np.ones(300), rng.integers(1, 256, 300), rng.integers(1, 10**6, 300)]
    )
    exact = amounts @ np.array([1e6, 2e4, 3.0])
    fit = fit_costs(measurements(amounts.astype(float), exact * rng.normal(1, 0.03, 300)))
    np.testing.assert_allclose(fit.coefficients, [1e6, 2e4, 3.0], rtol=0.03)
    assert 1 < np.median(fit.errors_pct) < 3
    assert np.median(fit.held_out_pct) >= 0.9 * np.median(fit.errors_pct)


def test_no_cost_is_negative_and_a_term_nobody_has_costs_nothing() -> None:
    amounts = np.array([[1.0, 5.0, 0.0], [1.0, 10.0, 0.0], [1.0, 20.0, 0.0], [1.0, 40.0, 0.0]])
    fit = fit_costs(measurements(amounts, np.array([100.0, 90.0, 80.0, 60.0])))
    assert min(fit.coefficients) == 0
    assert fit.coefficients[2] == 0
    with pytest.raises(ValueError, match="2 steps say nothing of 3 terms"):
        fit_costs(measurements(amounts[:2], np.array([100.0, 90.0])))


def test_memory_calls_are_fitted_apart() -> None:
    assert remap_costs(PRIMITIVES["mapping_idle"]) == pytest.approx(
        {"batch_ns": 15_000, "unmap_ns": 20_000, "map_ns": 30_000}
    )
    assert copy_costs(PRIMITIVES["page_copy"]) == pytest.approx(
        {"copy_ns": 9_000, "copied_byte_ns": 0.0005}
    )


def test_the_grid_keeps_within_reach() -> None:
    reach = Reach(64, 1024, 2048, 40_000)
    shapes = designed_steps(reach)
    assert len(set(shapes)) == len(shapes)
    assert all(reach.holds(shape) for shape in shapes)
    assert any(shape.decodes and shape.chunks for shape in shapes)
    assert StepShape(64, 512) in shapes
    assert StepShape(64, 1024) not in shapes  # 64 x 1025 tokens


class Recorder:
    """Notes the work of every plan; a step takes as long as it has decodes."""

    def __init__(self) -> None:
        self.works: list[StepWork] = []

    def execute(self, plan: StepPlan) -> int:
        self.works.append(StepWork.of(plan))
        return 1 + len(plan.decodes)


def test_a_bench_runs_the_shape_it_is_asked_for(manager: CacheManager) -> None:
    recorder = Recorder()
    before = manager.usage()
    step = StepBench(manager, recorder, trials=3).measure(StepShape(4, 100, 2, 30, 50))
    assert step.duration_ns == 5
    works = [work for work in recorder.works if work.chunks]
    assert step.work == works[3]
    first = works[0]
    assert (first.decodes, first.attended_tokens) == (4, 4 * 101)
    assert (first.chunks, first.chunk_tokens, first.chunk_read_tokens) == (2, 60, 160)
    assert [work.attended_tokens - first.attended_tokens for work in works] == [0, 4, 8, 12, 16]
    between = [work for work in recorder.works if not work.chunks]
    assert set(between) == {StepWork(1, FILLER_TOKENS + 1)}
    assert len(between) == 5 * 3, "steps of 2 ns for as long as one of 5 ns"
    manager.check_integrity()
    assert manager.usage().pools == before.pools


def test_a_shape_without_room_leaves_the_manager_as_it_was(manager: CacheManager) -> None:
    before = manager.usage().pools
    with pytest.raises(OutOfMemoryError):
        StepBench(manager, Recorder()).measure(StepShape(4, 100, 9000, 3000, 0))
    manager.check_integrity()
    assert manager.usage().pools == before


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA L40S", "l40s"),
    ],
)
def test_products_are_devices_of_the_catalogue(product: str, name: str) -> None:
    assert catalogue_name(product) == name


def test_an_unknown_product_needs_a_name() -> None:
    with pytest.raises(UserError, match=r"is none of .*h200.*--device"):
        catalogue_name("NVIDIA T4")
