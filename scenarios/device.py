"""A GPU as the simulator sees it: memory, rates, and what its memory calls and host calls cost."""

from dataclasses import dataclass
from pathlib import Path

from allocator.spec import SLAB_ALIGNMENT_BYTES
from scenarios import catalogue
from scenarios.catalogue import Provenance
from scenarios.errors import UserError
from scenarios.model import Model

_FOLDER = Path(__file__).parent / "devices"
_GIB = 1 << 30
MOST_GRANULES = 10**7
"""Of a device; each is kept account of. An H200 has 71,886."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one device as its driver reports them in total."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Peak:
    """Data-sheet rates: memory bandwidth, and dense bf16 tensor FLOP/s with fp32 accumulation."""

    bandwidth_bytes_per_s: float
    flops_per_s: float


@dataclass(frozen=True, slots=True)
class Achievable:
    """The fractions of the peaks that a copy and a large matrix product reach."""

    bandwidth_fraction: float
    flops_fraction: float


@dataclass(frozen=True, slots=True)
class Pcie:
    """The host link: what a copy reaches in one direction, and what starting it costs."""

    bytes_per_s: float
    start_ns: int


@dataclass(frozen=True, slots=True)
class SwapSpace:
    """Memory of the host that one device may use for swapped sequences."""

    swap_bytes: int


@dataclass(frozen=True, slots=True)
class VirtualMemory:
    """CUDA virtual memory: the unit of physical memory it maps."""

    granule_bytes: int


@dataclass(frozen=True, slots=True)
class MappingCalls:
    """Host time of changing n mappings in a row: `batch_ns` + n x that of each.

    `map_ns` holds making the mapping accessible. Mappings of 2 to 128 MiB cost the same.
    """

    batch_ns: int
    unmap_ns: int
    map_ns: int


@dataclass(frozen=True, slots=True)
class Host:
    """Host time of starting work on the device."""

    graph_replay_ns: int
    kernel_launch_ns: int
    async_upload_ns: int


@dataclass(frozen=True, slots=True)
class Engine:
    """What a serving engine leaves of a device.

    It uses `utilization_fraction` of the memory; `overhead_bytes` of that are neither weights nor
    cache: context, activations, graphs. The true figure lies between the other two.
    """

    utilization_fraction: float
    overhead_bytes: int
    overhead_least_bytes: int
    overhead_most_bytes: int


@dataclass(frozen=True, slots=True)
class Device:
    """One kind of GPU.

    Mappings change on a device that waits for them (`remap`), or beside a running kernel.
    """

    name: str
    memory: Memory
    peak: Peak
    achievable: Achievable
    pcie: Pcie
    host_memory: SwapSpace
    virtual_memory: VirtualMemory
    remap: MappingCalls
    remap_beside: MappingCalls
    host: Host
    engine: Engine
    provenance: tuple[Provenance, ...]

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Bytes a second a kernel can move to and from memory, reads and writes together."""
        return self.peak.bandwidth_bytes_per_s * self.achievable.bandwidth_fraction

    @property
    def flops_per_s(self) -> float:
        """Dense bf16 FLOP/s a large matrix product reaches."""
        return self.peak.flops_per_s * self.achievable.flops_fraction

    def cache_budget_bytes(
        self, model: Model, tp: int = 1, utilization_fraction: float | None = None
    ) -> int:
        """Return the bytes left for caches on each of `tp` devices.

        Utilization x memory - weights / tp - overhead, as vLLM sizes its cache.

        Args:
            model: Whose weights lie on the devices.
            tp: Devices that share the model.
            utilization_fraction: Part of the memory to use; none means the device's default.

        Raises:
            UserError: nothing is left, the fraction is not in (0, 1], or `tp` cannot share
                the model's heads.
        """
        fraction = utilization_fraction
        if fraction is None:
            fraction = self.engine.utilization_fraction
        if not 0 < fraction <= 1:
            raise UserError(f"memory utilization {fraction} must be above 0 and at most 1")
        usable_bytes = int(self.memory.size_bytes * fraction)
        budget_bytes = usable_bytes - model.weight_bytes(tp) - self.engine.overhead_bytes
        if budget_bytes <= 0:
            raise self._too_small(model, tp, usable_bytes, -budget_bytes)
        return budget_bytes

    def _too_small(self, model: Model, tp: int, usable_bytes: int, lacking_bytes: int) -> UserError:
        return UserError(
            f"{model.name} does not fit {self.name} with --tp {tp}: "
            f"{_gib(model.weight_bytes(tp))} of weights and "
            f"{_gib(self.engine.overhead_bytes)} of overhead exceed the usable "
            f"{_gib(usable_bytes)} by {_gib(lacking_bytes)}, "
            "so take a larger device, a higher --tp, or state the cache with --memory-gib"
        )


def known_devices() -> tuple[str, ...]:
    """Return the names of all devices, sorted."""
    return catalogue.known_names(_FOLDER)


def load_device(name: str) -> Device:
    """Load a device by name; raise `UnknownNameError` listing the known names, nearest first."""
    return read_device(catalogue.find(_FOLDER, "device", name))


def read_device(file: Path) -> Device:
    """Read a device from a TOML file like those in `scenarios/devices`.

    Raises:
        UserError: the file is malformed; the message names file and key.
    """
    document = catalogue.read(file)
    granule_bytes = document.build("virtual_memory", VirtualMemory).granule_bytes
    size_bytes = document.build("memory", Memory).size_bytes
    if granule_bytes % SLAB_ALIGNMENT_BYTES or size_bytes // granule_bytes > MOST_GRANULES:
        raise document.table("virtual_memory").fault(
            "granule_bytes",
            f"must be a multiple of {SLAB_ALIGNMENT_BYTES}, and at least a part in"
            f" {MOST_GRANULES:,} of the memory, not {granule_bytes}",
        )
    return Device(
        name=file.stem,
        memory=document.build("memory", Memory),
        peak=document.build("peak", Peak),
        achievable=document.build("achievable", Achievable),
        pcie=document.build("pcie", Pcie),
        host_memory=document.build("host_memory", SwapSpace),
        virtual_memory=document.build("virtual_memory", VirtualMemory),
        remap=document.build("remap", MappingCalls),
        remap_beside=document.build("remap_beside", MappingCalls),
        host=document.build("host", Host),
        engine=document.build("engine", Engine),
        provenance=document.provenance(),
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.2f} GiB"
