"""One trace through several allocators, each run in a process of its own."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing.managers import SyncManager
from typing import TYPE_CHECKING, Any, Protocol

from joblib import delayed

from scenarios.cell import ENGINES, FAST, ROUND_ROBIN, Cell, run_cell
from scenarios.device import load_device
from scenarios.errors import UnknownNameError, UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.orphans import end_with
from scenarios.processes import results_as_they_end
from scenarios.profile import load_profile
from scenarios.result import ReplayResult, RunResult
from scenarios.store import KeptRuns
from scenarios.tenants import check_tenants
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION
from sim.metric import Slo
from sim.preemptions.recompute import Recompute

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from queue import Queue

    from sim.tenant import Tenant
    from traces.record import Trace

PROGRESS_STEP = 100
"""Requests that end between two messages of a run's progress."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the user asks for, by names.

    Attributes:
        model: Name of the model.
        device: Name of the device.
        allocators: `NAME[:key=value,...]` each, in the order of the report.
        scheduler: `NAME[:key=value,...]`.
        machine: How the model lies on devices.
        slo: What a request must reach to count for goodput.
        seed: Seed of everything random.
        engine_step: How the engine steps, a name in `ENGINES`.
        preemption: `NAME[:key=value,...]`: where the tokens of victims go.
        profile: Name or file of measured costs; None prices steps from the device's rates.
        replicas: How many serve the trace, each on devices of its own.
        router: `NAME[:key=value,...]`; chooses among several replicas.
        tenants: What is known of tenants of the trace, or of all others.
    """

    model: str
    device: str
    allocators: tuple[str, ...]
    scheduler: str = "fcfs"
    machine: MachineOptions = field(default_factory=MachineOptions)
    slo: Slo = field(default_factory=Slo)
    seed: int = 0
    engine_step: str = FAST
    preemption: str = Recompute.name
    profile: str | None = None
    replicas: int = 1
    router: str = ROUND_ROBIN
    tenants: tuple[Tenant, ...] = ()


class Watcher(Protocol):
    """Is told how far runs are."""

    def advanced(self, run: int, ended: int) -> None:
        """So many requests of a run have ended."""


class ReplayInterruptedError(Exception):
    """The user interrupted; `partial` holds the runs that were done."""

    def __init__(self, partial: ReplayResult) -> None:
        super().__init__(f"interrupted after {len(partial.runs)} runs")
        self.partial = partial


def cells_of(scenario: Scenario) -> tuple[Cell, ...]:
    """One cell an allocator; everything the user can get wrong is found here, before any run.

    Raises:
        UserError: An unknown name or option, an impossible size, an allocator given twice.
    """
    if not scenario.allocators:
        raise UserError("no allocator is given: name at least one with --allocator")
    if len(set(scenario.allocators)) < len(scenario.allocators):
        raise UserError("an allocator is given twice: give each once, or with other options")
    if scenario.engine_step not in ENGINES:
        raise UnknownNameError("engine step", scenario.engine_step, ENGINES)
    model, device = choose_model(scenario.model), load_device(scenario.device)
    profile = None if scenario.profile is None else load_profile(scenario.profile)
    machine = machine_of(model, device, scenario.machine, profile)
    cells = tuple(
        Cell(
            machine,
            text,
            scenario.scheduler,
            scenario.slo,
            scenario.engine_step,
            preemption=scenario.preemption,
            tenants=scenario.tenants,
            replicas=scenario.replicas,
            router=scenario.router,
        )
        for text in scenario.allocators
    )
    for cell in cells:
        cell.wire()
    return cells


def replay(
    scenario: Scenario, trace: Trace, folder: Path | None = None, watcher: Watcher | None = None
) -> ReplayResult:
    """Run a trace through every allocator of a scenario.

    Args:
        scenario: What to run.
        trace: Requests with arrivals.
        folder: Where each run is kept as it ends; runs of the same cell and trace found there
            are not run again.
        watcher: Is told of progress.

    Raises:
        UserError: See `cells_of`; also settings of a tenant that the trace does not know.
        ReplayInterruptedError: The user interrupted; what was done is in it, and in the folder.
    """
    start_s = time.perf_counter()
    cells = cells_of(scenario)
    check_tenants(scenario.tenants, trace)
    trace_digest = trace.digest()
    digests = [cell.digest(trace_digest) for cell in cells]
    runs: dict[int, RunResult] = {}
    kept, interrupted = KeptRuns(folder, digests), False
    try:
        with closing(_runs(cells, trace, watcher, kept)) as ended:
            for index, run in ended:
                runs[index] = run  # first: an interrupt must not hide what has been saved
                kept.save(index, run)
    except KeyboardInterrupt:
        interrupted = True
        for index, run in runs.items():
            kept.save(index, run)
    facts = {**_facts(scenario, trace, cells[0]), "wall_seconds": time.perf_counter() - start_s}
    result = ReplayResult(facts, tuple(run for _, run in sorted(runs.items())))
    if interrupted:
        raise ReplayInterruptedError(result)
    return result


def _runs(
    cells: tuple[Cell, ...], trace: Trace, watcher: Watcher | None, kept: KeptRuns
) -> Generator[tuple[int, RunResult], None, None]:
    """(index, run) of every cell: those kept first, then the others as they end."""
    to_run = []
    for index, cell in enumerate(cells):
        run = kept.load(index, cell.allocator)
        if run is None:
            to_run.append(index)
            continue
        if watcher is not None:
            watcher.advanced(index, len(trace))
        yield index, run
    yield from _run_all(to_run, cells, trace, watcher)


def _run_all(
    to_run: list[int], cells: tuple[Cell, ...], trace: Trace, watcher: Watcher | None
) -> Iterator[tuple[int, RunResult]]:
    """Run cells as they end: a single one here, several in a process each."""
    if len(to_run) < 2:  # noqa: PLR2004 - one run needs no processes
        for index in to_run:
            yield index, run_cell(cells[index], trace, _teller(watcher, index))
        return
    jobs = min(len(to_run), os.cpu_count() or 1)
    with _listening(watcher) as messages:
        runs = ((i, cells[i]) for i in to_run)
        calls = (delayed(_run_in_worker)(os.getpid(), run, trace, messages) for run in runs)
        yield from results_as_they_end(calls, jobs)


def _teller(watcher: Watcher | None, index: int) -> Callable[[int], None] | None:
    return None if watcher is None else partial(watcher.advanced, index)


def _run_in_worker(
    parent: int, run: tuple[int, Cell], trace: Trace, messages: Queue[tuple[int, int]]
) -> tuple[int, RunResult]:
    """Run a cell in a process of its own."""
    end_with(parent)
    index, cell = run
    reported = 0

    def tell(ended: int) -> None:
        nonlocal reported
        if ended - reported >= PROGRESS_STEP or ended == len(trace):
            reported = ended
            messages.put((index, ended))

    return index, run_cell(cell, trace, tell)


@contextmanager
def _listening(watcher: Watcher | None) -> Iterator[Queue[tuple[int, int]]]:
    """A queue whose messages reach the watcher from a thread of this process."""
    manager = SyncManager()
    manager.start(end_with, (os.getpid(),))
    with manager:
        messages: Any = manager.Queue()
        thread = threading.Thread(target=_pass_on, args=(messages, watcher), daemon=True)
        thread.start()
        try:
            yield messages
        finally:
            messages.put(None)
            thread.join()


def _pass_on(messages: Queue[tuple[int, int] | None], watcher: Watcher | None) -> None:
    while (message := messages.get()) is not None:
        if watcher is not None:
            watcher.advanced(*message)


def _facts(scenario: Scenario, trace: Trace, cell: Cell) -> dict[str, Any]:
    """What was run, by the names of the JSON contract."""
    described = repr((asdict(scenario), asdict(cell.machine)))
    return {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "replay",
        "seed": scenario.seed,
        "scenario_digest": hashlib.sha256(described.encode()).hexdigest(),
        "trace_digest": trace.digest(),
        "profile_digest": None
        if scenario.profile is None
        else load_profile(scenario.profile).digest,
        "trace": trace.name,
        "requests": len(trace),
        "trace_rate_rps": _rate_rps(trace),
        "dropped_rows": [asdict(dropped) for dropped in trace.dropped],
        "model": scenario.model,
        "device": scenario.device,
        "tp": scenario.machine.tp,
        "replicas": scenario.replicas,
        "router": scenario.router if scenario.replicas > 1 else None,
        "devices": scenario.replicas * scenario.machine.tp,
        "scheduler": scenario.scheduler,
        "preemption": scenario.preemption,
        "slo": asdict(scenario.slo),
        "tenant_settings": [asdict(tenant) for tenant in scenario.tenants],
        "budget_bytes": cell.machine.budget_bytes,
        "kv_bytes_per_token": cell.machine.spec.bytes_per_token(),
        "state_bytes_per_sequence": cell.machine.spec.bytes_per_sequence(),
    }


def _rate_rps(trace: Trace) -> float | None:
    """Requests a second from the first arrival to the last; None where that is no time."""
    arrival_ns = trace.arrival_ns
    if arrival_ns is None or arrival_ns[0] == arrival_ns[-1]:
        return None
    return (len(trace) - 1) * 1e9 / float(arrival_ns[-1] - arrival_ns[0])
