"""Images enlarged for the network, and what is found in them brought back to their own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.grid import STRIDE, resample
from sisegcli.instances import Decision

Floats = NDArray[np.float32]


def enlarge(pixels: NDArray[Any], factor: float, method: Image.Resampling) -> NDArray[Any]:
    """Return an image, or labels, with sides `factor` times as long."""
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    return np.array(Image.fromarray(pixels).resize((width, height), method))


def in_pixels(decisions: Sequence[Decision], seen: tuple[int, ...], size: tuple[int, int]) -> tuple[Decision, ...]:
    """Turn the places of decisions from cells of what the network saw into pixels of the image."""
    down, across = (STRIDE * n / m for n, m in zip(size, seen, strict=True))

    def place(cell: tuple[float, float]) -> tuple[float, float]:
        return (cell[0] + 0.5) * down, (cell[1] + 0.5) * across

    return tuple(replace(d, first=place(d.first), second=place(d.second)) for d in decisions)


def shrink(
    labels: NDArray[np.int32], displacement: Floats, boundary: Floats, size: tuple[int, int]
) -> tuple[NDArray[np.int32], Floats, Floats]:
    """Bring labels and fields of an enlarged image back to the image's own size and grid."""
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(np.intp) for n, m in zip(size, labels.shape, strict=True))
    ratio = (labels.shape[0] / size[0], labels.shape[1] / size[1])
    cells = (-(-size[0] // STRIDE), -(-size[1] // STRIDE))
    field = resample(displacement, cells, ratio)
    field /= np.asarray(ratio, np.float32)
    return labels[np.ix_(rows, columns)], field, resample(boundary, cells, ratio)
