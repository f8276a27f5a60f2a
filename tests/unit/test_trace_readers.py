from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from traces.load import TraceOptions, known_formats, load_trace
from traces.readers import (
    azure,
    burstgpt,
    jsonl_lengths,
    lengths,
    mooncake,
    sharegpt,
    vidur,
)
from traces.record import DroppedRows, TraceError

if TYPE_CHECKING:
    from pathlib import Path

AZURE_2023 = """TIMESTAMP,ContextTokens,GeneratedTokens\r
2023-11-16 18:15:46.6805900,374,44\r
2023-11-16 18:15:50.9951690,396,109\r
2023-11-16 18:15:50.9951691,879,55\r
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 02:00:00.017335+02:00,2399,6
"""
BURSTGPT_1 = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,0,0,0,Conversation log
45,GPT-4,0,7,7,API log
45.5,GPT-4,1087,230,1317,API log
"""
BURSTGPT_3 = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,abc,1.5,ChatGPT,472,18,490,Conversation log\n"
    "7,,2.5,ChatGPT,10,20,30,API log\n"
)
MOONCAKE = """{"timestamp": 0, "input_length": 513, "output_length": 500, "hash_ids": [0, 1]}
{"timestamp": 3001, "input_length": 512, "output_length": 4, "hash_ids": [0]}

