"""Every text that an option takes: designs, presets, tenants, objectives, columns, prices."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from allocator.registry import known_managers
from scenarios.capacity.engine_version import EngineVersion
from scenarios.cell import Cell
from scenarios.choice import choose
from scenarios.commands.capacity import _sequences
from scenarios.commands.plan import _ratios
from scenarios.compare.columns import log_columns, occupancy_columns
from scenarios.device import load_device
from scenarios.errors import UserError
from scenarios.listing import items_of
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.model_file import load_model
from scenarios.plan.ask import static_at
from scenarios.plan.cost import parse_prices
from scenarios.plan.objective import parse_objective
from scenarios.profile import load_profile
from scenarios.reproduce.fixes import fix_names
from scenarios.reproduce.grid import sweep_named
from scenarios.slo import parse_slo
from scenarios.sweep_file import load_sweep
from scenarios.tenants import parse_tenants
from sim.admission import known_admissions
from sim.metric import Slo
from sim.preemption import known_preemptions
from sim.router import known_routers
from sim.scheduler import known_schedulers
from tests.fuzz.target import Prepared, Target
from traces.arrival_process import parse_arrival_process
from traces.columns import parse_columns
from traces.load import TraceOptions, known_presets, load_trace
from traces.options import split_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

MACHINE = machine_of(
    load_model("nemotron-h-8b"), load_device("h200"), MachineOptions(memory_gib=0.25)
)
SIZES = ("n", "duration_s", "period_s", "factor", "short_rate", "long_rate", "rate", "scale")
"""Options of presets that say how many requests there are: a million is no mistake, but slow."""

MOST_SIZE = 5000.0


def _text(data: bytes) -> str:
    """As the arguments of a process are decoded."""
    return data.decode("utf-8", "surrogateescape").replace("\0", "")


def _target(name: str, seeds: Iterable[str], read: Callable[[str], object]) -> Target:
    def prepare(folder: Path) -> Prepared:
        del folder
        texts = tuple(seed.encode() for seed in seeds)
        return Prepared(texts, lambda data: _done(read(_text(data))))

    return Target(name, prepare, 2.0)


def _done(result: object) -> None:
    """A parsed option must be printable: it stands in results."""
    repr(result)


def _designs(known: Mapping[str, type]) -> list[str]:
    """Each design with every option spelled out, where they have defaults."""
    texts = []
    for name, design in known.items():
        values = [
            f"{key}={getattr(value, 'value', value)}"
            for key, value in _defaults(design).items()
            if value != ""
        ]
        texts.append(f"{name}:{','.join(values)}" if values else name)
    return texts


def _defaults(design: type) -> dict[str, object]:
    options = design.Options()  # type: ignore[attr-defined]
    return {name: getattr(options, name) for name in options.__slots__}


def _cell(allocator: str = "avmp", scheduler: str = "fcfs", **parts: str) -> None:
    Cell(MACHINE, allocator, scheduler, Slo(), **parts).wire()  # type: ignore[arg-type]


def _preset(text: str) -> None:
    """Parsed whatever it says; generated if it asks for few requests."""
    _, values = split_spec(text)
    for key in SIZES:
        try:
            if float(values.get(key, "1")) > MOST_SIZE:
                return
        except ValueError:
            break
    load_trace(text, TraceOptions(seed=1))


def _schedulers() -> list[str]:
    controls = _designs(known_admissions())
    plain = _designs(known_schedulers())
    return [*plain, *(f"{plain[0]}+{'+'.join(controls)}" for _ in range(1))]


def _plan_texts(text: str) -> None:
    for ratio in _ratios(text):
        if 0 < ratio < 1:
            choose("allocator", static_at(ratio), known_managers())


def _names(text: str) -> None:
    """A name for every catalogue; each refuses those of the others."""
    for read in (choose_model, load_device, load_profile, load_sweep, items_of, sweep_named):
        with suppress(UserError):
            read(text)
    fix_names((text,))


def _prices(text: str) -> object:
    return parse_prices(text.split(), ("h200", "l40s"))


TARGETS = (
    _target("allocators", _designs(known_managers()), lambda text: _cell(allocator=text)),
    _target("schedulers", _schedulers(), lambda text: _cell(scheduler=text)),
    _target("preemptions", _designs(known_preemptions()), lambda text: _cell(preemption=text)),
    _target(
        "routers",
        _designs(known_routers()),
        lambda text: choose("router", text, known_routers()).design,
    ),
    _target(
        "presets",
        [f"{each.name}:n=20,seed=3" for each in known_presets() if "n=" in str(each.options)]
        + ["blend:share=0.5,duration_s=16,short_rate=2", "alternating:period_s=8,duration_s=16"],
        _preset,
    ),
    _target(
        "tenants",
        ("chat:weight=2,max_seqs=16 *:memory_share=0.5,rate=3,burst=9,max_waiting=4",),
        lambda text: parse_tenants(text.split()),
    ),
    _target("slo", ("ttft=2s,tpot=100ms",), parse_slo),
    _target("objective", ("ttft_p99=2s,tpot_p50=50ms,e2e_mean=9s",), parse_objective),
    _target(
        "arrivals",
        ("poisson:rate=5", "gamma:rate=5,cv=2", "deterministic:rate=1", "closed-loop:clients=4"),
        parse_arrival_process,
    ),
    _target("columns", ("arrival=ts:ms,prompt=in,output=out,tenant=who",), parse_columns),
    _target(
        "log-columns",
        ("id=i,arrival=a:ms,ttft=t:s,e2e=e:us,prompt=p,output=o",),
        lambda text: log_columns(text, ("a",), "log.csv"),
    ),
    _target("occupancy-columns", ("time=t:ms,pct=p:fraction",), occupancy_columns),
    _target("prices", ("2.5", "h200=2.5 l40s=0.5"), _prices),
    _target("ratios", ("0.1,0.3,0.9",), _plan_texts),
    _target("engine-version", ("0.24.0", "v0.20.1rc1"), EngineVersion.of),
    _target("sequences", ("auto", "128"), _sequences),
    _target("names", ("all",), _names),
)
