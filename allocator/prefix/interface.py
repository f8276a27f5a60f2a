"""What a cache manager promises beyond the rest if it shares pages of equal texts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.interface import CacheManager

if TYPE_CHECKING:
    from allocator.prefix.content import Content

UNBOUNDED_SEQUENCES = 2**63 - 1
"""Sequences that may run at once where nothing limits them."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The start of a text, as far as a manager still has its pages.

    Attributes:
        content: The text.
        tokens: Tokens that need not be computed.
        stateless_tokens: Tokens after those whose KV was found, but no state at their end: if a
            chunk stops there, the state will be there for the next text that starts alike.
        is_pending: Whether part of it belongs to the very step that is being planned, so that
            nobody can use it before the next.
        blocks: The blocks found, for the manager that found them.
        stamp: When they were found, likewise.
    """

    content: Content
    tokens: int = 0
    stateless_tokens: int = 0
    is_pending: bool = False
    blocks: tuple[tuple[int, ...], ...] = ()
    stamp: int = 0


@dataclass(frozen=True, slots=True)
class Evictions:
    """What was evicted since the start.

    Attributes:
        tokens: Tokens whose KV went.
        states: States that went.
        lone_states: Those of them whose KV stayed, so that it is of no use any more.
    """

    tokens: int = 0
    states: int = 0
    lone_states: int = 0


class PrefixSharing(CacheManager):
    """A manager that keeps pages of released sequences for later ones that start alike.

    A page that several sequences hold is granted once, and bytes that they need alike are needed
    once. Pages that nobody holds but that keep a text are *cached*: they count as free, and
    `PoolUsage` counts them beside.

    A text may be kept when its pages are granted (vLLM), or once it has been computed (SGLang):
    `keep` and `retire` say when that is.

    Attributes:
        checkpoint_tokens: Where it is above 0, a state is only kept at multiples of so many
            tokens, so prompts should be computed in chunks that end there, and state pages of a
            sequence change as it grows past one.
        max_sequences: Sequences that may run at once if each is to leave its states; more can be
            admitted, but then texts may be lost.
    """

    checkpoint_tokens: int
    max_sequences: int = UNBOUNDED_SEQUENCES

    @abstractmethod
    def find_prefix(self, content: Content, tokens: int) -> Prefix:
        """What there is of the first so many tokens of a text; nothing changes."""

    @abstractmethod
    def begin_step(self) -> None:
        """Say that all that was granted before has been computed."""

    def keep(self, sequence: int, tokens: int) -> None:
        """Keep the first tokens of a sequence for others: a chunk of its prompt ended there.

        Args:
            sequence: One that goes on. Its pages may change for others with the same text.
            tokens: Those computed so far, all of its last chunk among them.

        Raises:
            KeyError: If the sequence is not admitted.
        """

    def retire(self, sequence: int) -> None:
        """Release a sequence that has ended, all its tokens computed: its text may be kept.

        `release` is for those that end before; what `keep` was told of them stays kept.

        Raises:
            KeyError: If the sequence is not admitted.
        """
        self.release(sequence)

    @abstractmethod
    def evictions(self) -> Evictions:
        """What was evicted since the start."""

    @abstractmethod
    def trim(self, sequence: int) -> None:
        """Take back what a sequence holds for tokens long computed and does not need any more.

        `extend` does it too, but not when it fails.

        Raises:
            KeyError: If the sequence is not admitted.
        """
