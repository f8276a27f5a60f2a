"""Steps as CUDA graphs, one for each room that has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_backend.step_room import StepRoom


class Replayable(Protocol):
    """Something that runs again what was captured."""

    def replay(self) -> None:
        """Run it on the current stream."""


class Capture(Protocol):
    """Makes work replayable."""

    def __call__(self, work: Callable[[], None]) -> Replayable:
        """Work as something to replay; it may be run once on the way."""


class CudaCapture:
    """Captures work as CUDA graphs that share memory: no two of them run at once."""

    def __init__(self) -> None:
        self._memory: tuple[int, int] | None = None

    def __call__(self, work: Callable[[], None]) -> Replayable:
        """See `Capture`; running first compiles kernels and readies libraries."""
        work()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            work()
        self._memory = graph.pool()
        found: Replayable = graph
        return found


class StepGraphs:
    """Captures a step the first time its room comes; later steps of that room replay it.

    Args:
        run: Runs a step of some room, over buffers that stay where they are.
        capture: Makes what is run replayable; the buffers must ask for nothing then.
    """

    def __init__(self, run: Callable[[StepRoom], None], capture: Capture) -> None:
        self._run = run
        self._capture = capture
        self._graphs: dict[StepRoom, Replayable] = {}

    def has(self, room: StepRoom) -> bool:
        """Whether a room has been captured."""
        return room in self._graphs

    def capture(self, room: StepRoom) -> None:
        """Capture a room."""
        self._graphs[room] = self._capture(lambda: self._run(room))

    def replay(self, room: StepRoom) -> None:
        """Run a step of a captured room."""
        self._graphs[room].replay()
