"""Every trace reader, alone and as sniffed; gzip and tar around them."""

from __future__ import annotations

import gzip
import io
import tarfile
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tests.fuzz.target import Prepared, Target
from traces.arrival_process import parse_arrival_process
from traces.load import BY_COLUMNS, TraceOptions, known_formats, load_trace
from traces.loads import Traffic
from traces.sharegpt_prompts import read_prompt_counts
from traces.transform import limit, scale_rate, window, with_arrivals

if TYPE_CHECKING:
    from pathlib import Path

    from traces.record import Trace

SEEDS = {
    "azure": (
        (
            b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
            b"2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:47.0000001,12,9\n"
        ),
        (
            b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
            b"2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01+00:00,2399,6\n"
        ),
    ),
    "burstgpt": (
        (
            b"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            b"5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n"
            b"45,GPT-4,7,3,10,x\n"
        ),
        (
            b"Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens\n"
            b"5.5,,2.1,ChatGPT,472,18,490\n6,9,0.1,ChatGPT,1,1,2\n"
        ),
    ),
    "vidur": (b"arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,100,20\n1e0,7,3\n",),
    "lengths": (b"num_prefill_tokens,num_decode_tokens\n100,20\n7,3\n",),
    "jsonl-lengths": (
        (
            b'{"prompt_len": 5, "output_len": 2, "arrival_time": 0.25}\n'
            b'{"prompt_len": 9, "output_len": 1, "arrival_time": 1}\n'
        ),
        b'{"prompt_tokens": 3, "completion_tokens": 4, "timestamp": "2024-01-01T00:00:00Z"}\n',
    ),
    "mooncake": (
        (
            b'{"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [0, 1]}\n'
            b'{"timestamp": 3000, "input_length": 5, "output_length": 5, "hash_ids": [0]}\n'
        ),
        b'{"timestamp": 27482, "input_length": 6955, "output_length": 52}\n',
    ),
    "sharegpt": (
        (
            b'[{"id": "a", "conversations": [{"from": "human", "value": "how are you"},'
            b' {"from": "gpt", "value": "well"}]},\n'
            b' {"conversations": [{"from": "user", "value": ""},'
            b' {"from": "assistant", "value": "x y z"}]}]'
        ),
    ),
    BY_COLUMNS: (
        b"when;who;in;out\n1700000000000;ann;3;4\n1700000000500;bob;5;6\n",
        b'{"when": "2024-01-01 00:00", "who": "ann", "in": 3, "out": "4"}\n',
    ),
    "servegen": (
        (
            b"0,0.02,1.1,Gamma,0.8,1\n600,0,0,,0,0\n1200,0.01,1,Weibull,1.5,2\n---\n"
            b'{"0": {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{3: 1.0}"},'
            b' "1200": {"input_tokens": "{}", "output_tokens": "{3: 1.0}"}}'
        ),
    ),
}
ARCHIVE = "servegen"
COLUMNS = "arrival=when,prompt=in,output=out,tenant=who"
MOST_USED = 2000


def use(trace: Trace) -> None:
    """What a command does with a trace before it runs anything."""
    trace.digest()
    if not trace.has_arrivals:
        process = parse_arrival_process("gamma:rate=2,cv=3")
        trace = with_arrivals(trace, process, np.random.default_rng(0))
    few = limit(scale_rate(window(trace, 0.0, 10.0**9), 1.5), MOST_USED)
    assert [request.prompt_tokens >= 1 for request in few]
    arrival = few.arrival_ns
    if arrival is not None and arrival[0] < arrival[-1]:
        Traffic.of(few).at(0.7, 1).check_integrity()


def _packed(text: bytes) -> bytes:
    """A trace and a data set as the archive that ServeGen publishes."""
    windows, _, lengths = text.partition(b"---\n")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("trace.csv", windows), ("dataset.json", lengths)):
            member = tarfile.TarInfo(f"data/chunk-7-{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), 1)


def _read(file: Path, options: TraceOptions, data: bytes) -> None:
    file.write_bytes(data)
    use(load_trace(str(file), options))


def _format(name: str) -> Target:
    """A target of one format; one that is new here begins with everybody's examples."""
    others = tuple(text for texts in SEEDS.values() for text in texts)
    columns = COLUMNS if name == BY_COLUMNS else None
    options = TraceOptions(format=None if columns else name, columns=columns)

    def prepare(folder: Path) -> Prepared:
        read = partial(_read, folder / "trace", options)
        if name == ARCHIVE:
            return Prepared(SEEDS[name], lambda data: read(_packed(data)))
        return Prepared(SEEDS.get(name, others), read)

    return Target(f"trace-{name}", prepare)


def _sniffed(folder: Path) -> Prepared:
    texts = tuple(text for name, texts in SEEDS.items() for text in texts if name != ARCHIVE)
    known = tuple(text for text in texts if text not in SEEDS[BY_COLUMNS])
    return Prepared(known, partial(_read, folder / "trace", TraceOptions()))


def _compressed(folder: Path) -> Prepared:
    """Bytes of gzip files and archives, damaged."""
    plain = [
        gzip.compress(texts[0], mtime=0) for name, texts in SEEDS.items() if name != BY_COLUMNS
    ]
    seeds = (*plain[:-1], _packed(SEEDS[ARCHIVE][0]), gzip.decompress(_packed(SEEDS[ARCHIVE][0])))
    return Prepared(seeds, partial(_read, folder / "trace", TraceOptions()))


def _counts(folder: Path) -> Prepared:
    file = folder / "counts.csv"

    def read(data: bytes) -> None:
        file.write_bytes(data)
        read_prompt_counts(file)

    return Prepared((b"prompt_tokens\n12\n700\n3\n",), read)


TARGETS = (
    *(_format(known.name) for known in known_formats()),
    Target("trace-sniffed", _sniffed),
    Target("trace-compressed", _compressed),
    Target("prompt-counts", _counts),
)
