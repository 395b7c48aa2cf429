"""Shapes for the wholeness network: pieces, and unions of pieces, as grouping could make them into objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sisegcli.grid import STRIDE
from sisegcli.windows import Window, window_around

Floats = NDArray[np.float32]

SURROUNDINGS = 1.7
"""Side of a window, in longer sides of the shape."""
LEAST = 6
"""Cells that an object needs to be asked about for its score."""


@dataclass(frozen=True)
class Shape:
    """A shape on the grid, in its box.

    Attributes
    ----------
    shape : (h', w') array of uint8
        255 on its cells.
    corner : tuple of int
        Row and column of the box, in cells.
    window : Window
        Where to look, in pixels.
    """

    shape: NDArray[np.uint8]
    corner: tuple[int, int]
    window: Window


Judge = Callable[[Sequence[Shape]], Floats]
"""Answers shapes with logits (N, 2) of "all of it is one object", and of "it is all of that object"."""


def show(cells: NDArray[np.bool_], surroundings: float = SURROUNDINGS) -> Shape:
    """Show a shape with its surroundings.

    Parameters
    ----------
    cells : (h, w) array of bool
        Its cells, at least one.
    surroundings : float
        Side of the window, in longer sides of the shape.

    Examples
    --------
    >>> cells = np.zeros((9, 9), bool)
    >>> cells[2:4, 1:6] = True
    >>> found = show(cells, 2.0)
    >>> found.corner, found.shape.shape, found.window
    ((2, 1), (2, 5), Window(top=-8.0, left=-6.0, side=40.0))
    """
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    corner, end = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
    size = (end[0] - corner[0], end[1] - corner[1])
    shape = np.where(cells[corner[0] : end[0], corner[1] : end[1]], 255, 0).astype(np.uint8)
    top, left, height, width = (float(value * STRIDE) for value in (*corner, *size))
    return Shape(shape, corner, window_around((top, left, height, width), surroundings))


class Verdicts:
    """What the wholeness network says of unions of an image's pieces; each is asked about once.

    Parameters
    ----------
    labels : (h, w) array of int32
        Pieces, from 1; 0 is none.
    judge : callable
        The network.
    """

    def __init__(self, labels: NDArray[np.int32], judge: Judge) -> None:
        self._labels, self._judge = labels, judge
        self._count = int(labels.max(initial=0)) + 1
        self._known: dict[frozenset[int], tuple[float, float]] = {}

    def ask(self, unions: Iterable[frozenset[int]]) -> None:
        """Ask about those unions of pieces that are new, together."""
        new = [union for union in dict.fromkeys(unions) if union not in self._known]
        if not new:
            return
        answers = self._judge([show(self.cells(union)) for union in new])
        self._known |= {union: (float(one), float(whole)) for union, (one, whole) in zip(new, answers, strict=True)}

    def cells(self, union: frozenset[int]) -> NDArray[np.bool_]:
        """Return where a union of pieces lies."""
        chosen = np.zeros(self._count, bool)
        chosen[list(union)] = True
        return chosen[self._labels]

    def ones(self, owner: NDArray[np.int32], *, limit: int = 512) -> dict[int, float]:
        """Return the probability of being one object, of the largest objects that have at least `LEAST` cells.

        Parameters
        ----------
        owner : (n,) array of int32
            Object of each piece, from 1; 0 for row 0.
        limit : int
            Most objects.
        """
        area = np.bincount(owner[self._labels].ravel())
        area[0] = 0
        able = np.flatnonzero(area >= LEAST)
        chosen = able[np.argsort(-area[able], kind="stable")][:limit].tolist()
        unions = {number: frozenset(np.flatnonzero(owner == number).tolist()) for number in chosen}
        self.ask(unions.values())
        # No further than float64 reaches: a network may be surer than that.
        return {number: 1 / (1 + math.exp(min(-self.one(union), 700.0))) for number, union in unions.items()}

    def one(self, union: frozenset[int]) -> float:
        """Return the log odds of a union's being one object."""
        if union not in self._known:
            self.ask([union])
        return self._known[union][0]
