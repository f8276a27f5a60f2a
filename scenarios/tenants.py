"""Texts such as `chat:weight=2,max_seqs=16` become settings of tenants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scenarios.choice import options_of
from scenarios.errors import UnknownNameError, UserError
from sim.tenant import OTHERS, Tenant
from traces.options import split_spec
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from traces.record import Trace


def parse_tenants(texts: Iterable[str]) -> tuple[Tenant, ...]:
    """Read `NAME:key=value,...` each; the name `*` stands for all other tenants.

    Raises:
        UserError: An unknown key, a value of the wrong type or range, or a name given twice.
    """
    tenants = tuple(map(_parse, texts))
    names = [tenant.name for tenant in tenants]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--tenant {name} is given twice: give all its settings at once")
    return tenants


def check_tenants(tenants: Iterable[Tenant], trace: Trace) -> None:
    """Refuse settings that would mean nothing for a trace.

    Raises:
        UserError: A tenant that the trace does not have.
    """
    known = {*trace.tenants, OTHERS}
    for tenant in tenants:
        if not trace.tenants:
            raise UserError(
                f"{trace.name} names no tenants, so --tenant {tenant.name} means nothing:"
                " name their column with --columns tenant=..."
            )
        if tenant.name not in known:
            raise UnknownNameError("tenant of the trace", tenant.name, known)


def _parse(text: str) -> Tenant:
    try:
        name, values = split_spec(text)
    except TraceError as error:
        raise UserError(str(error)) from None
    if not name or "name" in values:
        raise UserError(f"--tenant {text} names nobody: write --tenant NAME:weight=2,...")
    return replace(options_of(f"--tenant {name}", Tenant, values), name=name)
