"""Questions to the membership network: which pieces to ask about, what to show, what answers say of pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.grid import STRIDE
from sisegcli.grouping.pieces import Pieces
from sisegcli.windows import CELLS, Window, window_around

Floats = NDArray[np.float32]
Pairs = Mapping[tuple[int, int], float]
"""Log odds, for pairs of pieces (lower number first), that both are of one object."""
Box = tuple[slice, slice]
Ask = Callable[[Sequence["Prompt"]], Floats]
"""Answers prompts with membership logits (N, CELLS, CELLS)."""

SURROUNDINGS = 2.2
"""Side of a window, in longer sides of the piece."""
RIM = 1.25
"""Side of a window that shows two pieces, at least, in longer sides of both together."""
CORE = 0.2
"""A prompt is a piece less its rim; share of its inner radius that goes, so that its outline tells nothing."""
LEAST = 6
"""Cells that a piece needs to be asked about."""
MOST = 8192
"""Pieces of an image that are asked about. Fewer would leave crowds in one pass to votes and boundary, and cost AP."""
MEETING = 0.8
"""Pieces of two regions are asked about if their votes are closer than this share of the way between them."""


@dataclass(frozen=True)
class Prompt:
    """A piece to ask about.

    Attributes
    ----------
    piece : int
        Its number.
    core : (h', w') array of uint8
        255 on the piece's core, on the grid.
    corner : tuple of int
        Row and column of the core's first cell.
    window : Window
        What to look at, in pixels.
    """

    piece: int
    core: NDArray[np.uint8]
    corner: tuple[int, int]
    window: Window


def choose_prompts(pieces: Pieces, *, limit: int = MOST) -> list[Prompt]:
    """Choose the pieces that could be one object with another: neighbours in a region, and pieces whose votes meet.

    Parameters
    ----------
    pieces : Pieces
        What votes make of the regions.
    limit : int
        Most prompts; the largest pieces are kept.
    """
    numbers = np.arange(1, len(pieces.area))
    shared = np.bincount(pieces.region)[pieces.region] > 1
    shared[0] = False
    wanted = set(numbers[shared[1:]].tolist())
    partner: dict[int, int] = {}
    large = numbers[pieces.area[1:] >= LEAST]
    for category in np.unique(pieces.category[large]):
        members = large[pieces.category[large] == category]
        if len(members) < 2:
            continue
        apart = _distances(pieces.vote[members])
        between = _distances(pieces.centre[members])
        meet = (apart < MEETING * between) & (pieces.region[members][:, None] != pieces.region[members][None])
        closest = np.where(meet, apart, np.inf).argmin(1)
        partner |= {int(members[i]): int(members[closest[i]]) for i in np.flatnonzero(meet.any(1))}
    able = [n for n in wanted | set(partner) if pieces.area[n] >= LEAST]
    chosen = sorted(able, key=lambda n: (-pieces.area[n], n))[:limit]
    boxes = ndimage.find_objects(pieces.labels, max_label=len(numbers)) if chosen else []
    found = []
    for number in sorted(chosen):
        other = None if number in wanted else boxes[partner[number] - 1]
        found.append(_prompt(pieces, number, boxes[number - 1], other))
    return found


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.linalg.norm(points[:, None] - points[None], axis=2)
    return found


def _prompt(pieces: Pieces, number: int, box: Box, other: Box | None) -> Prompt:
    """Show a piece with its surroundings, or together with the other one."""
    rows, columns = box
    core = core_of(pieces.labels[rows, columns] == number, CORE)
    longer = max(rows.stop - rows.start, columns.stop - columns.start) * STRIDE
    if other is not None:
        rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, other, strict=True))
    size = ((rows.stop - rows.start) * STRIDE, (columns.stop - columns.start) * STRIDE)
    factor = SURROUNDINGS if other is None else max(RIM, SURROUNDINGS * longer / max(size))
    window = window_around((rows.start * STRIDE, columns.start * STRIDE, *size), factor)
    return Prompt(number, core, (box[0].start, box[1].start), window)


def core_of(shape: NDArray[np.bool_], share: float) -> NDArray[np.uint8]:
    """Return 255 where a shape is deeper than a share of its inner radius; at least its middle stays.

    Examples
    --------
    >>> core_of(np.ones((3, 5), bool), 0.5)[1].tolist()
    [0, 255, 255, 255, 0]
    """
    framed = np.zeros((shape.shape[0] + 2, shape.shape[1] + 2), bool)
    framed[1:-1, 1:-1] = shape
    depth = ndimage.distance_transform_edt(framed)[1:-1, 1:-1]
    return np.where(depth > share * depth.max(), 255, 0).astype(np.uint8)


def pair_up(pieces: Pieces, prompts: Sequence[Prompt], answers: Floats) -> dict[tuple[int, int], float]:
    """Turn answers into log odds for pairs of pieces of a category: the mean logit on the other piece, both ways.

    Parameters
    ----------
    pieces : Pieces
        The pieces.
    prompts : sequence of Prompt
        Those that were asked about.
    answers : (N, CELLS, CELLS) array of float32
        Membership logits in their windows.
    """
    one_way: dict[tuple[int, int], list[float]] = {}
    height, width = pieces.labels.shape
    count = len(pieces.area)
    for prompt, answer in zip(prompts, answers, strict=True):
        cell = prompt.window.side / STRIDE / CELLS
        top, left = prompt.window.top / STRIDE, prompt.window.left / STRIDE
        rows = np.arange(max(0, int(top)), min(height, int(np.ceil(top + CELLS * cell))))
        columns = np.arange(max(0, int(left)), min(width, int(np.ceil(left + CELLS * cell))))
        u, v = (
            np.floor((rows + 0.5 - top) / cell).astype(np.intp),
            np.floor((columns + 0.5 - left) / cell).astype(np.intp),
        )
        rows, u = rows[(u >= 0) & (u < CELLS)], u[(u >= 0) & (u < CELLS)]
        columns, v = columns[(v >= 0) & (v < CELLS)], v[(v >= 0) & (v < CELLS)]
        if not (len(rows) and len(columns)):
            continue
        labels = pieces.labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].ravel()
        seen = np.bincount(labels, minlength=count)
        total = np.bincount(labels, answer.take(u, 0).take(v, 1).ravel(), count)
        others = np.flatnonzero((seen > 0) & (pieces.category == pieces.category[prompt.piece]))
        for other in others.tolist():
            if other not in (0, prompt.piece):
                pair = (min(other, prompt.piece), max(other, prompt.piece))
                one_way.setdefault(pair, []).append(float(total[other] / seen[other]))
    return {pair: sum(odds) / len(odds) for pair, odds in one_way.items()}
