"""Running the networks that look at windows of an image: membership, wholeness, and the edge refiner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from sisegcli.devices import fill, send
from sisegcli.network.edge_refiner import EdgeRefiner
from sisegcli.network.fusing import infers_in_bfloat16
from sisegcli.network.membership import Membership
from sisegcli.network.wholeness import Wholeness
from sisegcli.stages import stage
from sisegcli.windows import CELLS, WINDOW, Window, cut_part, paste_window

Image8 = NDArray[np.uint8]
Floats = NDArray[np.float32]

GREY = 124
"""What lies beyond the image."""


Prompts = Sequence[tuple[Image8, Window]]
"""Shapes, 255 on each, in arrays of any scale, and the windows in those arrays' own pixels."""


class Sight:
    """An image and its things, opened once for all windows that are cut out of them.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        RGB image.
    things : (H, W) array of uint8
        255 on thing pixels, 0 elsewhere.
    """

    def __init__(self, image: Image8, things: Image8) -> None:
        self.image, self.things = image, things
        self._photograph, self._mask = Image.fromarray(image), Image.fromarray(things)

    @cached_property
    def _both(self) -> Image.Image:
        """Both in one image of four bands, which is resized faster than two; each band comes out the same."""
        return Image.merge("RGBX", (*self._photograph.split(), self._mask))

    def cut(self, windows: Sequence[Window], *, smooth: bool) -> tuple[Image8, Image8]:
        """Cut windows out of the photograph, (N, WINDOW, WINDOW, 3), and out of the things, smoothed or not."""
        size = (len(windows), WINDOW, WINDOW)
        pictures, known = np.full((*size, 3), GREY, np.uint8), np.zeros(size, np.uint8)
        for picture, thing, window in zip(pictures, known, windows, strict=True):
            if smooth:
                found = cut_part(self._both, window, smooth=True)
                if found is not None:
                    place, part = found
                    picture[place] = np.frombuffer(part.tobytes("raw", "RGB"), np.uint8).reshape(*part.size[::-1], 3)
                    thing[place] = np.frombuffer(part.tobytes("raw", "X"), np.uint8).reshape(part.size[::-1])
            else:
                paste_window(picture, self._photograph, window, smooth=True)
                paste_window(thing, self._mask, window, smooth=False)
        return pictures, known


Network = TypeVar("Network", bound=nn.Module)


class Looker(Generic[Network]):
    """Shows a network windows of one image, batch by batch.

    Parameters
    ----------
    network : nn.Module
        The network, in evaluation mode on its device.
    device : torch.device
        Where it is.
    batch_size : int, optional
        Windows that go through the network together. By default 8 on processors, whose caches and memory like small
        batches, and 16 elsewhere.
    """

    def __init__(self, network: Network, device: torch.device, *, batch_size: int | None = None) -> None:
        self.network, self.device = network, device
        self.batch_size = batch_size or (8 if device.type == "cpu" else 16)
        self.half = infers_in_bfloat16(network, device)

    def _look(self, sight: Sight, windows: Sequence[Window], shapes: Prompts, *, smooth: bool) -> Iterator[Any]:
        for first in range(0, len(windows), self.batch_size):
            part = slice(first, first + self.batch_size)
            shown = _tensors(sight, windows[part], shapes[part], self.device, smooth=smooth)
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                seen = self.network(*shown)
            count = len(windows[part])
            yield tuple(one[:count] for one in seen) if isinstance(seen, tuple) else seen[:count]


class Asker(Looker[Membership]):
    """Asks the membership network."""

    @stage("membership")
    def ask(self, sight: Sight, windows: Sequence[Window], prompts: Prompts) -> Floats:
        """Ask about prompts on one image.

        Parameters
        ----------
        sight : Sight
            The image.
        windows : sequence of Window
            Where to look, in pixels.
        prompts : sequence of tuple
            The prompts.

        Returns
        -------
        (N, CELLS, CELLS) array of float32
            Logits of belonging to the prompt's object.
        """
        answers = [np.zeros((0, CELLS, CELLS), np.float32)]
        looks = self._look(sight, windows, prompts, smooth=True)
        answers += [logits.float()[:, 0].cpu().numpy() for logits in looks]
        return np.concatenate(answers)


class Jury(Looker[Wholeness]):
    """Has the wholeness network judge shapes."""

    @stage("wholeness")
    def judge(self, sight: Sight, windows: Sequence[Window], shapes: Prompts) -> Floats:
        """Judge shapes of one image; see `Asker.ask` for the parameters.

        Returns
        -------
        (N, 2) array of float32
            Logits of "all of it is one object", and of "it is all of that object".
        """
        verdicts = [np.zeros((0, 2), np.float32)]
        looks = self._look(sight, windows, shapes, smooth=True)
        verdicts += [logits.float().cpu().numpy() for logits in looks]
        return np.concatenate(verdicts)


class Drawer(Looker[EdgeRefiner]):
    """Has the edge refiner draw outlines anew."""

    @stage("edges")
    def draw(self, sight: Sight, windows: Sequence[Window], instances: Prompts) -> tuple[Floats, Floats]:
        """Draw instances of one image; see `Asker.ask` for the parameters.

        Returns
        -------
        logits : (N, WINDOW / 2, WINDOW / 2) array of float32
            Logits of belonging to each instance.
        rough : (N,) array of float32
            Logits of its outline being rough.
        """
        logits, rough = [np.zeros((0, WINDOW // 2, WINDOW // 2), np.float32)], [np.zeros(0, np.float32)]
        # Not smoothed, so that the outline keeps its own character.
        for drawn, judged in self._look(sight, windows, instances, smooth=False):
            logits.append(drawn.float()[:, 0].cpu().numpy())
            rough.append(judged.float().cpu().numpy())
        return np.concatenate(logits), np.concatenate(rough)


def _tensors(
    sight: Sight, windows: Sequence[Window], shapes: Prompts, device: torch.device, *, smooth: bool
) -> tuple[Tensor, Tensor, Tensor]:
    pictures, known = sight.cut(windows, smooth=smooth)
    shown = np.zeros((len(shapes), WINDOW, WINDOW), np.uint8)
    for out, (shape, window) in zip(shown, shapes, strict=True):
        paste_window(out, Image.fromarray(shape), window, smooth=smooth)
    x, t, p = (send(fill(torch.from_numpy(a), device), device) for a in (pictures, known, shown))
    return x.permute(0, 3, 1, 2), t[:, None].float().div_(255), p[:, None].float().div_(255)
