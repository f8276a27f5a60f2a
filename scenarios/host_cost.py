"""What an allocator costs on the host, measured apart from simulated time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from allocator.interface import OutOfMemoryError

if TYPE_CHECKING:
    from allocator.interface import CacheManager
    from traces.record import Trace

NUM_SEQUENCES = 16
NUM_ROUNDS = 9


def host_ns_per_op(manager: CacheManager, trace: Trace) -> float | None:
    """Processor nanoseconds a call, median over rounds; None if not one median request fits.

    A round admits up to 16 sequences of the trace's median prompt, extends each token by token
    to its median output, and releases them. The first round warms up and is not counted.
    """
    prompt = int(np.median(trace.prompt_tokens))
    output = int(np.median(trace.output_tokens))
    rounds = [_round_ns_per_op(manager, prompt, output) for _ in range(NUM_ROUNDS + 1)]
    counted = [ns for ns in rounds[1:] if ns is not None]
    return float(np.median(counted)) if counted else None


def _round_ns_per_op(manager: CacheManager, prompt: int, output: int) -> float | None:
    admitted = []
    num_ops = 0
    start_ns = time.thread_time_ns()
    try:
        for sequence in range(NUM_SEQUENCES):
            manager.admit(sequence, prompt)
            admitted.append(sequence)
        for _ in range(output - 1):
            for sequence in admitted:
                manager.extend(sequence, 1)
                num_ops += 1
    except OutOfMemoryError:
        pass  # fewer sequences fit: those that do are measured
    for sequence in admitted:
        manager.release(sequence)
    elapsed_ns = time.thread_time_ns() - start_ns
    num_ops += 2 * len(admitted)
    return elapsed_ns / num_ops if admitted else None
