"""How good instances are: average precision of COCO, VOC and boundaries, panoptic quality, and what went wrong."""

from sisegcli.evaluation.coco_truth import load_coco_truth
from sisegcli.evaluation.evaluating import evaluate
from sisegcli.evaluation.faults import Faults
from sisegcli.evaluation.label_truth import load_voc_truth
from sisegcli.evaluation.loading import TRUTHS, load_truth
from sisegcli.evaluation.panoptic import PanopticQuality
from sisegcli.evaluation.predictions import Predictions, load_predictions
from sisegcli.evaluation.report import BoundaryPrecision, CategoryReport, Report
from sisegcli.evaluation.truth import GroundTruth, TruthImage

__all__ = [
    "TRUTHS",
    "BoundaryPrecision",
    "CategoryReport",
    "Faults",
    "GroundTruth",
    "PanopticQuality",
    "Predictions",
    "Report",
    "TruthImage",
    "evaluate",
    "load_coco_truth",
    "load_predictions",
    "load_truth",
    "load_voc_truth",
]
