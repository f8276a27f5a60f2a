"""Words on a device that the host changes in batches: one upload and one launch a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEAST_STAGED = 1 << 14
WORD_BYTES = 4


class Arena:
    """Named sections of int32 words in one tensor; changes are noted, then flushed together.

    A flush uploads from pinned memory without waiting. Whoever flushes again has waited for the
    device in between, so that what is being uploaded stays as it is.

    Attributes:
        sections: A view of each section, of its own shape.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], device: str) -> None:
        sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes.values()]
        ends = np.cumsum(sizes)
        self._first = dict(zip(shapes, (ends - sizes).tolist(), strict=True))
        self._words = torch.zeros(int(ends[-1]), dtype=torch.int32, device=device)
        self.sections = {
            name: self._words[first : first + size].view(shapes[name])
            for (name, first), size in zip(self._first.items(), sizes, strict=True)
        }
        self._places: list[NDArray[np.int32]] = []
        self._values: list[NDArray[np.int32]] = []
        self._staged = self._new_staging(LEAST_STAGED)

    def write(self, section: str, place: int, values: NDArray[np.int32]) -> None:
        """Note words that go to a section from a place on; no place twice in a batch."""
        first = self._first[section] + place
        self._places.append(np.arange(first, first + len(values), dtype=np.int32))
        self._values.append(values)

    def write_at(self, section: str, places: NDArray[np.int32], values: NDArray[np.int32]) -> None:
        """Note words that go to places of a section; no place twice in a batch."""
        self._places.append(places + np.int32(self._first[section]))
        self._values.append(values)

    def flush(self) -> int:
        """Make the device see all that was noted; returns the bytes uploaded."""
        count = sum(map(len, self._places))
        if not count:
            return 0
        if count > self._staged.shape[1]:
            self._staged = self._new_staging(2 * count)
        staged = self._staged.view(-1)[: 2 * count].view(2, count)
        np.concatenate(self._places, out=staged[0].numpy())
        np.concatenate(self._values, out=staged[1].numpy())
        self._places.clear()
        self._values.clear()
        _scatter(self._words, staged.to(self._words.device, non_blocking=True))
        return 2 * count * WORD_BYTES

    def _new_staging(self, count: int) -> torch.Tensor:
        pinned = self._words.is_cuda
        return torch.empty(2, count, dtype=torch.int32, pin_memory=pinned)


def _scatter(words: torch.Tensor, changes: torch.Tensor) -> None:
    """Write changes (2, n): places, and what goes there."""
    if words.is_cuda:
        from gpu_backend.kernels.device.pages import scatter  # noqa: PLC0415 - triton is not everywhere

        scatter(words, changes)
    else:
        words[changes[0].long()] = changes[1]
