"""The public traces against the figures published beside them; skipped where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from traces.load import load_trace
from traces.record import DroppedRows, Trace

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "traces"
# rows, prompt and output (mean, p50, p95, p99, max), rate per second or None
PUBLISHED = {
    "AzureLLMInferenceTrace_conv.csv.gz": (
        19_366,
        (1154.7, 1020, 4083, 4142, 14050),
        (211.1, 129, 451, 601, 1000),
        5.530,
    ),
    "BurstGPT_1.first400.csv.gz": (
        383,
        (543.6, 353, 1639, 1958, 2126),
        (288.8, 238, 842, 1425, 2019),
        None,
    ),
    "conversation_trace.jsonl.gz": (
        12_031,
        (12035.1, 6909, 39550, 85400, 126195),
        (342.6, 350, 698, 1119, 2000),
        3.401,
    ),
    "sharegpt_8k_filtered_stats_llama2_tokenizer.csv.gz": (
        30_731,
        (2340.0, 1730, 6563, 7434, 8141),
        (438.7, 415, 920, 998, 1024),
        None,
    ),
    "arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv.gz": (
        28_257,
        (2588.1, 2730, 3813, 3933, 4054),
        (291.4, 167, 736, 3271, 4056),
        None,
    ),
}


def public(name: str) -> Trace:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the public trace {name} is not on this machine")
    return load_trace(str(path))


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_and_statistics_are_the_published_ones(name: str) -> None:
    rows, prompt, output, rate = PUBLISHED[name]
    trace = public(name)
    assert len(trace) == rows
    for column, figures in ((trace.prompt_tokens, prompt), (trace.output_tokens, output)):
        measured = (column.mean(), *np.percentile(column, [50, 95, 99]), column.max())
        assert measured[0] == pytest.approx(figures[0], abs=0.05)
        assert measured[1:] == pytest.approx(figures[1:], abs=0.51)
    if rate is not None:
        assert trace.arrival_ns is not None
        assert rows / (trace.arrival_ns[-1] / 1e9) == pytest.approx(rate, abs=0.001)


def test_azure_spans_what_its_first_and_last_time_say() -> None:
    trace = public("AzureLLMInferenceTrace_conv.csv.gz")
    assert trace.arrival_ns is not None
    # 18:15:46.6805900 to 19:14:08.4025270
    assert int(trace.arrival_ns[-1]) == 3_501_721_937_000


def test_burstgpt_counts_the_failed_rows() -> None:
    trace = public("BurstGPT_1.first400.csv.gz")
    assert trace.dropped == (DroppedRows("failed requests (0 response tokens)", 17),)


def test_mooncake_keeps_every_prefix_block() -> None:
    trace = public("conversation_trace.jsonl.gz")
    blocks = [block for prefix in trace.prefixes for block in prefix]
    assert (len(blocks), len(set(blocks))) == (288_500, 182_790)
    assert all(
        len(prefix) == -(-tokens // 512)
        for prefix, tokens in zip(trace.prefixes, trace.prompt_tokens.tolist(), strict=True)
    )
