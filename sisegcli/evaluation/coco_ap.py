"""COCO's average precision, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from sisegcli.evaluation.matching import Match

STANDARD_DETS = 100
"""Predictions of an image and category that COCO's own figures count at most."""

AREAS = ("all", "small", "medium", "large")
"""Ranges of area; small ends at 32² and medium at 96² pixels."""

RECALLS = tuple(n / 100 for n in range(101))
"""Recalls at which COCO looks at precision."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What one image and category has without a partner, in the order of its `Match`.

    Attributes
    ----------
    image, category : int
        Place of the image in the ground truth, and category id.
    missed : (G + C,) array of bool
        True objects without a prediction; crowds never are.
    spurious, ignored : (D,) arrays of bool
        Predictions without an object; those in crowds are ignored instead.
    """

    image: int
    category: int
    missed: NDArray[np.bool_]
    spurious: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


class CocoEvaluation:
    """pycocotools' evaluation of overlaps that are known already, without its printing.

    Parameters
    ----------
    matches : sequence of Match
        Overlaps of each image and category.
    edges : bool
        Compare boundaries, too; see `sisegcli.evaluation.boundary`.

    Attributes
    ----------
    categories : list of int
        Ids that occur in the truth or in the predictions.
    max_dets : int
        As many predictions as the fullest image and category holds, and at least COCO's 100: nothing is cut.
    """

    def __init__(self, matches: Sequence[Match], *, edges: bool = False) -> None:
        self._coco = _KnownOverlaps(matches, edges=edges)
        self.categories = sorted({m.category for m in matches})
        self.max_dets = max([STANDARD_DETS, *(len(m.scores) for m in matches)])
        params = self._coco.params
        params.imgIds = sorted({m.image for m in matches})
        params.catIds = self.categories
        params.maxDets = sorted({STANDARD_DETS, self.max_dets})
        with contextlib.redirect_stdout(io.StringIO()):
            self._coco.evaluate()
            self._coco.accumulate()

    def precision(
        self, iou: float | None = None, *, area: str = "all", category: int | None = None, max_dets: int | None = None
    ) -> float:
        """Return the mean precision over recalls, and over thresholds and categories unless one is named.

        NaN where there are no true objects.
        """
        values = self._coco.eval["precision"][..., AREAS.index(area), 0 if max_dets == STANDARD_DETS else -1]
        if iou is not None:
            values = values[np.isclose(self._coco.params.iouThrs, iou)]
        if category is not None:
            values = values[..., [self.categories.index(category)]]
        return _mean(values)

    def curves(self, category: int) -> dict[float, list[float]]:
        """Return the precision of a category at each of `RECALLS`, by IoU; nothing where it has no true objects.

        Precision at a recall is the best at this recall or a higher one, so that AP is the mean of these values.
        """
        values = self._coco.eval["precision"][:, :, self.categories.index(category), 0, -1]
        ious = self._coco.params.iouThrs
        return {round(float(iou), 2): row.tolist() for iou, row in zip(ious, values, strict=True) if row[0] > -1}

    def recall(self) -> float:
        """Return the mean highest recall over thresholds and categories."""
        return _mean(self._coco.eval["recall"][:, :, 0, -1])

    def unmatched(self) -> dict[int, tuple[int, int]]:
        """Count the missed objects and the spurious predictions of each category, matched greedily at IoU 0.5."""
        counts = dict.fromkeys(self.categories, (0, 0))
        for found in self.pairings():
            missed, spurious = counts[found.category]
            counts[found.category] = missed + int(found.missed.sum()), spurious + int(found.spurious.sum())
        return counts

    def pairings(self) -> Iterator[Pairing]:
        """Yield what is missed and what is spurious in each image and category, matched greedily at IoU 0.5."""
        for found in self._coco.evalImgs:
            if found is None or found["aRng"] != self._coco.params.areaRng[0]:
                continue
            # pycocotools sorts crowds to the end, where matches have them already, and scores that are sorted.
            missed = (np.asarray(found["gtMatches"][0]) == 0) & (np.asarray(found["gtIgnore"]) == 0)
            ignored = np.asarray(found["dtIgnore"][0], bool)
            spurious = (np.asarray(found["dtMatches"][0]) == 0) & ~ignored
            yield Pairing(found["image_id"], found["category_id"], missed, spurious, ignored)


class _KnownOverlaps(COCOeval):  # type: ignore[misc]
    """COCOeval that looks its objects and overlaps up in matches."""

    def __init__(self, matches: Sequence[Match], *, edges: bool) -> None:
        super().__init__(iouType="segm")
        self._edges = edges
        self._matches = {(m.image, m.category): m for m in matches}

    def _prepare(self) -> None:
        self._gts, self._dts = defaultdict(list), defaultdict(list)
        number = 1  # an id of 0 would mean "unmatched"
        for key, m in self._matches.items():
            for place, area in enumerate(m.nominal_areas.tolist()):
                crowd = int(place >= m.objects)
                self._gts[key].append({"id": number, "area": area, "iscrowd": crowd, "ignore": crowd})
                number += 1
            for score, area in zip(m.scores.tolist(), m.areas.tolist(), strict=True):
                self._dts[key].append({"id": number, "area": area, "score": score})
                number += 1

    def computeIoU(self, image: int, category: int) -> Any:  # noqa: N802
        """Return the overlaps of an image and category, predictions in order of score."""
        m = self._matches.get((image, category))
        if m is None:
            return []
        return m.edge_ious if self._edges and m.edge_ious is not None else m.ious


def _mean(values: NDArray[np.float64]) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else math.nan
