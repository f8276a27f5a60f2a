"""An answer as the JSON object of the contract, and as lines that a person reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scenarios.machine import GIB

if TYPE_CHECKING:
    from scenarios.capacity.budget import Budget
    from scenarios.capacity.engine import Sizing
    from scenarios.capacity.run import CapacityResult

SHORTEST = 256


def to_json(result: CapacityResult) -> dict[str, Any]:
    """The object that `--json` prints."""
    tokens = result.sizing.question.max_model_len
    return {
        **result.facts,
        "available_bytes": result.budget.available_bytes,
        "available_bytes_at_least": result.budget.least_bytes,
        "available_bytes_at_most": result.budget.most_bytes,
        **_answer(result.sizing),
        "concurrency_by_length": [
            {"tokens": length, "concurrency": result.sizing.concurrency(length)}
            for length in lengths_up_to(tokens)
        ],
        "explanation": {
            "budget": [asdict(term) for term in result.budget.terms],
            "ledger": [asdict(share) for share in result.sizing.ledger()],
            "notes": notes_of(result.budget, result.sizing),
        },
        "compared": [{"engine": name, **_answer(other)} for name, other in result.others.items()],
    }


def lengths_up_to(tokens: int) -> list[int]:
    """256 tokens, then twice as many, and so on; and the longest request itself."""
    lengths = []
    length = SHORTEST
    while length < tokens:
        lengths.append(length)
        length *= 2
    return [*lengths, tokens]


def notes_of(budget: Budget, sizing: Sizing) -> list[str]:
    """What a person should know, a sentence each: refusals first."""
    notes = [f"It would not start: {one.rule}. Try {one.remedy}." for one in sizing.refusals()]
    if budget.most_bytes > budget.least_bytes:
        notes.append(
            f"Between {budget.least_bytes / GIB:.2f} and {budget.most_bytes / GIB:.2f} GiB may be"
            " left for caches: what lies beside them is not known exactly."
        )
    return [*notes, *sizing.notes()]


def _answer(sizing: Sizing) -> dict[str, Any]:
    refusals = sizing.refusals()
    return {
        **sizing.figures(),
        "startup_refused": bool(refusals),
        "refusals": [asdict(refusal) for refusal in refusals],
    }
