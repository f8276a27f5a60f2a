"""Which request of one side is which of the other, and what is left over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.compare.side import UNKNOWN
from scenarios.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scenarios.compare.side import Ints, Side

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Named:
    """Requests that are counted, and of which the first are named."""

    request: Ints

    def __len__(self) -> int:
        return len(self.request)

    def to_json(self) -> dict[str, Any]:
        """How many, and the first of them."""
        return {"count": len(self.request), "requests": self.request[:MOST_NAMED].tolist()}

    def __str__(self) -> str:
        dots = ", ..." if len(self.request) > MOST_NAMED else ""
        return ", ".join(map(str, self.request[:MOST_NAMED].tolist())) + dots


@dataclass(frozen=True, slots=True)
class Matching:
    """Two sides, entry by entry the same requests, all served on both.

    Attributes:
        measured: The measured side, in order of arrival there.
        simulated: The simulated side.
        num_matched: Requests that are on both sides, served or not.
        only: By side, requests that the other lacks.
        unserved: By side, matched requests that got no tokens there: refused, or failed.
        differing: "prompt" and "output", requests whose token counts differ.
    """

    measured: Side
    simulated: Side
    num_matched: int
    only: dict[str, Named]
    unserved: dict[str, Named]
    differing: dict[str, Named]

    def __len__(self) -> int:
        return len(self.measured)


def match(measured: Side, simulated: Side) -> Matching:
    """Match by request number.

    Raises:
        UserError: No request is on both sides, or none was served on both.
    """
    common, ours, theirs = np.intersect1d(
        measured.request, simulated.request, assume_unique=True, return_indices=True
    )
    if not len(common):
        raise UserError(
            "the run and the log have no request in common: the run numbers its requests from 0"
            " in order of arrival; check id, or leave it out to match by order"
        )
    sides = {"measured": measured.only(ours), "simulated": simulated.only(theirs)}
    served = sides["measured"].is_served & sides["simulated"].is_served
    if not served.any():
        raise UserError("no request got its tokens both in the run and in the log")
    order = np.argsort(sides["measured"].arrival_ns[served], kind="stable")
    left, right = (side.only(served).only(order) for side in sides.values())
    return Matching(
        measured=left,
        simulated=right,
        num_matched=len(common),
        only={
            name: Named(np.sort(np.setdiff1d(side.request, common)))
            for name, side in (("measured", measured), ("simulated", simulated))
        },
        unserved={name: Named(side.request[~side.is_served]) for name, side in sides.items()},
        differing={
            "prompt": _differing(left.request, left.prompt_tokens, right.prompt_tokens),
            "output": _differing(left.request, left.output_tokens, right.output_tokens),
        },
    )


def _differing(request: Ints, ours: Ints, theirs: Ints) -> Named:
    known: NDArray[np.bool_] = (ours != UNKNOWN) & (theirs != UNKNOWN)
    return Named(np.sort(request[known & (ours != theirs)]))
