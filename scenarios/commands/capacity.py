"""`twinpool capacity`: what fits, and where every byte goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scenarios.capacity.advice import Lengths, advice_of
from scenarios.capacity.answer import to_json
from scenarios.capacity.budget import BudgetOptions
from scenarios.capacity.page import capacity_html
from scenarios.capacity.quantization import QUANTIZATIONS
from scenarios.capacity.run import CapacityAsk, capacity
from scenarios.capacity.tables import capacity_tables
from scenarios.commands.options import JsonFlag, QuietFlag
from scenarios.errors import UserError
from scenarios.terminal import make_folder, print_json, say
from traces.load import TraceOptions, load_trace

EPILOG = (
    "Example: twinpool capacity --model qwen3.5-27b --device h200 --engine vllm"
    " --mamba-cache-mode align --max-num-seqs 1024; twinpool capacity --model config.json"
    " --memory-gib 30 --compare vllm,sglang,avmp,two-ended,shared-bytes"
)
AUTO = "auto"
_COMMA = re.compile(r",(?!\w+=)")  # not that between the options of an allocator


def capacity_command(
    model: Annotated[str, typer.Option(help="Model name, config.json or folder with one.")],
    engine: Annotated[
        str, typer.Option(help="vllm, sglang, llama.cpp, tensorrt-llm, kvcached or an allocator.")
    ] = "vllm",
    device: Annotated[str | None, typer.Option(help="See `twinpool list devices`.")] = None,
    memory_gib: Annotated[
        float | None, typer.Option(help="Memory for caches of a device, instead of deriving it.")
    ] = None,
    tp: Annotated[int, typer.Option(min=1, help="Devices that share the model.")] = 1,
    kv_dtype: Annotated[str, typer.Option(help="auto, bf16, fp16, fp8, int8 or nvfp4.")] = AUTO,
    state_dtype: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")] = AUTO,
    quantization: Annotated[
        str,
        typer.Option(help=f"How weights are stored: auto or {', '.join(QUANTIZATIONS)}."),
    ] = AUTO,
    gpu_memory_utilization: Annotated[
        float | None, typer.Option(help="Share of the memory that the engine uses.")
    ] = None,
    max_model_len: Annotated[
        int | None, typer.Option(help="Tokens of the longest request; the model's by default.")
    ] = None,
    max_num_seqs: Annotated[
        str | None, typer.Option(help="Sequences at once; auto: the most that start.")
    ] = None,
    mamba_cache_mode: Annotated[str | None, typer.Option(help="vllm: none, align or all.")] = None,
    block_size: Annotated[int | None, typer.Option(min=1, help="vllm.")] = None,
    num_speculative_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens drafted a step: vllm, sglang.")
    ] = None,
    draft_attention_layers: Annotated[
        int | None, typer.Option(min=0, help="Attention layers of the draft: vllm.")
    ] = None,
    max_num_batched_tokens: Annotated[int | None, typer.Option(min=1, help="vllm.")] = None,
    engine_version: Annotated[
        str | None, typer.Option(help="Release whose rules to follow: vllm.")
    ] = None,
    mamba_full_memory_ratio: Annotated[float | None, typer.Option(help="sglang.")] = None,
    max_mamba_cache_size: Annotated[int | None, typer.Option(min=0, help="sglang.")] = None,
    max_running_requests: Annotated[int | None, typer.Option(min=0, help="sglang.")] = None,
    radix_cache: Annotated[
        str | None,
        typer.Option(help="sglang: off, no_buffer, extra_buffer or extra_buffer_lazy."),
    ] = None,
    page_size: Annotated[int | None, typer.Option(min=1, help="sglang.")] = None,
    unified_memory: Annotated[
        bool, typer.Option("--unified-memory", help="sglang: one buffer for states and KV.")
    ] = False,
    mamba_state_cache_interval: Annotated[
        int | None, typer.Option(min=0, help="tensorrt-llm.")
    ] = None,
    page_mib: Annotated[int | None, typer.Option(min=1, help="kvcached.")] = None,
    compare: Annotated[
        str, typer.Option(help="Further engines and allocators, separated by commas.")
    ] = "",
    trace: Annotated[
        str | None, typer.Option(help="Lengths to recommend settings for: file or preset.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for capacity.html and its data.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say how many tokens and sequences fit, as an engine would, and explain each byte."""
    given = {
        "max_num_seqs": _sequences(max_num_seqs),
        "mamba_cache_mode": mamba_cache_mode,
        "block_size": block_size,
        "num_speculative_tokens": num_speculative_tokens,
        "draft_attention_layers": draft_attention_layers,
        "max_num_batched_tokens": max_num_batched_tokens,
        "engine_version": engine_version,
        "mamba_full_memory_ratio": mamba_full_memory_ratio,
        "max_mamba_cache_size": max_mamba_cache_size,
        "max_running_requests": max_running_requests,
        "radix_cache": radix_cache,
        "page_size": page_size,
        "unified_memory": unified_memory or None,
        "mamba_state_cache_interval": mamba_state_cache_interval,
        "page_mib": page_mib,
    }
    ask = CapacityAsk(
        model,
        engine,
        device,
        BudgetOptions(memory_gib, gpu_memory_utilization, tp, quantization),
        max_model_len,
        kv_dtype,
        state_dtype,
        {name: value for name, value in given.items() if value is not None},
        tuple(part for part in _COMMA.split(compare) if part),
    )
    lengths = Lengths.of(load_trace(trace, TraceOptions())) if trace else None
    result = capacity(ask)
    advice = advice_of(lengths, result.sizing) if lengths else None
    answer = to_json(result) | ({"recommendation": advice} if advice else {})
    if out is not None:
        folder = make_folder(out)
        (folder / "capacity.json").write_text(json.dumps(answer, indent=1) + "\n")
        (folder / "capacity.html").write_text(capacity_html(result, answer), encoding="utf-8")
    if as_json:
        print_json(answer)
        return
    console = Console()
    for table in capacity_tables(result, advice, console.width):
        console.print(table)
    if not quiet:
        for note in answer["explanation"]["notes"]:
            say(note)


def _sequences(text: str | None) -> int | None:
    """A number of sequences; auto leaves it to the engine.

    Raises:
        UserError: It is neither.
    """
    if text is None or text == AUTO:
        return None
    if not text.isdecimal() or not 0 < int(text) <= 10**9:
        raise UserError(f"--max-num-seqs must be a whole number from 1 on or auto, not {text!r}")
    return int(text)
