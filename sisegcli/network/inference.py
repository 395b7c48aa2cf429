"""Running a network on images of any size: shrink, pad, predict, bring back to the images' own grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import IGNORE
from sisegcli.devices import fill, send
from sisegcli.grid import STRIDE, resample
from sisegcli.network.config import NetworkConfig
from sisegcli.network.fusing import infers_in_bfloat16
from sisegcli.network.model import SisegNetwork, pad_to_alignment
from sisegcli.stages import stage

Image8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Predictor:
    """Predicts displacement fields and boundary maps.

    Parameters
    ----------
    network : SisegNetwork
        The network, in evaluation mode on its device.
    config : NetworkConfig
        How it was trained.
    device : torch.device
        Where it is.
    batch_size : int, optional
        Images that go through the network together, at most. By default 4 on processors, whose caches and memory like
        small batches, and as many as there are elsewhere.
    """

    def __init__(
        self, network: SisegNetwork, config: NetworkConfig, device: torch.device, *, batch_size: int | None = None
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.batch_size = batch_size or (4 if device.type == "cpu" else None)
        self.half = infers_in_bfloat16(network, device)

    @stage("forward")
    def predict(self, images: Sequence[Image8], things: Sequence[NDArray[np.int8]]) -> list[tuple[Floats, Floats]]:
        """Predict a batch; images whose padded sizes agree go through the network together.

        Parameters
        ----------
        images : sequence of (H, W, 3) arrays of uint8
            RGB images; sizes may differ.
        things : sequence of (H, W) arrays of int8
            1 on thing pixels, 0 elsewhere, -1 where unknown.

        Returns
        -------
        list of tuple
            Displacement (y, x) in stride-4 pixels, (⌈H / 4⌉, ⌈W / 4⌉, 2) float32, and boundary in [0, 1],
            (⌈H / 4⌉, ⌈W / 4⌉) float32, of each image.
        """
        prepared = [self._prepare(image, thing) for image, thing in zip(images, things, strict=True)]
        buckets: dict[tuple[int, ...], list[int]] = {}
        for number, (picture, _) in enumerate(prepared):
            buckets.setdefault(tuple(picture.shape), []).append(number)
        found: dict[int, tuple[Floats, Floats]] = {}
        parts = [part for bucket in buckets.values() for part in _parts(bucket, self.batch_size)]
        # All are under way before the first is waited for.
        answers = [self._ask([prepared[number] for number in part]) for part in parts]
        for part, (displacement, boundary) in zip(parts, answers, strict=True):
            fields, maps = displacement.cpu().numpy(), boundary.cpu().numpy()
            for number, field, edges in zip(part, fields, maps, strict=True):
                found[number] = self._restore(field, edges, images[number].shape[:2])
        return [found[number] for number in range(len(images))]

    def _ask(self, prepared: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Show the network pictures and guides of one size; return displacement (N, h, w, 2) and boundary (N, h, w)."""
        pictures, guides = (fill(torch.cat(given), self.device) for given in zip(*prepared, strict=True))
        pictures, guides = send(pictures, self.device), send(guides, self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            displacement, boundary = self.network(pictures, guides if self.network.guided else None)
        displacement, boundary = displacement[: len(prepared)], boundary[: len(prepared)]
        return displacement.float().permute(0, 2, 3, 1), boundary.float().sigmoid()[:, 0]

    def _size(self, height: int, width: int) -> tuple[int, int]:
        longest = self.config.long_side
        scale = min(1.0, longest / max(height, width)) if longest else 1.0
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _prepare(self, image: Image8, things: NDArray[np.int8]) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = self._size(*things.shape)
        guide = Image.fromarray(_guide(things))
        picture = Image.fromarray(image)
        if (width, height) != picture.size:
            guide = guide.resize((width, height), Image.Resampling.BOX)
            picture = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
        x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        g = torch.from_numpy(np.array(guide, np.float32) / 255)[None, None]
        alignment = self.network.alignment
        return pad_to_alignment(x, alignment), pad_to_alignment(g, alignment)

    def _restore(self, field: Floats, edges: Floats, size: Sequence[int]) -> tuple[Floats, Floats]:
        height, width = size
        inner = self._size(height, width)
        ratio = (inner[0] / height, inner[1] / width)
        cells = (-(-inner[0] // STRIDE), -(-inner[1] // STRIDE))
        field = field[: cells[0], : cells[1]] - np.asarray(self.config.mean_displacement, np.float32)
        edges = edges[: cells[0], : cells[1]]
        if inner == (height, width):
            return np.ascontiguousarray(field), np.ascontiguousarray(edges)
        shape = (-(-height // STRIDE), -(-width // STRIDE))
        field = resample(field, shape, ratio)
        field /= np.asarray(ratio, np.float32)
        return field, resample(edges, shape, ratio)


def _parts(numbers: list[int], size: int | None) -> list[list[int]]:
    """Cut a list into parts of a size; into one without a size.

    >>> _parts([0, 1, 4, 6, 7], 2), _parts([0, 1, 4], None)
    ([[0, 1], [4, 6], [7]], [[0, 1, 4]])
    """
    size = size or len(numbers)
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]


def thing_map(mask: NDArray[np.int32], stuff: set[int]) -> NDArray[np.int8]:
    """Return 1 on things of a semantic mask, 0 on stuff and background, -1 on ignored pixels.

    Examples
    --------
    >>> thing_map(np.array([[15, 3, -1, IGNORE]], np.int32), stuff={3}).tolist()
    [[1, 0, 0, -1]]
    """
    things = (mask >= 0).view(np.int8)
    for category in stuff:
        things[mask == category] = 0
    things -= (mask == IGNORE).view(np.int8)
    return things


def _guide(things: NDArray[np.int8]) -> Image8:
    """Return a map of things in shades of grey, without a branch a pixel, which costs more than all else.

    >>> _guide(np.array([[0, 1, -1]], np.int8)).tolist()
    [[0, 255, 128]]
    """
    seen = things.view(np.uint8)
    shades: Image8 = (seen & 1) * np.uint8(255) ^ (seen >> 7) * np.uint8(127)
    return shades
