"""Pictures for people: instances outlined and named, and the displacement field beside them in the colour wheel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

from sisegcli.categories import Categories
from sisegcli.formats.colour_wheel import flow_colours
from sisegcli.formats.legend import draw_legend
from sisegcli.grid import STRIDE
from sisegcli.instances import Bool, Floats, Instance, Labels, labels_from_instances

__all__ = ["choose_colours", "draw_overlay", "flow_colours"]

Picture = NDArray[np.uint8]

PALETTE = np.array(
    [
        (255, 92, 72),
        (40, 170, 255),
        (255, 204, 40),
        (190, 105, 255),
        (60, 210, 90),
        (255, 120, 205),
        (0, 215, 205),
        (255, 150, 30),
        (105, 125, 255),
        (185, 225, 40),
        (235, 45, 125),
        (150, 210, 255),
    ],
    np.uint8,
)
"""Bright colours, far from each other, that follow one another in hue by leaps."""

FILL = 0.34
"""How much of a filled pixel is the instance's colour."""

SMOOTH = 0.6
"""How much outlines for print are smoothed, in pixels of the image; more, and lines of one pixel vanish."""

PAPER = (24, 26, 32)
"""Colour behind the displacement field and between the panels."""


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
        Whether a strip below lists categories, each with the colours of its instances.

    Returns
    -------
    (H', W', 3) array of uint8
        W' is W without `displacement`, and 2 W and a gap with it; H' is H without `legend`. Both times `scale`.

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
        image, labels, picture = _print_quality(image, labels, colours, line, scale)
        line *= scale
        instances = [_enlarged(instance, scale) for instance in instances]
    else:
        picture = _compose(image, labels, colours, line)
    picture = _write_names(picture, labels, instances, categories, colours)
    if displacement is not None:
        gap = np.full((picture.shape[0], 2 * line, 3), PAPER, np.uint8)
        panel = _field_panel(image, displacement, labels, scale)
        picture = np.concatenate((picture, gap, panel), axis=1)
    if legend:
        strip = draw_legend(instances, colours[1:], categories, picture.shape[1], _font_size(labels))
        picture = np.concatenate((picture, strip), axis=0)
    return picture


