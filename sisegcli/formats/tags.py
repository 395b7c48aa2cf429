"""Names and scores of instances on tags of their colours, where there is room for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from sisegcli.categories import Categories
from sisegcli.formats.fonts import shortened, writable
from sisegcli.formats.outlining import label_edges
from sisegcli.instances import Bool, Instance, Labels

Picture = NDArray[np.uint8]

LONGEST = 24
"""Characters of a name on a tag."""


def write_tags(
    picture: Picture,
    labels: Labels,
    instances: Sequence[Instance],
    categories: Categories,
    colours: Picture,
    *,
    bare: bool = False,
) -> Picture:
    """Write the category and score of each instance on a tag of its colour; names that find no room are left out.

    Parameters
    ----------
    picture : (H, W, 3) array of uint8
        What is written on, which is left as it is.
    labels : (H, W) array of int32
        Number of each pixel's instance, from 1.
    instances : sequence of Instance
        The instances, with boxes and areas in pixels of the picture.
    categories : Categories
        Names.
    colours : (n + 1, 3) array of uint8
        The colour of each label.
    bare : bool
        Whether a score stands alone where a name has no room, as a legend tells the colours.

    Returns
    -------
    (H, W, 3) array of uint8
    """
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    size = font_size(labels)
    taken = np.zeros(labels.shape, bool)
    middles = _middles(labels, len(instances))
    for number in sorted(range(1, len(instances) + 1), key=lambda n: -instances[n - 1].area):
        instance = instances[number - 1]
        for text in _texts(instance, categories, bare):
            text, font = writable(text, f"{Categories().name(instance.category)} {instance.score:.2f}", size)
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


def font_size(labels: Labels) -> int:
    """Return the size of writing on a picture of this size, in pixels."""
    return max(12, round(max(map(int, labels.shape)) / 40))


def _texts(instance: Instance, categories: Categories, bare: bool) -> Iterator[str]:
    """Yield what a tag may say, the best first."""
    name = shortened(categories.name(instance.category), LONGEST)
    yield f"{name} {instance.score:.2f}"
    yield name
    if bare:
        yield f"{instance.score:.2f}"


def _middles(labels: Labels, count: int) -> list[tuple[int, int]]:
    """Return the position (y, x) of each label that is farthest from its edge, found on a coarse grid."""
    step = max(1, max(labels.shape) // 160)
    coarse = np.pad(labels[::step, ::step], 1)
    depth = ndimage.distance_transform_edt((coarse > 0) & ~label_edges(coarse, 1))
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
