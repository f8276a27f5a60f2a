from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from traces.export import azure_csv, write_azure_csv
from traces.load import Known, TraceOptions, known_presets, load_trace
from traces.record import Trace, TraceError

if TYPE_CHECKING:
    from traces.record import Int64Array

ROOT = Path(__file__).resolve().parents[2]
PAPER_ROWS = ROOT.parent / "shared" / "paper" / "published_rows.json"
SAMPLE = ROOT / "traces" / "samples" / "azure-like-3000.csv.gz"
SAMPLE_SPEC = "azure-like:n=3000,seed=17"
PAPER_STREAMS = [
    (name, seed)
    for name, base in (("uniform-short", 1), ("mixed-long", 2), ("agentic-burst", 3))
    for seed in range(base, base + 3)
]
PRESETS = [known.name for known in known_presets()]


def arrivals(trace: Trace) -> Int64Array:
    assert trace.arrival_ns is not None
    return trace.arrival_ns


def dispersion(trace: Trace, bin_s: int) -> float:
    """Variance over mean of the arrivals in bins of some seconds, the last one included."""
    counts = np.bincount(arrivals(trace) // (bin_s * 10**9))
    return float(counts.var() / counts.mean())


@pytest.fixture(scope="module")
def azure_like() -> list[Trace]:
    return [load_trace(f"azure-like:n=19366,seed={seed}") for seed in range(16)]


@pytest.mark.parametrize(("name", "seed"), PAPER_STREAMS)
def test_the_streams_of_the_paper_have_the_published_digest(name: str, seed: int) -> None:
    if not PAPER_ROWS.exists():
        pytest.skip("the paper's published rows are not on this machine")
    key = f"{name.replace('-', '_')}:{seed}"
    stream: dict[str, Any] = json.loads(PAPER_ROWS.read_text())["streams"][key]
    trace = load_trace(f"{name}:seed={seed}")
    columns = (arrivals(trace) // 10**6, trace.prompt_tokens, trace.output_tokens)
    raw = b"".join(column.astype("<i8").tobytes() for column in columns)
    assert hashlib.sha256(raw).hexdigest() == stream["sha256_int64le_arrival_prompt_gen"]


def test_the_first_request_of_a_paper_stream_is_the_published_one() -> None:
    first = load_trace("agentic-burst:seed=3,tick_ms=2.5").request(0)
    assert (first.arrival_ns, first.prompt_tokens, first.output_tokens) == (2_500_000, 5770, 126)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_seed_and_its_label(name: str) -> None:
    trace = load_trace(name, TraceOptions(seed=5))
    trace.check_integrity()
    assert trace.has_arrivals
    assert load_trace(trace.name).digest() == trace.digest()
    assert load_trace(f"{name}:seed=5", TraceOptions(seed=1)).digest() == trace.digest()
    assert load_trace(name, TraceOptions(seed=6)).digest() != trace.digest()


@pytest.mark.parametrize("known", known_presets(), ids=PRESETS)
def test_a_preset_describes_itself_and_every_option(known: Known) -> None:
    assert known.description
    assert known.source
    assert all(": " in option for option in known.options)


@pytest.mark.parametrize(
    ("spec", "pattern"),
    [
        ("azure-lik", "presets are azure-like,"),
        ("poisson:lengths=constant", "must be one of"),
        ("poisson:n=0", "n must be at least 1"),
        ("poisson:n=1e3", "n must be a whole number"),
        ("poisson:seed=-1", "seed must be at least 0"),
        ("poisson:rate=1e-12", "146 years"),
        ("uniform-short:tick_ms=0", "tick_ms must be"),
        ("alternating:short_rate=0,long_rate=0", "no request arrives"),
        ("shift-to-kv:short_rate=1000000,duration_s=10000000", "lower rate or duration"),
        ("sharegpt-like:scale=0", "scale must be above 0"),
        ("azure-like:rows=3", "no option 'rows'"),
    ],
)
def test_bad_presets_are_refused(spec: str, pattern: str) -> None:
    with pytest.raises(TraceError, match=pattern):
        load_trace(spec)


def test_a_preset_takes_no_format() -> None:
    with pytest.raises(TraceError, match="go with a file"):
        load_trace("poisson", TraceOptions(format="azure"))


def test_a_file_wins_over_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "poisson").write_text("num_prefill_tokens,num_decode_tokens\n1,2\n")
    monkeypatch.chdir(tmp_path)
    assert len(load_trace("poisson")) == 1


def long_share(trace: Trace, start_s: float, end_s: float) -> float:
    """The share of long requests among those of a stretch of time."""
    inside = (arrivals(trace) >= start_s * 1e9) & (arrivals(trace) < end_s * 1e9)
    return float(np.mean([trace.tenants[row] == "kv-heavy" for row in np.flatnonzero(inside)]))


def test_shifts_go_where_their_names_say() -> None:
    to_kv, to_state = load_trace("shift-to-kv"), load_trace("shift-to-state")
    assert (long_share(to_kv, 0, 200), long_share(to_kv, 400, 600)) == (0, 1)
    assert (long_share(to_state, 0, 200), long_share(to_state, 400, 600)) == (1, 0)
    # halfway the rates are 10 and 0.5 a second; 0.06 is over 4 deviations at 400 requests
    assert 0 < long_share(to_kv, 280, 320) < 0.05 + 0.06


def test_alternating_swings_every_half_period() -> None:
    trace = load_trace("alternating:period_s=100,duration_s=300")
    shares = [long_share(trace, start, start + 50) for start in range(0, 300, 50)]
    assert shares == [0, 1, 0, 1, 0, 1]


def test_mixes_have_their_rates_and_lengths() -> None:
    trace = load_trace("alternating:duration_s=6000")
    long = np.array([tenant == "kv-heavy" for tenant in trace.tenants])
    # Poisson counts of 60,000 and 3,000 within five deviations
    assert (~long).sum() == pytest.approx(60_000, abs=5 * np.sqrt(60_000))
    assert long.sum() == pytest.approx(3_000, abs=5 * np.sqrt(3_000))
    assert trace.prompt_tokens[long].mean() == pytest.approx(16384, rel=0.05)
    assert (trace.prompt_tokens[~long].min(), trace.prompt_tokens[~long].max()) == (64, 192)


@pytest.mark.parametrize(
    ("name", "prompt_figures", "output_figures"),
    [
        (
            "mooncake-like:n=12031",
            (12035.1, 6909, 39550, 85400, 126195),
            (342.6, 350, 698, 1119, 2000),
        ),
        ("sharegpt-like:n=30731", (2340.0, 1730, 6563, 7434, 8141), (438.7, 415, 920, 998, 1024)),
    ],
)
def test_lengths_by_quantiles_are_the_published_ones(
    name: str, prompt_figures: tuple[float, ...], output_figures: tuple[float, ...]
) -> None:
    trace = load_trace(name)
    columns = (trace.prompt_tokens, trace.output_tokens)
    for tokens, published in zip(columns, (prompt_figures, output_figures), strict=True):
        percentiles = np.percentile(tokens, [50, 95, 99, 100])
        assert [tokens.mean(), *percentiles] == pytest.approx(published, rel=5e-3)


def test_scaled_lengths_are_the_same_requests_smaller() -> None:
    whole, half = load_trace("sharegpt-like:n=500"), load_trace("sharegpt-like:n=500,scale=0.5")
    assert abs(half.prompt_tokens - whole.prompt_tokens / 2).max() <= 1
    assert (arrivals(half) == arrivals(whole)).all()
    assert load_trace("mooncake-like:n=500,scale=0.0001").output_tokens.min() == 1


def test_a_blend_keeps_its_share() -> None:
    trace = load_trace("blend:share=0.25,duration_s=4000,short_rate=10,long_rate=10")
    # 10,000 long of 40,000 Poisson arrivals: 0.25 within five deviations of 0.0022
    for start in (0, 2000):
        assert long_share(trace, start, start + 2000) == pytest.approx(0.25, abs=0.016)
    assert set(load_trace("blend:share=1").tenants) == {"kv-heavy"}
    assert set(load_trace("blend:share=0").tenants) == {"state-heavy"}


def test_poisson_has_the_moments_that_queueing_formulas_assume() -> None:
    trace = load_trace("poisson:n=200000,rate=20,prompt=300,output=50,lengths=exponential")
    gaps = np.diff(arrivals(trace)) / 1e9
    assert gaps.mean() == pytest.approx(1 / 20, rel=0.015)
    assert gaps.std() == pytest.approx(1 / 20, rel=0.02)
    for column, mean in ((trace.prompt_tokens, 300), (trace.output_tokens, 50)):
        assert column.mean() == pytest.approx(mean, rel=0.015)
        assert column.std() == pytest.approx(np.sqrt(mean * (mean - 1)), rel=0.02)
        assert column.min() == 1


def test_poisson_with_fixed_lengths_has_them_fixed() -> None:
    trace = load_trace("poisson:prompt=7,output=3")
    assert set(trace.prompt_tokens.tolist()) == {7}
    assert set(trace.output_tokens.tolist()) == {3}


def test_azure_like_lengths_are_the_published_ones(azure_like: list[Trace]) -> None:
    for trace in azure_like:
        prompt, output = trace.prompt_tokens, trace.output_tokens
        assert prompt.mean() == pytest.approx(1154.7, rel=1e-3)
        assert output.mean() == pytest.approx(211.1, rel=1e-3)
        assert np.percentile(prompt, [50, 95, 99]) == pytest.approx([1020, 4083, 4142], rel=5e-3)
        assert np.percentile(output, [50, 95, 99]) == pytest.approx([129, 451, 601], rel=5e-3)
        assert 13_950 <= prompt.max() <= 14_050
        assert 995 <= output.max() <= 1000


def test_azure_like_arrivals_are_near_the_published_ones(azure_like: list[Trace]) -> None:
    # tolerances are three standard errors of a mean over 16 seeds, from the measured deviations
    # 0.02, 0.11, 0.98 and 5.9; the rate is met by construction
    gaps = [np.diff(arrivals(trace)) for trace in azure_like]
    assert [1e9 / gap.mean() for gap in gaps] == pytest.approx([5.53] * 16, rel=1e-3)
    assert np.mean([gap.std() / gap.mean() for gap in gaps]) == pytest.approx(1.09, abs=0.015)
    for bin_s, published, tolerance in ((1, 1.39, 0.08), (10, 4.00, 0.74), (60, 20.6, 4.4)):
        measured = np.mean([dispersion(trace, bin_s) for trace in azure_like])
        assert measured == pytest.approx(published, abs=tolerance)


def test_another_rate_only_scales_the_clock() -> None:
    slow, fast = load_trace("azure-like:rate=5.53"), load_trace("azure-like:rate=11.06")
    assert arrivals(slow) / 2 == pytest.approx(arrivals(fast), abs=200)
    assert (slow.prompt_tokens == fast.prompt_tokens).all()


def test_the_bundled_sample_is_what_the_preset_makes(tmp_path: Path) -> None:
    trace = load_trace(SAMPLE_SPEC)
    assert gzip.decompress(SAMPLE.read_bytes()) == azure_csv(trace)
    assert load_trace(str(SAMPLE)).digest() == trace.digest()
    write_azure_csv(trace, tmp_path / "again.gz")
    assert load_trace(str(tmp_path / "again.gz")).digest() == trace.digest()


def test_the_bundled_sample_is_near_the_published_figures() -> None:
    trace = load_trace(str(SAMPLE))
    assert len(trace) == 3000
    assert trace.prompt_tokens.mean() == pytest.approx(1154.7, rel=2e-3)
    assert trace.output_tokens.mean() == pytest.approx(211.1, rel=2e-3)
    assert np.percentile(trace.prompt_tokens, [50, 95, 99]) == pytest.approx(
        [1020, 4083, 4142], rel=5e-3
    )
    gaps = np.diff(arrivals(trace))
    assert 1e9 / gaps.mean() == pytest.approx(5.53, rel=2e-3)
    # nine minutes hold few swings of the rate: one deviation at this length is 0.03, 0.12 and 1.1
    assert gaps.std() / gaps.mean() == pytest.approx(1.09, abs=0.06)
    assert dispersion(trace, 1) == pytest.approx(1.39, abs=0.24)
    assert dispersion(trace, 10) == pytest.approx(4.00, abs=2.2)


def test_only_a_trace_with_arrivals_can_be_exported() -> None:
    bare = Trace("bare", np.ones(1, np.int64), np.ones(1, np.int64))
    with pytest.raises(TraceError, match="no arrival times"):
        azure_csv(bare)
