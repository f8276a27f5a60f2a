from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenarios.cell import Cell, run_cell
from scenarios.device import load_device
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from scenarios.store import load_run, run_file, save_run
from sim.metric import Slo
from traces.record import Trace

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = machine_of(
    load_model("nemotron-h-8b"), load_device("h200"), MachineOptions(memory_gib=0.5)
)


def _trace(num_requests: int = 30) -> Trace:
    arrivals = np.arange(num_requests, dtype=np.int64) * 10**7
    prompts = np.full(num_requests, 700, dtype=np.int64)
    return Trace("thirty", prompts, np.full(num_requests, 40, dtype=np.int64), arrivals)


def _cell(allocator: str) -> Cell:
    return Cell(MACHINE, allocator, "fcfs", Slo())


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = run_cell(_cell("avmp:batch=16"), _trace())
    save_run(tmp_path, run, "abc")
    again = load_run(tmp_path, "avmp:batch=16", "abc")
    assert again is not None
    assert again.log.to_bytes() == run.log.to_bytes()
    assert again.metrics == run.metrics
    assert again.metrics["event_log_sha256"] == again.log.sha256()


def test_only_the_run_of_that_digest_and_allocator_comes_back(tmp_path: Path) -> None:
    save_run(tmp_path, run_cell(_cell("avmp"), _trace()), "abc")
    assert load_run(tmp_path, "avmp", "abd") is None
    assert load_run(tmp_path, "static", "abc") is None


def test_file_names_are_plain_and_no_two_allocators_share_one(tmp_path: Path) -> None:
    names = ["avmp", "avmp:batch=1", "avmp:batch=1,unit=2", "avmp:batch=12"]
    files = {run_file(tmp_path, name).name for name in names}
    assert len(files) == len(names)
    assert not any(set(name) & set(":,/ ") for name in files)


def test_the_digest_of_a_cell_tells_what_changes_a_result() -> None:
    base = _cell("avmp")
    others = [
        _cell("avmp:batch=1"),
        Cell(MACHINE, "avmp", "fcfs:max_seqs=4", Slo()),
        Cell(MACHINE, "avmp", "fcfs", Slo(ttft_s=1.0)),
        Cell(
            machine_of(load_model("bamba-9b"), load_device("h200"), MachineOptions(memory_gib=0.5)),
            "avmp",
            "fcfs",
            Slo(),
        ),
    ]
    digests = {cell.digest("trace") for cell in [base, *others]} | {base.digest("another")}
    assert len(digests) == 6
    assert base.digest("trace") == _cell("avmp").digest("trace")


def test_the_host_cost_is_measured_even_where_the_budget_is_too_small() -> None:
    run = run_cell(_cell("padded"), _trace(2))
    assert run.metrics["host_ns_per_allocator_op"] > 0
