"""What an allocator costs on the host, measured apart from simulated time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from allocator.interface import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.interface import CacheManager
    from traces.record import Trace

NUM_SEQUENCES = 16
NUM_ROUNDS = 9
BUDGET_FACTORS = tuple(2**power for power in range(11))


def host_ns_per_op(build_manager: Callable[[int], CacheManager], trace: Trace) -> float | None:
    """Processor nanoseconds a call of an allocator, median over rounds.

    A round admits 16 sequences of the trace's median prompt, extends them in turn, token by
    token, to its median output, and releases them: the same calls for every allocator. The first
    round warms up and is not counted. None if a round fits no budget that is tried.

    Args:
        build_manager: Makes a manager with so many times the budget; the smallest power of two
            that holds a round is used, so that no failing call is measured.
        trace: Gives the lengths.
    """
    prompt = int(np.median(trace.prompt_tokens))
    output = int(np.median(trace.output_tokens))
    for factor in BUDGET_FACTORS:
        try:
            manager = build_manager(factor)
            _round(manager, prompt, output)
        except (OutOfMemoryError, ValueError):  # too small a budget, or too large for handles
            continue
        rounds = [_timed(manager, prompt, output) for _ in range(NUM_ROUNDS)]
        return float(np.median(rounds)) / (NUM_SEQUENCES * (output + 1))
    return None


def _timed(manager: CacheManager, prompt: int, output: int) -> int:
    start_ns = time.thread_time_ns()
    _round(manager, prompt, output)
    return time.thread_time_ns() - start_ns


def _round(manager: CacheManager, prompt: int, output: int) -> None:
    """One admission, output - 1 extensions and one release a sequence."""
    for sequence in range(NUM_SEQUENCES):
        manager.admit(sequence, prompt)
    for _ in range(output - 1):
        for sequence in range(NUM_SEQUENCES):
            manager.extend(sequence, 1)
    for sequence in range(NUM_SEQUENCES):
        manager.release(sequence)
