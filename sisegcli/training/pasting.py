"""Pasting a lone object beside, over or under others, so that borders inside a category are known.

Seams must not give themselves away: outlines are pulled in a little and feathered, colours drawn toward those around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Image8 = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Cutout:
    """A piece of a picture, (H, W, 3), and how much of each pixel belongs to the object, (H, W) in [0, 1]."""

    image: Image8
    alpha: Floats


def cut_out(image: Image8, mask: NDArray[np.bool_], *, scale: float, flip: bool, inset: float) -> Cutout:
    """Cut an object out and resize it.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        The object's box in its picture.
    mask : (H, W) array of bool
        Its pixels.
    scale : float
        Factor of size.
    flip : bool
        Mirror it left to right.
    inset : float
        How far the outline is pulled in, in pixels of the result, so that no rim of background comes along.
    """
    size = (max(2, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale)))
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    shape = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    soft = ndimage.gaussian_filter(np.asarray(shape, np.float32) / 255, max(inset, 0.5), mode="constant")
    # A blurred straight edge crosses 0.5 at the edge and 0.84 one sigma inside.
    alpha = np.clip((soft - 0.6) / 0.3, 0, 1)
    pixels = np.asarray(picture)
    if flip:
        pixels, alpha = pixels[:, ::-1], alpha[:, ::-1]
    return Cutout(np.ascontiguousarray(pixels), np.ascontiguousarray(alpha, np.float32))


def match_colours(cutout: Cutout, pixels: Image8, strength: float) -> Cutout:
    """Draw a cutout's mean and contrast toward those of other pixels (n, 3), by `strength` in [0, 1]."""
    inside = cutout.image[cutout.alpha > 0.5].astype(np.float32)
    if len(inside) < 10 or len(pixels) < 10:
        return cutout
    around = pixels.astype(np.float32)
    mean, spread = inside.mean(0), inside.std(0) + 1
    goal_mean = mean + strength * (around.mean(0) - mean)
    goal_spread = spread + strength * (around.std(0) + 1 - spread)
    image = (cutout.image.astype(np.float32) - mean) * (goal_spread / spread) + goal_mean
    return Cutout(np.clip(image, 0, 255).astype(np.uint8), cutout.alpha)


@dataclass
class Canvas:
    """A picture that is being composed: pixels (H, W, 3) and object labels (H, W), 0 background, -1 ignored."""

    image: Image8
    labels: NDArray[np.int32]

    def paste(self, cutout: Cutout, top: int, left: int, label: int, *, under: int | None = None) -> int:
        """Paste a cutout with its corner at (top, left), over everything or under one label's pixels.

        Returns the number of pixels that now carry `label`.
        """
        height, width = self.labels.shape
        rows = slice(max(top, 0), min(top + cutout.alpha.shape[0], height))
        columns = slice(max(left, 0), min(left + cutout.alpha.shape[1], width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return 0
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        alpha = cutout.alpha[part]
        target = self.labels[rows, columns]
        if under is not None:
            front = ndimage.gaussian_filter((target == under).astype(np.float32), 0.7)
            alpha = alpha * (1 - front)
        blend = alpha[..., None]
        background = self.image[rows, columns].astype(np.float32)
        mixed = background + blend * (cutout.image[part].astype(np.float32) - background)
        self.image[rows, columns] = (mixed + 0.5).astype(np.uint8)
        covered = alpha >= 0.5
        target[covered] = label
        return int(np.count_nonzero(covered))
