"""Networks, run as they are or in part, that answer each question about an image once, whoever asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Hashable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sisegcli.eyes import Eyes
from sisegcli.grouping.components import Components
from sisegcli.grouping.options import Edges, GroupingOptions
from sisegcli.grouping.prompts import Ask
from sisegcli.instances import Segmentation
from sisegcli.network.asking import Asker, Jury, Sight
from sisegcli.network.config import NetworkConfig
from sisegcli.network.inference import Predictor
from sisegcli.network.model import SisegNetwork
from sisegcli.segmenter import Segmenter
from sisegcli.windows import Window

Answer = TypeVar("Answer")
Image8 = NDArray[np.uint8]
Floats = NDArray[np.float32]

PARTS = ("boundary", "membership", "wholeness", "walk", "mask")
"""What a network can be run without: its boundary map, networks for windows, the walk, and the sight of the mask."""


class Networks:
    """Segmenters by name of weights.

    Parameters
    ----------
    device : str
        Where networks run.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._loaded: dict[str, WatchedSegmenter] = {}
        self._memory = Memory()

    def segmenter(self, weights: str, without: Collection[str] = (), edges: Edges = "auto") -> WatchedSegmenter:
        """Return a segmenter that runs without some of `PARTS`.

        Without the boundary every pixel is as good a border as any other; without the membership network, evidence is
        cut where it is by default; without the mask, all networks see the image alone.

        Raises
        ------
        CheckpointError
            If the weights are missing, foreign or damaged.
        """
        if weights not in self._loaded:
            self._loaded[weights] = WatchedSegmenter(weights, device=self._device)
        made = copy(self._loaded[weights])
        made.options = replace(made.options, refine="walk" not in without, edges=edges)
        blind, flat = "mask" in without, "boundary" in without
        made.predictor = RememberingPredictor(made.predictor, self._memory, blind=blind, flat=flat)
        if "membership" in without:
            made.asker = None
            made.options = replace(made.options, cut=GroupingOptions().cut)
        elif made.asker is not None:
            made.asker = RememberingAsker(made.asker, self._memory, blind=blind)
        if made.jury is not None:
            jury = RememberingJury(made.jury, self._memory, blind=blind)
            made.jury = None if "wholeness" in without else jury
        return made

    def forget(self) -> None:
        """Forget what was said; the next image will be another one."""
        self._memory.clear()


# -- what was said ----------------------------------------------------------------------------------------------------


class Memory(dict[Hashable, Any]):
    """Answers by question."""

    def recall(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to a question, which is asked the first time."""
        if question not in self:
            self[question] = ask()
        answer: Answer = self[question]
        return answer


class RememberingPredictor(Predictor):
    """A predictor that remembers; `blind`: it is not shown the mask; `flat`: its boundaries are 1 everywhere."""

    def __init__(self, own: Predictor, memory: Memory, *, blind: bool, flat: bool) -> None:
        super().__init__(own.network, own.config, own.device)
        self._memory, self._blind, self._flat = memory, blind, flat

    def predict(self, images: Sequence[Image8], things: Sequence[NDArray[np.int8]]) -> list[tuple[Floats, Floats]]:
        """Predict a batch; see `Predictor.predict`."""
        if self._blind:
            things = [np.full_like(thing, -1) for thing in things]
        seen = [*images, *(things if self.network.guided else ())]
        question = (id(self.network), _digest(*seen))
        found = self._memory.recall(question, partial(super().predict, images, things))
        return [(field, np.ones_like(edges)) for field, edges in found] if self._flat else found


class RememberingAsker(Asker):
    """An asker that remembers; `blind`: all is shown to be things."""

    def __init__(self, own: Asker, memory: Memory, *, blind: bool) -> None:
        super().__init__(own.network, own.device, batch_size=own.batch_size)
        self._memory, self._blind = memory, blind

    def ask(self, sight: Sight, windows: Sequence[Window], prompts: Sequence[tuple[Image8, Window]]) -> Floats:
        """Ask about prompts on one image; see `Asker.ask`."""
        if self._blind:
            sight = Sight(sight.image, np.full_like(sight.things, 255))
        shown = _digest(sight.image, sight.things, *(core for core, _ in prompts))
        question = (id(self.network), shown, *windows, *(place for _, place in prompts))
        return self._memory.recall(question, partial(super().ask, sight, windows, prompts))


class RememberingJury(Jury):
    """A jury that remembers; `blind`: all is shown to be things."""

    def __init__(self, own: Jury, memory: Memory, *, blind: bool) -> None:
        super().__init__(own.network, own.device, batch_size=own.batch_size)
        self._memory, self._blind = memory, blind

    def judge(self, sight: Sight, windows: Sequence[Window], shapes: Sequence[tuple[Image8, Window]]) -> Floats:
        """Judge shapes of one image; see `Jury.judge`."""
        if self._blind:
            sight = Sight(sight.image, np.full_like(sight.things, 255))
        shown = _digest(sight.image, sight.things, *(shape for shape, _ in shapes))
        question = (id(self.network), shown, *windows, *(place for _, place in shapes))
        return self._memory.recall(question, partial(super().judge, sight, windows, shapes))


def _digest(*arrays: NDArray[Any]) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.digest()


# -- what is grouped --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What a segmenter groups: mask and fields of an image that may have been enlarged.

    Attributes
    ----------
    mask : (H, W) array of int32
        Semantic mask.
    displacement : (h, w, 2) array of float32
        Displacement field on the stride-4 grid.
    boundary : (h, w) array of float32
        Boundary map on the same grid.
    ask : callable, optional
        The membership network.
    """

    mask: NDArray[np.int32]
    displacement: Floats
    boundary: Floats
    ask: Ask | None


class WatchedSegmenter(Segmenter):
    """A segmenter that shows what it grouped last, so it groups image by image on every device."""

    seen: Scene

    def _look_with(self, network: SisegNetwork, config: NetworkConfig, device: torch.device) -> None:
        super()._look_with(network, config, device)
        self._groups_on = None

    def _segment(
        self,
        mask: NDArray[np.int32],
        components: Components,
        displacement: Floats,
        boundary: Floats,
        outer: Floats | None,
        eyes: Eyes,
        size: tuple[int, int],
    ) -> Segmentation:
        self.seen = Scene(mask, displacement, boundary, eyes.ask)
        return super()._segment(mask, components, displacement, boundary, outer, eyes, size)
