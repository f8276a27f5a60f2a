"""Every option of `twinpool capacity` reaches the engine it is for: the answer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Twinpool = Callable[..., Outcome]

MEMORY = ("--memory-gib", 20)
DEVICE = ("--device", "h200")
ALIGN = ("--mamba-cache-mode", "align")
DRAFT = ("--num-speculative-tokens", 2)
SAID_OF_THE_RUN = {"seed", "scenario_digest", "arguments"}


@pytest.mark.parametrize(
    ("engine", "common", "option"),
    [
        ("vllm", MEMORY, ("--kv-dtype", "fp8")),
        ("vllm", MEMORY, ("--state-dtype", "bf16")),
        ("vllm", MEMORY, ALIGN),
        ("vllm", MEMORY, ("--block-size", 2048)),
        ("vllm", MEMORY, DRAFT),
        ("vllm", (*MEMORY, *DRAFT), ("--draft-attention-layers", 4)),
        ("vllm", MEMORY, ("--max-model-len", 4096)),
        ("vllm", MEMORY, ("--max-num-seqs", 17)),
        ("vllm", MEMORY, ("--tp", 2)),
        ("vllm", DEVICE, ("--gpu-memory-utilization", 0.5)),
        ("vllm", (*MEMORY, *ALIGN), ("--max-num-batched-tokens", 16)),
        ("sglang", MEMORY, ("--mamba-full-memory-ratio", 0.2)),
        ("sglang", MEMORY, ("--max-mamba-cache-size", 40)),
        ("sglang", MEMORY, ("--max-running-requests", 9)),
        ("sglang", MEMORY, ("--radix-cache", "off")),
        ("sglang", MEMORY, ("--page-size", 64)),
        ("sglang", MEMORY, ("--unified-memory",)),
        ("sglang", MEMORY, DRAFT),
        ("tensorrt-llm", MEMORY, ("--mamba-state-cache-interval", 512)),
        ("kvcached", MEMORY, ("--page-mib", 6)),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[0]),
)
def test_an_option_changes_the_answer(
    twinpool: Twinpool, engine: str, common: tuple[object, ...], option: tuple[object, ...]
) -> None:
    def answer(*options: object) -> dict[str, Any]:
        asked = ("capacity", "--model", "qwen3.5-9b", "--engine", engine, *common, *options)
        found = twinpool(*asked, "--json").json()
        return {name: value for name, value in found.items() if name not in SAID_OF_THE_RUN}

    assert answer(*option) != answer()
