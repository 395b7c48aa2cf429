"""Questions with known answers for the membership network, from pictures whose objects are known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.grouping.prompts import core_of
from sisegcli.network.asking import GREY
from sisegcli.training.guides import roughen
from sisegcli.training.pairs import IGNORED
from sisegcli.windows import CELLS, WINDOW, cut_window, window_around

SMALLEST = 120
"""Pixels that an object needs to be asked about."""
SPREAD = 5
"""Pixels that a prompt spreads over its neighbours at most."""
SMALLEST_PART = 40
"""Pixels that a part needs."""


@dataclass(frozen=True)
class Questions:
    """K questions.

    Attributes
    ----------
    windows : (K, WINDOW, WINDOW, 3) array of uint8
        What is seen.
    things, prompts : (K, WINDOW, WINDOW) arrays of uint8
        255 on things, and on the prompt.
    members : (K, CELLS, CELLS) array of bool
        The answer: cells of the prompt's object.
    weights : (K, CELLS, CELLS) array of float32
        How much each cell counts; 0 outside things.
    doubtful : (K, CELLS, CELLS) array of bool
        Members of regions that may hold several objects.
    """

    windows: NDArray[np.uint8]
    things: NDArray[np.uint8]
    prompts: NDArray[np.uint8]
    members: NDArray[np.bool_]
    weights: NDArray[np.float32]
    doubtful: NDArray[np.bool_]


def ask_questions(
    image: NDArray[np.uint8],
    labels: NDArray[np.int32],
    categories: Mapping[int, int],
    pasted: Collection[int],
    count: int,
    rng: np.random.Generator,
    *,
    clumps: Collection[int] = (),
) -> Questions:
    """Ask about parts of objects; where there is nothing to ask, weights are 0.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        The picture.
    labels : (H, W) array of int32
        Objects from 1; 0 is background, -1 ignored.
    categories : mapping
        Category of each label.
    pasted : collection of int
        Labels that are single objects for certain.
    count : int
        Number of questions.
    rng : numpy.random.Generator
        Chance.
    clumps : collection of int
        Labels that are several objects, as it seems: not asked about.
    """
    questions = Questions(
        np.full((count, WINDOW, WINDOW, 3), GREY, np.uint8),
        np.zeros((count, WINDOW, WINDOW), np.uint8),
        np.zeros((count, WINDOW, WINDOW), np.uint8),
        np.zeros((count, CELLS, CELLS), bool),
        np.zeros((count, CELLS, CELLS), np.float32),
        np.zeros((count, CELLS, CELLS), bool),
    )
    areas = np.bincount(np.maximum(labels, 0).ravel())
    large = np.flatnonzero(areas >= SMALLEST).tolist()
    choices = [label for label in large if label > 0 and label not in clumps]
    if not choices:
        return questions
    touching = _touching(labels)
    odds = np.array([(3.0 if c in touching else 1.0) * min(1.0, areas[c] / 400) for c in choices])
    for number, label in enumerate(rng.choice(choices, count, p=odds / odds.sum()).tolist()):
        _ask(questions, number, image, labels, label, categories, pasted, rng)
    return questions


def _touching(labels: NDArray[np.int32]) -> set[int]:
    found: set[int] = set()
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meet = (one != other) & (one > 0) & (other > 0)
        found |= set(np.unique(np.concatenate((one[meet], other[meet]))).tolist())
    return found


def _ask(
    questions: Questions,
    number: int,
    image: NDArray[np.uint8],
    labels: NDArray[np.int32],
    label: int,
    categories: Mapping[int, int],
    pasted: Collection[int],
    rng: np.random.Generator,
) -> None:
    ys, xs = np.nonzero(labels == label)
    top, left = max(int(ys.min()) - SPREAD, 0), max(int(xs.min()) - SPREAD, 0)
    box = (slice(top, ys.max() + 1 + SPREAD), slice(left, xs.max() + 1 + SPREAD))
    part = split_at_random(labels[box] == label, int(rng.choice([1, 2, 3, 4, 6], p=[0.2, 0.3, 0.25, 0.15, 0.1])), rng)
    pieces, _ = ndimage.label(part)
    part = pieces == np.bincount(pieces[part]).argmax()
    if np.count_nonzero(part) < SMALLEST_PART:
        return
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    size = (int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1))
    window = window_around((top + int(rows[0]), left + int(columns[0]), *size), float(rng.uniform(1.7, 3.2)))
    shift = rng.normal(0, 0.06, 2) * window.side
    window = window.moved(float(shift[0]), float(shift[1]))
    # The outline of a part tells nothing: its rim goes, and at times it spreads over its neighbours.
    core = core_of(part, float(rng.uniform(0, 0.5)))
    things = labels > 0
    if rng.random() < 0.15:
        core = np.where(
            ndimage.binary_dilation(core > 0, iterations=int(rng.integers(2, SPREAD + 1))) & things[box], 255, 0
        )
    seen = cut_window(image, window, fill=GREY, smooth=True)
    near = cut_window(labels, window, fill=IGNORED, smooth=False)
    prompt = cut_window(core.astype(np.uint8), window.moved(top, left), fill=0, smooth=True)
    shown = (roughen(near > 0, rng) > 0).astype(np.uint8) * 255
    cells, hinted = near[2::4, 2::4], prompt[2::4, 2::4] > 100
    weight = _weights(cells, label, categories, pasted)
    weight[hinted] *= 0.1
    members = cells == label
    step = -1 if rng.random() < 0.5 else 1  # mirrored
    questions.windows[number] = seen[:, ::step]
    questions.things[number] = shown[:, ::step]
    questions.prompts[number] = prompt[:, ::step]
    questions.members[number] = members[:, ::step]
    questions.weights[number] = weight[:, ::step]
    questions.doubtful[number] = (members & (label not in pasted))[:, ::step]


def split_at_random(shape: NDArray[np.bool_], parts: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return one of the parts into which points of a shape, chosen at random, divide it by a stretched distance."""
    ys, xs = np.nonzero(shape)
    chosen = rng.integers(len(ys), size=parts)
    angle, stretch = rng.uniform(0, np.pi), float(np.exp(rng.normal(0, 0.5)))
    along = (ys * np.cos(angle) + xs * np.sin(angle)) * stretch
    across = (xs * np.cos(angle) - ys * np.sin(angle)) / stretch
    distance = (along[:, None] - along[chosen]) ** 2 + (across[:, None] - across[chosen]) ** 2
    part = np.zeros(shape.shape, bool)
    part[ys, xs] = distance.argmin(1) == 0
    return part


def _weights(
    cells: NDArray[np.int32], label: int, categories: Mapping[int, int], pasted: Collection[int]
) -> NDArray[np.float32]:
    """Weigh cells of things: borders to other categories are hidden and natural, those within one may be false."""
    weight = (cells > 0).astype(np.float32)
    if label not in pasted:
        for other in np.unique(cells[cells > 0]).tolist():
            if other != label and other not in pasted:
                weight[cells == other] = 0.5 if categories.get(other) == categories.get(label) else 1.5
    return weight
