"""The habits of the paper's evaluation that can be switched off one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scenarios.reproduce.variants import Variant

ALL = "all"


def _concerns_all(variant: Variant) -> bool:
    del variant
    return True


def _concerns_padded(variant: Variant) -> bool:
    return variant.is_padded


def _concerns_avmp(variant: Variant) -> bool:
    return variant.is_avmp


def _concerns_migration(variant: Variant) -> bool:
    return variant.batch_pages > 0


def _concerns_no_count(variant: Variant) -> bool:
    del variant
    return False


@dataclass(frozen=True, slots=True)
class Fix:
    """One habit and what replaces it.

    Attributes:
        name: What `--fix` takes.
        paper: What the evaluation did.
        right: What is done instead.
        in_all: Whether `--fix all` takes it.
        concerns: Whether the counts of a variant may depend on it.
    """

    name: str
    paper: str
    right: str
    in_all: bool = True
    concerns: Callable[[Variant], bool] = _concerns_all


FIXES = (
    Fix(
        "page-ownership",
        "padded_unified frees pages by number: an evicted request, when it leaves, frees pages"
        " that belong to others by then",
        "a release takes back what the request holds, and nothing else",
        concerns=_concerns_padded,
    ),
    Fix(
        "page-tokens",
        "padded_unified keeps 16 tokens in a KV page as large as a state (4 and 32 times too"
        " large), and calls that the loss of a padded layout",
        "a KV page holds as many tokens as fit into a state's page, as vLLM does",
        concerns=_concerns_padded,
    ),
    Fix(
        "spare-asker",
        "the least recently served request is evicted even if it is the one that asks",
        "a request is never evicted for itself",
    ),
    Fix(
        "evict-until-fits",
        "one request is evicted for a failing call; if that is too little the call fails, and the"
        " request stays evicted",
        "as many as needed are evicted, and nobody if all together were too few",
    ),
    Fix(
        "tell-victims",
        "nobody is told of an eviction: the request grows on, keeps its pages in the other pool,"
        " and counts as completed",
        "an evicted request ends, gives back the rest, and does not count as completed",
    ),
    Fix(
        "refuse-failed",
        "a request whose call failed goes on without that layer and may fail again, once a layer",
        "a request that cannot have all its pages ends and gives back what it has",
    ),
    Fix(
        "enough-batches",
        "a failing call moves one batch of capacity, whatever it lacks",
        "a failing call moves as many batches as end the shortage, or none",
        concerns=_concerns_migration,
    ),
    Fix(
        "relocate",
        "capacity leaves a pool only at its tail, and only if no page there is held",
        "pages held at the tail are copied to free places first",
        concerns=_concerns_migration,
    ),
    Fix(
        "migrate-first",
        "capacity moves only after a request was evicted, and then only for KV in effect: a state"
        " call asks for one page, which the eviction has freed",
        "capacity moves first, in both directions; a request is evicted only if none can move",
        concerns=_concerns_migration,
    ),
    Fix(
        "mapped-capacity",
        "each of AVMP's two pools occupies the whole budget, twice the bytes of its rivals",
        "a pool's capacity is mapped and unmapped; the footprint is the budget",
        concerns=_concerns_avmp,
    ),
    Fix(
        "keyed-removal",
        "fixed_dual looks through all live handles at every eviction (host time only; runs that"
        " only count never do it)",
        "the handle of a page is found by key",
        concerns=_concerns_no_count,
    ),
    Fix(
        "thresholds",
        "the stated limits (free shares of donor and recipient, 1000 calls between migrations) do"
        " not reach the migrations that take place",
        "they do, as the text says; not part of `all`, since it mends the text and not the design",
        in_all=False,
        concerns=_concerns_migration,
    ),
)


def known_fixes() -> tuple[str, ...]:
    """The names that `--fix` takes."""
    return (*(fix.name for fix in FIXES), ALL)


def fix_names(wanted: Iterable[str]) -> frozenset[str]:
    """The fixes that are meant, `all` being those that make the design right.

    Raises:
        UnknownNameError: If there is no such fix.
    """
    known = known_fixes()
    chosen: set[str] = set()
    for name in wanted:
        if name == ALL:
            chosen.update(fix.name for fix in FIXES if fix.in_all)
        elif name in known:
            chosen.add(name)
        else:
            raise UnknownNameError("fix", name, known)
    return frozenset(chosen)


def relevant(fixes: frozenset[str], variant: Variant) -> frozenset[str]:
    """Those of some fixes on which the counts of a variant may depend."""
    return frozenset(fix.name for fix in FIXES if fix.name in fixes and fix.concerns(variant))
