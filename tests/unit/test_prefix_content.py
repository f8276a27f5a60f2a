"""Keys of blocks: equal exactly when all tokens up to their end are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.prefix.content import Content
from sim.request import content_of
from traces.record import Request

PIECES = st.lists(st.tuples(st.integers(-2, 1), st.integers(0, 7)), max_size=6)


def tokens_of(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(segment, place) for segment, length in pieces for place in range(length)]


@given(one=PIECES, other=PIECES, block=st.integers(1, 5))
def test_keys_are_equal_exactly_when_texts_are(
    one: list[tuple[int, int]], other: list[tuple[int, int]], block: int
) -> None:
    texts = tokens_of(one), tokens_of(other)
    counts = [len(text) // block for text in texts]
    keys = [Content(p).keys(block, n) for p, n in zip((one, other), counts, strict=True)]
    for row in range(min(counts)):
        end = (row + 1) * block
        assert (keys[0][row] == keys[1][row]) == (texts[0][:end] == texts[1][:end])


def test_keys_are_made_once_and_again_for_another_block_size() -> None:
    content = Content([(1, 12)])
    first = content.keys(4, 2)
    assert content.keys(4, 1) is first
    assert len(content.keys(4, 3)) == 3
    assert content.keys(4, 3)[:2] == first[:2]
    assert content.keys(2, 2)[1] != first[0]  # the same four tokens, cut otherwise
    assert content.keys(4, 1)[0] == first[0]


def test_a_text_has_no_key_beyond_its_end() -> None:
    content = Content([(1, 5), (2, 2)])
    assert len(content.keys(7, 1)) == 1
    with pytest.raises(ValueError, match="beyond the end"):
        content.keys(7, 2)


def test_a_request_goes_on_with_a_segment_of_its_own() -> None:
    """Six tokens of the prompt are known; the other four and the output are nobody else's."""
    request = Request(7, 0, prompt_tokens=10, output_tokens=3, text=((5, 4), (6, 2)))
    spelt_out = Content([(5, 4), (6, 2), (-8, 7)])
    assert content_of(request).keys(1, 13) == spelt_out.keys(1, 13)
    other = Request(8, 0, prompt_tokens=10, output_tokens=3, text=((5, 4), (6, 2)))
    same = [
        a == b
        for a, b in zip(content_of(request).keys(1, 13), content_of(other).keys(1, 13), strict=True)
    ]
    assert same == [True] * 6 + [False] * 7
