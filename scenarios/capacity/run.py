"""The job behind `twinpool capacity`: model, budget and engine become figures and reasons."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from allocator.registry import known_managers
from scenarios.capacity.allocator_sizing import AllocatorSizing
from scenarios.capacity.budget import Budget, BudgetOptions, budget_of
from scenarios.capacity.engine import Question, Sizing, known_engines
from scenarios.device import load_device
from scenarios.errors import UnknownNameError, UserError
from scenarios.model import AUTO
from scenarios.model_choice import choose_model
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION

if TYPE_CHECKING:
    from scenarios.device import Device
    from scenarios.model import Model

MOST_TOKENS = 10**9
GRANULE_BYTES = 2 << 20
"""What a budget without a device is mapped in: the granule of current NVIDIA devices."""


@dataclass(frozen=True, slots=True)
class CapacityAsk:
    """What the user asks for, by names.

    Attributes:
        model: A name, a `config.json` or a folder.
        engine: An engine, or an allocator as `NAME[:key=value,...]`.
        device: Name of the device; None where the budget itself is given.
        budget: How the budget is found.
        max_model_len: Tokens of the longest request; None for what the model is made for.
        kv_dtype: Element type of the KV cache.
        state_dtype: Element type of the recurrent state.
        settings: Settings of the engine that were given, by name.
        compare: Further engines and allocators on the same budget.
    """

    model: str
    engine: str = "vllm"
    device: str | None = None
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    max_model_len: int | None = None
    kv_dtype: str = AUTO
    state_dtype: str = AUTO
    settings: dict[str, Any] = field(default_factory=dict)
    compare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """An answer, and what it rests on.

    Attributes:
        facts: What was asked, by the names of the JSON contract.
        budget: The memory for caches and its terms.
        sizing: The engine's answer.
        others: Answers of the engines to compare with, by name.
    """

    facts: dict[str, Any]
    budget: Budget
    sizing: Sizing
    others: dict[str, Sizing]


def capacity(ask: CapacityAsk) -> CapacityResult:
    """Size a model's caches.

    Raises:
        UserError: An unknown name, a setting of another engine, or sizes that contradict.
    """
    model = choose_model(ask.model)
    device = None if ask.device is None else load_device(ask.device)
    budget = budget_of(model, device, ask.budget)
    question = _question(ask, model, device, budget)
    sizing = size(ask.engine, question, ask.settings)
    others = {name: size(name, question, _shared(name, ask.settings)) for name in ask.compare}
    return CapacityResult(_facts(ask, question), budget, sizing, others)


def known_sizings() -> tuple[str, ...]:
    """The names that `--engine` takes: of engines, then of allocators that are no engine."""
    return tuple(dict.fromkeys((*known_engines(), *known_managers())))


def size(engine: str, question: Question, settings: dict[str, Any]) -> Sizing:
    """One engine's, or one allocator's, answer.

    Raises:
        UserError: An unknown name, or a setting that it does not take.
    """
    engines = known_engines()
    if engine in engines:
        design: Any = engines[engine]
        known = {setting.name for setting in fields(design.Options)}
        for name in settings:
            if name not in known:
                raise UserError(f"--{name.replace('_', '-')} is no setting of {engine}")
        answer: Sizing = design.size(question, design.Options(**settings))
        return answer
    if engine.partition(":")[0] not in known_managers():
        raise UnknownNameError("engine", engine, known_sizings())
    for name in settings:
        raise UserError(f"--{name.replace('_', '-')} is no setting of the allocator {engine}")
    return AllocatorSizing(question, engine)


def _shared(engine: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Those of the given settings that another engine takes too."""
    design: Any = known_engines().get(engine)
    known = {setting.name for setting in fields(design.Options)} if design else set()
    return {name: value for name, value in settings.items() if name in known}


def _question(ask: CapacityAsk, model: Model, device: Device | None, budget: Budget) -> Question:
    tokens = model.body.max_position if ask.max_model_len is None else ask.max_model_len
    if ask.max_model_len is None and not tokens:
        raise UserError(f"{model.name} does not say how long its context is: give --max-model-len")
    if not 1 <= tokens <= MOST_TOKENS:
        raise UserError(f"--max-model-len must lie between 1 and {MOST_TOKENS:,}, not {tokens:,}")
    return Question(
        model,
        budget.available_bytes,
        tokens,
        ask.budget.tp,
        ask.kv_dtype,
        ask.state_dtype,
        device.virtual_memory.granule_bytes if device else GRANULE_BYTES,
    )


def _facts(ask: CapacityAsk, question: Question) -> dict[str, Any]:
    described = repr((asdict(ask), asdict(question)))
    return {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "capacity",
        "seed": None,
        "scenario_digest": hashlib.sha256(described.encode()).hexdigest(),
        "model": question.model.name,
        "engine": ask.engine,
        "device": ask.device,
        "tp": question.tp,
        "kv_dtype": ask.kv_dtype,
        "state_dtype": ask.state_dtype,
        "max_model_len": question.max_model_len,
        "parameters": question.model.total_parameters,
    }
