"""The replica that has seen most of a prompt's start, unless it is too busy."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.prefix.content import Content
from sim.router import ReplicaView, Router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traces.record import Request


Key = bytes | int
"""Of a block of known text, or the number of the request whose text nobody knows."""


@dataclass(frozen=True, slots=True)
class PrefixAffineOptions:
    """How far affinity goes; the defaults of the first three are those of the SGLang gateway.

    Attributes:
        cache_threshold: Share of a prompt that must be known for it to go where it is known.
        balance_abs_threshold: Requests in flight by which the busiest replica must exceed the
            idlest before balance counts more than affinity.
        balance_rel_threshold: Factor by which it must exceed it too.
        block: Tokens that are known together.
        max_blocks: Blocks remembered of each replica; the least recently used go first.
    """

    cache_threshold: float = field(
        default=0.3, metadata={"help": "share of a prompt to be known for it to go there"}
    )
    balance_abs_threshold: int = field(
        default=64, metadata={"help": "requests by which the busiest may exceed the idlest"}
    )
    balance_rel_threshold: float = field(
        default=1.5, metadata={"help": "times the requests of the idlest the busiest may have"}
    )
    block: int = field(default=64, metadata={"help": "tokens that are known together"})
    max_blocks: int = field(default=1 << 18, metadata={"help": "blocks remembered a replica"})

    def __post_init__(self) -> None:
        if not 0 <= self.cache_threshold <= 1:
            raise ValueError(f"cache_threshold must be from 0 to 1, not {self.cache_threshold}")
        if self.balance_abs_threshold < 0 or not 1 <= self.balance_rel_threshold < float("inf"):
            raise ValueError("balance_abs_threshold must be at least 0, balance_rel_threshold 1")
        if self.block < 1 or self.max_blocks < 1:
            raise ValueError("block and max_blocks must be at least 1")


class Memory:
    """What was sent to a replica: blocks by key, the least recently sent first.

    The rest of a prompt that no other has is one entry of several blocks.
    """

    def __init__(self, max_blocks: int) -> None:
        self._blocks: OrderedDict[Key, int] = OrderedDict()
        self._max_blocks = max_blocks
        self.num_blocks = 0

    def num_known(self, keys: Sequence[Key]) -> int:
        """Blocks from the start of a text that were sent before."""
        known = self._blocks
        return next((place for place, key in enumerate(keys) if key not in known), len(keys))

    def note(self, key: Key, num_blocks: int = 1) -> None:
        """Remember blocks, and forget others where there are too many."""
        self.num_blocks += num_blocks - self._blocks.pop(key, 0)
        self._blocks[key] = num_blocks
        while self.num_blocks > self._max_blocks:
            self.num_blocks -= self._blocks.popitem(last=False)[1]

    def check_integrity(self) -> None:
        """Raise AssertionError if blocks are miscounted, or too many are remembered."""
        check(self.num_blocks == sum(self._blocks.values()), "a router miscounts blocks")
        check(self.num_blocks <= self._max_blocks, "a router remembers too much of a replica")


class PrefixAffine(Router):
    """Remembers what it sent where, as an approximation of what each replica still has.

    1. If replicas are out of balance (the busiest exceeds the idlest in requests in flight by
       `balance_abs_threshold` and by the factor `balance_rel_threshold`), the idlest is chosen.
    2. Else the one that was sent the longest start of the prompt, if that is more than
       `cache_threshold` of it.
    3. Else the one of which least is remembered, so that new texts spread over the memories.

    Among equals the lowest number. The gateway matches characters in a radix tree; here tokens
    are matched by the block, by keys that stand for the text from its start.
    """

    name = "prefix-affine"
    summary = "where most of the prompt's start was sent before, within a bound on imbalance"
    source = "policy cache_aware of the SGLang gateway (v0.3) and of vLLM's router"
    Options = PrefixAffineOptions

    def __init__(self, options: PrefixAffineOptions) -> None:
        self._options = options
        self._memories: list[Memory] = []

    def route(self, request: Request, replicas: Sequence[ReplicaView]) -> int:
        """See `Router.route`."""
        if not self._memories:
            self._memories = [Memory(self._options.max_blocks) for _ in replicas]
        keys = self._keys(request)
        loads = [replica.num_running + replica.num_waiting for replica in replicas]
        number = (
            loads.index(min(loads)) if self._is_unbalanced(loads) else self._best(request, keys)
        )
        self._note(request, keys, self._memories[number])
        return number

    def check_integrity(self) -> None:
        """Raise AssertionError if too much is remembered of a replica."""
        for memory in self._memories:
            memory.check_integrity()

    def _keys(self, request: Request) -> Sequence[Key]:
        """Keys of the whole blocks of what is known of a prompt."""
        num_blocks = sum(tokens for _, tokens in request.text) // self._options.block
        return Content(request.text).keys(self._options.block, num_blocks)

    def _note(self, request: Request, keys: Sequence[Key], memory: Memory) -> None:
        """Remember a prompt; its last blocks are noted first, and so forgotten first."""
        own_blocks = request.prompt_tokens // self._options.block - len(keys)
        if own_blocks > 0:
            memory.note(request.request_id, own_blocks)
        for key in reversed(keys):
            memory.note(key)

    def _is_unbalanced(self, loads: Sequence[int]) -> bool:
        options, most, least = self._options, max(loads), min(loads)
        return (
            most - least > options.balance_abs_threshold
            and most > least * options.balance_rel_threshold
        )

    def _best(self, request: Request, keys: Sequence[Key]) -> int:
        known = [memory.num_known(keys) for memory in self._memories]
        most = max(known)
        if most * self._options.block > self._options.cache_threshold * request.prompt_tokens:
            return known.index(most)
        sizes = [memory.num_blocks for memory in self._memories]
        return sizes.index(min(sizes))
