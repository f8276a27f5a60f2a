"""Decode steps as CUDA graphs, one a size of batch and reach of its longest sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_STEP = 8
LEAST_REACH = 512


class Replayable(Protocol):
    """Something that runs again what was captured."""

    def replay(self) -> None:
        """Run it on the current stream."""


class DecodeGraphs:
    """Captures a decode step the first time its size comes; later steps of the size replay it.

    Args:
        run: Runs a step of so many sequences, none with more than so many tokens, over buffers
            that stay where they are.
        most: No step has more sequences, no sequence more tokens.
    """

    def __init__(self, run: Callable[[int, int], None], most: tuple[int, int]) -> None:
        self._run = run
        self._most_sequences, self._most_tokens = most
        self._graphs: dict[tuple[int, int], Replayable] = {}
        self._memory: tuple[int, int] | None = None

    def size_for(self, sequences: int, tokens: int) -> tuple[int, int]:
        """Sequences and tokens of the graph that serves a step."""
        batch = 1 << (sequences - 1).bit_length()
        if sequences > BATCH_STEP:
            step = max(BATCH_STEP, batch // 8)
            batch = -(-sequences // step) * step
        reach = LEAST_REACH
        while reach < tokens:
            reach *= 2
        return min(batch, self._most_sequences), min(reach, self._most_tokens)

    def has(self, size: tuple[int, int]) -> bool:
        """Whether a size has been captured."""
        return size in self._graphs

    def capture(self, size: tuple[int, int]) -> None:
        """Capture a size; it is run once before, so the buffers must ask for nothing."""
        self._run(*size)  # compiles kernels and readies libraries, which a capture cannot
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            self._run(*size)
        self._memory = graph.pool()
        self._graphs[size] = graph

    def replay(self, size: tuple[int, int]) -> None:
        """Run a step of a captured size."""
        self._graphs[size].replay()
