"""Element types of the KV cache, and what a head of one token takes in each."""

from collections.abc import Callable

ELEMENT_BYTES = {"bf16": 2, "fp16": 2, "fp8": 1}
"""Bytes an element of the types without scales."""

INT8_SCALE_BYTES = 4
NVFP4_BLOCK = 16

_SCALED: dict[str, Callable[[int], int]] = {
    "int8": lambda head_dim: head_dim + INT8_SCALE_BYTES,
    "nvfp4": lambda head_dim: head_dim // 2 + head_dim // NVFP4_BLOCK,
}
KV_DTYPES = (*ELEMENT_BYTES, *_SCALED)


def head_bytes(kv_dtype: str, head_dim: int) -> int:
    """Bytes of the key, or of the value, of one token and head.

    `int8` is int8 per token and head, with one fp32 scale for each of key and value; `nvfp4` packs
    two elements a byte, with one fp8 scale for 16. Source: vLLM's cache specs of these types.
    """
    if kv_dtype in _SCALED:
        return _SCALED[kv_dtype](head_dim)
    return head_dim * ELEMENT_BYTES[kv_dtype]