"""
VIDUR = """arrived_at,num_prefill_tokens,num_decode_tokens
0.5,374,44
4.814579,396,109
"""
LENGTHS = """num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio
74,918,992,0.08
290,905,1195,0.32
"""
SHAREGPT = json.dumps(
    [
        {
            "id": "a",
            "conversations": [
                {"from": "system", "value": "be kind"},
                {"from": "human", "value": "one two three four five"},
                {"from": "gpt", "value": "word " * 10},
                {"from": "human", "value": "again"},
                {"from": "gpt", "value": "yes"},
            ],
        },
        {"id": "b", "conversations": [{"from": "gpt", "value": "only an answer"}]},
        {
            "id": "c",
            "conversations": [
                {"from": "user", "value": ""},
                {"from": "assistant", "value": "hi"},
            ],
        },
        {"id": "d"},
    ]
)
JSONL_LENGTHS = """{"prompt_len": 10, "output_len": 20, "arrival": 1.25}
{"prompt_len": 11, "output_len": 21, "arrival": 1.5}
"""
SAMPLES = {
    "azure": (AZURE_2023, AZURE_2024),
    "burstgpt": (BURSTGPT_1, BURSTGPT_3),
    "mooncake": (MOONCAKE,),
    "vidur": (VIDUR,),
    "lengths": (LENGTHS,),
    "sharegpt": (SHAREGPT,),
    "jsonl-lengths": (JSONL_LENGTHS,),
}
READERS = [
    each.READER for each in (azure, burstgpt, jsonl_lengths, lengths, mooncake, sharegpt, vidur)
]


def saved(tmp_path: Path, content: str) -> str:
    path = tmp_path / "trace.dat"
    path.write_bytes(content.encode())
    return str(path)


def columns(source: str, **options: str) -> tuple[list[int] | None, list[int], list[int]]:
    trace = load_trace(source, TraceOptions(**options))  # type: ignore[arg-type]
    arrival = None if trace.arrival_ns is None else trace.arrival_ns.tolist()
    return arrival, trace.prompt_tokens.tolist(), trace.output_tokens.tolist()


def test_every_format_that_the_registry_finds_has_samples_here() -> None:
    # servegen's are archives: test_trace_servegen.py
    assert {known.name for known in known_formats()} == {*SAMPLES, "columns", "servegen"}


@pytest.mark.parametrize("name", SAMPLES)
def test_exactly_one_reader_claims_a_sample(name: str) -> None:
    for sample in SAMPLES[name]:
        assert [reader.name for reader in READERS if reader.sniff(sample)] == [name]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_named_format_reads_what_sniffing_reads(name: str, tmp_path: Path) -> None:
    for sample in SAMPLES[name]:
        source = saved(tmp_path, sample)
        sniffed = load_trace(source)
        named = load_trace(source, TraceOptions(format=name))
        assert named.digest() == sniffed.digest()


@pytest.mark.parametrize("name", SAMPLES)
def test_gzip_is_told_by_content_and_changes_nothing(name: str, tmp_path: Path) -> None:
    plain = load_trace(saved(tmp_path, SAMPLES[name][0]))
    packed = tmp_path / "no-suffix"
    packed.write_bytes(gzip.compress(SAMPLES[name][0].encode()))
    assert load_trace(str(packed)).digest() == plain.digest()


def test_azure_2023_keeps_every_100_ns(tmp_path: Path) -> None:
    assert columns(saved(tmp_path, AZURE_2023)) == (
        [0, 4_314_579_000, 4_314_579_100],
        [374, 396, 879],
        [44, 109, 55],
    )


def test_azure_2024_takes_zones_into_account(tmp_path: Path) -> None:
    assert columns(saved(tmp_path, AZURE_2024))[0] == [0, 7_405_000]


def test_burstgpt_drops_and_counts_failed_rows(tmp_path: Path) -> None:
    trace = load_trace(saved(tmp_path, BURSTGPT_1))
    assert trace.arrival_ns is not None
    assert trace.arrival_ns.tolist() == [0, 40_500_000_000]
    assert trace.dropped == (
        DroppedRows("failed requests (0 response tokens)", 1),
        DroppedRows("empty prompts (0 request tokens)", 1),
    )


def test_burstgpt_3_is_read_by_column_name(tmp_path: Path) -> None:
    assert columns(saved(tmp_path, BURSTGPT_3)) == ([0, 2_000_000_000], [472, 10], [18, 20])


def test_mooncake_keeps_prefix_blocks(tmp_path: Path) -> None:
    trace = load_trace(saved(tmp_path, MOONCAKE))
    assert trace.prefixes == ((0, 1), (0,))
    assert trace.prefix_block_tokens == 512
    assert trace.request(1).arrival_ns == 3_001_000_000


def test_mooncake_without_hashes_shares_nothing(tmp_path: Path) -> None:
    line = '{"timestamp": 7, "input_length": 5, "output_length": 5}'
    trace = load_trace(saved(tmp_path, line))
    assert (trace.prefixes, trace.prefix_block_tokens) == ((), 0)


def test_vidur_counts_from_the_first_request(tmp_path: Path) -> None:
    assert columns(saved(tmp_path, VIDUR))[0] == [0, 4_314_579_000]


def test_length_tables_have_no_arrivals(tmp_path: Path) -> None:
    assert columns(saved(tmp_path, LENGTHS)) == (None, [74, 290], [918, 905])


def test_sharegpt_takes_the_first_answered_turn_at_1_3_tokens_a_word(tmp_path: Path) -> None:
    trace = load_trace(saved(tmp_path, SHAREGPT))
    assert trace.prompt_tokens.tolist() == [6, 1]  # round(6.5) is 6: half to even
    assert trace.output_tokens.tolist() == [13, 1]
    assert trace.dropped == (DroppedRows("no human turn with an answer", 2),)


@pytest.mark.parametrize(("prompt", "output"), jsonl_lengths.LENGTH_KEYS)
def test_every_pair_of_length_keys_is_known(prompt: str, output: str, tmp_path: Path) -> None:
    line = json.dumps({"text": "x", prompt: 3, output: 4})
    assert columns(saved(tmp_path, line)) == (None, [3], [4])


def test_jsonl_arrivals_are_read_to_the_digit(tmp_path: Path) -> None:
    assert columns(saved(tmp_path, JSONL_LENGTHS))[0] == [0, 250_000_000]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_read_any_csv(delimiter: str, tmp_path: Path) -> None:
    rows = (("when ms", "who", "in", "out"), ("5", "a", "1", "2"), ("7.5", "b", "3.0", " 4"))
    source = saved(tmp_path, "\n".join(delimiter.join(row) for row in rows))
    mapping = "arrival=when ms,prompt=in,output=out,tenant=who"
    trace = load_trace(source, TraceOptions(columns=mapping))
    assert columns(source, columns=mapping) == ([0, 2_500_000], [1, 3], [2, 4])
    assert trace.tenants == ("a", "b")


def test_columns_read_any_jsonl(tmp_path: Path) -> None:
    first = '{"t": "2024-01-01T00:00:00Z", "p": 1, "o": "2"}'
    lines = first + '\n\n{"t": "2024-01-01T00:00:01Z", "p": 3, "o": 4}'
    mapping = "arrival=t,prompt=p,output=o"
    assert columns(saved(tmp_path, lines), columns=mapping) == ([0, 10**9], [1, 3], [2, 4])


def test_quoted_cells_may_hold_commas_and_line_ends(tmp_path: Path) -> None:
    source = saved(tmp_path, 'text,p,o\n"a,\nb",1,2\nc,0,3\n')
    with pytest.raises(TraceError, match=r"line 4: p is 0"):
        load_trace(source, TraceOptions(columns="prompt=p,output=o"))


def test_byte_order_marks_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    source = saved(tmp_path, "\ufeff\n\n" + VIDUR.replace("0.5", "\n0.5"))
    assert columns(source)[1] == [374, 396]
