"""How large images are cut for a network, by how it sees them: shrunk to one size, or at a scale of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from sisegcli.data.images import MAX_PIXELS
from sisegcli.tiles.plan import align_to_network, side_on_grid
from sisegcli.tiling import Tiling

if TYPE_CHECKING:
    from sisegcli.methods import Method

REACH = 96
"""Pixels, as the network sees them, beyond which what it sees hardly changes what it says."""
TILE = 1280
"""Side of a tile, in pixels as the network sees them."""
SHRUNK_TILE = 4096
"""Side of a tile, in image pixels, where the network sees images shrunk: the largest that memory allows."""
ONE_PASS = 2**23
"""Pixels, as the network sees them, that are segmented in one pass: some 2 GB of memory in a crowd."""


def tiling_for_network(
    method: Method,
    score: Callable[[int, float, int, int, int], float],
    *,
    long_side: int,
    scale: float,
    step: int,
    stuff: Collection[int],
) -> Tiling:
    """Return how a network's method wants large images to be cut.

    Parameters
    ----------
    method, score, stuff
        As in `Tiling`.
    long_side : int
        Images are shrunk to this longest side, in pixels; 0: never.
    scale : float
        How much images are enlarged for the network.
    step : int
        Pixels, as the network sees them, on multiples of which it sees the same.
    """
    if long_side:
        share = REACH / long_side
        return Tiling(method, score, reach=0, share=share, side=SHRUNK_TILE, limit=MAX_PIXELS, stuff=stuff)
    return Tiling(
        method,
        score,
        reach=REACH / scale,
        side=side_on_grid(TILE / scale, REACH / scale, scale=scale, step=step),
        limit=round(ONE_PASS / scale**2),
        aligned=partial(align_to_network, scale=scale, step=step),
        stuff=stuff,
    )
