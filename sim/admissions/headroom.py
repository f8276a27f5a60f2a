"""Admission only where the growth to be expected fits too."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from sim.admission import AdmissionControl

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from allocator.interface import Terms
    from sim.request import Sequence


@dataclass(frozen=True, slots=True)
class HeadroomOptions:
    """Options of `headroom`."""

    window: int = field(
        default=1000, metadata={"help": "completions whose output lengths are remembered"}
    )
    prior: int = field(
        default=256, metadata={"help": "output tokens expected before any request has completed"}
    )
    share: float = field(
        default=1.0, metadata={"help": "share of the expected growth that must find room"}
    )

    def __post_init__(self) -> None:
        if self.window < 1 or self.prior < 0:
            raise ValueError("window must be at least 1 and prior at least 0")
        if not 0 <= self.share < float("inf"):
            raise ValueError(f"share must be at least 0, not {self.share}")


class Headroom(AdmissionControl):
    """Learns output lengths from completions, and never looks at those still to come.

    A sequence that has made m tokens is expected to make the mean residual life of the lengths
    remembered, E[L - m | L > m]; one that has outlived them all, as much again. The newcomer
    needs room for its prompt and what it is expected to make, beside what the others are. All
    of them growing to their end at once is pessimistic: some complete before; `share` scales it.
    """

    name = "headroom"
    summary = "admits only where the growth expected of all, learnt from completions, fits too"
    source = "own construction; mean residual life as in survival analysis"
    Options = HeadroomOptions

    def __init__(self, options: HeadroomOptions) -> None:
        self._options = options
        self._recent: deque[int] = deque()
        self._lengths: list[int] = []  # the same in order
        self._sums: list[int] | None = None  # of the lengths from each place on; None: to be made

    def raised(self, terms: Terms, head: Sequence, running: List[Sequence]) -> Terms:
        """See `AdmissionControl.raised`."""
        if not running:
            return terms
        share = self._options.share
        own = int(share * self.expected_tokens(head.made_tokens))
        others = int(share * sum(self.expected_tokens(s.made_tokens) for s in running))
        return replace(
            terms,
            room_tokens=max(terms.room_tokens, head.target_tokens + own),
            others_tokens=max(terms.others_tokens, others),
        )

    def completed(self, sequence: Sequence) -> None:
        """See `AdmissionControl.completed`."""
        if len(self._recent) == self._options.window:
            oldest = self._recent.popleft()
            del self._lengths[bisect_right(self._lengths, oldest) - 1]
        self._recent.append(sequence.made_tokens)
        insort(self._lengths, sequence.made_tokens)
        self._sums = None

    def expected_tokens(self, made_tokens: int) -> float:
        """Output tokens that a sequence is expected to make beyond those it has made."""
        if not self._lengths:
            return max(0, self._options.prior - made_tokens)
        if self._sums is None:
            self._sums = list(accumulate(reversed(self._lengths)))[::-1]
        place = bisect_right(self._lengths, made_tokens)
        longer = len(self._lengths) - place
        return self._sums[place] / longer - made_tokens if longer else made_tokens
