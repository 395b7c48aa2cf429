"""How good instances are: COCO's and VOC's average precision, and counts of what went wrong."""

from sisegcli.evaluation.coco_truth import load_coco_truth
from sisegcli.evaluation.evaluating import evaluate
from sisegcli.evaluation.faults import Faults
from sisegcli.evaluation.label_truth import load_voc_truth
from sisegcli.evaluation.loading import load_truth
from sisegcli.evaluation.predictions import Predictions, load_predictions
from sisegcli.evaluation.report import CategoryReport, Report
from sisegcli.evaluation.truth import GroundTruth, TruthImage

__all__ = [
    "CategoryReport",
    "Faults",
    "GroundTruth",
    "Predictions",
    "Report",
    "TruthImage",
    "evaluate",
    "load_coco_truth",
    "load_predictions",
    "load_truth",
    "load_voc_truth",
]
