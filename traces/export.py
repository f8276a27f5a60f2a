"""Traces leave in Azure's 2023 format, for samples and for other tools."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from traces.record import TraceError

if TYPE_CHECKING:
    from pathlib import Path

    from traces.record import Trace

FIRST_ARRIVAL = "2024-01-01T00:00:00"


def azure_csv(trace: Trace) -> bytes:
    """The trace as `TIMESTAMP,ContextTokens,GeneratedTokens`, times from 2024-01-01 00:00 on.

    Times are cut to the format's 100 ns; tenants and prefixes have no place in it.

    Raises:
        TraceError: The trace has no arrivals.
    """
    if trace.arrival_ns is None:
        raise TraceError(f"{trace.name} has no arrival times, which the azure format needs")
    times = np.datetime64(FIRST_ARRIVAL, "ns") + trace.arrival_ns.astype("timedelta64[ns]")
    texts = np.char.replace(np.datetime_as_string(times, unit="ns").astype("U27"), "T", " ")
    table = pd.DataFrame(
        {
            "TIMESTAMP": texts.tolist(),
            "ContextTokens": trace.prompt_tokens,
            "GeneratedTokens": trace.output_tokens,
        }
    )
    return table.to_csv(index=False, lineterminator="\n").encode()


def write_azure_csv(trace: Trace, path: Path) -> None:
    """Write `azure_csv` of a trace, gzip-compressed, the same bytes whenever it is done.

    Raises:
        TraceError: The trace has no arrivals.
        OSError: The file cannot be written.
    """
    path.write_bytes(gzip.compress(azure_csv(trace), mtime=0))
