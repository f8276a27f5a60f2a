from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from traces.arrival_process import Gamma, Poisson, parse_arrival_process
from traces.load import TraceOptions, known_formats, load_trace
from traces.record import Trace, TraceError
from traces.transform import limit, scale_rate, superpose, window, with_arrivals

GZIP_MAGIC = b"\x1f\x8b"
FORMATS = [None, *(known.name for known in known_formats())]
COLUMNS = [None, "arrival=a,prompt=b,output=c", "arrival=a:ms,prompt=b,output=c,tenant=d"]
HEADERS = [
    "",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n",
    "Timestamp,Request tokens,Response tokens\n",
    "arrived_at,num_prefill_tokens,num_decode_tokens\n",
    "num_prefill_tokens,num_decode_tokens\n",
    "a,b,c,d\n",
    '[{"conversations": [',
    '{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [0]}\n',
    '{"prompt_len": 1, "output_len": 1}\n',
    "\x1f\x8b",
]
CELLS = st.one_of(
    st.integers(-2, 2**70).map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.text(max_size=6),
    st.sampled_from(["", " ", '"', "nan", "1e5", "1e-999", "\r", "null"]),
)
ROWS = st.lists(st.lists(CELLS, max_size=5).map(",".join), max_size=6).map("\n".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(["timestamp", "input_length", "output_length", "hash_ids", "prompt_len"])
OBJECTS = st.lists(st.dictionaries(KEYS, VALUES).map(json.dumps), max_size=4).map("\n".join)
TEXTS = st.tuples(st.sampled_from(HEADERS), ROWS | OBJECTS).map("".join)
CONTENTS = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=200)
OPTIONS = st.builds(
    TraceOptions, format=st.sampled_from(FORMATS), columns=st.sampled_from(COLUMNS)
) | st.just(TraceOptions())


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    times = sorted(draw(st.lists(st.integers(0, 10**12), min_size=1, max_size=30)))
    count = len(times)
    lengths = st.lists(st.integers(1, 10**5), min_size=count, max_size=count)
    tenants = draw(st.booleans())
    return Trace(
        name="drawn",
        prompt_tokens=np.array(draw(lengths), dtype=np.int64),
        output_tokens=np.array(draw(lengths), dtype=np.int64),
        arrival_ns=np.array(times, dtype=np.int64),
        tenants=tuple(f"t{index}" for index in range(count)) if tenants else (),
    )


def content_of(trace: Trace) -> Counter[tuple[int, int, int, str]]:
    return Counter(
        (request.arrival_ns, request.prompt_tokens, request.output_tokens, request.tenant)
        for request in trace
    )


def loads_or_refuses(content: bytes, options: TraceOptions) -> str:
    """The digest of the trace; empty if it is refused, in one sentence."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        path.write_bytes(content)
        digest = sentence = ""
        try:
            trace = load_trace(str(path), options)
            trace.check_integrity()
            digest = trace.digest()
        except TraceError as error:
            sentence = str(error)
        assert "\n" not in sentence
        return digest


@given(CONTENTS, OPTIONS)
@example(b"", TraceOptions())
@example(b"\xef\xbb\xbf\n", TraceOptions(format="azure"))
@example(b"\x1f", TraceOptions(format="mooncake"))
@example(b"\n", TraceOptions(columns="prompt=a,output=b"))
@example(b"a,b\r\r\n1,2", TraceOptions(columns="prompt=a,output=b"))
@example(b'{"a\\nb": 1}', TraceOptions())
@settings(deadline=None, max_examples=400)
def test_any_bytes_give_a_trace_or_one_sentence(content: bytes, options: TraceOptions) -> None:
    loads_or_refuses(content, options)


@given(CONTENTS, OPTIONS, st.integers(0, 60))
@settings(deadline=None, max_examples=100)
def test_gzip_changes_nothing_and_cutting_it_breaks_nothing(
    content: bytes, options: TraceOptions, cut: int
) -> None:
    assume(not content.startswith(GZIP_MAGIC))  # else it is unpacked already
    packed = gzip.compress(content)
    assert loads_or_refuses(packed, options) == loads_or_refuses(content, options)
    loads_or_refuses(packed[: len(packed) - cut], options)


@given(st.text(max_size=30) | st.text("poisn:rate=,cv1.-", max_size=30))
def test_any_text_is_a_process_or_refused(text: str) -> None:
    sentence = ""
    try:
        process = parse_arrival_process(text)
        assert parse_arrival_process(process.label) == process
    except TraceError as error:
        sentence = str(error)
    assert "\n" not in sentence


@given(traces(), st.integers(1, 40))
def test_limit_keeps_the_head(trace: Trace, count: int) -> None:
    cut = limit(trace, count)
    cut.check_integrity()
    assert list(cut) == list(trace)[:count]


@given(traces(), st.integers(0, 1000), st.integers(1, 1000))
def test_windows_that_meet_hold_every_request_once(trace: Trace, start: int, length: int) -> None:
    parts = []
    for begin, duration in ((0, start), (start, length), (start + length, None)):
        try:
            part = window(trace, begin, duration) if duration != 0 else None
        except TraceError:
            continue
        if part is not None:
            part.check_integrity()
            parts.append(len(part))
    assert sum(parts) == len(trace)


@given(traces(), st.integers(1, 1000))
def test_slowing_down_and_speeding_up_again_changes_nothing(trace: Trace, factor: int) -> None:
    slow = scale_rate(trace, 1 / 2**10)
    assert scale_rate(slow, 2**10).digest() == trace.digest()
    fast = scale_rate(trace, factor)
    fast.check_integrity()
    assert trace.arrival_ns is not None
    assert fast.arrival_ns is not None
    assert (fast.arrival_ns == trace.arrival_ns // factor).all()


@given(st.lists(traces(), min_size=1, max_size=4))
def test_superposing_is_the_sorted_union(drawn: list[Trace]) -> None:
    joined = superpose(drawn)
    joined.check_integrity()
    assert content_of(joined) == sum((content_of(trace) for trace in drawn), Counter())


@given(traces(), st.floats(0.01, 1000), st.floats(0.1, 5), st.integers(0, 99))
def test_new_arrivals_leave_the_lengths_alone(
    trace: Trace, rate: float, cv: float, seed: int
) -> None:
    for process in (Poisson(rate=rate), Gamma(rate=rate, cv=cv)):
        given_times = with_arrivals(trace, process, np.random.default_rng(seed))
        given_times.check_integrity()
        assert (given_times.prompt_tokens == trace.prompt_tokens).all()
