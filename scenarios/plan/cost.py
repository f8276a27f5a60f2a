"""Devices for a target, and what serving costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scenarios.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS_PER_HOUR = 3600
PER_MILLION = 1e6


def parse_prices(texts: Sequence[str], devices: Sequence[str]) -> dict[str, float]:
    """Prices of a device-hour: `2.5` for every device, `NAME=2.5` for one of several.

    Raises:
        UserError: No number above 0, a device that is not planned, or one priced twice.
    """
    prices: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        if equals and name not in devices:
            raise UserError(f"--price-per-hour {text}: {name!r} is none of {', '.join(devices)}")
        for device in [name] if equals else devices:
            if device in prices:
                raise UserError(f"--price-per-hour gives {device} twice: give it once")
            prices[device] = _price(text, number)
    return prices


def replicas_for(target_rps: float, rate_rps: float) -> int:
    """How many replicas serve a target if each serves its highest rate."""
    return max(1, math.ceil(target_rps / rate_rps - 1e-9))


def cost_per_million_tokens(price_per_hour: float, devices: int, tokens_per_s: float) -> float:
    """Price of a million output tokens at a rate of them, in the unit of the price."""
    return price_per_hour * devices / (tokens_per_s * SECONDS_PER_HOUR) * PER_MILLION


def _price(text: str, number: str) -> float:
    try:
        price = float(number)
    except ValueError:
        price = math.nan
    if not 0 < price < math.inf:
        raise UserError(f"--price-per-hour {text} is no price: write 2.5, or NAME=2.5 for a device")
    return price
