"""How a method wants large images cut into tiles: a plain type that methods fill in and `sisegcli.tiles` reads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sisegcli.methods import Method


@dataclass(frozen=True)
class Tiling:
    """What tiles have to know of a method.

    Attributes
    ----------
    method : Method
        Segments one tile; removes nothing. The scores of its instances say how sure their borders are, nothing of
        sizes.
    score : callable
        ``score(category, sureness, area, total, pixels)`` of a whole instance: its category, the mean sureness of its
        parts, its area, the area of its category and of the image, in pixels.
    reach, share : float
        A tile shows the method at least this many pixels, and this share of its side, beyond what it decides on.
    agreement : float
        Parts of two tiles are one instance if they share more than this part of their pixels; 0: if they share any.
    side : int
        Side of a tile, margins included, in pixels, unless the user gives one.
    limit : int
        Image pixels above which one pass is not sensible.
    aligned : callable
        Returns the last place up to a given one at which a tile should begin, in pixels.
    stuff : collection of int
        Categories that are one segment an image.
    """

    method: Method
    score: Callable[[int, float, int, int, int], float]
    reach: float
    side: int
    limit: int
    share: float = 0.0
    agreement: float = 0.5
    aligned: Callable[[int], int] = int
    stuff: Collection[int] = field(default_factory=frozenset)
