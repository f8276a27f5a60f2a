"""What an engine's sizing promises: from a model and a budget to figures and a ledger of bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from allocator.discovery import discover
from scenarios.model import AUTO

if TYPE_CHECKING:
    from scenarios.model import Model


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be sized, per device.

    Attributes:
        model: Whose caches.
        available_bytes: Bytes for caches on one device.
        max_model_len: Prompt and output tokens of the longest request.
        tp: Devices that share the model.
        kv_dtype: Element type of the KV cache, `auto` for the model's.
        state_dtype: Element type of the recurrent state, `auto` for the engine's own default.
        granule_bytes: The unit in which the device maps memory.
    """

    model: Model
    available_bytes: int
    max_model_len: int
    tp: int = 1
    kv_dtype: str = AUTO
    state_dtype: str = AUTO
    granule_bytes: int = 2 << 20


@dataclass(frozen=True, slots=True)
class Share:
    """Bytes of the budget that serve one purpose.

    Attributes:
        name: The purpose, in a few words.
        size_bytes: How many.
        why: How the number comes about.
        useful: Whether tokens and states need them.
    """

    name: str
    size_bytes: int
    why: str
    useful: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an engine would not start.

    Attributes:
        rule: What it checks, with the numbers.
        remedy: The setting that would pass.
    """

    rule: str
    remedy: str


class Sizing(ABC):
    """One engine's answer.

    Attributes:
        question: What was asked.
    """

    question: Question

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """The figures that the engine would print, by the names of the JSON contract."""

    @abstractmethod
    def concurrency(self, tokens: int) -> float:
        """Sequences of so many tokens, prompt and output, that fit at once."""

    @abstractmethod
    def ledger(self) -> list[Share]:
        """Where the budget goes with as many whole requests of `max_model_len` as run at once.

        The shares sum to `available_bytes` exactly.
        """

    def refusals(self) -> list[Refusal]:
        """Why it would not start; empty if it would."""
        return []

    def notes(self) -> list[str]:
        """What a person should know beside the figures, a sentence each."""
        return []


class Engine(ABC):
    """Sizes caches as one serving engine does.

    Class attributes:
        name: What the command line calls it.
        summary: One line on the design.
        source: Where the formulas come from.
        Options: A frozen dataclass of the engine's settings; fields are named like the options of
            the command line, and every one has a default.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    Options: ClassVar[type[Any]]

    @classmethod
    @abstractmethod
    def size(cls, question: Question, options: Any) -> Sizing:  # noqa: ANN401 - an instance of the engine's own Options
        """Size the caches.

        Raises:
            UserError: A setting that the engine does not take, or that contradicts another.
        """


@cache
def known_engines() -> dict[str, type[Engine]]:
    """Every engine of `scenarios.capacity.engines` by its name, in order of name."""
    from scenarios.capacity import engines  # noqa: PLC0415 - the modules found there import this one

    return discover(engines, Engine)  # type: ignore[type-abstract]
