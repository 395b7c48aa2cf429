"""The membership network: shown a piece of an object up close, it says what else belongs to the same object.

Votes and boundaries see the whole image at one scale, so borders between small objects are lost on them, and which of
two pieces is the whole object is a question that they are never asked. This network is asked it about each doubtful
piece, in a window of the piece's own size. Our own addition to the paper; training needs semantic masks alone (pasted
objects, and parts of lone ones, have known answers).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sisegcli.network.backbone import Backbone, normalise
from sisegcli.network.heads import Join, Separable, TopDown


class Membership(nn.Module):
    """Predicts which pixels of a window belong to the same object as a prompt.

    Parameters
    ----------
    backbone : Backbone
        Feature levels; its own, because the prompt changes what is looked for.
    width : int
        Channels of the head.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, backbone: Backbone, width: int = 64) -> None:
        super().__init__()
        self.backbone = backbone
        fine = backbone.channels[list(backbone.strides).index(4)]
        self.inject = nn.Sequential(nn.Conv2d(2, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, fine, 1))
        nn.init.zeros_(self.inject[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.inject[2].bias)  # type: ignore[arg-type]
        self.join = Join(strides=backbone.strides)
        self.merge = TopDown(channels=[c + 2 for c in backbone.channels], strides=backbone.strides, width=width)
        self.mix = nn.Conv2d(2 * width, width, 1, bias=False)
        with torch.no_grad():  # features pass as they are until the comparison has learned something
            self.mix.weight.mul_(0.2)
            self.mix.weight[:, :width, 0, 0] += torch.eye(width)
        self.hidden = Separable(width, 5)
        self.logit = nn.Conv2d(width, 1, 1)
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, windows: Tensor, things: Tensor, prompts: Tensor) -> Tensor:
        """Predict membership logits of a batch of windows.

        Parameters
        ----------
        windows : (N, 3, S, S) tensor of uint8 or float, 0 to 255
            RGB windows; S is a multiple of the largest stride.
        things, prompts : (N, 1, S, S) tensors of float
            1 on thing pixels, and 1 on the prompt.

        Returns
        -------
        (N, 1, S / 4, S / 4) tensor
            Logits of "belongs to the object that the prompt lies on"; only things matter.
        """
        x = normalise(windows, self.mean, self.std)
        shown = torch.cat((things, prompts), 1).to(x.dtype)
        quarter = F.avg_pool2d(shown, 4)
        levels = self.backbone(x, self.inject(quarter))
        features = self.merge(self.join(levels, shown))
        weight = quarter[:, 1:].to(features.dtype)
        mean = (features * weight).sum((2, 3), keepdim=True) / (weight.sum((2, 3), keepdim=True) + 1e-3)
        logit: Tensor = self.logit(self.hidden(self.mix(torch.cat((features, features * mean), 1))))
        return logit
