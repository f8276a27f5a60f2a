"""A request's life in the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.prefix.content import Content
from allocator.rounds import STANDING
from sim.account import Account
from sim.tenant import Tenant

if TYPE_CHECKING:
    from allocator.rounds import Rounds
    from traces.record import Request


class Sequence:
    """One request from admission to completion, through preemptions.

    A sequence owes what `computed_tokens` lacks of `target_tokens`: its prompt at first, after a
    preemption its prompt and the output made so far. Then it makes one token a step. The newest
    token has no room yet; it gets some in the step that feeds it, so the last token never does.

    Attributes:
        request: What arrived.
        account: What its tenant has in the engine; one of its own where nobody keeps any.
        content: Its text; None where nobody asks for it.
        output_tokens: Tokens it makes; fewer than requested if its length is limited.
        computed_tokens: Tokens whose KV and state exist; while it waits, in the host's memory.
        target_tokens: Tokens to compute, since it was admitted, before it can decode.
        made_tokens: Output tokens made so far.
        preemptions: Times it lost its pages.
        failed_allocations: Allocations for it that failed.
        place: Number of its admission, by which running sequences are in order.
        last_round: While it decodes among others, the round that makes its last token, else None.
    """

    __slots__ = (
        "_computed_tokens",
        "_made_tokens",
        "_rounds",
        "account",
        "content",
        "failed_allocations",
        "last_round",
        "output_tokens",
        "place",
        "preemptions",
        "request",
        "request_id",
        "target_tokens",
    )

    def __init__(self, request: Request, account: Account | None = None) -> None:
        self.request = request
        self.account = Account(Tenant()) if account is None else account
        self.request_id = request.request_id
        self.content: Content | None = None
        self.output_tokens = request.output_tokens
        self._computed_tokens = 0  # beside the rounds it follows
        self.target_tokens = request.prompt_tokens
        self._made_tokens = 0  # the same
        self._rounds = STANDING
        self.place = 0
        self.last_round: int | None = None
        self.preemptions = 0
        self.failed_allocations = 0

    @property
    def computed_tokens(self) -> int:
        """Tokens whose KV and state exist."""
        return self._computed_tokens + self._rounds.count

    @computed_tokens.setter
    def computed_tokens(self, tokens: int) -> None:
        self._computed_tokens = tokens - self._rounds.count

    @property
    def made_tokens(self) -> int:
        """Output tokens made so far."""
        return self._made_tokens + self._rounds.count

    @made_tokens.setter
    def made_tokens(self, tokens: int) -> None:
        self._made_tokens = tokens - self._rounds.count

    def follow(self, rounds: Rounds) -> None:
        """Let computed and made tokens rise with a count of rounds from now on."""
        behind = self._rounds.count - rounds.count
        self._computed_tokens += behind
        self._made_tokens += behind
        self._rounds = rounds

    def limit(self, max_tokens: int) -> None:
        """End at so many prompt and output tokens at most, but make one token at least."""
        most = max_tokens - self.request.prompt_tokens
        self.output_tokens = max(1, min(self.output_tokens, most))

    def compute(self, tokens: int) -> bool:
        """Compute owed tokens; True if none is left."""
        self._computed_tokens += tokens
        return self.computed_tokens >= self.target_tokens

    def make_token(self) -> int:
        """Make a token without following rounds; which one it is, from 1."""
        self._made_tokens += 1
        self.account.make_token()
        return self.made_tokens

    def suspend(self, *, keeps_tokens: bool) -> None:
        """Lose all pages; whoever keeps tokens elsewhere owes only the rest when it resumes."""
        self.preemptions += 1
        if not keeps_tokens:
            self.computed_tokens = 0
        self.target_tokens = self.total_tokens

    @property
    def total_tokens(self) -> int:
        """Tokens of its prompt and of the output made so far."""
        return self.request.prompt_tokens + self.made_tokens

    @property
    def max_tokens(self) -> int:
        """Tokens it will have room for at its end: the last output token needs none."""
        return self.request.prompt_tokens + self.output_tokens - 1

    @property
    def owed_tokens(self) -> int:
        """Tokens still to be computed before it can decode; 0 while decoding."""
        return max(0, self.target_tokens - self.computed_tokens)


def content_of(request: Request) -> Content:
    """The text of a request: what is known of its prompt, then a segment of its own."""
    known = sum(tokens for _, tokens in request.text)
    own = request.prompt_tokens - known + request.output_tokens
    return Content((*request.text, (-1 - request.request_id, own)))
