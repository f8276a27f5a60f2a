"""What a trace is: columns of arrivals and lengths, handed out as requests one at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from traces.wording import one_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Int64Array = NDArray[np.int64]


ITERATED_TOGETHER = 4096
"""Requests whose columns are read at once: numbers of an array are slow one by one."""


class TraceError(ValueError):
    """A trace that cannot be used: one sentence that names the file, the line and the mend."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_sentence(sentence))


class Request(NamedTuple):
    """One request as it arrives, before it has a life in the engine; a tuple, as there are many.

    Attributes:
        request_id: Position in the trace, from 0.
        arrival_ns: Nanoseconds since the start of the trace.
        prompt_tokens: Tokens of the prompt, at least 1.
        output_tokens: Tokens to generate, at least 1.
        tenant: Name of the tenant, empty where the trace names none.
        text: What is known of the prompt from its start, as (segment, tokens): the first so many
            tokens of one segment after another. Equal places of equal segments are equal tokens.
            Segment -1 - i is what is not known of the prompt of request i, then its output.
        priority: Who goes first where a scheduler asks; smaller is better.
    """

    request_id: int
    arrival_ns: int
    prompt_tokens: int
    output_tokens: int
    tenant: str = ""
    text: tuple[tuple[int, int], ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class DroppedRows:
    """Rows that a format documents as unusable (failed requests, say) and a reader left out."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests as columns, sorted by arrival; length-only tables carry no arrivals yet.

    Attributes:
        name: Where it came from, for people (a file name or a preset with its options).
        prompt_tokens: int64, shape (n,), each at least 1.
        output_tokens: int64, shape (n,), each at least 1.
        arrival_ns: int64, shape (n,), never falling, first at least 0; None in a length-only trace.
        tenants: One name a request, or empty.
        prefixes: One tuple of block ids a request, or empty.
        prefix_block_tokens: Tokens of one prefix block; 0 without prefixes.
        priorities: One number a request, smaller is better, or empty.
        closed_loop_clients: With N > 0 arrivals are made by N clients, each sending its next
            request when its last one ends; `arrival_ns` is then None.
        dropped: What a reader left out, by reason.
    """

    name: str
    prompt_tokens: Int64Array
    output_tokens: Int64Array
    arrival_ns: Int64Array | None = None
    tenants: tuple[str, ...] = ()
    prefixes: tuple[tuple[int, ...], ...] = ()
    prefix_block_tokens: int = 0
    priorities: tuple[int, ...] = ()
    closed_loop_clients: int = 0
    dropped: tuple[DroppedRows, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    def __iter__(self) -> Iterator[Request]:
        """Yield requests in order of arrival; a trace without arrivals yields arrival 0."""
        for start in range(0, len(self), ITERATED_TOGETHER):
            yield from self._requests(start, start + ITERATED_TOGETHER)

    def request(self, index: int) -> Request:
        """The request at a position of the trace."""
        (request,) = self._requests(index, index + 1)
        return request

    def _requests(self, start: int, end: int) -> Iterator[Request]:
        """The requests of some positions; columns become integers together."""
        prompts = self.prompt_tokens[start:end].tolist()
        outputs = self.output_tokens[start:end].tolist()
        times = self.arrival_ns
        arrivals = [0] * len(prompts) if times is None else times[start:end].tolist()
        indices = range(start, start + len(prompts))
        tenants = self.tenants[start:end] or repeat("")
        texts = map(self._text, indices) if self.prefixes else repeat(())
        ranks = self.priorities[start:end] or repeat(0)
        return map(Request, indices, arrivals, prompts, outputs, tenants, texts, ranks)

    def _text(self, index: int) -> tuple[tuple[int, int], ...]:
        """The prefix blocks of a request as segments; the last may be cut by the prompt's end."""
        size, prompt = self.prefix_block_tokens, int(self.prompt_tokens[index])
        starts = range(0, prompt, size)
        return tuple(
            (block, min(size, prompt - start))
            for start, block in zip(starts, self.prefixes[index], strict=False)
        )

    @property
    def has_arrivals(self) -> bool:
        """Whether the trace can be replayed as it is."""
        return self.arrival_ns is not None or self.closed_loop_clients > 0

    def digest(self) -> str:
        """SHA-256 (hex) of what the simulator reads: columns, tenants, prefixes, clients, ranks.

        Independent of file name, compression and format: the same requests, the same digest.
        """
        sha = hashlib.sha256()
        for column in (self.arrival_ns, self.prompt_tokens, self.output_tokens):
            raw = b"" if column is None else np.ascontiguousarray(column, dtype="<i8").tobytes()
            sha.update(len(raw).to_bytes(8, "little") + raw)
        labels = (self.tenants, self.prefixes, self.prefix_block_tokens, self.closed_loop_clients)
        sha.update(repr(labels).encode())
        if self.priorities:
            sha.update(repr(self.priorities).encode())
        return sha.hexdigest()

    def check_integrity(self) -> None:
        """Raise TraceError where the columns contradict the promises above."""
        if len(self) == 0:
            raise TraceError(f"{self.name} holds no requests")
        if len(self.output_tokens) != len(self):
            raise TraceError(f"{self.name}: prompt and output columns differ in length")
        if min(self.prompt_tokens.min(), self.output_tokens.min()) < 1:
            raise TraceError(
                f"{self.name}: every request needs at least one prompt and output token"
            )
        for column in (self.tenants, self.prefixes, self.priorities):
            if column and len(column) != len(self):
                raise TraceError(
                    f"{self.name}: one tenant, one prefix and one priority a request, or none"
                )
        if self.prefixes and self.prefix_block_tokens < 1:
            raise TraceError(f"{self.name}: prefix blocks need a number of tokens")
        self._check_arrivals()

    def _check_arrivals(self) -> None:
        if self.arrival_ns is None:
            return
        if len(self.arrival_ns) != len(self):
            raise TraceError(f"{self.name}: arrival and prompt columns differ in length")
        if self.arrival_ns[0] < 0 or (np.diff(self.arrival_ns) < 0).any():
            raise TraceError(f"{self.name}: arrivals must not fall and must start at 0 or later")
