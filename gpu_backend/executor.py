"""Runs what a plan says on a device, and says how long it took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gpu_backend.arena import Arena
from gpu_backend.decoder_caches import CacheLayout
from gpu_backend.executor_clock import CudaClock, HostClock
from gpu_backend.executor_inputs import StepInputs, input_shapes
from gpu_backend.executor_memory import memory_of
from gpu_backend.executor_texts import Texts
from gpu_backend.graphs import DecodeGraphs
from gpu_backend.sequence_tables import SequenceTables, table_shapes

if TYPE_CHECKING:
    from gpu_backend.byte_backing import ByteBacking
    from gpu_backend.decoder import Decoder
    from gpu_backend.decoder_caches import SizedManager
    from gpu_backend.executor_inputs import StepSize
    from gpu_backend.sequence_tables import Limits
    from sim.step import StepPlan


@dataclass(frozen=True, slots=True)
class StepTimes:
    """One step, measured.

    Attributes:
        device_ns: From the upload of its inputs until its tokens were back.
        host_ns: What the host did before: tables, inputs, and captures of graphs.
        uploaded_bytes: Bytes of changed words and where they go.
    """

    device_ns: int
    host_ns: int
    uploaded_bytes: int


class DeviceExecutor:
    """Computes the steps of an engine with a decoder whose caches a manager allots.

    Greedy: every token is the most likely one, so a sequence that is preempted and computed again
    goes on as it would have. The device is waited for once a step.

    Attributes:
        texts: The tokens of every request.
        last: The last step's times.
    """

    def __init__(
        self, decoder: Decoder, manager: SizedManager, backing: ByteBacking, limits: Limits
    ) -> None:
        """Before anything has been admitted.

        Raises:
            ValueError: If the manager was laid out for other layers, or has moved pages.
        """
        weights = decoder.weights.embedding
        self._decoder, self._device = decoder, weights.device
        shapes = table_shapes(manager, limits) | input_shapes(limits)
        self._arena = Arena(shapes, str(self._device))
        self._tables = SequenceTables(manager, self._arena, limits.max_sequences)
        self._caches = CacheLayout(manager, backing, self._arena).caches(decoder.shape)
        self._memory = memory_of(backing)
        self.texts = Texts(decoder.shape.vocab_size)
        self._inputs = StepInputs(self._arena, self._tables, self.texts)
        decoder.reach(limits.max_tokens)
        on_cuda = self._device.type == "cuda"
        self._clock = CudaClock() if on_cuda else HostClock()
        self._next = torch.zeros(limits.max_sequences, dtype=torch.int64, device=self._device)
        self._told = torch.zeros(limits.max_sequences, dtype=torch.int64, pin_memory=on_cuda)
        most = (limits.max_sequences, limits.max_tokens)
        self._graphs = DecodeGraphs(self._run_decodes, most) if on_cuda else None
        self.last = StepTimes(0, 0, 0)

    def execute(self, plan: StepPlan) -> int:
        """See `StepExecutor.execute`."""
        with torch.inference_mode():
            return self._execute(plan)

    def _execute(self, plan: StepPlan) -> int:
        started_ns = time.perf_counter_ns()
        graph = self._graph_for(plan)
        size = self._inputs.write(plan, graph[0] if graph else len(plan.decodes))
        self._tables.note_moves()  # last: looking at block tables may make calls that waited
        host_ns = time.perf_counter_ns() - started_ns
        self._clock.start()
        self._memory.before(plan)
        uploaded_bytes = self._arena.flush()
        if graph and self._graphs:
            self._graphs.replay(graph)
        else:
            self._run(size)
        count = len(size.telling)
        self._told[:count].copy_(self._next[:count], non_blocking=True)
        self._memory.launched()
        device_ns = self._clock.stop()
        self.last = StepTimes(device_ns, host_ns, uploaded_bytes)
        for sequence, token in zip(size.telling, self._told[:count].tolist(), strict=True):
            self.texts.append(sequence, token)
        return device_ns

    def _graph_for(self, plan: StepPlan) -> tuple[int, int] | None:
        """The size of the graph that a plan runs as; None if it runs kernel by kernel."""
        if self._graphs is None or plan.chunks:
            return None
        reach = max(sequence.computed_tokens for sequence in plan.decodes) + 1
        size = self._graphs.size_for(len(plan.decodes), reach)
        if not self._graphs.has(size):
            self._memory.before(plan)  # what kernels are handed must be mapped, though not read
            self._inputs.ask_for_nothing()
            self._graphs.capture(size)
        return size

    def _run(self, size: StepSize) -> None:
        logits = self._decoder.logits(self._inputs.shown(size), self._caches)
        self._next[: len(size.telling)] = logits.argmax(-1)

    def _run_decodes(self, sequences: int, tokens: int) -> None:
        ragged = self._inputs.shown_decodes(sequences, tokens)
        torch.argmax(self._decoder.logits(ragged, self._caches), -1, out=self._next[:sequences])
