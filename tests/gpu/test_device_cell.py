"""A cell on a device decides what its simulation decides, given the same durations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gpu_backend.decoder import Decoder
from gpu_backend.decoder_shape import (
    AttentionShape,
    BlockKind,
    DecoderShape,
    MlpShape,
    RotaryShape,
)
from gpu_backend.decoder_weights import RandomWeights
from gpu_backend.kernels.reference import TorchKernels
from gpu_backend.kernels.views import KvShape, StateShape
from gpu_backend.sequence_tables import Limits
from scenarios.cell import Cell
from scenarios.decoder import decoder_shape_of
from scenarios.device import load_device
from scenarios.device_cell import ALLOCATORS, wire_on_device
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from sim.engine import Engine
from sim.event_log import EventKind
from sim.macro_steps import MacroStepEngine
from sim.metric import Slo
from sim.preemptions.recompute import Recompute
from tests.gpu.spoiling_backing import SpoilingBacking
from traces.record import Trace

if TYPE_CHECKING:
    from sim.step import StepExecutor, StepPlan

torch.set_num_threads(1)

REAL = torch.float32
SHAPE = DecoderShape(
    hidden_size=32,
    vocab_size=64,
    blocks=(BlockKind.STATE, BlockKind.MLP, BlockKind.ATTENTION, BlockKind.STATE),
    attention=AttentionShape(4, KvShape(4, 2, 8, REAL), RotaryShape(8)),
    state=StateShape(4, 8, 8, 1, 4, REAL, REAL),
    mlp=MlpShape(48, gated=True),
    dtype=REAL,
)
GRANULE, BUDGET, LIMITS = 512, 48 << 10, Limits(12, 80, 64)
SCHEDULER = "fcfs:max_seqs=12,max_batched_tokens=32"


def cell(allocator: str) -> Cell:
    options = MachineOptions()
    machine = machine_of(load_model("bamba-9b"), load_device("h200"), options)
    small = replace(machine, spec=SHAPE.cache_spec(), budget_bytes=BUDGET, granule_bytes=GRANULE)
    return Cell(small, allocator, SCHEDULER, Slo())


def trace() -> Trace:
    rng = np.random.default_rng(5)
    prompts, outputs = (rng.integers(2, most, 24) for most in (40, 30))
    return Trace("burst", prompts, outputs, np.zeros(24, dtype=np.int64))


class Recorded:
    """Keeps the durations of another executor, or gives them again."""

    def __init__(self, run: StepExecutor | None = None) -> None:
        self._run = run
        self.durations_ns: list[int] = []

    def execute(self, plan: StepPlan) -> int:
        if self._run is None:
            return self.durations_ns.pop(0)
        self.durations_ns.append(self._run.execute(plan))
        return self.durations_ns[-1]


@pytest.mark.parametrize("allocator", ["avmp:unit=1", "static", "padded"])
def test_decisions_are_those_of_the_simulation_with_the_same_durations(allocator: str) -> None:
    decoder = Decoder(SHAPE, RandomWeights(SHAPE, "cpu").decoder(), TorchKernels())
    with SpoilingBacking(BUDGET, GRANULE) as backing:
        wiring, executor = wire_on_device(cell(allocator), decoder, backing, LIMITS)
        recorded = Recorded(executor)
        ran = MacroStepEngine(trace(), replace(wiring, executor=recorded)).run()
        wiring.manager.check_integrity()
    assert len(ran.of(EventKind.COMPLETION)) == 24
    assert len(ran.of(EventKind.PREEMPTION))
    again = Recorded()
    again.durations_ns = recorded.durations_ns
    simulation = cell(allocator)
    wiring = simulation.wire_with(simulation.build_manager(), again, Recompute())
    simulated = Engine(trace(), wiring).run()
    assert simulated.sha256() == ran.sha256()


def test_what_cannot_run_is_refused_in_one_sentence() -> None:
    decoder = Decoder(SHAPE, RandomWeights(SHAPE, "cpu").decoder(), TorchKernels())
    with SpoilingBacking(BUDGET, GRANULE) as backing:
        with pytest.raises(UserError, match=f"vllm cannot run .* use {', '.join(ALLOCATORS)}"):
            wire_on_device(cell("vllm"), decoder, backing, LIMITS)
        swapping = replace(cell("static"), preemption="swap")
        with pytest.raises(UserError, match="swap cannot run on a device: use recompute"):
            wire_on_device(swapping, decoder, backing, LIMITS)


@pytest.mark.parametrize(
    ("model", "objection"),
    [("zamba2-7b", "shared blocks"), ("gemma-3-4b", "one kind"), ("qwen3-8b", "norms")],
)
def test_models_without_kernels_are_refused_with_the_reason(model: str, objection: str) -> None:
    with pytest.raises(UserError, match=f"{model} cannot run on a device: .*{objection}"):
        decoder_shape_of(load_model(model), MachineOptions())


@pytest.mark.parametrize("name", ["bamba-9b", "llama-3.1-8b", "nemotron-h-8b"])
def test_a_decoder_s_caches_are_those_that_the_simulator_counts(name: str) -> None:
    model = load_model(name)
    machine = machine_of(model, load_device("h200"), MachineOptions())
    shape = decoder_shape_of(model, MachineOptions())
    assert shape.cache_spec() == machine.spec
    assert shape.count(BlockKind.ATTENTION) == model.attention_layers
    assert shape.count(BlockKind.STATE) == model.state_layers
