"""How good instances are: COCO's and VOC's average precision, and counts of what went wrong."""

from sisegcli.evaluation.coco_truth import load_coco_truth
from sisegcli.evaluation.predictions import load_predictions
from sisegcli.evaluation.report import CategoryReport, Report, evaluate
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.evaluation.voc_truth import load_voc_truth

__all__ = [
    "CategoryReport",
    "GroundTruth",
    "Report",
    "TruthImage",
    "evaluate",
    "load_coco_truth",
    "load_predictions",
    "load_voc_truth",
]
