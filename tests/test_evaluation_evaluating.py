import json
import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_scenes import dense_voc_ap, draw_scenes, perfect
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from sisegcli.categories import Categories, Category
from sisegcli.errors import InputError
from sisegcli.evaluation import Faults, GroundTruth, TruthImage, evaluate, load_voc_truth
from sisegcli.instances import Instance, instances_from_labels

CAT, DOG = Category(8, "cat"), Category(12, "dog")
LABELS = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 3, 3, 3]])
TRUTH = GroundTruth(
    {"a": TruthImage((3, 4), instances_from_labels(LABELS, {1: 8, 2: 8, 3: 12}))}, Categories([CAT, DOG])
)


@given(st.integers(0, 2**32 - 1))
def test_the_truth_itself_scores_100(seed):
    truth = draw_scenes(seed).truth
    report = evaluate(perfect(truth), truth)
    if report.truth:
        assert (report.ap, report.ap50, report.ap_small, report.ar) == pytest.approx((1, 1, 1, 1))
        assert report.voc_ap == {0.25: 1, 0.5: 1, 0.7: 1, 0.75: 1}
    assert (report.predicted, report.faults) == (report.truth, Faults())


@given(st.integers(0, 2**32 - 1))
def test_the_mean_is_over_categories_of_the_truth(seed):
    scenes = draw_scenes(seed)
    report = evaluate(scenes.predictions, scenes.truth)
    for iou, mean in report.voc_ap.items():
        aps = [ap for ap in (dense_voc_ap(scenes, category, iou) for category in (3, 7)) if ap is not None]
        assert mean == pytest.approx(np.mean(aps) if aps else math.nan, nan_ok=True)
    measured = [row.ap for row in report.categories if row.truth]
    assert report.ap == pytest.approx(np.mean(measured) if measured else math.nan, nan_ok=True)
    assert report.faults.missed >= report.truth - report.predicted
    json.dumps(report.to_json(), allow_nan=False)


@given(st.permutations([1, 2, 3]))
def test_ids_and_order_mean_nothing(order):
    found = np.array([[1, 1, 1, 2], [1, 1, 2, 2], [3, 3, 0, 3]])
    category, score = {1: 8, 2: 8, 3: 12}, {1: 0.9, 2: 0.4, 3: 0.7}
    ids = dict(zip(order, (1, 2, 3), strict=True))
    renamed = np.select([found == old for old in ids.values()], list(ids))
    again = instances_from_labels(
        renamed, {n: category[old] for n, old in ids.items()}, {n: score[old] for n, old in ids.items()}
    )
    assert evaluate({"a": again}, TRUTH) == evaluate({"a": instances_from_labels(found, category, score)}, TRUTH)


def test_a_merged_pair_in_every_figure():
    both = Instance.from_mask(np.isin(LABELS, (1, 2)), 8, 0.9)
    dog = replace(TRUTH.images["a"].instances[2], score=0.8)
    report = evaluate({"a": [both, dog]}, TRUTH)
    assert (report.images, report.truth, report.predicted) == (1, 3, 2)
    assert report.faults == Faults(split=0, merged=1, missed=1, spurious=0)  # IoU is 0.5 with either cat
    cat_row, dog_row = report.categories
    assert (cat_row.name, dog_row.name) == ("cat", "dog")
    assert (cat_row.truth, cat_row.predicted, dog_row.truth, dog_row.predicted) == (2, 1, 1, 1)
    assert cat_row.voc_ap == {0.25: 0.5, 0.5: 0.5, 0.7: 0, 0.75: 0}
    assert (dog_row.ap, dog_row.ap50) == pytest.approx((1, 1))
    assert report.voc_ap == {0.25: 0.75, 0.5: 0.75, 0.7: 0.5, 0.75: 0.5}
    assert math.isnan(report.ap_large)
    assert report.to_json()["ap_large"] is None
    assert report.to_json()["voc_ap"]["0.25"] == 0.75
    assert report.notes == []


