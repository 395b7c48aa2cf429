"""The network of the paper: one backbone, two heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sisegcli.network.backbone import Backbone, normalise
from sisegcli.network.edge_refiner import EdgeRefiner
from sisegcli.network.heads import CBR, DFM, Join
from sisegcli.network.membership import Membership
from sisegcli.network.wholeness import Wholeness


class SisegNetwork(nn.Module):
    """Predicts the displacement field and the boundary map of images.

    Parameters
    ----------
    backbone : Backbone
        Feature levels; shared by both heads.
    width : int
        Channels of the heads.
    guided : bool
        Whether the heads also see which pixels belong to things (all categories as one: borders between categories
        are hidden, so that they have to be found in the image).
    membership : Membership, optional
        A second network, with a backbone of its own, that is asked about single pieces.
    edges : EdgeRefiner, optional
        A third one, that draws the outlines of rough instances anew.
    wholeness : Wholeness, optional
        A fourth one, that judges whether a shape is one whole object.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        backbone: Backbone,
        width: int = 64,
        guided: bool = False,
        membership: Membership | None = None,
        edges: EdgeRefiner | None = None,
        wholeness: Wholeness | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.guided = guided
        channels = [c + int(guided) for c in backbone.channels]
        self.join = Join(strides=backbone.strides)
        self.dfm = DFM(channels=channels, strides=backbone.strides, width=width)
        self.cbr = CBR(channels=channels, strides=backbone.strides, width=width)
        self.membership = membership
        self.edges = edges
        self.wholeness = wholeness
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1) * 255, persistent=False)

    def load_pretrained(self, state: dict[str, Tensor]) -> None:
        """Load a published classification file's parameters into the backbones that are of its kind."""
        self.backbone.load_pretrained(state)
        if self.membership is not None:
            self.membership.backbone.load_pretrained(state)
        for part in (self.edges, self.wholeness):
            if part is not None and type(part.backbone) is type(self.backbone):
                part.backbone.load_pretrained(state)

    @property
    def alignment(self) -> int:
        """Image sides must be multiples of this many pixels."""
        return max(self.backbone.strides)

    def forward(self, images: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Predict displacement and boundary logits of a batch.

        Parameters
        ----------
        images : (N, 3, H, W) tensor of uint8 or float, 0 to 255
            RGB images; H and W are multiples of `alignment`.
        guide : (N, 1, H, W) tensor, optional
            1 on thing pixels, 0 on background, 0.5 where unknown; unknown everywhere if it is left out.

        Returns
        -------
        displacement : (N, 2, H / 4, W / 4) tensor
            Offset (y, x) of each pixel to the centre of its object, in stride-4 pixels.
        boundary : (N, 1, H / 4, W / 4) tensor
            Logits of the boundary map.
        """
        x = normalise(images, self.mean, self.std)
        levels = self.backbone(x)
        if self.guided and guide is None:
            guide = images.new_full((images.shape[0], 1, *images.shape[-2:]), 0.5, dtype=x.dtype)
        levels = self.join(levels, guide.to(x.dtype) if self.guided and guide is not None else None)
        displacement: Tensor = self.dfm(levels)
        boundary: Tensor = self.cbr(levels)
        return displacement, boundary


def pad_to_alignment(x: Tensor, alignment: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until both sides are multiples of `alignment`.

    Examples
    --------
    >>> pad_to_alignment(torch.tensor([[[[1.0, 2.0]]]]), 4)[0, 0, 3].tolist()
    [1.0, 2.0, 2.0, 2.0]
    """
    height, width = x.shape[-2:]
    bottom, right = -height % alignment, -width % alignment
    if not bottom and not right:
        return x
    return F.pad(x.float(), (0, right, 0, bottom), mode="replicate").to(x.dtype)
