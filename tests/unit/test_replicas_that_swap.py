"""Replicas that swap, read as one: what their hosts hold together, at each row about a swap."""

from __future__ import annotations

import pytest

from scenarios.cell import Cell, simulate
from scenarios.device import load_device
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from sim.event_log import EventKind
from sim.metric import Slo
from sim.replica_log import as_one
from traces.load import load_trace

KINDS = (EventKind.SWAP_OUT, EventKind.SWAP_IN)
KIND, REQUEST, HELD_BYTES = 1, 2, 4


@pytest.mark.parametrize("replicas", [1, 3])
def test_the_whole_holds_what_each_host_holds(replicas: int) -> None:
    machine = machine_of(
        load_model("nemotron-h-8b"), load_device("h200"), MachineOptions(memory_gib=0.75)
    )
    trace = load_trace("poisson:n=90,rate=40,prompt=100,output=900")
    cell = Cell(machine, "avmp", "fcfs", Slo(), preemption="swap", replicas=replicas)
    log = simulate(cell, trace).log
    home = dict(log.of(EventKind.ROUTED)[:, 2:4].tolist())
    held: dict[int, int] = {}
    sums = []
    for row in log.table().tolist():
        if row[KIND] in KINDS:
            held[home.get(row[REQUEST], 0)] = row[HELD_BYTES]
            sums.append(sum(held.values()))
    whole = [row[HELD_BYTES] for row in as_one(log).table().tolist() if row[KIND] in KINDS]
    assert whole == sums
    assert len(held) == replicas
    assert max(sums) > 0
    assert sums[-1] == 0  # everybody came back
