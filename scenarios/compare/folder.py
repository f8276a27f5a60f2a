"""A comparison on disk: the report, the JSON object, and the series as CSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scenarios.compare.figures import LATENCIES
from scenarios.compare.page import comparison_html
from scenarios.compare.requests import errors_pct
from scenarios.whole_file import appearing, write_text
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scenarios.compare.comparison import Comparison
    from scenarios.compare.matching import Matching
    from scenarios.compare.occupancy import OccupancyError

REPORT, FIGURES = "compare.html", "compare.json"
REQUESTS, OCCUPANCY = "compare-requests.csv", "compare-occupancy.csv"


def write_comparison(found: Comparison, folder: Path) -> None:
    """Write all files; older ones are replaced.

    Args:
        found: What was found.
        folder: Where to.
    """
    figures = json.dumps(found.to_json(), indent=1, allow_nan=False)
    write_text(folder / FIGURES, figures + "\n")
    write_text(folder / REPORT, comparison_html(found))
    with appearing(folder / REQUESTS) as partial:
        requests_table(found.matching).to_csv(partial, index=False)
    if found.occupancy is not None:
        with appearing(folder / OCCUPANCY) as partial:
            occupancy_table(found.occupancy).to_csv(partial, index=False)


def requests_table(matching: Matching) -> pd.DataFrame:
    """A row a compared request, in order of arrival in the log; seconds and percent."""
    sides = {"measured": matching.measured, "simulated": matching.simulated}
    columns: dict[str, NDArray[Any]] = {"request": matching.measured.request}
    for name, side in sides.items():
        columns[f"{name}_arrival_s"] = side.arrival_ns / NS_PER_S
        columns[f"{name}_output_tokens"] = side.output_tokens
    columns["prompt_tokens"] = matching.simulated.prompt_tokens
    for latency in LATENCIES:
        pairs = latency.pairs(matching)
        for name, seconds in zip(sides, pairs, strict=True):
            columns[f"{name}_{latency.key}_s"] = seconds
        columns[f"{latency.key}_error_pct"] = errors_pct(*pairs)
    return pd.DataFrame(columns)


def occupancy_table(found: OccupancyError) -> pd.DataFrame:
    """A row an instant at which one of the series may change; each holds until the next row."""
    time_s = np.append(found.edges_s, found.end_s)
    sides = {"measured": found.measured, "simulated": found.simulated}
    columns = {f"{name}_pct": series.at(time_s) for name, series in sides.items()}
    return pd.DataFrame({"time_s": time_s, **columns})
