"""How the weights of a checkpoint are stored, by the `quantization_config` of its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenarios.hf_config.config import Config

NONE = "none"
BY_METHOD = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "bitsandbytes": "int8"}
BY_ALGORITHM = {"fp8": "fp8", "nvfp4": "nvfp4"}
"""ModelOpt names the algorithm apart."""

BY_BITS = {4: "int4", 8: "int8"}


def quantization_of(config: Config) -> str:
    """The format, by the names of `scenarios.capacity.quantization`; `none` without one.

    A way that has no name there keeps its own, and whoever needs its bytes refuses it.

    Raises:
        UserError: A field is malformed.
    """
    stored = config.part("quantization_config")
    if stored is None:
        return NONE
    method, algorithm = stored.text("quant_method"), stored.text("quant_algo").lower()
    if method in {"gptq", "awq"}:
        return BY_BITS.get(stored.count("bits", default=4), method)
    if method == "compressed-tensors":
        return _of_groups(stored)
    if stored.flag("load_in_4bit"):
        return "int4"
    own = BY_METHOD.get(method) or BY_ALGORITHM.get(algorithm)
    return own or method or algorithm or NONE


def _of_groups(stored: Config) -> str:
    """Compressed tensors: the weights of the first group say what most weights are."""
    groups = stored.part("config_groups")
    first = None if groups is None or not groups.values else groups.part(next(iter(groups.values)))
    weights = None if first is None else first.part("weights")
    if weights is None:
        return "compressed-tensors"
    bits = weights.count("num_bits", default=8)
    if weights.text("type", default="int") == "float":
        return "fp8" if bits == 8 else "nvfp4"  # noqa: PLR2004 - bits of an element
    return BY_BITS.get(bits, "int8")
