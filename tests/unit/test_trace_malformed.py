from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from traces.load import TraceOptions, load_trace
from traces.record import TraceError

if TYPE_CHECKING:
    from pathlib import Path

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
FIRST = "2023-11-16 18:15:46.6805900,374,44\n"
VIDUR = "arrived_at,num_prefill_tokens,num_decode_tokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
LENGTHS = "num_prefill_tokens,num_decode_tokens\n"
MOON = '{"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": [0]}\n'

TEXTS = {
    "empty file": ("", "is empty"),
    "blank file": (" \n\n", "is empty"),
    "header only": (AZURE, "no rows"),
    "header and blank lines": (AZURE + "\n\n", "no rows"),
    "unknown columns": ("a,b\n1,2\n", r"no known format .*starts with a, b:.*--columns"),
    "zero prompt": (AZURE + FIRST + FIRST.replace("374", "0"), r"line 3: ContextTokens is 0"),
    "zero output": (AZURE + FIRST.replace("44", "0"), r"line 2: GeneratedTokens is 0"),
    "negative tokens": (AZURE + FIRST.replace("374", "-374"), r"line 2: .*negative"),
    "missing tokens": (AZURE + FIRST + "\n" + FIRST.replace("374", ""), r"line 4: .*missing"),
    "fraction of a token": (AZURE + FIRST.replace("374", "37.4"), r"line 2: .*not a whole number"),
    "hexadecimal tokens": (AZURE + FIRST.replace("374", "0x37"), r"line 2: .*not a whole number"),
    "NaN tokens": (AZURE + FIRST.replace("374", "nan"), r"line 2: .*'nan', not a whole number"),
    "infinite tokens": (AZURE + FIRST.replace("374", "inf"), r"line 2: .*not a whole number"),
    "tokens above int64": (AZURE + FIRST.replace("374", "9" * 30), r"line 2: .*more tokens"),
    "tokens above sense": (AZURE + FIRST.replace("374", "3000000000"), r"line 2: .*more tokens"),
    "time goes back": (AZURE + FIRST + FIRST.replace("18:", "17:"), r"line 3: .*sort the file"),
    "missing time": (AZURE + FIRST + ",1,2\n", r"line 3: TIMESTAMP is missing"),
    "missing first time": (AZURE + ",1,2\n", r"line 2: TIMESTAMP is missing"),
    "no such time": (AZURE + FIRST.replace("18:", "25:"), r"line 2: .*neither"),
    "time beyond int64": (AZURE + FIRST.replace("2023", "9999"), r"line 2: .*1678 to 2262"),
    "mixed zones": (AZURE + FIRST + FIRST.replace("00,", "00Z,"), r"line 3: .*without a zone"),
    "cells lack": (AZURE + FIRST + "2023-11-16 18:15:47,3\n", r"line 3: 2 cells .* of 3"),
    "cells abound": (AZURE + FIRST.replace("44", "44,9"), r"line 2: 4 cells .* of 3"),
    "open quote": (AZURE + FIRST + '"2023-11-16 18:15:47,3,4\n' + FIRST, r"line \d: 1 cells"),
    "column named twice": (AZURE.replace("\n", ",TIMESTAMP\n") + "1,2,3,4\n", "'TIMESTAMP' twice"),
    "NaN arrival": (VIDUR + "nan,1,2\n", r"line 2: arrived_at is 'nan'"),
    "infinite arrival": (VIDUR + "0,1,2\ninf,1,2\n", r"line 3: arrived_at is 'inf'"),
    "negative arrival": (VIDUR + "-1,1,2\n", r"line 2: .*time cannot be negative"),
    "arrival above int64": (VIDUR + "0,1,2\n" + "9" * 25 + ",1,2\n", r"line 3: arrived_at"),
    "arrival past 146 years": (VIDUR + "0,1,2\n1e12,1,2\n", r"line 3: .*146 years"),
    "fraction goes back": (VIDUR + "1.5,1,2\n1.4,1,2\n", r"line 3: .*before the row above"),
    "all rows failed": (BURST + "5,M,3,0,3,API log\n", "no usable request"),
    "lengths of zero": (LENGTHS + "1,0\n", "line 2: num_decode_tokens is 0"),
    "malformed JSON line": (MOON + "\n{oops\n", "line 3: malformed JSON"),
    "cut JSON line": (MOON + MOON[:30], "line 2: malformed JSON"),
    "JSON list on a line": (MOON + "[1]\n", "line 2: no JSON object"),
    "number of 5000 digits": (MOON + MOON.replace("0,", "1" * 5000 + ",", 1), "line 2: malformed"),
    "JSON NaN": (MOON + MOON.replace("0", "NaN", 1), "line 2: timestamp is 'NaN'"),
    "JSON null tokens": (MOON + MOON.replace("5", "null", 1), "line 2: input_length is missing"),
    "JSON true tokens": (MOON + MOON.replace("5", "true", 1), "line 2: input_length is 'True'"),
    "key missing later": (MOON + '{"timestamp": 1, "input_length": 5}', "line 2: output_length"),
    "too many blocks": (MOON.replace("[0]", "[0, 1]"), "line 1: 2 hash_ids"),
    "blocks that are text": (MOON.replace("[0]", '["a"]'), "line 1: hash_ids"),
    "negative block": (MOON.replace("[0]", "[-1]"), "line 1: hash_ids"),
    "half a surrogate": ('{"prompt_len": "\\ud800", "output_len": 1}', "line 1: .*Unicode"),
    "ShareGPT cut short": ('[{"conversations": [\n{"from"', "line 2: malformed JSON"),
    "ShareGPT without answers": ('[{"conversations": []}]', "no conversation"),
    "ShareGPT of other things": ('[{"conversations": 3}, 4, null]', "no conversation"),
}

