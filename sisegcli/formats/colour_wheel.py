"""Vector fields as pictures: the hue is the direction, the saturation the length.

The wheel is that of Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011 (the Middlebury
benchmark), as all papers on optical flow and on instance centres draw it: right is red, down yellow, left cyan, up
violet, and nothing at all is white.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sisegcli.instances import Bool, Floats


def _wheel() -> NDArray[np.float64]:
    """Return the 55 colours of the wheel, (55, 3) in [0, 1], hues spaced as the eye tells them apart."""
    corners = np.array([(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)], float)
    steps = (15, 6, 4, 11, 13, 6)  # red → yellow → green → cyan → blue → magenta → red
    parts = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(corners[:-1], corners[1:], steps, strict=True)]
    return np.concatenate(parts)


WHEEL = _wheel()


def flow_colours(displacement: Floats, inside: Bool | None = None) -> NDArray[np.uint8]:
    """Colour a displacement field.

    Parameters
    ----------
    displacement : (h, w, 2) array of float32
        Vectors (y, x), in any unit: the 99th percentile of their lengths gets the full colour, and so do longer ones.
    inside : (h, w) array of bool, optional
        Vectors that count for that percentile; all by default.

    Returns
    -------
    (h, w, 3) array of uint8

    Examples
    --------
    >>> right, nothing = (0.0, 3.0), (0.0, 0.0)
    >>> flow_colours(np.array([[right, nothing]])).tolist()
    [[[255, 0, 0], [255, 255, 255]]]
    """
    dy, dx = displacement[..., 0].astype(np.float64), displacement[..., 1].astype(np.float64)
    length = np.hypot(dy, dx)
    counted = length if inside is None else length[inside]
    longest = float(np.percentile(counted, 99)) if counted.size else 0.0
    saturation = np.minimum(length / longest, 1.0) if longest > 0 else np.zeros_like(length)
    turn = np.arctan2(dy, dx) / (2 * np.pi) % 1.0 * len(WHEEL)
    lower = turn.astype(np.intp) % len(WHEEL)
    part = (turn - np.floor(turn))[..., None]
    hue = WHEEL[lower] * (1 - part) + WHEEL[(lower + 1) % len(WHEEL)] * part
    colours: NDArray[np.uint8] = np.rint(255 * (1 - saturation[..., None] * (1 - hue))).astype(np.uint8)
    return colours
