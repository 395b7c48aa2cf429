"""Labels drawn over a picture: filled, and outlined; in smooth lines where the picture is enlarged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from sisegcli.instances import Bool, Labels

Picture = NDArray[np.uint8]

FILL = 0.34
"""How much of a filled pixel is the instance's colour."""

SMOOTH = 0.6
"""How much outlines for print are smoothed, in pixels of the image; more, and lines of one pixel vanish."""


def outline_labels(image: Picture, labels: Labels, colours: Picture, line: int) -> Picture:
    """Fill and outline labels, with a shade around them.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        The picture, which is left as it is.
    labels : (H, W) array of int32
        Disjoint instances, from 1.
    colours : (n + 1, 3) array of uint8
        The colour of each label, that of 0 being without meaning.
    line : int
        Width of outlines, in pixels.

    Returns
    -------
    (H, W, 3) array of uint8
    """
    inside = labels > 0
    edge = label_edges(labels, line) & inside
    halo = label_edges(labels, max(1, line // 2)) & ~inside

    picture: Picture = image.copy()
    picture[halo] //= 2
    filled = inside & ~edge
    picture[filled] = (image[filled] * (1 - FILL) + colours[labels[filled]] * FILL).astype(np.uint8)
    picture[edge] = colours[labels[edge]]
    return picture


def outline_enlarged(
    image: Picture, labels: Labels, colours: Picture, line: int, scale: int
) -> tuple[Picture, Labels, Picture]:
    """Return image and labels `scale` times as large, and the picture of them; see `outline_labels`.

    It is drawn twice as large again and reduced.
    """
    height, width = labels.shape
    fine = 2 * scale
    smooth = smooth_labels(labels, fine)
    large = Image.fromarray(image).resize((width * fine, height * fine), Image.Resampling.BICUBIC)
    picture = Image.fromarray(outline_labels(np.asarray(large), smooth, colours, line * fine * 2 // 3))
    enlarged = np.asarray(large.reduce(2)), np.ascontiguousarray(smooth[::2, ::2])
    return *enlarged, np.asarray(picture.reduce(2))


def smooth_labels(labels: Labels, scale: int) -> Labels:
    """Enlarge labels so that their borders are smooth curves: each pixel goes to the label with most of it around."""
    height, width = labels.shape
    found: Labels = np.zeros((height * scale, width * scale), np.int32)
    best = np.zeros(found.shape, np.uint8)
    # Nobody has a share, too, or thin objects would grow.
    for label, place in [(0, np.s_[:, :]), *enumerate(ndimage.find_objects(labels), start=1)]:
        if place is None:
            continue
        top, left = (max(0, (s.start or 0) - 2) for s in place)
        bottom, right = (
            min(n, (n if s.stop is None else s.stop) + 2) for s, n in zip(place, labels.shape, strict=True)
        )
        part = Image.fromarray(np.where(labels[top:bottom, left:right] == label, 255, 0).astype(np.uint8))
        part = part.resize(((right - left) * scale, (bottom - top) * scale), Image.Resampling.BICUBIC)
        share = np.asarray(part.filter(ImageFilter.GaussianBlur(SMOOTH * scale)))
        window = np.s_[top * scale : bottom * scale, left * scale : right * scale]
        more = share > best[window]
        found[window][more] = label
        best[window][more] = share[more]
    return found


def label_edges(labels: Labels, width: int) -> Bool:
    """Return the pixels that lie within `width` pixels of another label."""
    edge = np.zeros(labels.shape, bool)
    rows, columns = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= rows
    edge[:-1] |= rows
    edge[:, 1:] |= columns
    edge[:, :-1] |= columns
    for turn in range(width - 1):
        # Crosses and squares in turn grow octagons, so that lines are about equally thick in all directions.
        grown = edge.copy()
        grown[1:] |= edge[:-1]
        grown[:-1] |= edge[1:]
        source = grown.copy() if turn % 2 else edge
        grown[:, 1:] |= source[:, :-1]
        grown[:, :-1] |= source[:, 1:]
        edge = grown
    return edge
