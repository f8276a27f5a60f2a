"""What the fuzz campaign broke once, each as a plain example: `docs/robustness.md` lists them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scenarios import profile
from scenarios.capacity.engine_version import EngineVersion
from scenarios.catalogue import read
from scenarios.cell import Cell, simulate
from scenarios.choice import choose
from scenarios.commands.capacity import _sequences
from scenarios.device import known_devices, load_device, read_device
from scenarios.errors import CannotWriteError, UserError
from scenarios.hf_config.read import read_hf_config
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.model_file import load_model
from scenarios.profile import read_profile
from scenarios.result_folder import ResultFolder
from scenarios.result_lock import own_folder
from scenarios.store import METADATA_KEY, kept_runs, load_run, read_kept, run_file
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import read_results
from scenarios.whole_file import appearing, write_text
from sim.metric import Slo
from tests.unit.compare_case import log_of, save, served
from traces.load import load_trace
from traces.record import TraceError
from traces.sharegpt_prompts import read_prompt_counts
from traces.wording import MOST_CHARACTERS, one_sentence

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = "1" * 5000


def test_a_refusal_is_one_short_line_whatever_it_quotes() -> None:
    for error in (UserError, TraceError):
        sentence = str(error("a\nb\x1b[31m\ud800" + "x" * 10_000 + ": use this"))
        assert sentence.startswith("a\\nb\\x1b[31m\\ud800xxx")
        assert sentence.endswith("xxx: use this")
        assert len(sentence) < MOST_CHARACTERS + 20
    assert one_sentence("schön 1.5 %") == "schön 1.5 %"
    with pytest.raises(
        UserError, match=r"unknown allocator '\[{200}\.\.\.': use one of avmp, static"
    ):
        choose("allocator", "[" * 100_000, {"avmp": object, "static": object})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nb = " + "[" * 5000, "nests too deep"),
        ("[a]\n" + "b." * 20_000 + "c = 1", "longer than 10,000 characters"),
        (f"[a]\nb = {DIGITS}", "not valid TOML"),
        ("x" * (1 << 20) + "y", "larger than 1 MiB"),
        ("[a]\nb = 1\nb = 2", "not valid TOML"),
        ("\ufeff[a]\nb = 1", "not valid TOML"),
    ],
    ids=["deep", "dotted", "digits", "large", "twice", "mark"],
)
def test_toml_that_is_none_is_said(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        read(tmp_path / "a.toml")


@pytest.mark.parametrize("value", ["9223372036854775808", "-1", "0", "nan", "inf", "1e400", "true"])
def test_numbers_that_no_device_has_are_said(value: str, tmp_path: Path) -> None:
    text = (profile.FOLDER.parent / "devices" / "l40s.toml").read_text()
    lines = [
        f"size_bytes = {value}" if line.startswith("size_bytes") else line
        for line in text.splitlines()
    ]
    (tmp_path / "own.toml").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"own.toml: \[memory\] size_bytes"):
        read_device(tmp_path / "own.toml")


@pytest.mark.parametrize("granule", [1, 2_097_151, 2_097_153])
def test_granules_that_slabs_cannot_be_made_of_are_said(granule: int, tmp_path: Path) -> None:
    text = (profile.FOLDER.parent / "devices" / "l40s.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace("2_097_152", str(granule)))
    with pytest.raises(UserError, match=r"\[virtual_memory\] granule_bytes must be a multiple"):
        read_device(tmp_path / "own.toml")
    assert all(load_device(name) for name in known_devices())


@pytest.mark.parametrize(
    "text", ["[" * 100_000, DIGITS, '{"schema": 1', "\ud83d".encode("utf-8", "surrogatepass")]
)
def test_json_that_is_none_is_said(text: str | bytes, tmp_path: Path) -> None:
    for reader, name in ((read_profile, "a.json"), (read_hf_config, "config.json")):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(
            UserError, match=r"is not valid JSON|is not UTF-8|is no profile|no JSON object"
        ):
            reader(file)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e16", "NaN", "Infinity", "-1", "true"])
def test_costs_that_no_step_has_are_said(number: str, tmp_path: Path) -> None:
    text = (profile.FOLDER / "nemotron-h-8b-h200.json").read_text()
    changed = text.replace('"copy_ns": ', f'"copy_ns": {number}, "was": ')
    assert changed != text
    (tmp_path / "own.json").write_text(changed)
    with pytest.raises(UserError, match="copy_ns must be a number, 0 or above"):
        read_profile(tmp_path / "own.json")


def test_a_run_beyond_every_clock_is_said(tmp_path: Path) -> None:
    whole = json.loads((profile.FOLDER / "nemotron-h-8b-h200.json").read_text())
    whole["terms_ns"]["tokens"] = 1e15
    (tmp_path / "slow.json").write_text(json.dumps(whole))
    options = MachineOptions(memory_gib=4.0)
    parts = (load_model("nemotron-h-8b"), load_device("h200"), options)
    machine = machine_of(*parts, read_profile(tmp_path / "slow.json"))
    cell = Cell(machine, "avmp", "fcfs", Slo(), num_samples=5)
    with pytest.raises(UserError, match="more than 292 simulated years"):
        simulate(cell, load_trace("poisson:n=3,rate=5,prompt=8000,output=60"))


def test_spans_beyond_all_memory_are_said() -> None:
    options = MachineOptions(memory_gib=0.25)
    machine = machine_of(load_model("nemotron-h-8b"), load_device("h200"), options)
    for cell in ("exact", "divisor"):
        with pytest.raises(UserError, match="span must be at most the 128 granules"):
            Cell(machine, f"granule:span=10000000000,cell={cell}", "fcfs", Slo()).wire()


def test_a_seed_beyond_floats_is_a_seed() -> None:
    assert len(load_trace(f"poisson:n=5,seed={'9' * 400}")) == 5


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "x" * 300 + ".toml", "/" * 5000])
def test_names_that_no_file_can_have_are_said(name: str) -> None:
    for find in (choose_model, load_sweep):
        with pytest.raises(UserError):
            find(name)


def test_numbers_of_thousands_of_digits_are_said(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(f"prompt_tokens\n{DIGITS}\n")
    for parse in (
        EngineVersion.of,
        _sequences,
        lambda _: read_prompt_counts(tmp_path / "counts.csv"),
    ):
        with pytest.raises((UserError, TraceError)):
            parse(DIGITS)


def test_options_that_look_alike_in_a_file_name_have_two_files(tmp_path: Path) -> None:
    texts = [f"static:state_ratio=1e{sign}1" for sign in "-+ "]
    texts += ["a/../b", *(f"avmp:batch={'0' * 300}{digit}" for digit in "12")]
    files = {run_file(tmp_path, text) for text in texts}
    assert len(files) == len(texts)
    assert all(len(file.name) < 160 and file.parent == tmp_path for file in files)
    assert run_file(tmp_path, "avmp:batch=8,x=1").name == "events-avmp-batch=8-x=1.parquet"


@pytest.mark.parametrize("head", [b"{", b"[]", b"\x84", b"{}", b'{"allocator": "vllm"}'])
def test_a_kept_run_with_another_header_is_damaged(head: bytes, tmp_path: Path) -> None:
    folder = save(tmp_path / "run", log_of(served(4)))
    file = run_file(folder, "vllm")
    pq.write_table(pq.read_table(file).replace_schema_metadata({METADATA_KEY: head}), file)
    assert load_run(folder, "vllm", "digest") is None
    with pytest.raises(UserError, match=r"is damaged|is no run"):
        [read_kept(path) for path in kept_runs(folder).values()]


def test_a_kept_run_with_other_rows_is_damaged(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", log_of(served(4)))
    file = run_file(folder, "vllm")
    table = pq.read_table(file)
    for values in ([float("nan")] * len(table), [0] * len(table), [None] * len(table)):
        changed = table.set_column(3, "a", pa.array(values, pa.float64()))
        pq.write_table(changed, file)
        assert load_run(folder, "vllm", "digest") is None
        with pytest.raises(UserError, match="is damaged"):
            read_kept(file)


def test_a_result_that_lacks_something_is_said(tmp_path: Path) -> None:
    for name, facts in (("plan.json", {}), ("result.json", {"command": "sweep", "scenario": 1})):
        (tmp_path / name).write_text(json.dumps(facts))
        with pytest.raises(UserError, match=r"is not as twinpool \w+ .* writes it|cannot be read"):
            ResultFolder.open(tmp_path).page()
        (tmp_path / name).unlink()
    (tmp_path / "results.parquet").write_bytes(b"PAR1\n\nPAR1")
    with pytest.raises(UserError, match="cannot be read as results"):
        read_results(tmp_path / "results.parquet")


def _write_half(target: Path) -> None:
    with appearing(target) as partial:
        partial.write_text("half")
        raise OSError("the disk is full")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_text(target, "old \udcff")
    assert target.read_text() == "old \\udcff"
    with pytest.raises(CannotWriteError, match=r"result.json cannot be written: .*full"):
        _write_half(target)
    assert target.read_text() == "old \\udcff"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_folder_that_a_killed_command_left_is_tidied_and_used(tmp_path: Path) -> None:
    (tmp_path / ".twinpool-lock").write_text("12345")
    (tmp_path / ".result.json.0a1b2c3d.partial").write_text("half")
    with own_folder(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".twinpool-lock"]
    assert not list(tmp_path.iterdir())
