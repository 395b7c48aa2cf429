import contextlib
import io
import math

import numpy as np
import pytest
from evaluation_scenes import CATEGORIES, dense_predictions, draw_scenes
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sisegcli.evaluation.coco_ap import CocoEvaluation
from sisegcli.evaluation.matching import Match, match


def encode(mask):
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def run_pycocotools(scenes):
    """Give dense masks to pycocotools as anybody would, and return its twelve figures."""
    ids = {stem: number for number, stem in enumerate(scenes.truth.images, 1)}
    annotations, results = [], []
    for stem, image in scenes.truth.images.items():
        for instance in (*image.instances, *image.crowds):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": ids[stem],
                    "category_id": instance.category,
                    "segmentation": encode(instance.mask()),
                    "area": int(instance.mask().sum()),
                    "bbox": [0, 0, 1, 1],
                    "iscrowd": int(instance in image.crowds),
                }
            )
    for category in CATEGORIES:
        for score, stem, mask in dense_predictions(scenes, category):
            results.append(
                {"image_id": ids[stem], "category_id": category, "segmentation": encode(mask), "score": score}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": i, "height": scenes.truth.images[s].size[0], "width": 0} for s, i in ids.items()],
            "annotations": annotations,
            "categories": [{"id": category} for category in CATEGORIES],
        }
        truth.createIndex()
        found = truth.loadRes(results) if results else COCO()
        if not results:
            found.dataset = {"images": truth.dataset["images"], "annotations": [], "categories": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def same(ours, theirs):
    """Compare a figure; pycocotools says -1 where there is nothing to measure."""
    return ours == pytest.approx(math.nan if theirs == -1 else theirs, abs=1e-9, nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_it_is_what_pycocotools_says(seed):
    scenes = draw_scenes(seed)
    ours = CocoEvaluation(match(scenes.predictions, scenes.truth))
    theirs = run_pycocotools(scenes)
    figures = [ours.precision(), ours.precision(0.5), ours.precision(0.75)]
    figures += [ours.precision(area=area) for area in ("small", "medium", "large")]
    assert all(same(a, b) for a, b in zip(figures, theirs[:6], strict=True)), (figures, theirs)
    assert same(ours.recall(), theirs[8])


def many(count, right):
    """Match `count` predictions with `right` objects, the last predictions being right."""
    ious = np.zeros((count, right))
    ious[count - right :] = np.eye(right)
    ones = np.full(count, 50.0)
    return Match(0, 1, np.linspace(1, 0.5, count), ones, ones[:right], ones[:right], right, ious)


def test_nothing_is_cut_at_100_predictions():
    ours = CocoEvaluation([many(150, 40)])
    assert ours.max_dets == 150
    assert ours.precision(max_dets=100) == 0.0
    assert ours.precision() > 0.2
    assert ours.recall() == 1.0


def test_areas_decide_what_is_small():
    one, area = np.ones(1), np.array([1e6])
    large = Match(0, 1, one, area, area, area, 1, np.ones((1, 1)))
    ours = CocoEvaluation([large])
    assert ours.precision(area="large") == pytest.approx(1)
    assert math.isnan(ours.precision(area="small"))


def test_unmatched_are_counted_by_category():
    none = np.zeros(0)
    two = np.full(2, 10.0)
    matches = [
        Match(0, 1, np.array([0.9, 0.8]), two, two[:1], two[:1], 1, np.array([[0.6], [0.9]])),
        Match(1, 2, none, none, two, two, 2, np.zeros((0, 2))),
        Match(1, 1, np.array([0.9]), two[:1], two[:1], two[:1], 0, np.array([[1.0]])),
    ]
    assert CocoEvaluation(matches).unmatched() == {1: (0, 1), 2: (2, 0)}


def test_nothing_at_all_is_nan(capsys):
    ours = CocoEvaluation([])
    assert math.isnan(ours.precision())
    assert ours.unmatched() == {}
    assert capsys.readouterr().out == ""
