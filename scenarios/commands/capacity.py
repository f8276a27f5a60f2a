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
from scenarios.capacity.run import CapacityAsk, CapacityResult, capacity
from scenarios.capacity.tables import capacity_tables
from scenarios.commands.options import JsonFlag, ModelOption, QuietFlag, StateDtypeOption
from scenarios.errors import UserError
from scenarios.result_lock import own_folder
from scenarios.terminal import print_json, say
from scenarios.whole_file import write_text
from traces.load import TraceOptions, load_trace
from traces.wording import shown

EPILOG = (
    "Example: twinpool capacity --model qwen3.5-27b --device h200 --engine vllm"
    " --mamba-cache-mode align --max-num-seqs 1024; twinpool capacity --model config.json"
    " --memory-gib 30 --compare vllm,sglang,avmp,two-ended,shared-bytes"
)
AUTO = "auto"
MOST_DIGITS, MOST_COUNT = 9, 10**9
_COMMA = re.compile(r",(?!\w+=)")  # not that between the options of an allocator


CacheMemoryOption = Annotated[
    float | None, typer.Option(help="Memory for caches of a device, instead of deriving it.")
]
TpSizeOption = Annotated[
    int, typer.Option(min=1, max=MOST_COUNT, help="Devices that share the model.")
]
EngineOption = Annotated[
    str, typer.Option(help="vllm, sglang, llama.cpp, tensorrt-llm, kvcached or an allocator.")
]
StoredKvOption = Annotated[str, typer.Option(help="auto, bf16, fp16, fp8, int8 or nvfp4.")]
QuantizationOption = Annotated[
    str, typer.Option(help=f"How weights are stored: auto or {', '.join(QUANTIZATIONS)}.")
]
UtilizationOption = Annotated[
    float | None, typer.Option(help="Share of the memory that the engine uses.")
]
LengthOption = Annotated[
    int | None, typer.Option(help="Tokens of the longest request; the model's by default.")
]
SequencesOption = Annotated[
    str | None, typer.Option(help="Sequences at once; auto: the most that start.")
]
CompareOption = Annotated[
    str, typer.Option(help="Further engines and allocators, separated by commas.")
]
LengthsOption = Annotated[
    str | None, typer.Option(help="Lengths to recommend settings for: file or preset.")
]
FolderOption = Annotated[Path | None, typer.Option(help="Folder for capacity.html and its data.")]

CacheModeOption = Annotated[str | None, typer.Option(help="vllm: none, align or all.")]
DraftedOption = Annotated[
    int | None, typer.Option(min=0, max=MOST_COUNT, help="Tokens drafted a step: vllm, sglang.")
]
DraftLayersOption = Annotated[
    int | None, typer.Option(min=0, max=MOST_COUNT, help="Attention layers of the draft: vllm.")
]
VersionOption = Annotated[str | None, typer.Option(help="Release whose rules to follow: vllm.")]
RadixOption = Annotated[
    str | None, typer.Option(help="sglang: off, no_buffer, extra_buffer or extra_buffer_lazy.")
]
UnifiedFlag = Annotated[
    bool | None,
    typer.Option("--unified-memory", help="sglang: one buffer for states and KV."),
]
OfVllm = Annotated[int | None, typer.Option(min=1, max=MOST_COUNT, help="vllm.")]
OfSglang = Annotated[int | None, typer.Option(min=0, max=MOST_COUNT, help="sglang.")]
OfSglangFrom1 = Annotated[int | None, typer.Option(min=1, max=MOST_COUNT, help="sglang.")]
ShareOfSglang = Annotated[float | None, typer.Option(help="sglang.")]
OfTensorrt = Annotated[int | None, typer.Option(min=0, max=MOST_COUNT, help="tensorrt-llm.")]
OfKvcached = Annotated[int | None, typer.Option(min=1, max=MOST_COUNT, help="kvcached.")]

SETTINGS = (
    *("mamba_cache_mode", "block_size", "num_speculative_tokens", "draft_attention_layers"),
    *("max_num_batched_tokens", "engine_version", "mamba_full_memory_ratio"),
    *("max_mamba_cache_size", "max_running_requests", "radix_cache", "page_size"),
    *("unified_memory", "mamba_state_cache_interval", "page_mib"),
)
"""Parameters below that are settings of an engine, by its own names for them."""


def capacity_command(
    ctx: typer.Context,
    model: ModelOption,
    engine: EngineOption = "vllm",
    device: Annotated[str | None, typer.Option(help="See `twinpool list devices`.")] = None,
    memory_gib: CacheMemoryOption = None,
    tp: TpSizeOption = 1,
    kv_dtype: StoredKvOption = AUTO,
    state_dtype: StateDtypeOption = AUTO,
    quantization: QuantizationOption = AUTO,
    gpu_memory_utilization: UtilizationOption = None,
    max_model_len: LengthOption = None,
    max_num_seqs: SequencesOption = None,
    mamba_cache_mode: CacheModeOption = None,  # noqa: ARG001 - read by name, as all `SETTINGS`
    block_size: OfVllm = None,  # noqa: ARG001
    num_speculative_tokens: DraftedOption = None,  # noqa: ARG001
    draft_attention_layers: DraftLayersOption = None,  # noqa: ARG001
    max_num_batched_tokens: OfVllm = None,  # noqa: ARG001
    engine_version: VersionOption = None,  # noqa: ARG001
    mamba_full_memory_ratio: ShareOfSglang = None,  # noqa: ARG001
    max_mamba_cache_size: OfSglang = None,  # noqa: ARG001
    max_running_requests: OfSglang = None,  # noqa: ARG001
    radix_cache: RadixOption = None,  # noqa: ARG001
    page_size: OfSglangFrom1 = None,  # noqa: ARG001
    unified_memory: UnifiedFlag = None,  # noqa: ARG001
    mamba_state_cache_interval: OfTensorrt = None,  # noqa: ARG001
    page_mib: OfKvcached = None,  # noqa: ARG001
    compare: CompareOption = "",
    trace: LengthsOption = None,
    out: FolderOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say how many tokens and sequences fit, as an engine would, and explain each byte."""
    given = {name: ctx.params[name] for name in SETTINGS if ctx.params[name] is not None}
    if (most := _sequences(max_num_seqs)) is not None:
        given["max_num_seqs"] = most
    budget = BudgetOptions(memory_gib, gpu_memory_utilization, tp, quantization)
    others = tuple(part for part in _COMMA.split(compare) if part)
    sizes = (max_model_len, kv_dtype, state_dtype, given, others)
    lengths = Lengths.of(load_trace(trace, TraceOptions())) if trace else None
    result = capacity(CapacityAsk(model, engine, device, budget, *sizes))
    _show(result, lengths, out, as_json=as_json, quiet=quiet)


def _show(
    result: CapacityResult, lengths: Lengths | None, out: Path | None, *, as_json: bool, quiet: bool
) -> None:
    """Write and print an answer."""
    advice = advice_of(lengths, result.sizing) if lengths else None
    answer = to_json(result) | ({"recommendation": advice} if advice else {})
    if out is not None:
        with own_folder(out) as folder:
            write_text(folder / "capacity.json", json.dumps(answer, indent=1) + "\n")
            write_text(folder / "capacity.html", capacity_html(result, answer))
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
    if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) < 1:
        raise UserError(
            f"--max-num-seqs must be a whole number from 1 on or auto, not {shown(text)}"
        )
    return int(text)
