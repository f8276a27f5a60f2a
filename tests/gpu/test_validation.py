"""Calibrating and validating, whole, on the host: a tiny model, real pages, a clock made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="scipy is not installed")

import torch

from scenarios.cell import Cell
from scenarios.validation.runs import Case
from scenarios.validation.validate import validate_case
from sim.metric import Slo
from tests.gpu.tiny_model import paced_rig, tiny_machine
from traces.record import Trace

torch.set_num_threads(1)

GRANULE = 4096  # what the host maps
NUM_GRANULES = 60
LOADED = 30


def trace() -> Trace:
    rng = np.random.default_rng(5)
    prompts, outputs = rng.integers(4, 90, LOADED), rng.integers(2, 40, LOADED)
    arrivals = np.sort(rng.integers(0, 2_000_000, LOADED))
    return Trace("burst", prompts, outputs, arrivals)


def small_machine() -> Any:
    return replace(tiny_machine(), budget_bytes=NUM_GRANULES * GRANULE, granule_bytes=GRANULE)


def case(allocator: str, backing: str = "vmm") -> Case:
    scheduler = "fcfs:max_seqs=12,max_batched_tokens=64"
    return Case(Cell(small_machine(), allocator, scheduler, Slo()), trace(), backing)


@pytest.mark.parametrize("backing", ["vmm", "torch"])
@pytest.mark.parametrize("allocator", ["avmp:unit=1,batch=2", "static", "padded"])
def test_a_device_decides_what_the_simulator_decides(allocator: str, backing: str) -> None:
    chosen = case(allocator, backing)
    rig = paced_rig(chosen.cell.machine.executor(), factor=1.25)
    row = validate_case(chosen, 1.0, rig)
    found = row.to_json()
    assert found["decisions_identical"]
    assert found["event_log_identical"]
    assert found["corrupted_pages"] == 0
    assert found["verified_pages"] > 100
    assert found["decisions"]["oom_events"] > 0
    assert found["decisions"]["num_handles"] > 500
    if allocator.startswith("avmp"):
        assert found["decisions"]["migrations"] > 0
    # Every step takes a quarter longer than predicted, up to rounding.
    assert found["steps"]["all"]["total_error_pct"] == pytest.approx(-20, abs=0.1)
    assert -21 < found["tpot_error_pct"]["p50"] < -10
    assert found["throughput_error_pct"] > 5
