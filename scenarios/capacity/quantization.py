"""Bytes of weights as they are stored: a range, since checkpoints leave different parts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.errors import UnknownNameError
from scenarios.model import DTYPE_BYTES

if TYPE_CHECKING:
    from scenarios.model import Model

NONE = "none"
BITS = {
    "fp8": 8.0,
    "int8": 8.0,
    "int4": 4 + (16 + 4) / 128,  # an fp16 scale and a 4-bit zero for 128 elements
    "nvfp4": 4 + 8 / 16,  # an fp8 scale for 16
    "mxfp4": 4 + 8 / 32,  # an 8-bit exponent for 32
}
"""Bits an element with its scales, by the formats' own definitions."""

QUANTIZATIONS = (NONE, *BITS)


def weight_bytes_range(model: Model, quantization: str, tp: int) -> tuple[int, int, str]:
    """Least and most bytes of one device's weights, and what the range stands for.

    Least: every matrix but the embedding and the LM head is quantised. Most: only feed-forward
    layers and experts are, as many checkpoints of hybrid models do.

    Raises:
        UnknownNameError: The quantization is not known.
        UserError: Devices that cannot share the model.
    """
    if quantization not in QUANTIZATIONS:
        raise UnknownNameError(
            "quantization (give it as --quantization)", quantization, QUANTIZATIONS
        )
    whole = model.weight_bytes(tp)
    if quantization == NONE:
        return whole, whole, f"parameters x {DTYPE_BYTES[model.dtypes.weights]} bytes / tp"
    element = DTYPE_BYTES[model.dtypes.weights]
    saved = element - BITS[quantization] / 8
    least = whole - int(saved * (model.total_parameters - _embeddings(model)) / tp)
    most = whole - int(saved * model.feed_forward_parameters / tp)
    return least, most, f"{quantization}: all matrices at least, feed-forward ones only at most"


def _embeddings(model: Model) -> int:
    return model.embedding_parameters * (1 if model.body.tied_embeddings else 2)