RAW = {
    "not UTF-8": (AZURE.encode() + b"\xff\xfe,1,2\n", "line 2: not UTF-8"),
    "UTF-16": (AZURE.encode("utf-16"), "UTF-16"),
    "zero byte": (AZURE.encode() + b"\x00,1,2\n", "line 2: holds a zero byte"),
    "gzip cut short": (gzip.compress((AZURE + FIRST).encode())[:-9], "cut short"),
    "gzip of three bytes": (b"\x1f\x8b\x08", "is empty|cut short|damaged"),
    "gzip with a wrong sum": (gzip.compress(AZURE.encode())[:-8] + b"\0" * 8, "damaged"),
    "gzip magic alone": (b"\x1f\x8bnothing of that kind", "damaged"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "gzip of gzip": (gzip.compress(gzip.compress(AZURE.encode())), "no known format|UTF-8"),
    "tar archive": (b"x" * 257 + b"ustar", "tar archive"),
    "zip archive": (b"PK\x03\x04rest", "zip archive"),
    "Parquet": (b"PAR1rest", "Parquet"),
    "zstd": (b"\x28\xb5\x2f\xfdrest", "zstd"),
}


def one_sentence(source: str, options: TraceOptions | None = None) -> str:
    with pytest.raises(TraceError) as caught:
        load_trace(source, options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 600
    return sentence


def check(path: Path, pattern: str, options: TraceOptions | None = None) -> None:
    sentence = one_sentence(str(path), options)
    assert path.name in sentence
    with pytest.raises(TraceError, match=pattern):
        load_trace(str(path), options)


@pytest.mark.parametrize("case", TEXTS)
def test_malformed_text_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    text, pattern = TEXTS[case]
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    check(path, pattern)


@pytest.mark.parametrize("case", RAW)
def test_malformed_bytes_are_refused(case: str, tmp_path: Path) -> None:
    content, pattern = RAW[case]
    path = tmp_path / "trace.gz"
    path.write_bytes(content)
    check(path, pattern)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    check(tmp_path, "is a folder")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    check(tmp_path / "pipe", "no regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(AZURE + FIRST)
    path.chmod(0)
    check(path, "cannot be read")


@pytest.mark.parametrize("source", ["", "no/such/file.csv", "x" * 5000, "a\x00b", ":", "\n"])
def test_what_is_neither_file_nor_preset_lists_the_presets(source: str) -> None:
    assert "azure-like" in one_sentence(source)


def test_an_unknown_format_lists_the_known_ones_nearest_first(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(AZURE + FIRST)
    sentence = one_sentence(str(path), TraceOptions(format="azur"))
    assert "known ones are azure," in sentence


@pytest.mark.parametrize("name", ["azure", "burstgpt", "vidur", "lengths", "mooncake"])
def test_a_wrong_format_names_the_columns_found(name: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    line = '{"a": 1, "b": 2}' if name == "mooncake" else "a,b\n1,2\n"
    path.write_text(line)
    check(path, r"has a, b: .*--columns", TraceOptions(format=name))


@pytest.mark.parametrize("name", ["mooncake", "jsonl-lengths", "sharegpt", "azure"])
@pytest.mark.parametrize("text", ["null", "[]", "7", "{", '{"a": 1}', "a,b\n1,2", "[" * 10**5])
def test_a_wrong_format_never_breaks_a_reader(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    one_sentence(str(path), TraceOptions(format=name))


@pytest.mark.parametrize(
    ("mapping", "pattern"),
    [
        ("", "not one of"),
        ("prompt=a", "needs prompt=... and output="),
        ("prompt=a,output=b,when=c", "'when=c' is not one of"),
        ("prompt=a,prompt=b,output=b", "'prompt=b' is not one of"),
        ("prompt=a,output=", "'output=' is not one of"),
        ("prompt=a,output=b,unit=s", "'unit=s' is not one of"),
        ("prompt=a,output=c", "no column c; it has a, b"),
    ],
)
def test_bad_column_mappings_are_refused(mapping: str, pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TraceError, match=pattern):
        load_trace(str(path), TraceOptions(columns=mapping))


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (TraceOptions(format="azure", columns="prompt=a,output=b"), "not both"),
        (TraceOptions(format="columns"), "needs --columns"),
    ],
)
def test_format_and_columns_must_agree(options: TraceOptions, pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TraceError, match=pattern):
        load_trace(str(path), options)
