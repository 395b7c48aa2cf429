"""Pixel pairs within a radius, the lines between them, and the function T that labels them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

IGNORED = -1
"""Label of cells that take part in no pair."""


@cache
def pair_offsets(radius: int) -> tuple[tuple[int, int], ...]:
    """Offsets (dy, dx) of all pixels within a radius, one of each opposite pair.

    >>> pair_offsets(2)
    ((0, 1), (1, -1), (1, 0), (1, 1))
    """
    return tuple(
        (dy, dx)
        for dy in range(radius)
        for dx in range(-radius + 1, radius)
        if (dy > 0 or dx > 0) and dy * dy + dx * dx < radius * radius
    )


@cache
def line_points(dy: int, dx: int) -> tuple[tuple[int, int], ...]:
    """Grid points on the line from (0, 0) to (dy, dx), both ends included.

    >>> line_points(1, 3)
    ((0, 0), (0, 1), (1, 2), (1, 3))
    """
    if (dy, dx) < (0, 0):  # a line and its opposite cover the same points
        return tuple((y + dy, x + dx) for y, x in reversed(line_points(-dy, -dx)))
    steps = max(abs(dy), abs(dx))
    return tuple((_nearest(dy * i, steps), _nearest(dx * i, steps)) for i in range(steps + 1))


def _nearest(numerator: int, denominator: int) -> int:
    sign = 1 if numerator >= 0 else -1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


@dataclass(frozen=True)
class Shift:
    """The two ends of all pairs of one offset, as windows of the grid.

    >>> grid = torch.arange(6).view(2, 3)
    >>> shift = Shift(1, -1)
    >>> shift.first(grid).tolist(), shift.second(grid).tolist()
    ([[1, 2]], [[3, 4]])
    """

    dy: int
    dx: int

    def window(self, grid: Tensor, y: int, x: int) -> Tensor:
        """Cut the window that a point (y, x) of the line passes over; `grid` is (..., h, w)."""
        height, width = grid.shape[-2:]
        rows, columns = height - abs(self.dy), width - abs(self.dx)
        top, left = y + max(0, -self.dy), x + max(0, -self.dx)
        return grid[..., top : top + rows, left : left + columns]

    def first(self, grid: Tensor) -> Tensor:
        """Return the first ends' values."""
        return self.window(grid, 0, 0)

    def second(self, grid: Tensor) -> Tensor:
        """Return the second ends' values."""
        return self.window(grid, self.dy, self.dx)

    def highest_on_line(self, grid: Tensor) -> Tensor:
        """Return the largest value on the line between the ends, both included."""
        highest = self.first(grid)
        for y, x in line_points(self.dy, self.dx)[1:]:
            highest = torch.maximum(highest, self.window(grid, y, x))
        return highest


@dataclass(frozen=True)
class PairLabels:
    """What T says of the pairs of one offset, each a boolean tensor (N, h - |dy|, w - |dx|).

    Attributes
    ----------
    same_object, same_background : Tensor
        S⁺_Ob and S⁺_Ba: both ends carry one label, an object's or the background's.
    objects, border : Tensor
        S⁻, in two parts: the ends belong to different objects; one end is an object's and the other background.
    """

    same_object: Tensor
    same_background: Tensor
    objects: Tensor
    border: Tensor


def label_pairs(labels: Tensor, shift: Shift) -> PairLabels:
    """Apply T: from label maps to pair labels.

    Parameters
    ----------
    labels : (N, h, w) tensor of ints
        0 background, above 0 objects or categories, `IGNORED` elsewhere.
    shift : Shift
        The pairs' offset.

    Examples
    --------
    >>> pairs = label_pairs(torch.tensor([[[1, 1, 2, 0, 0, -1]]]), Shift(0, 1))
    >>> [kind.int().flatten().tolist() for kind in (pairs.same_object, pairs.same_background)]
    [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]
    >>> [kind.int().flatten().tolist() for kind in (pairs.objects, pairs.border)]
    [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    """
    first, second = shift.first(labels), shift.second(labels)
    known = (first >= 0) & (second >= 0)
    same = known & (first == second)
    different = known & (first != second)
    thing = (first > 0) & (second > 0)
    return PairLabels(same & (first > 0), same & (first == 0), different & thing, different & ~thing)
