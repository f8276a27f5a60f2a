"""The bound: memory that is fungible byte by byte, with nothing wasted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.cohort import Cohort
from allocator.handle import HandleLayout
from allocator.integrity import check
from allocator.interface import (
    NO_TERMS,
    UNBOUNDED_TOKENS,
    CacheManager,
    OutOfMemoryError,
    PoolUsage,
    Terms,
    Usage,
)
from allocator.page_table import PageTable
from allocator.run import pages_of_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from allocator.run import Run
    from allocator.spec import CacheSpec


@dataclass(frozen=True, slots=True)
class SharedBytesOptions:
    """`shared-bytes` has no options."""


class ByteCohort(Cohort):
    """Bytes have no order, so a round is one number."""

    def __init__(self, manager: SharedBytesManager, tokens: dict[int, int]) -> None:
        self._manager = manager
        self._tokens = tokens
        self._members: set[int] = set()
        self._num_rounds = 0

    @property
    def num_tokens(self) -> int:
        """Tokens that its members have beside those that are listed."""
        return self._num_rounds * len(self._members)

    def join(self, sequence: int, rank: int) -> None:
        """See `Cohort.join`."""
        del rank
        self._tokens[sequence] -= self._num_rounds
        self._members.add(sequence)

    def leave(self, sequence: int) -> None:
        """See `Cohort.leave`."""
        self._members.remove(sequence)
        self._tokens[sequence] += self._num_rounds

    def extend(self) -> None:
        """See `Cohort.extend`."""
        self.extend_in_rounds(1)

    def sure_rounds(self, most: int) -> int:
        """See `Cohort.sure_rounds`: as long as bytes last."""
        round_bytes = len(self._members) * self._manager.spec.bytes_per_token()
        return min(most, self._manager.free_bytes // round_bytes) if round_bytes else most

    def extend_in_rounds(self, rounds: int) -> None:
        """See `Cohort.extend_in_rounds`."""
        self._manager.use(rounds * len(self._members) * self._manager.spec.bytes_per_token())
        self._num_rounds += rounds

    def check_integrity(self) -> None:
        """See `Cohort.check_integrity`."""
        check(self._members <= self._tokens.keys(), "a cohort's member is gone")


class SharedBytesManager(CacheManager):
    """Grants a sequence exactly tokens x KV bytes + state bytes; no page rounding anywhere.

    No allocator can accept a call that this one refuses after the same calls before, so it bounds
    them all. It names one extent of varying size, rather than pages, a sequence and group.
    """

    name = "shared-bytes"
    summary = "the bound: byte-fungible memory without waste; no allocator can accept more"
    source = "own construction (docs/glossary.md, bound)"
    Options = SharedBytesOptions

    def __init__(self, spec: CacheSpec, backing: Backing, options: SharedBytesOptions) -> None:
        del options
        self.spec = spec
        self.backing = backing
        self._budget_bytes = backing.num_granules * backing.granule_bytes
        slab = backing.reserve(self._budget_bytes)
        backing.map(slab, 0, backing.num_granules)
        extents = (self._budget_bytes // self._sequence_bytes(1) + 1) * len(spec.groups)
        self._table = PageTable(HandleLayout.for_table(1, extents), [extents])
        self._tokens: dict[int, int] = {}  # of members of the cohort beside its rounds
        self._cohort = ByteCohort(self, self._tokens)
        self._extents: dict[int, list[Run]] = {}  # one extent a group
        self._free_extents: list[list[Run]] = []
        self._used_bytes = 0
        self._peak_bytes = 0

    @property
    def max_sequence_tokens(self) -> int:
        """See `CacheManager.max_sequence_tokens`; without attention any length fits."""
        left = self._budget_bytes - self.spec.bytes_per_sequence()
        if left < 0:
            return 0
        return (
            left // self.spec.bytes_per_token() if self.spec.bytes_per_token() else UNBOUNDED_TOKENS
        )

    def admit(self, sequence: int, tokens: int, terms: Terms = NO_TERMS) -> None:
        """See `CacheManager.admit`."""
        if sequence in self._tokens:
            raise ValueError(f"sequence {sequence} is already admitted")
        if tokens < 1:
            raise ValueError("a sequence is admitted with at least one token")
        self._meet(terms, tokens)
        self.use(self._sequence_bytes(tokens))
        self._tokens[sequence] = tokens
        count = len(self.spec.groups)
        unused = [(len(self._extents) * count, count)]
        extents = self._free_extents.pop() if self._free_extents else unused
        self._extents[sequence] = self._table.issue(0, extents)

    def extend(self, sequence: int, tokens: int) -> None:
        """See `CacheManager.extend`."""
        held = self._tokens[sequence]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        self.use(tokens * self.spec.bytes_per_token())
        self._tokens[sequence] = held + tokens

    def extend_all(self, sequences: Sequence[int], tokens: int) -> None:
        """See `CacheManager.extend_all`."""
        held = [self._tokens[sequence] for sequence in sequences]
        if tokens < 0:
            raise ValueError("a sequence does not shrink")
        self.use(len(held) * tokens * self.spec.bytes_per_token())
        for sequence, had in zip(sequences, held, strict=True):
            self._tokens[sequence] = had + tokens

    def new_cohort(self) -> Cohort:
        """See `CacheManager.new_cohort`."""
        self._cohort = ByteCohort(self, self._tokens)
        return self._cohort

    def release(self, sequence: int) -> None:
        """See `CacheManager.release`."""
        self._used_bytes -= self._sequence_bytes(self._tokens.pop(sequence))
        self._free_extents.append(self._table.retire(0, self._extents.pop(sequence)))

    def block_table(self, sequence: int, group: str) -> Sequence[int]:
        """The one extent of a sequence in a group."""
        names = [candidate.name for candidate in self.spec.groups]
        if group not in names:
            raise KeyError(group)
        return (self._table.handles(0, self._extents[sequence])[names.index(group)],)

    def usage(self) -> Usage:
        """Bytes count as pages of one byte."""
        pool = PoolUsage("bytes", 1, self._budget_bytes, self._used_bytes)
        return Usage(
            budget_bytes=self._budget_bytes,
            footprint_bytes=self._budget_bytes,
            pools=(pool,),
            needed_bytes=self._used_bytes,
            reserve_bytes=0,
            peak_granted_bytes=self._peak_bytes,
        )

    def check_integrity(self) -> None:
        """See `CacheManager.check_integrity`."""
        self.backing.check_integrity()
        self._table.check_integrity()
        used = sum(self._sequence_bytes(tokens) for tokens in self._tokens.values())
        used += self._cohort.num_tokens * self.spec.bytes_per_token()
        check(used == self._used_bytes <= self._budget_bytes, "used bytes are miscounted")
        self._cohort.check_integrity()
        check(self._extents.keys() == self._tokens.keys(), "a sequence lacks its extents")
        held = [pages_of_runs(runs) for runs in self._extents.values()]
        free = [pages_of_runs(runs) for runs in self._free_extents]
        each = len(self.spec.groups)
        check(all(len(extents) == each for extents in held + free), "a group lacks its extent")
        known = sorted(extent for extents in held + free for extent in extents)
        check(known == list(range(len(known))), "an extent is lost or held twice")
        live = {(0, extent) for extents in held for extent in extents}
        check(live == set(self._table.live_pages()), "a sequence's extents have no names")

    def _sequence_bytes(self, tokens: int) -> int:
        return tokens * self.spec.bytes_per_token() + self.spec.bytes_per_sequence()

    def _meet(self, terms: Terms, tokens: int) -> None:
        room_bytes = self._sequence_bytes(max(tokens, terms.room_tokens) + terms.others_tokens)
        self._check_free(room_bytes + int(terms.margin * self._budget_bytes))

    def _check_free(self, size_bytes: int) -> None:
        free = self.free_bytes
        if size_bytes > free:
            raise OutOfMemoryError("bytes", size_bytes, free, largest=free)

    @property
    def free_bytes(self) -> int:
        """Bytes that nobody uses."""
        return self._budget_bytes - self._used_bytes

    def use(self, size_bytes: int) -> None:
        """Count bytes as used, or raise OutOfMemoryError."""
        self._check_free(size_bytes)
        self._used_bytes += size_bytes
        self._peak_bytes = max(self._peak_bytes, self._used_bytes)
