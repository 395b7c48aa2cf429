"""The edge refiner: shown an instance with a rough outline up close, it draws the outline anew.

Masks that a network predicted are right about what is where and wrong about the last few pixels. This network sees the
image in a window of the instance's own size, and the instance as it is known, and answers at stride 2. It also says
whether the outline is rough at all: one that an annotator drew looks drawn, and is better left alone. Our own addition
to the paper; training needs semantic masks alone, made as coarse as predictions are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sisegcli.network.backbone import Backbone, normalise
from sisegcli.network.heads import Join, Separable, TopDown, halve, is_traced

FINE = 24
"""Channels at stride 2."""


class EdgeRefiner(nn.Module):
    """Predicts which pixels of a window belong to an instance whose outline is rough.

    Parameters
    ----------
    backbone : Backbone
        Feature levels; those of strides 2 to 16 are enough.
    width : int
        Channels of the head at stride 4.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, backbone: Backbone, width: int = 64) -> None:
        super().__init__()
        self.backbone = backbone
        finest, fine = (backbone.channels[list(backbone.strides).index(stride)] for stride in (2, 4))
        self.inject = nn.Sequential(nn.Conv2d(2, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, fine, 1))
        self.join = Join(strides=backbone.strides)
        self.merge = TopDown(channels=[c + 2 for c in backbone.channels], strides=backbone.strides, width=width)
        self.mix = nn.Conv2d(2 * width, width, 1, bias=False)
        self.hidden = Separable(width, 5)
        self.up = nn.Conv2d(width, FINE, 1)
        self.detail = nn.Conv2d(finest + 5, FINE, 1)
        self.fine = nn.Sequential(Separable(FINE), Separable(FINE))
        self.logit = nn.Conv2d(FINE, 1, 1)
        self.judge = nn.Sequential(nn.Linear(width + FINE, 32), nn.ReLU(), nn.Linear(32, 1))
        with torch.no_grad():  # features pass as they are until the comparison has learned something
            self.mix.weight.mul_(0.2)
            self.mix.weight[:, :width, 0, 0] += torch.eye(width)
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, windows: Tensor, things: Tensor, instances: Tensor) -> tuple[Tensor, Tensor]:
        """Predict logits of a batch of windows.

        Parameters
        ----------
        windows : (N, 3, S, S) tensor of uint8 or float, 0 to 255
            RGB windows; S is a multiple of the largest stride.
        things, instances : (N, 1, S, S) tensors of float
            1 on thing pixels, and 1 on the instance.

        Returns
        -------
        logits : (N, 1, S / 2, S / 2) tensor
            Logits of "belongs to the instance".
        rough : (N,) tensor
            Logits of "the outline is rough".
        """
        x = normalise(windows, self.mean, self.std)
        shown = torch.cat((things, instances), 1).to(x.dtype)
        quarter = F.avg_pool2d(shown, 4)
        levels = self.backbone(x, self.inject(quarter))
        features = self.merge(self.join(levels, shown))
        weight = quarter[:, 1:].to(features.dtype)
        mean = (features * weight).sum((2, 3), keepdim=True) / (weight.sum((2, 3), keepdim=True) + 1e-3)
        features = self.hidden(self.mix(torch.cat((features, features * mean), 1)))
        coarse = F.interpolate(self.up(features), scale_factor=2, mode="bilinear", align_corners=False)
        picture, instance = halve(x), halve(shown)
        detail = self.detail(torch.cat((levels[0], picture.to(levels[0].dtype), instance.to(levels[0].dtype)), 1))
        finer = self.fine(F.relu(coarse + detail))
        along = torch.cat((_mean_along(features, quarter[:, 1:]), _mean_along(finer, instance[:, 1:])), 1)
        return self.logit(finer), self.judge(along).squeeze(1)


def _mean_along(features: Tensor, shape: Tensor) -> Tensor:
    """Average features (N, C, h, w) along the outline of shapes (N, 1, h, w)."""
    band = _highest_around(shape) + _highest_around(-shape)
    mean: Tensor = (features * band).sum((2, 3)) / band.sum((2, 3)).clamp_min(1e-3)
    return mean


def _highest_around(x: Tensor) -> Tensor:
    """Return the highest value around each one, as `F.max_pool2d` with a side of 3 does, but faster on processors."""
    if is_traced():  # other engines are faster by their own operator
        return F.max_pool2d(x, 3, 1, 1)
    x = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    x = torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
    return torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
