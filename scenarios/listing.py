"""What there is to choose from, with sources."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from allocator.registry import known_managers
from scenarios.capacity.engine import known_engines
from scenarios.choice import described_options
from scenarios.device import known_devices, load_device
from scenarios.errors import UnknownNameError
from scenarios.machine import GIB
from scenarios.model_file import known_models, load_model
from scenarios.profile import known_profiles, load_profile
from scenarios.sweep_file import known_sweeps, summary_of
from sim.admission import known_admissions
from sim.preemption import known_preemptions
from sim.router import known_routers
from sim.scheduler import known_schedulers
from traces.load import known_formats, known_presets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scenarios.catalogue import Provenance

Item = dict[str, Any]


def items_of(kind: str) -> list[Item]:
    """All items of a kind, in order of name.

    Raises:
        UnknownNameError: If there is no such kind.
    """
    if kind not in LISTS:
        raise UnknownNameError("list", kind, LISTS)
    return LISTS[kind]()


def _models() -> list[Item]:
    return [_model(name) for name in known_models()]


def _model(name: str) -> Item:
    model = load_model(name)
    return {
        "name": name,
        "attention_layers": model.attention_layers,
        "state_layers": model.state_layers,
        "parameters": model.total_parameters,
        "weights_gib": round(model.weight_bytes() / GIB, 2),
        "kv_bytes_per_token": model.kv_bytes_per_token(),
        "state_bytes_per_sequence": model.state_bytes_per_sequence(),
        "sources": _sources(model.provenance),
    }


def _engines() -> list[Item]:
    """What `twinpool capacity --engine` takes beside allocators; its settings are in the help."""
    return [
        {"name": name, "summary": engine.summary, "source": engine.source}
        for name, engine in known_engines().items()
    ]


def _devices() -> list[Item]:
    return [_device(name) for name in known_devices()]


def _device(name: str) -> Item:
    device = load_device(name)
    return {
        "name": name,
        "memory_gib": round(device.memory.size_bytes / GIB, 2),
        "bandwidth_tb_per_s": round(device.bandwidth_bytes_per_s / 1e12, 3),
        "tflops_per_s": round(device.flops_per_s / 1e12, 1),
        "sources": _sources(device.provenance),
    }


def _sources(provenance: tuple[Provenance, ...]) -> list[dict[str, str]]:
    return [asdict(entry) for entry in provenance]


def _designs(known: Mapping[str, type[Any]]) -> list[Item]:
    """Allocators, schedulers, routers: a line each, with options and source."""
    return [
        {
            "name": name,
            "summary": design.summary,
            "options": described_options(design.Options),
            "source": design.source,
        }
        for name, design in known.items()
    ]


def _traces() -> list[Item]:
    formats = [{"kind": "file format", **asdict(known)} for known in known_formats()]
    return formats + [{"kind": "preset", **asdict(known)} for known in known_presets()]


def _profile(name: str) -> Item:
    profile = load_profile(name)
    return {
        "name": name,
        "model": profile.model,
        "device": profile.device,
        **{f"error_{key}": value for key, value in asdict(profile.fit_error).items()},
        "source": ", ".join(f"{key} {value}" for key, value in profile.measured_on.items()),
        "digest": profile.digest,
    }


LISTS: dict[str, Callable[[], list[Item]]] = {
    "models": _models,
    "devices": _devices,
    "allocators": lambda: _designs(known_managers()),
    "engines": _engines,
    "schedulers": lambda: _designs(known_schedulers()),
    "admissions": lambda: _designs(known_admissions()),
    "routers": lambda: _designs(known_routers()),
    "preemptions": lambda: _designs(known_preemptions()),
    "traces": _traces,
    "presets": lambda: [{"name": name, "summary": summary_of(name)} for name in known_sweeps()],
    "profiles": lambda: [_profile(name) for name in known_profiles()],
}
"""What `twinpool list` knows, by the word the command line takes."""
