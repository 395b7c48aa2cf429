"""The wholeness network: shown a shape up close, it says whether it is one object, and whether it is all of it.

Votes, boundaries and membership look at pixels; none of them ever sees the shape that a decision makes. This network
does: two cows in one shape have two heads, and half a cow has none. Its word helps to decide which pieces are one
object. Our own addition to the paper; training needs semantic masks alone (pasted objects, parts of lone ones, and
unions of what is known to be different have known answers).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sisegcli.network.backbone import Backbone, normalise
from sisegcli.network.heads import Join, TopDown

DEEP = 96
"""Channels of the coarsest features."""


class Wholeness(nn.Module):
    """Judges whether a shape is one object, and whether anything of it is missing.

    Parameters
    ----------
    backbone : Backbone
        Feature levels; its own, because the shape changes what is looked for.
    width : int
        Channels of the head at stride 4.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, backbone: Backbone, width: int = 64) -> None:
        super().__init__()
        self.backbone = backbone
        fine = backbone.channels[list(backbone.strides).index(4)]
        self.inject = nn.Sequential(nn.Conv2d(2, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, fine, 1))
        self.join = Join(strides=backbone.strides)
        self.merge = TopDown(channels=[c + 2 for c in backbone.channels], strides=backbone.strides, width=width)
        self.deep = nn.Sequential(
            nn.Conv2d(backbone.channels[-1] + 2, DEEP, 1, bias=False), nn.BatchNorm2d(DEEP), nn.ReLU()
        )
        self.judge = nn.Sequential(nn.Linear(2 * DEEP + 3 * width, 128), nn.ReLU(), nn.Linear(128, 2))
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, windows: Tensor, things: Tensor, shapes: Tensor) -> Tensor:
        """Judge a batch of windows.

        Parameters
        ----------
        windows : (N, 3, S, S) tensor of uint8 or float, 0 to 255
            RGB windows; S is a multiple of the largest stride.
        things, shapes : (N, 1, S, S) tensors of float
            1 on thing pixels, and 1 on the shape.

        Returns
        -------
        (N, 2) tensor
            Logits of "all of it is one object", and of "it is all of that object".
        """
        x = normalise(windows, self.mean, self.std)
        shown = torch.cat((things, shapes), 1).to(x.dtype)
        quarter = F.avg_pool2d(shown, 4)
        levels = self.join(self.backbone(x, self.inject(quarter)), shown)
        deep, features = self.deep(levels[-1]), self.merge(levels)
        shape = quarter[:, 1:]
        rim = F.max_pool2d(shape, 5, 1, 2) - shape
        others = (quarter[:, :1] - shape).clamp_min(0)
        whole = F.avg_pool2d(shape, shape.shape[-1] // deep.shape[-1])
        seen = [deep.mean((2, 3)), _mean(deep, whole), *(_mean(features, part) for part in (shape, rim, others))]
        logits: Tensor = self.judge(torch.cat(seen, 1))
        return logits


def _mean(features: Tensor, weight: Tensor) -> Tensor:
    """Average features (N, C, h, w) by a weight (N, 1, h, w); nearly 0 where it is 0 everywhere."""
    mean: Tensor = (features * weight).sum((2, 3)) / (weight.sum((2, 3)) + 1e-2)
    return mean
