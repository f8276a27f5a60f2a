"""What a cache manager promises beyond the rest if it shares pages of equal texts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.interface import CacheManager

if TYPE_CHECKING:
    from allocator.prefix.content import Content


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


class PrefixSharing(CacheManager):
    """A manager that keeps pages of released sequences for later ones that start alike.

    A page that several sequences hold is granted once, and bytes that they need alike are needed
    once. Pages that nobody holds count as free, whatever text they still keep.

    Attributes:
        checkpoint_tokens: Where it is above 0, a state is only kept at multiples of so many
            tokens, so prompts should be computed in chunks that end there, and state pages of a
            sequence change as it grows past one.
    """

    checkpoint_tokens: int

    @abstractmethod
    def find_prefix(self, content: Content, tokens: int) -> Prefix:
        """What there is of the first so many tokens of a text; nothing changes."""

    @abstractmethod
    def begin_step(self) -> None:
        """Say that all that was granted before has been computed."""

    @abstractmethod
    def trim(self, sequence: int) -> None:
        """Take back what a sequence holds for tokens long computed and does not need any more.

        `extend` does it too, but not when it fails.

        Raises:
            KeyError: If the sequence is not admitted.
        """
