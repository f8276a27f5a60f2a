"""Step times from first principles: each part of a step is bound by memory or by arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.step import causal_pairs, price_contexts

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.step import StepPlan

NS_PER_S = 1_000_000_000

CLEARLY = 1e-9
"""Relative distance beyond which no rounding turns a comparison of two durations round."""


@dataclass(frozen=True, slots=True)
class ModelCosts:
    """What a model makes a device do, per device (tensor-parallel shares already taken).

    Attributes:
        dense_bytes: Weight bytes that every step reads.
        dense_flops_per_token: FLOPs of those weights a token (2 x parameters).
        expert_bytes: Weight bytes of all routed experts; 0 for a dense model.
        expert_flops_per_token: FLOPs of the routed experts that a token uses.
        num_experts: Routed experts of a layer; 0 for a dense model.
        experts_per_token: Routed experts a token uses.
        attention_flops_per_pair: FLOPs a (token, attended token) pair, all attention layers.
        kv_bytes_per_token: KV bytes a token, all attention layers.
        state_bytes: State bytes a sequence, all state layers.
        state_flops_per_token: FLOPs of the state update a token, all state layers.
    """

    dense_bytes: float
    dense_flops_per_token: float
    expert_bytes: float
    expert_flops_per_token: float
    num_experts: int
    experts_per_token: int
    attention_flops_per_pair: float
    kv_bytes_per_token: float
    state_bytes: float
    state_flops_per_token: float


@dataclass(frozen=True, slots=True)
class RemapCosts:
    """What the host needs to change mappings; the size of a mapping does not matter.

    Attributes:
        batch_ns: Once, for any number of changes in a row.
        unmap_ns: Each mapping taken away.
        map_ns: Each mapping made and made accessible.
    """

    batch_ns: float
    unmap_ns: float
    map_ns: float

    def duration_ns(self, maps: int, unmaps: int) -> float:
        """Nanoseconds of so many changes in a row."""
        once = self.batch_ns if maps or unmaps else 0.0
        return once + maps * self.map_ns + unmaps * self.unmap_ns


@dataclass(frozen=True, slots=True)
class DeviceCosts:
    """What a device needs for it.

    Attributes:
        bytes_per_s: Achievable memory bandwidth.
        flops_per_s: Achievable dense matrix arithmetic.
        step_overhead_ns: Host and launch time of a step that no kernel hides.
        remap: Changes of mappings that a step waits for.
        remap_beside: Changes of mappings while a step runs.
        copy_ns: Starting one batched copy of pages.
    """

    bytes_per_s: float
    flops_per_s: float
    step_overhead_ns: float
    remap: RemapCosts
    remap_beside: RemapCosts
    copy_ns: float


class RooflineExecutor:
    """Prices a plan as the sum of its parts, each at its roofline.

    The parts run one after the other on the device: weights (read once a step, whatever the
    batch), attention (KV of every attended token read once), state (read and written once a
    sequence). Each takes max(bytes / bandwidth, FLOPs / arithmetic) (roofline model: Williams,
    Waterman, Patterson, CACM 2009). Changes of mappings made for the step come before it; those
    made beside it cost nothing unless they take longer than the step. Copies of pages are priced
    by their bytes and a kernel launch each. Not modelled: kernel efficiency at small sizes,
    communication between devices, the serving engine's own Python.
    """

    def __init__(self, model: ModelCosts, device: DeviceCosts) -> None:
        self._model = model
        self._device = device
        self._flops_per_token = model.dense_flops_per_token + model.expert_flops_per_token
        bytes_s = model.kv_bytes_per_token / device.bytes_per_s
        flops_s = model.attention_flops_per_pair / device.flops_per_s
        self._decodes_wait_for_memory = bytes_s > flops_s * (1 + CLEARLY)
        self._prices: dict[int, Callable[[Any], Any]] = {}  # by number of sequences

    def execute(self, plan: StepPlan) -> int:
        """Nanoseconds of a step; see `sim.step.StepExecutor`."""
        device = self._device
        if plan.chunks or plan.copies:
            compute_ns = self._compute_ns(plan)
        else:
            compute_ns = self._price_of(len(plan.decodes))(plan.decode_context_tokens)
        if plan.maps_beside or plan.unmaps_beside:
            beside_ns = device.remap_beside.duration_ns(plan.maps_beside, plan.unmaps_beside)
            compute_ns = max(compute_ns, beside_ns)
        if plan.maps or plan.unmaps:
            compute_ns = device.remap.duration_ns(plan.maps, plan.unmaps) + compute_ns
        return max(1, round(compute_ns))

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        """Nanoseconds of the steps that follow; see `sim.step.StepPricer`.

        Only attention changes from step to step.
        """
        return price_contexts(self._price_of(len(plan.decodes)), plan, repeats)

    def _price_of(self, num_decodes: int) -> Callable[[Any], Any]:
        """Nanoseconds of a step that only decodes, by the tokens it attends to: see `execute`."""
        price_ns = self._prices.get(num_decodes)
        if price_ns is None:
            price_ns = self._prices[num_decodes] = self._new_price(num_decodes)
        return price_ns

    def _new_price(self, num_decodes: int) -> Callable[[Any], Any]:
        """The operations are those of `_compute_ns`, in its order, so that roundings are too."""
        before_ns = self._device.step_overhead_ns + self._weights_ns(num_decodes)
        after_ns = self._state_ns(num_decodes, num_decodes)
        kv_bytes, bytes_per_s = self._model.kv_bytes_per_token, self._device.bytes_per_s
        pair_flops, flops_per_s = self._model.attention_flops_per_pair, self._device.flops_per_s

        def by_memory_ns(read: Any) -> Any:  # noqa: ANN401 - a number or an array
            return before_ns + read * kv_bytes / bytes_per_s * NS_PER_S + after_ns

        def by_either_ns(read: Any) -> Any:  # noqa: ANN401 - the same
            attention_s = np.maximum(read * kv_bytes / bytes_per_s, read * pair_flops / flops_per_s)
            return before_ns + attention_s * NS_PER_S + after_ns

        return by_memory_ns if self._decodes_wait_for_memory else by_either_ns

    def _compute_ns(self, plan: StepPlan) -> float:
        num_tokens = num_decodes = len(plan.decodes)
        pairs = read = plan.decode_context_tokens
        for chunk in plan.chunks:
            num_tokens += chunk.tokens
            read += chunk.context_tokens + chunk.tokens
            pairs += causal_pairs(chunk)
        waiting_ns = self._device.step_overhead_ns
        if plan.copies:
            waiting_ns += self._copies_ns(plan)
        return (
            waiting_ns
            + self._weights_ns(num_tokens)
            + self._attention_ns(read, pairs)
            + self._state_ns(num_decodes + len(plan.chunks), num_tokens)
        )

    def _weights_ns(self, num_tokens: int) -> float:
        model = self._model
        num_bytes = model.dense_bytes
        if model.num_experts:
            num_bytes += model.expert_bytes * self._touched_experts(num_tokens)
        return self._roofline_ns(num_bytes, self._flops_per_token * num_tokens)

    def _touched_experts(self, num_tokens: int) -> float:
        """Expected share of experts that some token uses, routing taken as uniform.

        1 - (1 - k/E)^n: each of n tokens misses a given expert with probability 1 - k/E.
        """
        model = self._model
        missed = 1.0 - model.experts_per_token / model.num_experts
        return 1.0 - _power(missed, num_tokens)

    def _attention_ns(self, read: int, pairs: int) -> float:
        """Tokens whose KV is read, and (token, attended token) pairs."""
        model = self._model
        num_bytes = read * model.kv_bytes_per_token
        return self._roofline_ns(num_bytes, pairs * model.attention_flops_per_pair)

    def _state_ns(self, num_sequences: int, num_tokens: int) -> float:
        model = self._model
        num_bytes = 2 * num_sequences * model.state_bytes
        return self._roofline_ns(num_bytes, num_tokens * model.state_flops_per_token)

    def _copies_ns(self, plan: StepPlan) -> float:
        """A copied byte is read and written."""
        moved_bytes = 2 * plan.copied_bytes
        return plan.copies * self._device.copy_ns + self._roofline_ns(moved_bytes, 0)

    def _roofline_ns(self, num_bytes: float, flops: float) -> float:
        device = self._device
        return max(num_bytes / device.bytes_per_s, flops / device.flops_per_s) * NS_PER_S


def _power(base: float, exponent: int) -> float:
    """Base ** exponent by multiplications alone, whose rounding is the same on every machine."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
