"""Corrupts one thing of a radix tree after another: `check_integrity` must see each of them."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.backing import HostBacking
from allocator.interface import Terms
from allocator.managers.sglang import Radix, SglangManager, SglangOptions
from allocator.prefix.content import Content
from allocator.prefix.radix_cache import RadixCache
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Callable

KV = CacheGroup("kv", CacheKind.ATTENTION, 1, 16)
SSM = CacheGroup("ssm", CacheKind.STATE, 1, 64)


def enter(manager: RadixCache, number: int, *pieces: tuple[int, int]) -> None:
    content, tokens = Content(pieces), sum(count for _, count in pieces)
    manager.admit(number, tokens, Terms(prefix=manager.find_prefix(content, tokens - 1)))


def _first(manager: RadixCache) -> Any:  # noqa: ANN401 - a node to damage
    return next(node for node in manager._tree.nodes() if node.kv_holders)


def _other(manager: RadixCache) -> Any:  # noqa: ANN401 - as above
    return next(node for node in manager._tree.nodes() if not node.kv_holders)


DAMAGE: dict[str, Callable[[RadixCache], object]] = {
    "a holder too many": lambda m: setattr(_first(m), "kv_holders", 9),
    "a state holder too many": lambda m: setattr(_first(m), "state_holders", 9),
    "a node that nobody holds": lambda m: m._tree.hold(_other(m)),
    "a page lost": lambda m: _first(m).pages.pop(),
    "a state lost": lambda m: setattr(_first(m), "state", None),
    "a state twice": lambda m: m._held[1].slots.__setitem__(0, _first(m).state),
    "an edge too long": lambda m: setattr(_first(m), "tokens", 99),
    "tokens miscounted": lambda m: setattr(m._tree, "held_tokens", 1),
    "cached tokens miscounted": lambda m: setattr(m._tree, "cached_tokens", 1),
    "cached states miscounted": lambda m: setattr(m._tree, "cached_states", 9),
    "a leaf forgotten": lambda m: m._tree._leaves._heap.clear(),
    "own tokens miscounted": lambda m: setattr(m, "_own_tokens", 0),
    "a shared token too many": lambda m: setattr(m._held[1], "kept_tokens", 3),
    "the peak too low": lambda m: setattr(m._pools, "peak_granted_bytes", 0),
    "a page free that is not": lambda m: m._pools._kv._free.add(m._held[1].own_pages[0][0], 1),
    "two nodes used at once": lambda m: setattr(_first(m), "used", _other(m).used),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_noticed(damage: Callable[[RadixCache], object]) -> None:
    options = SglangOptions(radix=Radix.ON)
    manager = SglangManager.build(CacheSpec((KV, SSM)), HostBacking(1 << 12, 128), options)
    assert isinstance(manager, RadixCache)
    enter(manager, 0, (2, 4))
    manager.retire(0)
    enter(manager, 1, (1, 6), (3, 2))
    manager.keep(1, 6)
    manager.check_integrity()
    damage(manager)
    with pytest.raises(AssertionError):
        manager.check_integrity()
