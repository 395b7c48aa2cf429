"""COCO's average precision, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from sisegcli.evaluation.matching import Match


class QuietEvaluation(COCOeval):  # type: ignore[misc]
    """pycocotools' evaluation over overlaps that are known already, without its printing."""

    def __init__(self, matches: Sequence[Match]) -> None:
        super().__init__(iouType="segm")
        self.matches = matches
        self.params.imgIds = sorted({m.image for m in matches})
        self.params.catIds = sorted({m.category for m in matches})
        most = max((len(m.scores) for m in matches), default=0)
        self.params.maxDets = [100, max(100, most)] if most > 100 else [100]

    def _prepare(self) -> None:
        self._gts, self._dts = defaultdict(list), defaultdict(list)
        number = 0
        for m in self.matches:
            key = m.image, m.category
            for area, crowd in zip(m.nominal_areas.tolist(), m.crowd.tolist(), strict=True):
                number += 1
                self._gts[key].append({"id": number, "area": area, "iscrowd": int(crowd), "ignore": int(crowd)})
            for score, area in zip(m.scores.tolist(), m.areas.tolist(), strict=True):
                number += 1
                self._dts[key].append({"id": number, "area": area, "score": score})
        self._ious = {(m.image, m.category): m.ious for m in self.matches}

    def computeIoU(self, image: int, category: int) -> Any:  # noqa: N802
        """Look up the overlaps of an image and category."""
        return self._ious.get((image, category), [])

    def run(self) -> None:
        """Evaluate and accumulate."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.evaluate()
            self.accumulate()

    def precision(self, iou: float | None = None, area: int = 0, category: int | None = None, dets: int = -1) -> float:
        """Average the precision over recalls, and over thresholds and categories that are not named; NaN if none."""
        values = self.eval["precision"][:, :, :, area, dets]
        if iou is not None:
            values = values[np.isclose(self.params.iouThrs, iou)]
        if category is not None:
            values = values[:, :, [self.params.catIds.index(category)]]
        return _mean(values)

    def recall(self) -> float:
        """Average the recall over thresholds and categories."""
        return _mean(self.eval["recall"][:, :, 0, -1])

    def unmatched(self) -> dict[int, tuple[int, int]]:
        """Count missed objects and spurious predictions at IoU 0.5 in each category, as matched greedily by score."""
        counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for found in self.evalImgs:
            if found is None or found["aRng"] != self.params.areaRng[0]:
                continue
            missed = (found["gtMatches"][0] == 0) & (np.asarray(found["gtIgnore"]) == 0)
            spurious = (found["dtMatches"][0] == 0) & ~found["dtIgnore"][0]
            counts[int(found["category_id"])][0] += int(missed.sum())
            counts[int(found["category_id"])][1] += int(spurious.sum())
        return {category: (missed, spurious) for category, (missed, spurious) in counts.items()}


def _mean(values: Any) -> float:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else float("nan")
