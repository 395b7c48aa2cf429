"""Guides as they come: masks drawn with care, and masks from a network, with rough edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


def roughen(things: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a guide (2 things, 0 background) whose edges are as wrong, at random, as those of real predictions.

    Parameters
    ----------
    things : (H, W) array of bool
        Thing pixels.
    rng : numpy.random.Generator
        Chance.
    """
    kind = rng.random()
    if kind < 0.4:
        rough = things
    elif kind < 0.6:  # too wide or too narrow
        steps = int(rng.integers(1, 4))
        change = ndimage.binary_dilation if rng.random() < 0.5 else ndimage.binary_erosion
        rough = change(things, iterations=steps)
    elif kind < 0.8:  # predicted at a lower resolution
        factor = float(rng.uniform(2, 6))
        size = (max(1, round(things.shape[1] / factor)), max(1, round(things.shape[0] / factor)))
        small = Image.fromarray(things.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
        back = small.resize((things.shape[1], things.shape[0]), Image.Resampling.BILINEAR)
        rough = np.asarray(back) > 127
    else:  # a wavering edge
        blurred = ndimage.uniform_filter(things.astype(np.float32), 7)
        shape = (max(2, things.shape[0] // 12), max(2, things.shape[1] // 12))
        noise = Image.fromarray(rng.uniform(0.2, 0.8, shape).astype(np.float32))
        level = noise.resize((things.shape[1], things.shape[0]), Image.Resampling.BILINEAR)
        rough = blurred > np.asarray(level)
    return np.where(rough, 2, 0).astype(np.uint8)
