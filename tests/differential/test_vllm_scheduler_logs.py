"""The decision logs of vLLM's own scheduler, replayed; and that the comparison can fail."""

from __future__ import annotations

import gzip
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1].parent / "shared" / "engines" / "vllm_scheduler"
LOGS = sorted(FOLDER.glob("*.jsonl.gz"))
Record = dict[str, Any]

CONFIG: Record = {
    "block_size": 4,
    "num_blocks": 8,
    "max_num_seqs": 4,
    "max_num_batched_tokens": 16,
    "long_prefill_token_threshold": 0,
    "enable_chunked_prefill": True,
    "prefix_caching": False,
    "watermark": 0.0,
    "policy": "fcfs",
    "reserve_full_prompt": True,
    "max_model_len": 64,
    "mamba_cache_mode": None,
    "groups": [{"kind": "attention", "block_size": 4}],
}
REQUESTS = [
    {"id": 0, "arrival": 2, "prompt": [[0, 6]], "output": 2},
    {"id": 1, "arrival": 2, "prompt": [[1, 12]], "output": 1},
]
# By hand: 7 blocks. Request 0 takes 2 of them, request 1 is admitted with its first 10 tokens (3
# blocks). In the next step 0 feeds its first made token, which fits, and ends; so does 1.
STEPS: list[Record] = [
    {"s": 2, "t": 16, "c": [[0, 6], [1, 10]], "a": [0, 1], "k": [2, 2], "q": [2, 0]},
    {"s": 3, "t": 3, "c": [[1, 2]], "f": [0, 1], "k": [2, 7], "q": [0, 0]},
]
END = {"end": "drained", "steps": 2, "tokens": 19, "preemptions": 0, "unfinished": [], "free": 7}


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """The names of vllm_scheduler_log.py."""
    return runpy.run_path(str(HERE / "vllm_scheduler_log.py"))


def write(path: Path, *lines: object) -> str:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return str(path)


def log_lines(**changes: object) -> list[object]:
    header = {"format": "vllm-scheduler-log/1", "config": CONFIG, "num_requests": 2}
    return [header | changes, *REQUESTS, *STEPS, END]


@pytest.mark.parametrize("path", LOGS or [None], ids=lambda path: path.name if path else "none")
def test_the_replay_takes_every_decision_of_the_log(
    path: Path | None, script: dict[str, Any]
) -> None:
    if path is None:
        pytest.skip("the decision logs of vLLM's scheduler are not beside the repository")
    assert script["difference"](script["DecisionLog"].read(path)) == ""


def test_a_log_by_hand_is_identical(
    tmp_path: Path, script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert script["main"]([write(tmp_path / "a.gz", *log_lines())]) == 0
    assert capsys.readouterr().out == "a.gz: identical, 2 steps\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((3, "a", [1, 0]), "step 2: a is [1, 0], replayed [0, 1]"),
        ((3, "k", [3, 2]), "step 2: k is [3, 2], replayed [2, 2]"),
        ((4, "c", [[1, 3]]), "step 3: c is [[1, 3]], replayed [[1, 2]]"),
        ((4, "f", [1, 0]), "step 3: f is [1, 0], replayed [0, 1]"),
        ((4, "p", [1]), "step 3: p is [1], replayed None"),
        ((5, "free", 6), "the end: free is 6, replayed 7"),
    ],
)
def test_the_first_difference_is_named(
    change: tuple[int, str, object],
    said: str,
    tmp_path: Path,
    script: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines: list[Any] = log_lines()
    line, key, value = change
    lines[line] = lines[line] | {key: value}
    good, bad = write(tmp_path / "good.gz", *log_lines()), write(tmp_path / "bad.gz", *lines)
    assert script["main"]([good, bad, good]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[1] == f"bad.gz: {said}"
    assert out[2] == "good.gz: identical, 2 steps"


@pytest.mark.parametrize(
    ("kept", "said"),
    [(4, "step 3: the engine has no more"), (6, "step 4: the replay has no more")],
)
def test_a_step_too_few_or_too_many_is_a_difference(
    kept: int,
    said: str,
    tmp_path: Path,
    script: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = {"s": 4, "t": 0, "k": [7, 7], "q": [0, 0]}
    lines = [*log_lines()[:5], more][:kept]
    assert script["main"]([write(tmp_path / "a.gz", *lines, END)]) == 1
    assert capsys.readouterr().out == f"a.gz: {said}\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no decision log"),
        (gzip.compress(b"{"), "is no decision log"),
        (gzip.compress(b"[]\n"), "is no decision log"),
        (gzip.compress(b'{"format": "other/1"}\n'), "format is other/1"),
        (gzip.compress(b'{"format": "vllm-scheduler-log/1"}\n')[:-9], "is no decision log"),
        (b"plain text", "cannot be read"),
    ],
    ids=["empty", "half an object", "a list", "another format", "cut short", "not packed"],
)
def test_what_cannot_be_read_is_said_in_one_sentence(
    content: bytes,
    said: str,
    tmp_path: Path,
    script: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(content)
    assert script["main"]([str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_log_cut_short_a_missing_file_and_no_file_are_refused(
    tmp_path: Path, script: dict[str, Any]
) -> None:
    cut = write(tmp_path / "cut.gz", *log_lines()[:4])
    assert script["main"]([cut]) == 2
    assert script["main"]([str(tmp_path / "none.gz")]) == 2
    assert script["main"]([]) == 2
