"""Reading a sweep from a TOML file; whatever the user can get wrong about it shows here."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from allocator.registry import known_managers
from scenarios import catalogue
from scenarios.cell import check_replicas
from scenarios.choice import choose, choose_scheduler
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.model_choice import choose_model
from scenarios.profile import load_profile
from scenarios.sweep_scenario import CapacityRule, Grid, MemoryRule, Mix, SweepScenario
from scenarios.text_file import is_there
from sim.preemption import known_preemptions
from sim.router import known_routers
from sim.tenant import Tenant
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.catalogue import Document, Table

PRESETS = Path(__file__).parent / "presets"
TABLES = ("sweep", "memory", "capacity", "mixes", "tenants")
EVERY = "every"
"""Stands in a list of allocators for all of them, with their defaults."""


def known_sweeps() -> tuple[str, ...]:
    """The names of the presets, sorted."""
    return catalogue.known_names(PRESETS)


def load_sweep(source: str, profile: str | None = None) -> SweepScenario:
    """Read a scenario file, or a preset by its name; a profile takes the place of the file's.

    Raises:
        UserError: One sentence with file and key.
    """
    is_file = source.endswith(".toml") or is_there(source)
    document = catalogue.read(Path(source) if is_file else _preset_file(source))
    scenario = _scenario(document)
    if profile is not None:
        scenario = replace(scenario, grid=replace(scenario.grid, profile=profile))
    _check_names(document.table("sweep"), scenario)
    _check_mixes(document.table("mixes"), scenario)
    with _blaming(document.table("memory"), "sequences"):
        for name in scenario.grid.models:
            scenario.machine(name)
    return scenario


def summary_of(name: str) -> str:
    """What a preset is for, in one line."""
    return catalogue.read(_preset_file(name)).table("sweep").text("summary")


def _preset_file(name: str) -> Path:
    return catalogue.find(PRESETS, "preset (or file that ends in .toml)", name)


def _scenario(document: Document) -> SweepScenario:
    for name in document.tables:
        if name not in TABLES:
            raise UserError(f"{document.file.name}: [{name}] is not known: use {', '.join(TABLES)}")
    return SweepScenario(
        name=document.file.stem,
        grid=_with_every(document.build("sweep", Grid)),
        memory=document.build("memory", MemoryRule),
        capacity=document.build_optional("capacity", CapacityRule) or CapacityRule(),
        mixes=_mixes(document.table("mixes")),
        tenants=_tenants(document.tables.get("tenants")),
    )


def _with_every(grid: Grid) -> Grid:
    """The grid with `every` replaced by the names of all allocators, and loads as floats."""
    names: list[str] = []
    for text in grid.allocators:
        names += known_managers() if text == EVERY else [text]
    return replace(grid, allocators=tuple(names), loads=tuple(map(float, grid.loads)))


def _mixes(table: Table) -> dict[str, Mix]:
    mixes = {}
    for name, values in table.values.items():
        if not isinstance(values, dict):
            raise table.fault(name, f"must be a table: write [mixes.{name}]")
        mixes[name] = replace(table, name=f"mixes.{name}", values=values).build(Mix)
    if not mixes:
        raise UserError(f"{table.file.name}: [mixes] is empty: add a table such as [mixes.chat]")
    return mixes


def _tenants(table: Table | None) -> tuple[Tenant, ...]:
    return () if table is None else tuple(_tenant(table, name) for name in table.values)


def _tenant(table: Table, name: str) -> Tenant:
    values = table.values[name]
    if not isinstance(values, dict):
        raise table.fault(name, f"must be a table: write [tenants.{name}]")
    if "name" in values:
        raise table.fault(name, "has a name in its heading: leave the key name out")
    own = replace(table, name=f"tenants.{name}", values=values)
    try:
        return replace(own.build(Tenant), name=name)
    except ValueError as error:
        raise table.fault(name, f"is wrong: {error}") from None


def _check_names(table: Table, scenario: SweepScenario) -> None:
    """Use every name once, so that what is wrong with one is said with its key."""
    grid = scenario.grid
    for key in ("models", "loads", "allocators"):
        values = getattr(grid, key)
        if len(set(values)) < len(values):
            raise table.fault(key, "names something twice: name each once")
    with _blaming(table, "models"):
        for name in grid.models:
            choose_model(name)
    with _blaming(table, "device"):
        load_device(grid.device)
    if grid.profile:
        with _blaming(table, "profile"):
            load_profile(grid.profile)
    with _blaming(table, "slo"):
        _ = scenario.slo
    with _blaming(table, "scheduler"):
        choose_scheduler(grid.scheduler)
    with _blaming(table, "preemption"):
        choose("preemption", grid.preemption, known_preemptions())
    with _blaming(table, "replicas"):
        check_replicas(grid.replicas)
    with _blaming(table, "router"):
        choose("router", grid.router, known_routers())
    with _blaming(table, "allocators"):
        for text in (*grid.allocators, scenario.capacity.allocator):
            choose("allocator", text, known_managers())


def _check_mixes(table: Table, scenario: SweepScenario) -> None:
    for name, mix in scenario.mixes.items():
        with _blaming(table, name):
            mix.load(0)


@contextmanager
def _blaming(table: Table, key: str) -> Iterator[None]:
    """Say of a mistake found in the block where in the file it was made."""
    try:
        yield
    except (UserError, TraceError) as error:
        raise table.fault(key, f"is wrong: {error}") from None