def _compose(image: Picture, labels: Labels, colours: Picture, line: int) -> Picture:
    """Fill and outline labels, with a shade around them."""
    inside = labels > 0
    edge = _edges(labels, line) & inside
    halo = _edges(labels, max(1, line // 2)) & ~inside

    picture: Picture = image.copy()
    picture[halo] //= 2
    filled = inside & ~edge
    picture[filled] = (image[filled] * (1 - FILL) + colours[labels[filled]] * FILL).astype(np.uint8)
    picture[edge] = colours[labels[edge]]
    return picture


def _print_quality(
    image: Picture, labels: Labels, colours: Picture, line: int, scale: int
) -> tuple[Picture, Labels, Picture]:
    """Return image and labels enlarged, and the picture of them, drawn twice as large again and reduced."""
    height, width = labels.shape
    fine = 2 * scale
    smooth = _smooth_labels(labels, fine)
    large = Image.fromarray(image).resize((width * fine, height * fine), Image.Resampling.BICUBIC)
    picture = Image.fromarray(_compose(np.asarray(large), smooth, colours, line * fine * 2 // 3))
    enlarged = np.asarray(large.reduce(2)), np.ascontiguousarray(smooth[::2, ::2])
    return *enlarged, np.asarray(picture.reduce(2))


def _smooth_labels(labels: Labels, scale: int) -> Labels:
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


def _enlarged(instance: Instance, scale: int) -> Instance:
    """Return an instance with its box and area enlarged, which is what names need to know."""
    top, left, height, width = (side * scale for side in instance.box)
    return replace(instance, box=(top, left, height, width), area=instance.area * scale**2)


def choose_colours(labels: Labels, count: int, reach: int = 1) -> Picture:
    """Choose a colour of `PALETTE` for each label from 1 to `count`, so that neighbours are easy to tell apart.

    Labels are neighbours where they come within `reach` pixels of each other along a row or a column. In order of
    label, each gets the colour farthest from those of its neighbours, among equals the next one in turn.

    Returns a (count, 3) array of uint8.

    Examples
    --------
    >>> choose_colours(np.array([[1, 2, 0]], np.int32), 2).tolist()
    [[255, 92, 72], [40, 170, 255]]
    """
    neighbours: list[set[int]] = [set() for _ in range(count + 1)]
    for step in {1, reach}:
        for a, b in ((labels[step:], labels[:-step]), (labels[:, step:], labels[:, :-step])):
            touching = (a != b) & (a > 0) & (b > 0)
            for code in np.unique(a[touching].astype(np.int64) * (count + 1) + b[touching]).tolist():
                low, high = sorted(divmod(code, count + 1))
                neighbours[high].add(low)  # only earlier labels have a colour to keep away from
    # Weights after "redmean", https://www.compuphase.com/cmetric.htm, without its dependence on red.
    points = PALETTE * np.sqrt([2.5, 4.0, 2.5])
    distances = np.sqrt(np.square(points[:, None] - points[None]).sum(axis=2))
    chosen = np.zeros(count + 1, np.intp)
    for label in range(1, count + 1):
        turn = np.roll(np.arange(len(PALETTE)), 1 - label)
        if neighbours[label]:
            nearest = distances[:, chosen[list(neighbours[label])]].min(axis=1)[turn]
            # Beyond this distance, all are far enough, and turns keep the picture varied.
            chosen[label] = turn[np.argmax(np.minimum(nearest, 300))]
        else:
            chosen[label] = turn[0]
    return PALETTE[chosen[1:]]


def _edges(labels: Labels, width: int) -> Bool:
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


def _write_names(
    picture: Picture, labels: Labels, instances: Sequence[Instance], categories: Categories, colours: Picture
) -> Picture:
    """Write the category and score of each instance on a tag of its colour; names that find no room are left out."""
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    size = _font_size(labels)
    font = ImageFont.load_default(size)
    taken = np.zeros(labels.shape, bool)
    middles = _middles(labels, len(instances))
    for number in sorted(range(1, len(instances) + 1), key=lambda n: -instances[n - 1].area):
        instance = instances[number - 1]
        name = categories.name(instance.category)
        for text in (f"{name} {instance.score:.2f}", name):
            left, _, right, _ = draw.textbbox((0, 0), text, font=font)
            tag = (round(size * 1.35), round(right - left + size * 0.7))
            spot = _find_room(tag, number, instance, middles[number - 1], labels, taken)
            if spot is None:
                continue
            top, left = spot
            bottom, right = top + tag[0], left + tag[1]
            taken[top:bottom, left:right] = True
            red, green, blue = (int(c) for c in colours[number])
            draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius=size * 0.3, fill=(red, green, blue))
            bright = 0.299 * red + 0.587 * green + 0.114 * blue > 120
            centre = ((left + right) / 2, top + tag[0] / 2)
            draw.text(centre, text, fill=(16, 16, 20) if bright else (255, 255, 255), font=font, anchor="mm")
            break
    return np.asarray(canvas)


def _font_size(labels: Labels) -> int:
    return max(11, round(max(map(int, labels.shape)) / 40))


def _middles(labels: Labels, count: int) -> list[tuple[int, int]]:
    """Return the position (y, x) of each label that is farthest from its edge, found on a coarse grid."""
    step = max(1, max(labels.shape) // 160)
    coarse = np.pad(labels[::step, ::step], 1)
    depth = ndimage.distance_transform_edt((coarse > 0) & ~_edges(coarse, 1))
    depth += coarse > 0  # thin instances have no depth, and yet a middle
    places = ndimage.maximum_position(depth, coarse, np.arange(1, count + 1)) if count else []
    return [((int(y) - 1) * step, (int(x) - 1) * step) for y, x in places]


def _find_room(
    tag: tuple[int, int], number: int, instance: Instance, middle: tuple[int, int], labels: Labels, taken: Bool
) -> tuple[int, int] | None:
    """Return the top left corner of a place for a tag (height, width): in the instance, or else beside it."""
    (tag_height, tag_width), (top, left, height, width) = tag, instance.box
    below, beyond = top + height, left + width
    row, column = top + (height - tag_height) // 2, left + (width - tag_width) // 2
    most = (labels.shape[0] - tag_height, labels.shape[1] - tag_width)
    if min(most) < 0 or instance.area < 0.3 * tag_height * tag_width:
        return None
    inside = (middle[0] - tag_height // 2, middle[1] - tag_width // 2)
    beside = [(top - tag_height - 1, column), (below + 1, column), (row, beyond + 1), (row, left - tag_width - 1)]
    for place in (inside, *beside):
        y, x = (min(max(place[axis], 0), most[axis]) for axis in (0, 1))
        window = np.s_[y : y + tag_height, x : x + tag_width]
        if taken[window].any():
            continue
        under = labels[window]
        own = np.count_nonzero(under == number)
        others = np.count_nonzero(under) - own
        # A tag may hide little of other instances, and not most of a small one of its own.
        if others <= 0.15 * under.size and own <= 0.4 * instance.area:
            return y, x
    return None


def _field_panel(image: Picture, displacement: Floats, labels: Labels, scale: int = 1) -> Picture:
    """Return the displacement field in colours, inside instances only, on a ghost of the image."""
    height, width = labels.shape
    rows, columns = displacement.shape[:2]
    step = STRIDE * scale
    y, x = (np.minimum(np.arange(n) * step + step // 2, m - 1) for n, m in ((rows, height), (columns, width)))
    colours = Image.fromarray(flow_colours(displacement, labels[np.ix_(y, x)] > 0))
    colours = colours.resize((columns * step, rows * step), Image.Resampling.BILINEAR)
    panel: Picture = np.array(colours)[:height, :width]
    ghost = (labels == 0) | _edges(labels, 1)
    panel[ghost] = np.array(PAPER, np.uint8) + image[ghost].mean(axis=1, keepdims=True).astype(np.uint8) // 6
    return panel
