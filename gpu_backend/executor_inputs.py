"""What a step computes, laid out in the words of an arena."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpu_backend.decoder import Ragged
from gpu_backend.kernels.views import Segments
from gpu_backend.step_room import completes

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    from gpu_backend.arena import Arena
    from gpu_backend.executor_texts import Texts
    from gpu_backend.sequence_tables import Limits, SequenceTables
    from gpu_backend.step_room import StepRoom
    from sim.request import Sequence
    from sim.step import Chunk, StepPlan

_TOKENS, _WANTED = "tokens", "wanted"
_COLUMNS = ("rows", "starts", "lengths", "contexts")


class StepInputs:
    """Writes plans into an arena, and shows what was written as a decoder takes it."""

    def __init__(self, arena: Arena, tables: SequenceTables, texts: Texts, max_tokens: int) -> None:
        self._arena = arena
        self._tables = tables
        self._texts = texts
        self._max_tokens = max_tokens
        most = arena.sections[f"decodes, {_COLUMNS[0]}"].shape[0]
        arena.write("decodes, starts", 0, np.arange(most, dtype=np.int32))

    def write(self, plan: StepPlan, room: StepRoom) -> tuple[Sequence, ...]:
        """Note a plan for the next flush, filled up with segments of no tokens.

        Returns:
            Sequences whose next token is told: those that decode, then ends of prompts.
        """
        decodes, chunks = plan.decodes, plan.chunks
        self._write_decodes(decodes, room.decodes)
        self._write_chunks(chunks, len(decodes), room.chunks)
        ends = [chunk for chunk in chunks if completes(chunk)]
        self._write_wanted(chunks, len(decodes), room.told)
        return *decodes, *(chunk.sequence for chunk in ends)

    def shown(self, room: StepRoom) -> Ragged:
        """A step as a decoder takes it."""
        sections = self._arena.sections
        return Ragged(
            tokens=sections[_TOKENS][: room.tokens],
            decodes=self._segments("decodes", room.decodes, (1, room.reach)),
            chunks=self._segments("chunks", room.chunks, (room.chunk_tokens, self._max_tokens)),
            wanted=sections[_WANTED][: room.told],
        )

    def ask_for_nothing(self) -> None:
        """Let no segment have tokens, on the device, until the next flush."""
        for name in ("decodes, lengths", "chunks, lengths", _WANTED):
            self._arena.sections[name].zero_()

    def _segments(self, kind: str, count: int, most: tuple[int, int]) -> Segments | None:
        if not count:
            return None
        rows, starts, lengths, contexts = (
            self._arena.sections[f"{kind}, {name}"][:count] for name in _COLUMNS
        )
        return Segments(rows, starts, lengths, contexts, *most)

    def _write_decodes(self, decodes: Listed[Sequence], lanes: int) -> None:
        if not decodes:
            return
        contexts = [sequence.computed_tokens for sequence in decodes]
        pairs = list(zip(decodes, contexts, strict=True))
        self._write(_TOKENS, [self._texts.tokens(*pair, 1)[0] for pair in pairs])
        rows = [self._tables.row_of(sequence, context + 1) for sequence, context in pairs]
        self._write("decodes, rows", rows)
        self._write("decodes, contexts", contexts)
        self._write("decodes, lengths", [1] * len(decodes) + [0] * (lanes - len(decodes)))

    def _write_chunks(self, chunks: Listed[Chunk], first: int, lanes: int) -> None:
        if not chunks:
            return
        start, starts, rows = first, [], []
        for chunk in chunks:
            text = self._texts.tokens(chunk.sequence, chunk.context_tokens, chunk.tokens)
            self._arena.write(_TOKENS, start, text)
            rows.append(self._tables.row_of(chunk.sequence, chunk.context_tokens + chunk.tokens))
            starts.append(start)
            start += chunk.tokens
        lengths = [chunk.tokens for chunk in chunks] + [0] * (lanes - len(chunks))
        contexts = [chunk.context_tokens for chunk in chunks]
        for name, column in zip(_COLUMNS, (rows, starts, lengths, contexts), strict=True):
            self._write(f"chunks, {name}", column)

    def _write_wanted(self, chunks: Listed[Chunk], first: int, told: int) -> None:
        """Every decode, the last token of chunks that complete a prompt, and some first tokens."""
        wanted, end = list(range(first)), first
        for chunk in chunks:
            end += chunk.tokens
            if completes(chunk):
                wanted.append(end - 1)
        self._write(_WANTED, wanted + [0] * (told - len(wanted)))

    def _write(self, section: str, values: Listed[int]) -> None:
        self._arena.write(section, 0, np.array(values, dtype=np.int32))


def input_shapes(limits: Limits) -> dict[str, tuple[int, ...]]:
    """Sections that an arena needs for the inputs of a step."""
    columns = [f"{kind}, {name}" for kind in ("decodes", "chunks") for name in _COLUMNS]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(columns, (limits.max_sequences,))
    return shapes | {_TOKENS: (limits.max_step_tokens,), _WANTED: (2 * limits.max_sequences,)}
