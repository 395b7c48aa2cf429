"""Pictures for people: instances outlined and named, and the displacement field beside them in the colour wheel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import Categories
from sisegcli.formats.colour_wheel import flow_colours
from sisegcli.formats.legend import add_legend
from sisegcli.formats.outlining import label_edges, outline_enlarged, outline_labels
from sisegcli.formats.palette import choose_colours
from sisegcli.formats.tags import font_size, write_tags
from sisegcli.grid import STRIDE
from sisegcli.instances import Floats, Instance, Labels, labels_from_instances

Picture = NDArray[np.uint8]

PAPER = (24, 26, 32)
"""Colour behind the displacement field and between the panels."""

READABLE = 320
"""The longer side of a picture in which names have room, in pixels."""

LARGEST_SCALE = 8


def draw_overlay(
    image: Picture,
    instances: Sequence[Instance],
    displacement: Floats | None = None,
    *,
    categories: Categories | None = None,
    scale: int = 1,
    legend: bool = False,
) -> Picture:
    """Draw instances over their image, and the displacement field, where there is one, in a second panel.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        The picture.
    instances : sequence of Instance
        Disjoint instances of this image.
    displacement : (h, w, 2) array of float32, optional
        Each pixel's offset (y, x) on the stride-4 grid; it is shown inside instances only, in the colours of
        `flow_colours`.
    categories : Categories, optional
        Names for the labels; unnamed ids read ``class-7``.
    scale : int
        How many times as large the picture is as the image. From 2 on, outlines are smooth, for print.
    legend : bool
        Whether categories are listed, each with the colours of its instances and their number: below, or beside
        narrow pictures. Scores may stand without names then.

    Returns
    -------
    (H', W', 3) array of uint8
        W' is W without `displacement`, and 2 W and a gap with it; H' is H. Both times `scale`, and more with `legend`.

    Examples
    --------
    >>> image = np.full((8, 8, 3), 90, np.uint8)
    >>> cat = Instance.from_mask(np.pad(np.ones((4, 4), bool), 2), category=8)
    >>> picture = draw_overlay(image, [cat])
    >>> picture.shape, bool((picture[0] == 90).all()), bool((picture[4] == 90).all())
    ((8, 8, 3), True, False)
    """
    categories = categories or Categories()
    size = (image.shape[0], image.shape[1])
    labels = labels_from_instances(instances, size)
    line = max(2, round(max(size) / 320))
    colours = np.concatenate((np.zeros((1, 3), np.uint8), choose_colours(labels, len(instances), 3 * line)))
    if scale > 1:
        image, labels, picture = outline_enlarged(image, labels, colours, line, scale)
        line *= scale
        instances = [_enlarged(instance, scale) for instance in instances]
    else:
        picture = outline_labels(image, labels, colours, line)
    picture = write_tags(picture, labels, instances, categories, colours, bare=legend)
    if displacement is not None:
        gap = np.full((picture.shape[0], 2 * line, 3), PAPER, np.uint8)
        panel = _field_panel(image, displacement, labels, scale)
        picture = np.concatenate((picture, gap, panel), axis=1)
    if legend:
        picture = add_legend(picture, instances, colours[1:], categories, font_size(labels))
    return picture


def readable_scale(size: tuple[int, int]) -> int:
    """Return how many times a picture of a height and width is to be enlarged for names to have room.

    >>> readable_scale((375, 500)), readable_scale((100, 90)), readable_scale((4, 6))
    (1, 4, 8)
    """
    return min(LARGEST_SCALE, max(1, -(-READABLE // max(*size, 1))))


def _enlarged(instance: Instance, scale: int) -> Instance:
    """Return an instance with its box and area enlarged, which is what names need to know."""
    top, left, height, width = (side * scale for side in instance.box)
    return replace(instance, box=(top, left, height, width), area=instance.area * scale**2)


def _field_panel(image: Picture, displacement: Floats, labels: Labels, scale: int = 1) -> Picture:
    """Return the displacement field in colours, inside instances only, on a ghost of the image."""
    height, width = labels.shape
    rows, columns = displacement.shape[:2]
    step = STRIDE * scale
    y, x = (np.minimum(np.arange(n) * step + step // 2, m - 1) for n, m in ((rows, height), (columns, width)))
    colours = Image.fromarray(flow_colours(displacement, labels[np.ix_(y, x)] > 0))
    colours = colours.resize((columns * step, rows * step), Image.Resampling.BILINEAR)
    panel: Picture = np.array(colours)[:height, :width]
    ghost = (labels == 0) | label_edges(labels, 1)
    panel[ghost] = np.array(PAPER, np.uint8) + image[ghost].mean(axis=1, keepdims=True).astype(np.uint8) // 6
    return panel
