from pathlib import Path

import pytest

import scenarios.device
from scenarios.device import Device, known_devices, load_device, read_device
from scenarios.errors import UnknownNameError, UserError
from scenarios.model_file import load_model

H200 = Path(scenarios.device.__file__).parent / "devices" / "h200.toml"
GIB = 1 << 30


@pytest.fixture(params=known_devices())
def device(request: pytest.FixtureRequest) -> Device:
    return load_device(request.param)


def test_the_devices_of_the_command_line_are_there() -> None:
    names = {"a100-80gb", "h100-80gb", "h200", "l40s", "rtx-3060-12gb", "rtx-4090"}
    assert set(known_devices()) == names


def test_h200_reaches_what_was_measured() -> None:
    h200 = load_device("h200")
    assert h200.memory.size_bytes == 143771 * 2**20
    assert h200.bandwidth_bytes_per_s == pytest.approx(4.25e12, rel=0.001)
    assert h200.flops_per_s == pytest.approx(800e12, rel=0.001)
    assert h200.virtual_memory.granule_bytes == 2 * 2**20
    assert h200.host.graph_replay_ns == 2_700


@pytest.mark.parametrize(
    ("remaps", "waiting_us", "beside_us"), [(1, 90, 153), (4, 265, 350), (16, 970, 1126)]
)
def test_h200_remaps_in_the_time_that_was_measured(
    remaps: int, waiting_us: int, beside_us: int
) -> None:
    """Medians of n mappings taken away and n made in a row (docs/decisions/0008)."""
    h200 = load_device("h200")
    for calls, measured_us in ((h200.remap, waiting_us), (h200.remap_beside, beside_us)):
        expected_ns = calls.batch_ns + remaps * (calls.unmap_ns + calls.map_ns)
        assert expected_ns == pytest.approx(measured_us * 1000, rel=0.03)


def test_every_table_names_source_and_verification(device: Device) -> None:
    assert len(device.provenance) == 10
    assert all(entry.source and entry.verification for entry in device.provenance)


def test_what_was_measured_elsewhere_is_marked_as_assumed(device: Device) -> None:
    statuses = {entry.table: entry.verification for entry in device.provenance}
    for table in ("achievable", "virtual_memory", "remap", "remap_beside", "host"):
        expected = "measured" if device.name == "h200" else "assumed: "
        assert statuses[table].startswith(expected)
    expected = "measured" if device.name == "h100-80gb" else "assumed: "
    assert statuses["pcie"].startswith(expected)


def test_cache_budget_is_what_weights_and_overhead_leave() -> None:
    h200, llama = load_device("h200"), load_model("llama-3.1-8b")
    usable_bytes = int(143771 * 2**20 * 0.9)
    assert h200.cache_budget_bytes(llama) == usable_bytes - 2 * 8_030_261_248 - 2 * GIB
    assert h200.cache_budget_bytes(llama, tp=2) == usable_bytes - 8_030_261_248 - 2 * GIB
    half = h200.cache_budget_bytes(llama, utilization_fraction=0.5)
    assert half == int(143771 * 2**20 * 0.5) - 2 * 8_030_261_248 - 2 * GIB


def test_cache_budget_is_near_what_vllm_logged_on_an_80_gb_device() -> None:
    # vLLM pull request 10511 logged 53.29 GiB for Meta-Llama-3-8B, with more outside torch.
    budget_bytes = load_device("h100-80gb").cache_budget_bytes(load_model("llama-3.1-8b"))
    assert budget_bytes / GIB == pytest.approx(53.29, abs=1.5)


def test_a_model_that_does_not_fit_is_refused_with_what_to_do() -> None:
    with pytest.raises(UserError) as error:
        load_device("rtx-3060-12gb").cache_budget_bytes(load_model("llama-3.1-8b"))
    assert str(error.value) == (
        "llama-3.1-8b does not fit rtx-3060-12gb with --tp 1: 14.96 GiB of weights and 1.00 GiB "
        "of overhead exceed the usable 10.80 GiB by 5.16 GiB, so take a larger device, a higher "
        "--tp, or state the cache with --memory-gib"
    )


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1])
def test_impossible_utilization_is_refused(fraction: float) -> None:
    with pytest.raises(UserError, match="must be above 0 and at most 1"):
        load_device("h200").cache_budget_bytes(
            load_model("bamba-9b"), utilization_fraction=fraction
        )


def test_unknown_devices_list_the_nearest_first() -> None:
    with pytest.raises(UnknownNameError, match="unknown device 'h20': use one of h200, "):
        load_device("h20")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("utilization_fraction = 0.9", "utilization_fraction = 1.5", "must be at most 1, not 1.5"),
        ("bytes_per_s = 55e9", "bytes_per_s = -1.0", "must be a positive number, not -1.0"),
        ("bytes_per_s = 55e9", "bytes_per_s = inf", "must be a positive number, not inf"),
        ("batch_ns = 30_000\n", "", "batch_ns is missing: give a positive whole number"),
        ("map_ns = 39_000", "map_ns = -1", "must be a positive whole number, not -1"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = H200.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=rf"mine\.toml: .*{complaint}"):
        read_device(file)
