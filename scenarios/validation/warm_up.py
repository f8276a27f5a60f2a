"""Steps of many shapes before anything is measured: kernels compile, libraries load theirs."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice, product
from typing import TYPE_CHECKING

from allocator.backing import HostBacking
from allocator.interface import OutOfMemoryError
from scenarios.step_bench import FILLER_TOKENS, StepBench
from scenarios.validation.runs import laid_out, limits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpu_backend.calibrate import StepShape
    from gpu_backend.rig import Rig
    from gpu_backend.sequence_tables import Limits
    from scenarios.validation.runs import Case

CHUNKS = (1, 2, 4, 7, 12, 20, 50, 100, 160, 250, 400, 600, 900, 1300, 1800, 2600, 4000, 6000, 8000)
BATCHES = (1, 2, 5, 12, 30, 70)
CONTEXTS = (100, 700, 1500, 3000, 6000)
ROOM_TOKENS = 4
"""That a sequence gains while its step is repeated."""


def warm_up(cases: Sequence[Case], rig: Rig) -> int:
    """Copy pages of every size, and run steps of the first case; returns how many steps."""
    rig.ready_copies({size for case in cases for size in _page_bytes(case)})
    count = _warm_up_steps(cases[0], rig)
    rig.release_unused()
    return count


def _page_bytes(case: Case) -> list[int]:
    """Sizes of the pages that its allocator may move."""
    machine = case.cell.machine
    manager = laid_out(case, HostBacking(machine.budget_bytes, machine.granule_bytes))
    return [pool.page_bytes for pool in manager.usage().pools]


def _warm_up_steps(case: Case, rig: Rig) -> int:
    """Run steps of shapes that a trace brings, as far as memory holds them; returns how many."""
    machine, limits, count = case.cell.machine, limits_of(case), 0
    # Between prompts a sequence decodes that may be longer than any of the trace.
    tables = replace(limits, max_tokens=max(limits.max_tokens, FILLER_TOKENS + 1))
    with rig.backing(case.backing, machine.budget_bytes, machine.granule_bytes) as backing:
        manager = laid_out(case, backing)
        bench = StepBench(manager, rig.executor(manager, backing, tables), trials=1)
        for shape in _shapes(limits):
            try:
                bench.measure(shape)
            except OutOfMemoryError:
                continue
            count += 1
    return count


def _shapes(limits: Limits) -> Iterator[StepShape]:
    """Parts of prompts, alone and beside decodes, and decodes alone, within what tables hold."""
    from gpu_backend.calibrate import StepShape  # noqa: PLC0415 - only the GPU mode needs it

    decodes = list(product(BATCHES, CONTEXTS))
    shapes = [StepShape(batch, context) for batch, context in decodes]
    shapes += [StepShape(chunks=1, chunk_tokens=tokens) for tokens in CHUNKS]
    beside = islice(cycle(decodes), 2 * len(CHUNKS))
    shapes += [StepShape(*pair, 1, tokens) for pair, tokens in zip(beside, 2 * CHUNKS, strict=True)]
    for shape in shapes:
        fits = shape.decodes + shape.chunks <= limits.max_sequences
        fits &= shape.computed_tokens <= limits.max_step_tokens
        if fits and shape.longest_tokens + ROOM_TOKENS <= limits.max_tokens:
            yield shape
