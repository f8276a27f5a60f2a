"""One way to say that a structure contradicts itself."""

from __future__ import annotations


def check(condition: bool, problem: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise AssertionError with the problem unless the condition holds.

    Unlike `assert` it also runs under `python -O`.
    """
    if not condition:
        raise AssertionError(problem)
