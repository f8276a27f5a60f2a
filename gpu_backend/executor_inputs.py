"""What a step computes, laid out in the words of an arena."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpu_backend.decoder import Ragged
from gpu_backend.kernels.views import Segments

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    from gpu_backend.arena import Arena
    from gpu_backend.executor_texts import Texts
    from gpu_backend.sequence_tables import Limits, SequenceTables
    from sim.request import Sequence
    from sim.step import Chunk, StepPlan

_TOKENS, _WANTED = "tokens", "wanted"
_COLUMNS = ("rows", "starts", "lengths", "contexts")


@dataclass(frozen=True, slots=True)
class StepSize:
    """How much a step computes: the host's knowledge of what lies in the arena.

    Attributes:
        decodes: Sequences that decode.
        chunks: Chunks of prompts.
        tokens: Tokens of both.
        longest_chunk: Tokens of the longest chunk.
        reach: Tokens of the longest sequence that decodes, with its new one.
        chunk_reach: The same of those with a chunk.
        telling: Sequences whose next token is told: those that decode, then ends of prompts.
    """

    decodes: int
    chunks: int
    tokens: int
    longest_chunk: int
    reach: int
    chunk_reach: int
    telling: tuple[Sequence, ...]


class StepInputs:
    """Writes plans into an arena, and shows what was written as a decoder takes it."""

    def __init__(self, arena: Arena, tables: SequenceTables, texts: Texts) -> None:
        self._arena = arena
        self._tables = tables
        self._texts = texts
        most = arena.sections[f"decodes, {_COLUMNS[0]}"].shape[0]
        arena.write("decodes, starts", 0, np.arange(most, dtype=np.int32))

    def write(self, plan: StepPlan, padded_decodes: int) -> StepSize:
        """Note a plan for the next flush, its decodes filled up with empty ones."""
        decodes, chunks = plan.decodes, plan.chunks
        contexts = [sequence.computed_tokens for sequence in decodes]
        self._write_decodes(decodes, contexts, padded_decodes)
        self._write_chunks(chunks, first=len(decodes))
        ends = [chunk for chunk in chunks if _completes(chunk)]
        size = StepSize(
            decodes=len(decodes),
            chunks=len(chunks),
            tokens=len(decodes) + sum(chunk.tokens for chunk in chunks),
            longest_chunk=max((chunk.tokens for chunk in chunks), default=0),
            reach=max(contexts, default=-1) + 1,
            chunk_reach=max((c.context_tokens + c.tokens for c in chunks), default=0),
            telling=(*decodes, *(chunk.sequence for chunk in ends)),
        )
        self._write_wanted(chunks, first=len(decodes))
        return size

    def shown(self, size: StepSize) -> Ragged:
        """A step as a decoder takes it."""
        decodes = self._segments("decodes", size.decodes, (1, size.reach))
        chunks = self._segments("chunks", size.chunks, (size.longest_chunk, size.chunk_reach))
        sections = self._arena.sections
        wanted = sections[_WANTED][: len(size.telling)]
        return Ragged(sections[_TOKENS][: size.tokens], decodes, chunks, wanted)

    def shown_decodes(self, sequences: int, tokens: int) -> Ragged:
        """A step of so many sequences that decode, none with more than so many tokens."""
        decodes = self._segments("decodes", sequences, (1, tokens))
        starts = self._arena.sections["decodes, starts"][:sequences]
        return Ragged(self._arena.sections[_TOKENS][:sequences], decodes, None, starts)

    def ask_for_nothing(self) -> None:
        """Let no sequence decode, on the device, until the next flush."""
        self._arena.sections["decodes, lengths"].zero_()

    def _segments(self, kind: str, count: int, most: tuple[int, int]) -> Segments | None:
        if not count:
            return None
        rows, starts, lengths, contexts = (
            self._arena.sections[f"{kind}, {name}"][:count] for name in _COLUMNS
        )
        return Segments(rows, starts, lengths, contexts, *most)

    def _write_decodes(self, decodes: Listed[Sequence], contexts: Listed[int], padded: int) -> None:
        if not decodes:
            return
        tokens = [
            self._texts.tokens(sequence, context, 1)[0]
            for sequence, context in zip(decodes, contexts, strict=True)
        ]
        rows = [
            self._tables.row_of(sequence, context + 1)
            for sequence, context in zip(decodes, contexts, strict=True)
        ]
        lengths = [1] * len(decodes) + [0] * (padded - len(decodes))
        self._write(_TOKENS, tokens)
        self._write("decodes, rows", rows)
        self._write("decodes, contexts", contexts)
        self._write("decodes, lengths", lengths)

    def _write_chunks(self, chunks: Listed[Chunk], first: int) -> None:
        if not chunks:
            return
        start, starts, rows = first, [], []
        for chunk in chunks:
            text = self._texts.tokens(chunk.sequence, chunk.context_tokens, chunk.tokens)
            self._arena.write(_TOKENS, start, text)
            rows.append(self._tables.row_of(chunk.sequence, chunk.context_tokens + chunk.tokens))
            starts.append(start)
            start += chunk.tokens
        lengths, contexts = zip(*((c.tokens, c.context_tokens) for c in chunks), strict=True)
        for name, column in zip(_COLUMNS, (rows, starts, lengths, contexts), strict=True):
            self._write(f"chunks, {name}", column)

    def _write_wanted(self, chunks: Listed[Chunk], first: int) -> None:
        """Every decode, and the last token of chunks that complete a prompt."""
        wanted, end = list(range(first)), first
        for chunk in chunks:
            end += chunk.tokens
            if _completes(chunk):
                wanted.append(end - 1)
        self._write(_WANTED, wanted)

    def _write(self, section: str, values: Listed[int]) -> None:
        self._arena.write(section, 0, np.array(values, dtype=np.int32))


def input_shapes(limits: Limits) -> dict[str, tuple[int, ...]]:
    """Sections that an arena needs for the inputs of a step."""
    columns = [f"{kind}, {name}" for kind in ("decodes", "chunks") for name in _COLUMNS]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(columns, (limits.max_sequences,))
    return shapes | {_TOKENS: (limits.max_step_tokens,), _WANTED: (limits.max_sequences,)}


def _completes(chunk: Chunk) -> bool:
    """Whether the sequence owes nothing after a chunk, so that a token is made."""
    return chunk.context_tokens + chunk.tokens == chunk.sequence.target_tokens
