"""TOML of models, devices and sweeps; JSON of checkpoints and profiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios import device, model_file, profile
from scenarios.capacity.answer import to_json
from scenarios.capacity.budget import BudgetOptions
from scenarios.capacity.run import CapacityAsk, capacity
from scenarios.cell import Cell, simulate
from scenarios.device import load_device, read_device
from scenarios.hf_config.family import known_families
from scenarios.hf_config.read import read_hf_config
from scenarios.machine import Machine, MachineOptions, machine_of
from scenarios.model_file import load_model, read_model
from scenarios.profile import read_profile
from scenarios.sweep_file import load_sweep
from scenarios.sweep_task import settings_of
from sim.metric import Slo
from tests.checkpoints import GRANITE, KIMI, LLAMA, NEMOTRON
from tests.fuzz.target import Prepared, Target
from traces.load import load_trace

if TYPE_CHECKING:
    from scenarios.model import Model

SWEEP = b"""[sweep]
summary = "two models, two mixes"
models = ["nemotron-h-8b", "zamba2-7b"]
device = "h200"
loads = [0.5, 1]
seeds = 2
allocators = ["avmp:batch=8", "static:state_ratio=0.3"]
scheduler = "fcfs:max_seqs=64+headroom"
slo = "ttft=2s,tpot=100ms"
preemption = "swap"
replicas = 2
router = "least-loaded"

[memory]
sequences = 8
reference_tokens = 512

[capacity]
allocator = "shared-bytes"
seeds = 1

[mixes.chat]
trace = "poisson:n=5,rate=1"

[mixes.bursty]
trace = "azure-like:n=4"
arrivals = "gamma:rate=1,cv=4"

[tenants.chat]
weight = 2.0
max_seqs = 4
"""
CONFIGS: tuple[dict[str, Any], ...] = (
    {
        **LLAMA,
        "max_position_embeddings": 8192,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    },
    {**NEMOTRON, "num_hidden_layers": 5, "hybrid_override_pattern": "M-M*-"},
    {**GRANITE, "num_hidden_layers": 3, "layer_types": ["mamba", "attention", "mamba"]},
    {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 6,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "sliding_window": 1024,
            "vocab_size": 262208,
        },
    },
    {
        **KIMI,
        "num_hidden_layers": 4,
        "linear_attn_config": {
            **KIMI["linear_attn_config"],
            "full_attn_layers": [4],
            "kda_layers": [1, 2, 3],
        },
    },
)
"""Few layers: a change is then more often to what decides than to the list of them."""

H200 = load_device("h200")
FEW = load_trace("poisson:n=3,rate=5,prompt=40,output=6")


def _files(folder: Path, names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple((folder / name).read_bytes() for name in names)


def _replay(machine: Machine) -> None:
    """A few requests on a machine."""
    simulate(Cell(machine, "avmp", "fcfs", Slo(), num_samples=5), FEW)


def _size(model: Model) -> None:
    """What a replay asks of a model, sharing and dtypes included."""
    _replay(machine_of(model, H200, MachineOptions(memory_gib=4.0)))
    machine_of(model, H200, MachineOptions(tp=2, kv_dtype="fp8"))


def _model(folder: Path) -> Prepared:
    file = folder / "own.toml"
    source = Path(model_file.__file__).parent / "models"
    names = ("nemotron-h-8b", "zamba2-7b", "gpt-oss-20b", "kimi-linear-48b-a3b", "lfm2-8b-a1b")

    def read(data: bytes) -> None:
        file.write_bytes(data)
        _size(read_model(file))

    return Prepared(_files(source, tuple(f"{name}.toml" for name in names)), read)


def _device(folder: Path) -> Prepared:
    file = folder / "own.toml"
    source = Path(device.__file__).parent / "devices"
    model = load_model("nemotron-h-8b")

    def read(data: bytes) -> None:
        file.write_bytes(data)
        found = read_device(file)
        _replay(machine_of(model, found, MachineOptions()))

    return Prepared(_files(source, ("h200.toml", "rtx-4090.toml")), read)


def _sweep(folder: Path) -> Prepared:
    file = folder / "own.toml"

    def read(data: bytes) -> None:
        file.write_bytes(data)
        for setting in settings_of(load_sweep(str(file))):
            setting.cell("avmp").wire()

    return Prepared((SWEEP,), read)


def _config(folder: Path) -> Prepared:
    file = folder / "config.json"

    def read(data: bytes) -> None:
        file.write_bytes(data)
        _size(read_hf_config(folder))

    texts = tuple(json.dumps(config, indent=1).encode() for config in CONFIGS)
    family = tuple(texts[0].replace(b"llama", name.encode()) for name in known_families())
    seeds = []
    for text in (*texts, *family):
        try:
            read(text)
        except Exception:  # noqa: BLE001, S112 - a family that needs other fields is no example
            continue
        seeds.append(text)
    return Prepared(tuple(seeds), read)


def _capacity(folder: Path) -> Prepared:
    """A config through every engine's sizing."""
    file = folder / "config.json"
    engines = ("sglang", "llama.cpp", "tensorrt-llm", "kvcached", "avmp", "two-ended")

    def read(data: bytes) -> None:
        file.write_bytes(data)
        budget = BudgetOptions(20.0, None, 1, "auto")
        ask = CapacityAsk(str(file), budget=budget, max_model_len=4096, compare=engines)
        json.dumps(to_json(capacity(ask)), allow_nan=False)

    return Prepared((json.dumps(CONFIGS[1]).encode(), json.dumps(CONFIGS[2]).encode()), read)


def _profile(folder: Path) -> Prepared:
    file = folder / "own.json"
    whole = json.loads((profile.FOLDER / "nemotron-h-8b-h200.json").read_bytes())
    for evidence in ("steps", "primitives"):
        whole.pop(evidence, None)
    model = load_model("nemotron-h-8b")

    def read(data: bytes) -> None:
        file.write_bytes(data)
        _replay(machine_of(model, H200, MachineOptions(memory_gib=4.0), read_profile(file)))

    return Prepared((json.dumps(whole, indent=1).encode(),), read)


TARGETS = (
    Target("model-toml", _model),
    Target("device-toml", _device),
    Target("sweep-toml", _sweep, 0.3),
    Target("config-json", _config),
    Target("capacity-of-config", _capacity, 0.3),
    Target("profile-json", _profile),
)
