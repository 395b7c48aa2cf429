"""What an evaluation reports."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from sisegcli.evaluation.coco_ap import RECALLS
from sisegcli.evaluation.faults import Faults
from sisegcli.evaluation.panoptic import PanopticQuality


@dataclass(frozen=True, slots=True)
class BoundaryPrecision:
    """COCO's AP figures with the overlap of boundaries; see `sisegcli.evaluation.boundary`."""

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float


@dataclass(frozen=True, slots=True)
class CategoryReport:
    """Figures of one category; precisions are in [0, 1], NaN where it has no true objects.

    Attributes
    ----------
    id, name : int, str
        The category.
    ap, ap50 : float
        COCO's AP over IoU 0.5 to 0.95, and at 0.5.
    voc_ap : dict
        VOC's AP by IoU.
    truth, predicted : int
        Numbers of true objects and of predictions; of stuff, of segments.
    faults : Faults
        What went wrong.
    panoptic : PanopticQuality
        Its panoptic quality.
    compared : bool
        Whether its instances were compared; of stuff, which has segments alone, only `panoptic` is measured.
    boundary_ap : float
        Boundary AP.
    curves : dict
        By IoU from 0.5 to 0.95, its precision at the recalls 0, 0.01, …, 1; empty where it has no true objects.
    """

    id: int
    name: str
    ap: float
    ap50: float
    voc_ap: dict[float, float]
    truth: int
    predicted: int
    faults: Faults
    panoptic: PanopticQuality
    compared: bool = True
    boundary_ap: float = math.nan
    curves: dict[float, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of an evaluation; precisions and recalls are in [0, 1], NaN where there was nothing to measure.

    Attributes
    ----------
    ap, ap50, ap75, ap_small, ap_medium, ap_large, ar : float
        COCO's figures: AP over IoU 0.5 to 0.95, AP at 0.5 and at 0.75, AP of objects of up to 32², up to 96² and more
        pixels, and recall over IoU 0.5 to 0.95.
    max_dets : int
        How many predictions of an image and category these figures count: all, and at least COCO's 100.
    ap_at_100 : float
        AP with COCO's standard of 100.
    voc_ap : dict
        VOC's AP by IoU, the mean over categories.
    images, truth, predicted : int
        Numbers of images, of true objects, and of predictions in these images.
    faults : Faults
        What went wrong.
    boundary : BoundaryPrecision
        Boundary AP, over IoU 0.5 to 0.95 and so on.
    panoptic : dict
        Panoptic quality of ``things``, and where truth and predictions have stuff, of ``stuff`` and ``all``.
    categories : list of CategoryReport
        Those that occur in the truth or in the predictions, in order of id.
    notes : list of str
        What a reader of the figures must know.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar: float
    max_dets: int
    ap_at_100: float
    voc_ap: dict[float, float]
    images: int
    truth: int
    predicted: int
    faults: Faults
    boundary: BoundaryPrecision
    panoptic: dict[str, PanopticQuality]
    categories: list[CategoryReport]
    notes: list[str] = field(default_factory=list)

    def to_json(self, *, curves: bool = True) -> dict[str, Any]:
        """Return the report as what JSON can hold: IoUs as strings, None for NaN; ``recalls`` are the curves'."""
        plain: dict[str, Any] = _plain(asdict(self))
        if curves:
            return {**plain, "recalls": list(RECALLS)}
        for row in plain["categories"]:
            del row["curves"]
        return plain

    def to_text(self) -> str:
        """Return the report as JSON for people, too: indented, but a list of numbers stays on one line."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
        # Strings are safe: JSON has no line break inside them.
        return re.sub(r"\[\n\s*([-+.\deE,\s]*?)\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
