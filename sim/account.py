"""What a tenant has in the engine: who runs and waits, what they hold, what they were served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.rounds import STANDING
from sim.tenant import Tenant, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from allocator.rounds import Rounds
    from allocator.spec import CacheSpec
    from sim.request import Sequence


class Account:
    """One tenant in one batch; kept as sequences come and go, never by the step.

    Decoding sequences are not counted one by one: like their own tokens, those of their tenant
    follow the batch's count of rounds, so that figures are right whenever a decision asks.

    Attributes:
        tenant: Its settings.
        number: Its place among the tenants of the run, which the log names it by.
        running: Sequences with pages.
        present: Requests that have arrived and not ended.
        prompt_tokens: Tokens of the prompts admitted so far, each once.
    """

    __slots__ = (
        "_bytes_per_sequence",
        "_bytes_per_token",
        "_decoding",
        "_held_tokens",
        "_made_tokens",
        "_most_bytes",
        "_rounds",
        "number",
        "present",
        "prompt_tokens",
        "running",
        "tenant",
    )

    def __init__(
        self,
        tenant: Tenant,
        number: int = 0,
        spec: CacheSpec | None = None,
        budget_bytes: int = 0,
    ) -> None:
        """Start with nothing.

        Args:
            tenant: Its settings.
            number: See above.
            spec: What tokens and sequences need; without one, a byte a token.
            budget_bytes: Memory of which the tenant may have a share.
        """
        self.tenant = tenant
        self.number = number
        self.running = 0
        self.present = 0
        self.prompt_tokens = 0
        self._bytes_per_token = 1 if spec is None else spec.bytes_per_token()
        self._bytes_per_sequence = 0 if spec is None else spec.bytes_per_sequence()
        self._most_bytes = int(tenant.memory_share * budget_bytes)
        self._rounds = STANDING
        self._decoding = 0  # sequences that follow the rounds
        self._made_tokens = 0  # beside the rounds
        self._held_tokens = 0  # beside all that were made

    @property
    def waiting(self) -> int:
        """Requests that have arrived and do not run."""
        return self.present - self.running

    @property
    def made_tokens(self) -> int:
        """Output tokens made so far in all, each once."""
        return self._made_tokens + self._decoding * self._rounds.count

    @property
    def running_tokens(self) -> int:
        """Tokens of the prompts of those that run, and of the output made of them."""
        return self._held_tokens + self.made_tokens

    @property
    def held_bytes(self) -> int:
        """Bytes that those who run need, exactly: no allocator's rounding is in it."""
        states = self.running * self._bytes_per_sequence
        return states + self.running_tokens * self._bytes_per_token

    @property
    def weighted_bytes(self) -> float:
        """Bytes needed for each unit of weight: who has most is furthest over its share."""
        return self.held_bytes / self.tenant.weight

    def could_hold(self, tokens: int) -> bool:
        """Whether a sequence of so many tokens could ever enter within the quota."""
        return self.tenant.memory_share == 1 or self._bytes_of(tokens) <= self._most_bytes

    def has_place_for(self, sequence: Sequence) -> bool:
        """Whether a sequence that waits may enter within the quota; always, if nobody runs."""
        tenant = self.tenant
        if not self.running:
            return True
        if tenant.max_seqs and self.running >= tenant.max_seqs:
            return False
        if tenant.memory_share == 1:
            return True
        return self.held_bytes + self._bytes_of(sequence.total_tokens) <= self._most_bytes

    def admit(self, sequence: Sequence) -> None:
        """A sequence of this tenant gets pages."""
        self.running += 1
        self._held_tokens += sequence.total_tokens
        if not sequence.preemptions:
            self.prompt_tokens += sequence.request.prompt_tokens

    def release(self, sequence: Sequence) -> None:
        """A sequence of this tenant gives its pages back."""
        self.running -= 1
        self._held_tokens -= sequence.total_tokens

    def make_token(self) -> None:
        """A sequence that does not follow the rounds has made a token."""
        self._made_tokens += 1

    def follow(self, rounds: Rounds) -> None:
        """A sequence makes a token a round from now on."""
        self._rounds = rounds
        self._decoding += 1
        self._made_tokens -= rounds.count

    def part(self) -> None:
        """A sequence that followed the rounds does so no more."""
        self._decoding -= 1
        self._made_tokens += self._rounds.count

    def check_integrity(self, running: Iterable[Sequence]) -> None:
        """Raise AssertionError if the figures are not those of the sequences that run."""
        own = [sequence for sequence in running if sequence.account is self]
        check(len(own) == self.running <= self.present, f"{self.tenant.name}: who runs is off")
        tokens = sum(sequence.total_tokens for sequence in own)
        check(tokens == self.running_tokens, f"{self.tenant.name}: its tokens are miscounted")

    def _bytes_of(self, tokens: int) -> int:
        return self._bytes_per_sequence + tokens * self._bytes_per_token


class Accounts:
    """The accounts of a batch, by the names of tenants."""

    def __init__(
        self,
        names: Iterable[str] = (),
        tenants: Iterable[Tenant] = (),
        spec: CacheSpec | None = None,
        budget_bytes: int = 0,
    ) -> None:
        """Open an account for each tenant of a trace.

        Args:
            names: The tenants of the trace, in the order of their numbers; may be empty.
            tenants: What the scenario says of them, or of others.
            spec: What sequences need.
            budget_bytes: Memory of which each may have a share.
        """
        self._tenants = tuple(tenants)
        self._spec = spec
        self._budget_bytes = budget_bytes
        self._by_name: dict[str, Account] = {}
        for name in names:
            self.of(name)

    def of(self, name: str) -> Account:
        """The account of a tenant; one that was not announced gets the next number."""
        if name not in self._by_name:
            settings, number = settings_of(name, self._tenants), len(self._by_name)
            self._by_name[name] = Account(settings, number, self._spec, self._budget_bytes)
        return self._by_name[name]

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_name.values())
