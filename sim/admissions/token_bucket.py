"""Each tenant may send at a rate, and a burst beyond it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from sim.admission import AdmissionControl
from sim.event_log import RejectionReason

if TYPE_CHECKING:
    from sim.account import Account
    from sim.request import Sequence

NS_PER_S = 10**9


class BucketUnit(Enum):
    """What a bucket is filled with."""

    TOKENS = "tokens"
    REQUESTS = "requests"


class Overflow(Enum):
    """What becomes of a request for which a bucket holds too little."""

    WAIT = "wait"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class TokenBucketOptions:
    """Options of `token-bucket`."""

    unit: BucketUnit = field(
        default=BucketUnit.TOKENS,
        metadata={"help": "tokens: a request costs its prompt and all its output; or requests"},
    )
    rate: float = field(
        default=0.0,
        metadata={"help": "refill a second of a tenant, unless its settings say; 0: no limit"},
    )
    burst: float = field(
        default=0.0,
        metadata={"help": "most that a bucket holds, likewise; 0 for one second's refill"},
    )
    overflow: Overflow = field(
        default=Overflow.WAIT,
        metadata={"help": "wait until the bucket holds enough, or reject at once"},
    )

    def __post_init__(self) -> None:
        for name in ("rate", "burst"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")


class Bucket:
    """A bucket that starts full; what it lacks is kept as the time until it would be full.

    So all is integers, and nobody goes a nanosecond early. A request that costs more than the
    bucket can hold goes when it is full, and leaves a debt.
    """

    def __init__(self, rate: float, burst: float) -> None:
        """A bucket of some size, with its refill a second."""
        self._rate = Fraction(rate)
        self._burst = Fraction(burst)
        self._full_ns = 0  # when it is full if nobody takes anything

    def ready_ns(self, cost: int, now_ns: int) -> int:
        """The earliest time, from now on, at which it holds a cost, or is full."""
        spare_ns = floor(max(Fraction(0), self._burst - cost) * NS_PER_S / self._rate)
        return max(now_ns, self._full_ns - spare_ns)

    def take(self, cost: int, time_ns: int) -> None:
        """Take a cost out at a time, which may lie ahead; later calls name no earlier time."""
        self._full_ns = max(self._full_ns, time_ns) + ceil(cost * NS_PER_S / self._rate)


class TokenBucket(AdmissionControl):
    """A request enters the queue when its tenant's bucket holds what it costs, and takes it out.

    Requests of a tenant keep their order, so a request's time is known when it arrives. The log
    has the time at which it arrived, and latencies count from there. Output lengths are taken as
    what clients declare, as rate limits of public services do.
    """

    name = "token-bucket"
    summary = "holds a tenant to a rate and a burst, by waiting or by refusal"
    source = "token bucket (Turner, 1986); limits on tokens a minute of public inference services"
    Options = TokenBucketOptions

    def __init__(self, options: TokenBucketOptions) -> None:
        self._options = options
        self._buckets: dict[Account, Bucket | None] = {}

    def refusal(self, sequence: Sequence, now_ns: int, num_waiting: int) -> RejectionReason | None:
        """See `AdmissionControl.refusal`."""
        del num_waiting
        bucket = self._bucket_of(sequence.account)
        if bucket is None or self._options.overflow is Overflow.WAIT:
            return None
        is_ready = bucket.ready_ns(self._cost(sequence), now_ns) == now_ns
        return None if is_ready else RejectionReason.THROTTLED

    def delay_ns(self, sequence: Sequence, now_ns: int) -> int:
        """See `AdmissionControl.delay_ns`."""
        bucket = self._bucket_of(sequence.account)
        if bucket is None:
            return 0
        cost = self._cost(sequence)
        ready_ns = bucket.ready_ns(cost, now_ns)
        bucket.take(cost, ready_ns)
        return ready_ns - now_ns

    def _cost(self, sequence: Sequence) -> int:
        if self._options.unit is BucketUnit.REQUESTS:
            return 1
        return sequence.request.prompt_tokens + sequence.output_tokens

    def _bucket_of(self, account: Account) -> Bucket | None:
        """The bucket of a tenant; None if it has no rate."""
        if account not in self._buckets:
            tenant, options = account.tenant, self._options
            rate = tenant.rate or options.rate
            burst = tenant.burst or options.burst or rate
            self._buckets[account] = Bucket(rate, burst) if rate else None
        return self._buckets[account]
