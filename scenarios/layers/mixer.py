"""What every layer with a state of fixed size can say about itself."""

from typing import Protocol


class Mixer(Protocol):
    """A layer whose memory of a sequence is a state of fixed size."""

    @property
    def layers(self) -> int:
        """Number of such layers."""
        ...

    def conv_elements(self, tp: int, drafts: int = 0) -> int:
        """Return the convolution inputs kept for one sequence, layer and device.

        Args:
            tp: Devices that share the layer.
            drafts: Tokens drafted ahead; each keeps a column more, where the family can draft.
        """
        ...

    def recurrent_elements(self, tp: int) -> int:
        """Return the elements of the recurrent state of one sequence, layer and device."""
        ...

    def flops_per_token(self) -> int:
        """Return what updating and reading one layer's recurrent state takes for one token."""
        ...

    def parameters(self, hidden_size: int) -> int:
        """Return the weights of one layer."""
        ...
