"""Texts such as `ttft=2s,tpot=100ms` become service level objectives."""

from __future__ import annotations

from scenarios.errors import UnknownNameError, UserError
from sim.metric import Slo

UNITS_S = {"ms": 1e-3, "s": 1.0}
FIELDS = {"ttft": "ttft_s", "tpot": "tpot_s"}


def parse_slo(text: str) -> Slo:
    """Read `ttft=2s,tpot=100ms`; what is left out keeps its default.

    Raises:
        UserError: An unknown objective, or a time without unit or not above 0.
    """
    limits: dict[str, float] = {}
    for part in text.split(","):
        name, _, time = (word.strip() for word in part.partition("="))
        if name not in FIELDS:
            raise UnknownNameError("objective in --slo", name, FIELDS)
        limits[FIELDS[name]] = seconds_of(name, time)
    return Slo(**limits)


def seconds_of(name: str, text: str) -> float:
    """Read a time of an objective such as `50ms`.

    Raises:
        UserError: Without unit or not above 0.
    """
    for unit, scale in UNITS_S.items():
        try:
            seconds = float(text.removesuffix(unit)) * scale
        except ValueError:
            continue
        if text.endswith(unit) and 0 < seconds < float("inf"):
            return seconds
    raise UserError(f"--slo {name}={text} is no time: write it like {name}=2s or {name}=50ms")
