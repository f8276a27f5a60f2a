"""Whatever a machine lacks for the GPU mode is said in one sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gpu_backend import availability
from gpu_backend.availability import UnavailableError

GIB = 1 << 30


def machine(
    monkeypatch: pytest.MonkeyPatch, *, installed: set[str], devices: int = 0, cuda: str | None
) -> None:
    """A machine with some packages and CUDA devices."""
    torch = SimpleNamespace(
        __version__="9.9",
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(is_available=lambda: devices > 0, device_count=lambda: devices),
        device=lambda kind, index: f"{kind}:{index}",
    )
    modules = {"torch": torch, "triton": SimpleNamespace(__version__="3.1.0")}
    monkeypatch.setattr(availability, "find_spec", lambda name: name in installed or None)
    monkeypatch.setattr(availability, "import_module", lambda name: modules.get(name, name))


def test_each_thing_that_is_missing_has_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, installed=set(), cuda=None)
    for call, sentence in [
        (availability.cuda_device, "torch is not installed"),
        (availability.driver_module, "cuda-bindings is not installed"),
        (availability.check_triton, "triton is not installed"),
    ]:
        with pytest.raises(UnavailableError, match=sentence):
            call()
    machine(monkeypatch, installed={"torch", "triton"}, cuda=None)
    with pytest.raises(UnavailableError, match="built without CUDA"):
        availability.cuda_device()
    with pytest.raises(UnavailableError, match=r"triton 3.1.0 is too old"):
        availability.check_triton()
    machine(monkeypatch, installed={"torch"}, cuda="13.0")
    with pytest.raises(UnavailableError, match="no CUDA device answers"):
        availability.cuda_device()
    machine(monkeypatch, installed={"torch"}, cuda="13.0", devices=2)
    with pytest.raises(UnavailableError, match="there is no CUDA device 2: use one below 2"):
        availability.cuda_device(2)


def test_what_is_there_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, installed={"torch", "cuda", "cuda.bindings"}, cuda="13.0", devices=2)
    assert availability.cuda_device(1) == "cuda:1"
    assert availability.driver_module() == "cuda.bindings.driver"


def test_memory_and_granules() -> None:
    availability.check_memory(10 * GIB, 10 * GIB)
    with pytest.raises(UnavailableError, match=r"20.00 GiB of device memory are needed and 19.50"):
        availability.check_memory(20 * GIB, 39 * GIB // 2)
    availability.check_granule(4 << 20, 2 << 20)
    for size in (1 << 20, 3 << 20, 0):
        with pytest.raises(UnavailableError, match="is not supported"):
            availability.check_granule(size, 2 << 20)