def test_images_without_predictions_are_missed_and_foreign_ones_noted():
    report = evaluate({"a": [], "b": []}, GroundTruth({"a": TRUTH.images["a"], "c": TRUTH.images["a"]}))
    assert (report.ap, report.faults.missed) == (0, 6)
    assert report.notes == [
        "Ignored: predictions of images that are not in the ground truth (1).",
        "Without predictions: 1 of 2 images; their objects count as missed.",
    ]


def test_no_common_image_is_an_error():
    with pytest.raises(InputError, match="one is called b, the other a"):
        evaluate({"b": []}, TRUTH)


def test_no_predictions_are_none():
    assert evaluate({}, TRUTH).faults == Faults(missed=3)
    assert math.isnan(evaluate({}, GroundTruth({})).ap)


def test_other_categories_are_noted_and_spurious():
    report = evaluate(
        {"a": [replace(i, category=i.category + 1) for i in TRUTH.images["a"].instances]},
        TRUTH,
        categories=Categories([Category(8, "feline"), Category(9, "lynx"), Category(12, "dog")]),
        notes=["Read with care."],
    )
    assert report.faults == Faults(missed=3, spurious=3)
    assert [row.name for row in report.categories] == ["cat", "lynx", "dog", "class-13"]
    care, feline, strange, same = report.notes
    assert care == "Read with care."
    assert "name categories differently (8 is feline there, but cat in the truth): categories are" in feline
    assert "3 predictions are of categories without true objects (lynx, class-13)" in strange
    assert "same score" in same


def test_names_that_nobody_gave_differ_from_none():
    unnamed = Categories([Category(8, "class-8"), Category(12, "class-12")])
    assert evaluate(perfect(TRUTH), TRUTH, categories=unnamed).notes == [
        "All predictions have the same score, so their rank, and AP with it, is arbitrary."
    ]


def test_many_other_names_are_counted():
    many = Categories(Category(n, f"name {n}") for n in range(8))
    others = Categories(Category(n, f"word {n}") for n in range(8))
    [note] = evaluate({"a": []}, GroundTruth({"a": TruthImage((1, 1), [])}, others), categories=many).notes
    assert "(0 is name 0 there, but word 0 in the truth; " in note
    assert "4 is name 4 there, but word 4 in the truth; and 3 more): categories" in note


def test_more_than_100_predictions_are_noted():
    labels = np.arange(1, 122).reshape(11, 11)
    truth = GroundTruth({"a": TruthImage((11, 11), instances_from_labels(labels, dict.fromkeys(range(1, 122), 1)))})
    report = evaluate({"a": [replace(i, score=n / 200) for n, i in enumerate(truth.images["a"].instances)]}, truth)
    assert (report.max_dets, report.ap) == (121, pytest.approx(1))
    assert 0.8 < report.ap_at_100 < 0.83
    assert report.notes == [
        "AP counts up to 121 predictions of an image and category; with COCO's standard of 100 it would be 82.2 %."
    ]


@pytest.mark.data
def test_the_published_baseline_is_reproduced(data_root):
    folder = data_root / "voc-val-dev"
    truth = load_voc_truth(folder, "clean_touching_same_class")
    predictions = {stem: components(folder / "SegmentationClassFilled" / f"{stem}.png") for stem in truth.images}
    report = evaluate(predictions, truth)
    assert (round(100 * report.ap, 1), round(100 * report.ap50, 1)) == (40.7, 59.1)


def components(path):
    """Find connected components (of four neighbours) of 100 pixels or more, scored by area up to a quarter."""
    with Image.open(path) as image:
        mask = np.asarray(image)
    found = []
    for category in set(np.unique(mask).tolist()) - {0, 255}:
        labels, count = ndimage.label(mask == category)
        found += instances_from_labels(labels, dict.fromkeys(range(1, count + 1), category))
    return [replace(i, score=min(1.0, 4 * i.area / mask.size)) for i in found if i.area >= 100]
