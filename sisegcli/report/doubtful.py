"""The list of doubtful splits and merges, for whoever corrects them: ``doubtful.csv`` beside the page.

========================  ==========================================================================================
column                    meaning
========================  ==========================================================================================
stem                      the image
decision                  ``split``: two instances that may be one. ``merge``: an instance that may be two.
doubt                     from 0.5 to 1, and 1 is the most doubtful
category_id, category     of the instances
first, second             their numbers in the outputs, from 1 (of a merge both are one instance)
y1, x1, y2, x2            middles of the two parts, in pixels
========================  ==========================================================================================

With ``--layers``, these are the network's own decisions, and the doubt is how close the evidence was to the threshold.
Without, splits are pairs of touching instances of one category with doubtful cuts around both (the smaller doubt of the
two, see `sisegcli.report.doubt`), and merges are unknown: scores do not tell them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sisegcli.categories import Categories
from sisegcli.formats.files import replacing
from sisegcli.instances import DOUBTFUL, Decision, Instance, Labels

COLUMNS = ("stem", "decision", "doubt", "category_id", "category", "first", "second", "y1", "x1", "y2", "x2")

Row = tuple[str, str, float, int, int, int, float, float, float, float]
"""A line without the category's name."""


def by_evidence(stem: str, decisions: Iterable[Decision], instances: Sequence[Instance], labels: Labels) -> list[Row]:
    """List the doubtful decisions of the network.

    Parameters
    ----------
    stem : str
        The image.
    decisions : iterable of Decision
        What was decided; places in pixels.
    instances : sequence of Instance
        The instances in the outputs, which has to be what came of these decisions.
    labels : (h, w) array of int32
        Their numbers, on a map of any size.

    Returns
    -------
    list
        Lines of the table. Decisions whose places are in no instance, or in two of different categories, are left out.
    """
    found: list[Row] = []
    for decision in decisions:
        if not (decision.doubtful and instances):
            continue
        size = instances[0].size
        a, b = (_nearest(labels, place, size) for place in (decision.first, decision.second))
        if not (a and b) or instances[a - 1].category != instances[b - 1].category or decision.kept == (a == b):
            continue
        name = "split" if decision.kept else "merge"
        found.append((stem, name, decision.doubt, instances[a - 1].category, a, b, *decision.first, *decision.second))
    return found


def by_scores(stem: str, doubts: Sequence[float], instances: Sequence[Instance], labels: Labels) -> list[Row]:
    """List touching instances of one category where the cuts around both are doubtful; see `cut_doubts`."""
    if sum(doubt >= DOUBTFUL for doubt in doubts) < 2:
        return []
    found: list[Row] = []
    for a, b in _touching(labels):
        one, other = instances[a - 1], instances[b - 1]
        doubt = min(doubts[a - 1], doubts[b - 1])
        if doubt >= DOUBTFUL and one.category == other.category:
            found.append((stem, "split", doubt, one.category, a, b, *_middle(one), *_middle(other)))
    return found


def write_doubtful(path: Path, rows: Iterable[Row], categories: Categories) -> int:
    """Write the table, the most doubtful decisions first; returns how many there are."""
    ordered = sorted(rows, key=lambda row: (-row[2], row[0], row[4:6]))
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for stem, name, doubt, category, first, second, *places in ordered:
            numbers = [round(place, 1) for place in places]
            table.writerow([stem, name, round(doubt, 4), category, categories.name(category), first, second, *numbers])
    return len(ordered)


def _touching(labels: Labels) -> list[tuple[int, int]]:
    """Return the pairs of labels that are neighbours in a row or a column, smaller numbers first."""
    pairs: set[tuple[int, int]] = set()
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        border = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[border], b[border]), np.maximum(a[border], b[border])
        pairs.update((int(code) >> 32, int(code) & 0xFFFFFFFF) for code in np.unique(low.astype(np.int64) << 32 | high))
    return sorted(pairs)


def _nearest(labels: Labels, place: tuple[float, float], size: tuple[int, int], reach: int = 6) -> int:
    """Return the label at a place in an image of this size, or the one that is nearest to it; 0 if none is near."""
    y, x = (int(p * n / m) for p, n, m in zip(place, labels.shape, size, strict=True))
    top, left = max(0, y - reach), max(0, x - reach)
    window = labels[top : y + reach + 1, left : x + reach + 1]
    rows, columns = np.nonzero(window)
    if not rows.size:
        return 0
    nearest = np.argmin((rows + top - y) ** 2 + (columns + left - x) ** 2)
    return int(window[rows[nearest], columns[nearest]])


def _middle(instance: Instance) -> tuple[float, float]:
    top, left, height, width = instance.box
    return top + height / 2, left + width / 2
