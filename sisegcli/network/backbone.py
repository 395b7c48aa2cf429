"""What the network needs of a backbone, and what backbones need of images."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from sisegcli.devices import layout


class Backbone(Protocol):
    """What heads and training need of a backbone."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        ...

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each level, finest first."""
        ...

    @property
    def mean(self) -> tuple[float, ...]:
        """Means of red, green and blue to subtract, for colours in [0, 1]."""
        ...

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviations to divide by, for colours in [0, 1]."""
        ...

    def __call__(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        """Map normalised images (N, 3, H, W) to features, finest first; `extra` is added to the level of stride 4."""
        ...

    def depths(self) -> list[nn.Module]:
        """Parts in order of depth."""
        ...

    def load_pretrained(self, state: dict[str, Tensor]) -> None:
        """Load a published classification file's parameters."""
        ...


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Bring images (N, 3, H, W) to mean 0 and deviation 1, in the layout that convolutions like."""
    x = (images.to(mean.dtype) - mean) / std
    return x.contiguous(memory_format=layout(x.device))
