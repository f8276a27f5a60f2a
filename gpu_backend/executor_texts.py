"""The tokens of every request: random prompts, and what the decoder made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.request import Sequence


class Texts:
    """Keeps the tokens of requests, so that preempted ones can be computed again.

    Args:
        vocab_size: Tokens are below it.
        seed: Prompts follow from it and the number of the request.
    """

    def __init__(self, vocab_size: int, seed: int = 0) -> None:
        self._vocab_size = vocab_size
        self._seed = seed
        self._texts: dict[int, NDArray[np.int32]] = {}
        self._lengths: dict[int, int] = {}

    def tokens(self, sequence: Sequence, first: int, count: int) -> NDArray[np.int32]:
        """So many tokens of a sequence from the given one on.

        Raises:
            ValueError: If they have not all been made.
        """
        if sequence.request_id not in self._texts:
            self._start(sequence)
        if first + count > self._lengths[sequence.request_id]:
            raise ValueError(f"request {sequence.request_id} lacks tokens that it is to feed")
        return self._texts[sequence.request_id][first : first + count]

    def append(self, sequence: Sequence, token: int) -> None:
        """Add a token to a sequence's text."""
        length = self._lengths[sequence.request_id]
        self._texts[sequence.request_id][length] = token
        self._lengths[sequence.request_id] = length + 1

    def text(self, request_id: int) -> NDArray[np.int32]:
        """All tokens of a request so far."""
        return self._texts[request_id][: self._lengths[request_id]]

    def _start(self, sequence: Sequence) -> None:
        number, prompt = sequence.request_id, sequence.request.prompt_tokens
        text = np.zeros(prompt + sequence.output_tokens, dtype=np.int32)
        drawn = np.random.default_rng((self._seed, number))
        text[:prompt] = drawn.integers(self._vocab_size, size=prompt)
        self._texts[number], self._lengths[number] = text, prompt
