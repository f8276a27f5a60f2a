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
from gpu_backend.graphs import CudaCapture, StepGraphs
from gpu_backend.sequence_tables import SequenceTables, table_shapes
from gpu_backend.step_room import StepRoom

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_backend.byte_backing import ByteBacking
    from gpu_backend.decoder import Decoder
    from gpu_backend.decoder_caches import SizedManager
    from gpu_backend.executor_clock import StepClock
    from gpu_backend.graphs import Capture
    from gpu_backend.sequence_tables import Limits
    from sim.step import StepPlan


@dataclass(frozen=True, slots=True)
class StepTimes:
    """One step, measured.

    Attributes:
        device_ns: From the upload of its inputs until its tokens were back.
        host_ns: What the host did before: tables and inputs.
        capture_ns: What it took to capture the step, if its room came for the first time.
        uploaded_bytes: Bytes of changed words and where they go.
    """

    device_ns: int
    host_ns: int
    capture_ns: int
    uploaded_bytes: int


NO_TIMES = StepTimes(0, 0, 0, 0)


class DeviceExecutor:
    """Computes the steps of an engine with a decoder whose caches a manager allots.

    Greedy: every token is the most likely one, so a sequence that is preempted and computed again
    goes on as it would have. The device is waited for once a step.

    Attributes:
        texts: The tokens of every request.
        last: The last step's times.
    """

    def __init__(
        self,
        decoder: Decoder,
        manager: SizedManager,
        backing: ByteBacking,
        limits: Limits,
        capture: Capture | None = None,
    ) -> None:
        """Before anything has been admitted.

        Args:
            decoder: The model.
            manager: Allots its caches.
            backing: Holds them.
            limits: How large steps may be.
            capture: Makes steps replayable; CUDA graphs on a CUDA device, and nothing elsewhere,
                unless given.

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
        self._inputs = StepInputs(self._arena, self._tables, self.texts, limits.max_tokens)
        decoder.reach(limits.max_tokens)
        on_cuda = self._device.type == "cuda"
        self._clock: StepClock = CudaClock() if on_cuda else HostClock()
        most_told = 2 * limits.max_sequences
        self._next = torch.zeros(most_told, dtype=torch.int64, device=self._device)
        self._told = torch.zeros(most_told, dtype=torch.int64, pin_memory=on_cuda)
        capture = CudaCapture() if on_cuda and capture is None else capture
        self._graphs = StepGraphs(self._run, capture) if capture else None
        self._limits = limits
        self.last = NO_TIMES

    def execute(self, plan: StepPlan) -> int:
        """See `StepExecutor.execute`."""
        with torch.inference_mode():
            return self._execute(plan)

    def _execute(self, plan: StepPlan) -> int:
        room = self._room_for(plan)
        capture_ns = _duration_ns(lambda: self._capture(plan, room))
        started_ns = time.perf_counter_ns()
        telling = self._inputs.write(plan, room)
        self._tables.note_moves()  # last: looking at block tables may make calls that waited
        host_ns = time.perf_counter_ns() - started_ns
        self._clock.start()
        self._memory.before(plan)
        uploaded_bytes = self._arena.flush()
        self._launch(room)
        count = len(telling)
        self._told[:count].copy_(self._next[:count], non_blocking=True)
        self._memory.launched()
        device_ns = self._clock.stop()
        self.last = StepTimes(device_ns, host_ns, capture_ns, uploaded_bytes)
        for sequence, token in zip(telling, self._told[:count].tolist(), strict=True):
            self.texts.append(sequence, token)
        return device_ns

    def _room_for(self, plan: StepPlan) -> StepRoom:
        room = StepRoom.of(plan)
        return room.padded(self._limits) if self._graphs else room

    def _capture(self, plan: StepPlan, room: StepRoom) -> None:
        """Capture a room that is to be, unless it has been."""
        if self._graphs and room.is_captured and not self._graphs.has(room):
            self._memory.before(plan)  # what kernels are handed must be mapped, though not read
            self._inputs.ask_for_nothing()
            self._graphs.capture(room)

    def _launch(self, room: StepRoom) -> None:
        if self._graphs and room.is_captured:
            self._graphs.replay(room)
        else:
            self._run(room)

    def _run(self, room: StepRoom) -> None:
        logits = self._decoder.logits(self._inputs.shown(room), self._caches)
        torch.argmax(logits, -1, out=self._next[: room.told])


def _duration_ns(call: Callable[[], None]) -> int:
    started_ns = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - started_ns
