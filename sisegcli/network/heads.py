"""The two heads of the paper: DFM (displacement field) and CBR (class-agnostic boundary).

Both merge all backbone levels from coarse to fine, down to stride 4. The convolutions inside are our choice: separable
3 × 3 ones with batch norm, which cost little on a CPU (IRNet's heads are 1 × 1 convolutions with group norm, whose
statistics would depend on padding).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Separable(nn.Sequential):
    """A depthwise convolution, a 1 × 1 convolution, batch norm and ReLU."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class TopDown(nn.Module):
    """Merges feature levels from the coarsest to stride 4.

    Parameters
    ----------
    channels : sequence of int
        Channels of each level, finest first.
    strides : sequence of int
        Stride of each level, finest first.
    width : int
        Channels inside and of the output.
    """

    def __init__(self, *, channels: Sequence[int], strides: Sequence[int], width: int) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, width, 1, bias=False), nn.BatchNorm2d(width)) for c in channels
        )
        coarse = [stride >= 4 for stride in strides]
        self.smooth = nn.ModuleList(
            Separable(width, 5 if stride >= 16 else 3) if keep else nn.Identity()
            for stride, keep in zip(strides, coarse, strict=True)
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map levels (N, C, H / stride, W / stride) to (N, width, H / 4, W / 4)."""
        merged: Tensor | None = None
        fine = [
            F.avg_pool2d(lateral(level), 2) if stride == 2 else lateral(level)
            for level, lateral, stride in zip(levels, self.laterals, self.strides, strict=True)
        ]
        extra = [level for level, stride in zip(fine, self.strides, strict=True) if stride == 2]
        for level, smooth, stride in reversed(list(zip(fine, self.smooth, self.strides, strict=True))):
            if stride == 2:
                continue
            if merged is not None:
                level = level + F.interpolate(merged, size=level.shape[-2:], mode="bilinear", align_corners=False)
            if stride == 4:
                level = sum(extra, level)
            merged = smooth(F.relu(level))
        assert merged is not None
        return merged


class DFM(nn.Module):
    """Displacement field module: each pixel's offset to the centre of its object, in stride-4 pixels (y, x)."""

    scale = 8.0
    """Pixels that an output of 1 stands for, so that the last layer learns at an even pace."""

    def __init__(self, *, channels: Sequence[int], strides: Sequence[int], width: int) -> None:
        super().__init__()
        self.merge = TopDown(channels=channels, strides=strides, width=width)
        self.hidden = Separable(width, 5)
        self.field = nn.Conv2d(width, 2, 1)
        for parameter in self.field.parameters():
            nn.init.zeros_(parameter)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map levels to a displacement field (N, 2, H / 4, W / 4)."""
        field: Tensor = self.field(self.hidden(self.merge(levels)))
        return self.scale * field


class CBR(nn.Module):
    """Class boundary refinement: a class-agnostic boundary map, as logits at stride 4."""

    def __init__(self, *, channels: Sequence[int], strides: Sequence[int], width: int) -> None:
        super().__init__()
        self.merge = TopDown(channels=channels, strides=strides, width=width)
        self.hidden = Separable(width)
        self.logit = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.logit.weight)
        self.logit.bias = nn.Parameter(torch.full((1,), -2.0))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map levels to boundary logits (N, 1, H / 4, W / 4)."""
        logit: Tensor = self.logit(self.hidden(self.merge(levels)))
        return logit


class Join(nn.Module):
    """Shows feature levels what is known of the mask.

    Parameters
    ----------
    strides : sequence of int
        Stride of each level, finest first.
    """

    def __init__(self, *, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)

    def forward(self, levels: Sequence[Tensor], guide: Tensor | None) -> list[Tensor]:
        """Append a guide (N, G, H, W), averaged down to each stride, to levels (N, C, H / stride, W / stride)."""
        if guide is None:
            return list(levels)
        pairs = zip(levels, pool_guide(guide, self.strides), strict=True)
        return [torch.cat((level, shown.to(level.dtype)), 1) for level, shown in pairs]


def pool_guide(guide: Tensor, strides: Sequence[int]) -> list[Tensor]:
    """Average a guide (N, G, H, W) down to each stride; H and W are multiples of the largest stride.

    Examples
    --------
    >>> [level.tolist() for level in pool_guide(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), (1, 2))]
    [[[[[1.0, 3.0], [5.0, 7.0]]]], [[[[4.0]]]]]
    """
    pooled, level, reached = [], guide, 1
    for stride in strides:
        level = F.avg_pool2d(level, stride // reached) if stride > reached else level
        pooled.append(level)
        reached = stride
    return pooled


def halve(x: Tensor) -> Tensor:
    """Average (N, C, H, W) over blocks of 2 × 2, as `F.avg_pool2d` does, but faster on processors.

    >>> halve(torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]]]))
    tensor([[[[3.5000, 5.5000]]]])
    """
    rows, columns = (side - side % 2 for side in x.shape[-2:])
    x = x[..., :rows, :columns]
    total = x[..., ::2, ::2] + x[..., ::2, 1::2]
    return (total + x[..., 1::2, ::2] + x[..., 1::2, 1::2]) / 4
