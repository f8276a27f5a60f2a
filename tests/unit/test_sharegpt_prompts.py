from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from traces.record import TraceError
from traces.sharegpt_prompts import ShareGptReplay, read_prompt_counts

if TYPE_CHECKING:
    from pathlib import Path


def test_counts_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("prompt_tokens\n8\n95\n6708\n")
    assert read_prompt_counts(path).tolist() == [8, 95, 6708]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("tokens\n5\n", ":1 must be the name of the one column, prompt_tokens, not 'tokens'"),
        ("prompt_tokens\n5\n-3\n", ":3 must be a whole number of tokens above 0, not '-3'"),
        ("prompt_tokens\n0\n", ":2 must be"),
        ("prompt_tokens\n5.5\n", ":2 must be"),
        ("prompt_tokens\n", "holds no counts"),
    ],
)
def test_what_is_no_file_of_counts_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(TraceError, match=r"counts\.csv") as error:
        read_prompt_counts(path)
    assert problem in str(error.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_prompt_counts(tmp_path / "none.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="is UTF-16 text; convert it to UTF-8"):
        read_prompt_counts(tmp_path / "binary")


def test_lengths_stay_within_what_the_paper_allows() -> None:
    stream = ShareGptReplay(seed=1, counts=(1, 40, 100_000)).ticks()
    assert set(np.unique(stream.prompt_tokens).tolist()) == {16, 40, 4096}
    assert stream.output_tokens.min() >= 32
    assert stream.output_tokens.max() <= 2048
    assert stream.arrival_ticks.tolist() == list(range(512))
    trace = ShareGptReplay(seed=1, counts=(7,), n=4).generate()
    assert trace.name == "sharegpt-replay:seed=1,n=4"
    trace.check_integrity()
