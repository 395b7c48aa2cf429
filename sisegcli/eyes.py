"""How grouping looks at an image again: the networks for windows, as functions of what is to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sisegcli.grid import STRIDE
from sisegcli.grouping.outlines import Draw, Look
from sisegcli.grouping.prompts import Ask, Prompt
from sisegcli.grouping.wholeness import Judge, Shape
from sisegcli.network.asking import Asker, Drawer, Jury, Sight

Floats = NDArray[np.float32]


class Eyes(NamedTuple):
    """Ways to look at one image: by membership, by wholeness, and by the edge refiner on rough masks."""

    ask: Ask | None
    judge: Judge | None
    draw: Draw | None


def open_eyes(
    image: NDArray[np.uint8],
    things: NDArray[np.integer[Any]],
    *,
    asker: Asker | None,
    jury: Jury | None,
    drawer: Drawer | None,
) -> Eyes:
    """Return functions that let those networks that are there look at an image.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        RGB image.
    things : (H, W) array of ints
        1 on thing pixels.
    asker, jury, drawer : optional
        The networks.
    """
    sight = Sight(image, (things > 0) * np.uint8(255))

    def ask(prompts: Sequence[Prompt]) -> Floats:
        cores = [(p.core, p.window.scaled(1 / STRIDE).moved(*p.corner)) for p in prompts]
        return asker.ask(sight, [p.window for p in prompts], cores)  # type: ignore[union-attr]

    def judge(shapes: Sequence[Shape]) -> Floats:
        shown = [(s.shape, s.window.scaled(1 / STRIDE).moved(*s.corner)) for s in shapes]
        return jury.judge(sight, [s.window for s in shapes], shown)  # type: ignore[union-attr]

    def draw(looks: Sequence[Look]) -> tuple[Floats, Floats]:
        shapes = [(look.shape, look.window.moved(*look.corner)) for look in looks]
        return drawer.draw(sight, [look.window for look in looks], shapes)  # type: ignore[union-attr]

    return Eyes(ask if asker else None, judge if jury else None, draw if drawer else None)
