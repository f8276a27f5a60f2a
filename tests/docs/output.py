"""Printed text as far as it is the same on every machine."""

import re

MEASURED = (
    (re.compile(r"^ *host ns an allocator call .*$"), "  host ns an allocator call"),
    (re.compile(r"\d+ passed(, \d+ (skipped|deselected))* in [0-9.]+s( \([0-9:]+\))?"), "passed"),
)
"""Lines with times of this machine or counts of tests, and what is left of them."""


def comparable(text: str) -> list[str]:
    """Lines of printed text without blanks at their ends, empty lines, and what is measured."""
    lines = [_unmeasured(line.rstrip()) for line in text.splitlines()]
    return [line for line in lines if line]


def _unmeasured(line: str) -> str:
    for pattern, kept in MEASURED:
        line = pattern.sub(kept, line)
    return line
