"""How long a million requests take to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from traces.export import azure_csv
from traces.load import load_trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from traces.record import Trace

ROWS = 1_000_000


@pytest.fixture(scope="module")
def million() -> Trace:
    return load_trace(f"poisson:n={ROWS},rate=50,lengths=exponential")


@pytest.mark.benchmark(min_rounds=3)
def test_a_million_rows_of_the_azure_format(
    benchmark: Callable[..., Trace], million: Trace, tmp_path: Path
) -> None:
    path = tmp_path / "azure.csv"
    path.write_bytes(azure_csv(million))
    trace = benchmark(load_trace, str(path))
    assert len(trace) == ROWS
    assert (trace.prompt_tokens == million.prompt_tokens).all()


@pytest.mark.benchmark(min_rounds=1)
def test_a_million_lines_of_the_mooncake_format(
    benchmark: Callable[..., Trace], million: Trace, tmp_path: Path
) -> None:
    path = tmp_path / "mooncake.jsonl"
    assert million.arrival_ns is not None
    columns = (million.arrival_ns, million.prompt_tokens, million.output_tokens)
    line = '{{"timestamp": {}, "input_length": {}, "output_length": {}, "hash_ids": [{}]}}\n'
    with path.open("w") as file:
        for row, cells in enumerate(np.transpose(columns).tolist()):
            file.write(line.format(cells[0] // 10**6, *cells[1:], row))
    trace = benchmark(load_trace, str(path))
    assert len(trace) == ROWS
