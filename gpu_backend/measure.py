"""Timing on a device and on its host: warmed up, repeated, medians with their spread."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gpu_backend.availability import torch_module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

NS_PER_MS = 1_000_000
NOISE_ELEMENTS = 1 << 30
"""Drawn at once."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of equal trials, in nanoseconds.

    Attributes:
        median_ns: The middle one.
        p10_ns: A tenth took no longer.
        p90_ns: Nine tenths took no longer.
        trials: How many there were, after the warm-up.
    """

    median_ns: int
    p10_ns: int
    p90_ns: int
    trials: int

    @classmethod
    def of(cls, durations_ns: Sequence[float]) -> Timing:
        """Fold durations; at least one."""
        ranked = sorted(durations_ns)
        last = len(ranked) - 1
        return cls(
            median_ns=round(statistics.median(ranked)),
            p10_ns=round(ranked[round(0.1 * last)]),
            p90_ns=round(ranked[round(0.9 * last)]),
            trials=len(ranked),
        )

    def to_json(self) -> dict[str, int]:
        """The figures by name."""
        return asdict(self)


def host_timing(call: Callable[[], object], trials: int, warm_up: int = 3) -> Timing:
    """What a call costs the host; work it gives to a device is not waited for."""
    for _ in range(warm_up):
        call()
    durations_ns = []
    for _ in range(trials):
        start_ns = time.perf_counter_ns()
        call()
        durations_ns.append(time.perf_counter_ns() - start_ns)
    return Timing.of(durations_ns)


def device_timing(
    call: Callable[[], object], device: torch.device, trials: int, warm_up: int = 3
) -> Timing:
    """What a call costs the device, between two events on the current stream."""
    cuda: Any = torch_module().cuda
    for _ in range(warm_up):
        call()
    pairs = [[cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(trials)]
    cuda.synchronize(device)
    for start, end in pairs:
        start.record()
        call()
        end.record()
    cuda.synchronize(device)
    return Timing.of([start.elapsed_time(end) * NS_PER_MS for start, end in pairs])


def random_bytes(size_bytes: int, device: torch.device) -> torch.Tensor:
    """Bytes to measure with: uint8, shape (size_bytes,); zeros would move faster than data."""
    module = torch_module()
    dtype = module.uint8
    found: torch.Tensor = module.randint(0, 256, (size_bytes,), dtype=dtype, device=device)
    return found


def fill_with_noise(memory: torch.Tensor) -> None:
    """Write random numbers that are finite as bf16, and two by two as fp32.

    Args:
        memory: uint8, shape (size_bytes,), an even number.
    """
    module = torch_module()
    numbers = memory.view(module.bfloat16)
    for first in range(0, numbers.numel(), NOISE_ELEMENTS):
        numbers[first : first + NOISE_ELEMENTS].normal_()


class BusyKernel:
    """Work that keeps a device busy for about so long, so that something can happen beside it."""

    def __init__(self, device: torch.device, duration_ns: int) -> None:
        """Find out how many products take so long."""
        self._torch: Any = torch_module()
        self._device = device
        shape, dtype = (4096, 4096), self._torch.bfloat16
        self._left = self._torch.randn(shape, dtype=dtype, device=device)
        self._right = self._torch.randn(shape, dtype=dtype, device=device)
        self._out = self._torch.empty_like(self._left)
        self._count = 1
        once_ns = device_timing(self.start, device, trials=10).median_ns
        self._count = max(1, round(duration_ns / once_ns))

    def start(self) -> None:
        """Give the work to the current stream, and come back at once."""
        for _ in range(self._count):
            self._torch.mm(self._left, self._right, out=self._out)

    def is_running(self, fence: Any) -> bool:  # noqa: ANN401 - a torch event
        """Whether the work before a fence is still going on."""
        return not fence.query()

    def fence(self) -> Any:  # noqa: ANN401 - a torch event
        """The end of what has been started."""
        return self._torch.cuda.current_stream(self._device).record_event()

    def wait(self) -> None:
        """Wait for the device."""
        self._torch.cuda.synchronize(self._device)
