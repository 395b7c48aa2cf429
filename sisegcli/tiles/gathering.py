"""Instances from part numbers on disk: areas and scores first, then run-length codes, band by band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.instances import Instance, Labels, Segmentation
from sisegcli.runs import encode_runs
from sisegcli.tiles.store import LabelStore
from sisegcli.tiling import Tiling

Ints = NDArray[np.integer[Any]]

BAND_PIXELS = 2**24
"""Pixels that are read at once."""


@dataclass
class Parts:
    """What is known of parts, in order of their numbers; part 0 is nobody.

    Attributes
    ----------
    category : list of int
    sureness : list of float
        How sure its borders are, in [0, 1].
    area : list of int
        Pixels in the core of its tile.
    bottom : list of int
        The image row behind its last one in the core; 0 if it has none there.
    """

    category: list[int] = field(default_factory=lambda: [-1])
    sureness: list[float] = field(default_factory=lambda: [0.0])
    area: list[int] = field(default_factory=lambda: [0])
    bottom: list[int] = field(default_factory=lambda: [0])


def gather(
    store: LabelStore, parts: Parts, roots: Ints, tiling: Tiling, *, min_area: int = 0, min_score: float = 0.0
) -> Segmentation:
    """Turn the parts of an image into its instances.

    Parameters
    ----------
    store : LabelStore
        Part of each pixel of the image.
    parts : Parts
        What is known of them.
    roots : (n,) array of ints
        Parts with the same root are one instance.
    tiling : Tiling
        Scores instances.
    min_area : int
        Instances with fewer pixels are removed.
    min_score : float
        Instances with a lower score are removed.
    """
    size = (store.height, store.width)
    area = np.array(parts.area, np.int64)
    bottom = np.array(parts.bottom, np.int64)
    category = np.array(parts.category, np.int64)
    count = len(roots)
    whole = np.bincount(roots, area, count).astype(np.int64)
    sureness = np.bincount(roots, area * np.array(parts.sureness), count) / np.maximum(whole, 1)
    last = np.zeros(count, np.int64)
    np.maximum.at(last, roots, bottom)
    found = np.flatnonzero(whole)
    totals: dict[int, int] = {}
    for root in found.tolist():
        kind = int(category[root])
        totals[kind] = totals.get(kind, 0) + int(whole[root])
    scores: dict[int, float] = {}
    for root in found.tolist():
        kind = int(category[root])
        sizes = int(whole[root]), totals[kind], size[0] * size[1]
        score = tiling.score(kind, float(sureness[root]), *sizes)
        if whole[root] >= min_area and score >= min_score:
            scores[root] = score
    kept = np.zeros(count, np.int32)
    kept[list(scores)] = list(scores)
    ordered = sorted(_instances(store, kept[roots], last, category, scores), key=lambda pair: (-pair[1].score, pair[0]))
    instances = [instance for _, instance in ordered]
    gone = int(whole.sum()) - sum(int(whole[root]) for root in scores)
    return Segmentation(instances, removed=len(found) - len(scores), removed_pixels=gone)


def _instances(
    store: LabelStore, owner: Labels, last: Ints, category: Ints, scores: Mapping[int, float]
) -> list[tuple[int, Instance]]:
    """Read the image once and code each instance as soon as its last row has passed; see `_code`."""
    size = (store.height, store.width)
    found: list[tuple[int, Instance]] = []
    nothing = np.zeros(0, np.int64)
    waiting = nothing, nothing, nothing
    for top, band in store.bands(max(1, BAND_PIXELS // store.width)):
        runs = _runs(owner[band], top, store.height)
        label, start, end = (np.concatenate(both) for both in zip(waiting, runs, strict=True))
        done = last[label] <= top + len(band)
        found += _code(label[done], start[done], end[done], size, category, scores)
        waiting = label[~done], start[~done], end[~done]
    return found


def _runs(band: Labels, top: int, height: int) -> tuple[Ints, Ints, Ints]:
    """Return the runs of a band: label, and first position and the one after the last, see `sisegcli.runs`.

    Parameters
    ----------
    band : (h, W) array of int32
        Labels; 0 is nobody.
    top : int
        Row of the image where the band begins.
    height : int
        Height of the image.
    """
    rows = len(band)
    columns = np.ascontiguousarray(band.T)
    begins = np.ones(columns.shape, bool)
    begins[:, 1:] = columns[:, 1:] != columns[:, :-1]
    start = np.flatnonzero(begins)
    end = np.append(start[1:], columns.size)
    label = columns.ravel()[start].astype(np.int64)
    mine = label > 0
    label, start, end = label[mine], start[mine], end[mine]
    place = start // rows * height + top + start % rows
    return label, place, place + end - start


def _code(
    label: Ints, start: Ints, end: Ints, size: tuple[int, int], category: Ints, scores: Mapping[int, float]
) -> list[tuple[int, Instance]]:
    """Make instances of runs, each with its first pixel in raster order; runs that touch become one."""
    order = np.lexsort((start, label))
    label, start, end = label[order], start[order], end[order]
    goes_on = (label[1:] == label[:-1]) & (start[1:] == end[:-1])
    begins, ends = np.append(True, ~goes_on), np.append(~goes_on, True)
    if not len(label):
        return []
    label, start, end = label[begins], start[begins], end[ends]
    firsts = np.flatnonzero(np.append(True, label[1:] != label[:-1]))
    pixel = np.minimum.reduceat(start % size[0] * size[1] + start // size[0], firsts).tolist()
    found = []
    for first, behind, place in zip(firsts.tolist(), [*firsts[1:].tolist(), len(label)], pixel, strict=True):
        number = int(label[first])
        code = encode_runs(start[first:behind], end[first:behind], size)
        found.append((place, Instance.from_rle(code, size, int(category[number]), scores[number])))
    return found
