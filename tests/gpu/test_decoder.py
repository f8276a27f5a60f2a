"""The decoder says what `transformers` says, while its pages move, and sequences come and go."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.spec import Granularity
from gpu_backend.decoder import Decoder
from gpu_backend.executor import DeviceExecutor
from gpu_backend.kernels.reference import TorchKernels
from gpu_backend.sequence_tables import Limits
from sim.engine import Engine, Wiring
from sim.event_log import EventKind
from sim.schedulers.fcfs import FcfsOptions, FcfsScheduler
from tests.gpu.spoiling_backing import SpoilingBacking
from traces.record import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu_backend.decoder import Caches, Ragged
    from gpu_backend.kernels.interface import Kernels
    from sim.step import StepPlan

pytest.importorskip("transformers", reason="transformers is not installed")

from tests.gpu.transformers_models import ORACLES, Oracle

torch.set_num_threads(1)

TOLERANCE = 2e-5
"""float32 arithmetic through some ten blocks in another order of operations."""

PROMPTS, OUTPUTS = (30, 7, 22, 3, 41, 12), (65, 9, 20, 66, 30, 12)
NUM_REQUESTS = len(PROMPTS)
GRANULE = 1024


class Watched(Decoder):
    """Keeps the logits of the last step where they stay, so that graphs write them too."""

    last: torch.Tensor

    def logits(self, ragged: Ragged, caches: Caches) -> torch.Tensor:
        logits = super().logits(ragged, caches)
        self.last[: len(logits)] = logits
        return logits


class Watch:
    """An executor that keeps the logits of every token made."""

    def __init__(self, executor: DeviceExecutor, decoder: Watched) -> None:
        self._executor = executor
        self._decoder = decoder
        self.logits: dict[int, list[torch.Tensor]] = defaultdict(list)

    def execute(self, plan: StepPlan) -> int:
        duration_ns = self._executor.execute(plan)
        ends = [c.sequence for c in plan.chunks if c.sequence.owed_tokens == c.tokens]
        for number, sequence in enumerate([*plan.decodes, *ends]):
            self.logits[sequence.request_id].append(self._decoder.last[number].clone())
        return duration_ns


class Rerun:
    """Work that is run again where a device would replay it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.replay = work


def trace() -> Trace:
    prompts, outputs = (np.array(column, dtype=np.int64) for column in (PROMPTS, OUTPUTS))
    return Trace("burst", prompts, outputs, np.zeros(NUM_REQUESTS, np.int64))


def kernels(device: str) -> Kernels:
    if device == "cpu":
        return TorchKernels()
    from gpu_backend.kernels.device.kernels import TritonKernels  # noqa: PLC0415 - only on a GPU

    return TritonKernels()


def run(
    oracle: Oracle, granularity: Granularity, device: str
) -> tuple[Engine, Watch, DeviceExecutor, SpoilingBacking]:
    spec = oracle.shape.cache_spec()
    hybrid = oracle.shape.state is not None
    most = 100
    budget = 130 * spec.bytes_per_token() + 42 * spec.bytes_per_sequence() // 10
    backing = SpoilingBacking(budget, GRANULE, device)
    options = AvmpOptions(
        granularity=granularity, unit=1, batch=4, state_ratio=0.7 if hybrid else 0.5
    )
    manager = AvmpManager(spec, backing, options)
    decoder = Watched(oracle.shape, oracle.weights, kernels(device))
    decoder.last = torch.zeros(16, oracle.shape.vocab_size, device=device)
    limits, pads = Limits(16, most, 64), granularity is Granularity.LAYER  # on the host, half do
    capture = Rerun if device == "cpu" and pads else None
    executor = DeviceExecutor(decoder, manager, backing, limits, capture)
    watch = Watch(executor, decoder)
    scheduler = FcfsScheduler(FcfsOptions(max_seqs=8, max_batched_tokens=24))
    engine = Engine(trace(), Wiring(manager, scheduler, watch))
    return engine, watch, executor, backing


@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("name", ORACLES)
def test_logits_are_those_of_transformers(name: str, granularity: Granularity, device: str) -> None:
    with torch.device(device):
        oracle = ORACLES[name]()
    engine, watch, executor, backing = run(oracle, granularity, device)
    log = engine.run()
    assert len(log.of(EventKind.COMPLETION)) == NUM_REQUESTS
    assert len(log.of(EventKind.PREEMPTION)), "nobody had to recompute"
    if oracle.shape.state is not None:
        assert len(log.of(EventKind.MIGRATION)), "no capacity moved"
        assert backing.counters().copied_bytes, "no page moved"
    for request in range(NUM_REQUESTS):
        prompt, text = PROMPTS[request], executor.texts.text(request)
        assert len(text) == prompt + OUTPUTS[request]
        with torch.no_grad():
            ids = torch.tensor(text[None, :-1].tolist(), device=device)
            expected = oracle.model(ids).logits[0, prompt - 1 :]
        found = torch.stack(watch.logits[request])
        assert found.shape == expected.shape
        assert float((found - expected).norm() / expected.norm()) < TOLERANCE
