"""Panoptic quality, against its definition pixel by pixel, and against panopticapi where that is installed."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sisegcli.categories import Categories, Category
from sisegcli.errors import ImageError, InputError
from sisegcli.evaluation import GroundTruth, TruthImage, evaluate, load_predictions, load_truth
from sisegcli.evaluation.panoptic import compare_segments, joint_counts
from sisegcli.formats.coco_panoptic import segment_colours
from sisegcli.instances import Instance, instances_from_labels, labels_from_instances

CAT, DOG, SKY, ROAD = 3, 7, 20, 21
CATEGORIES = Categories([Category(CAT, "cat"), Category(DOG, "dog"), Category(SKY, "sky", False), Category(ROAD, "road", False)])


@dataclass
class Scene:
    """One image as panoptic maps: 0 is void in the truth and nobody in the prediction."""

    true: np.ndarray
    of_true: dict[int, int]
    crowds: set[int]
    found: np.ndarray
    of_found: dict[int, int]


def draw_scene(rng):
    size = int(rng.integers(4, 10)), int(rng.integers(4, 10))
    coarse = rng.integers(0, 6, (3, 3))
    true = np.kron(coarse, np.ones((4, 4), int))[: size[0], : size[1]]
    found = np.where(rng.random(size) < rng.choice([0.6, 0.9]), true, rng.integers(0, 7, size))
    of_true, of_found, crowds = {}, {}, set()
    for label in np.unique(true[true > 0]).tolist():
        category = int(rng.choice([CAT, DOG, SKY, ROAD]))
        if category in (SKY, ROAD) and category in of_true.values():  # stuff is one segment
            category = CAT
        of_true[label] = category
        lone = category in (CAT, DOG) and all(of_true[other] != category for other in crowds)
        if lone and rng.random() < 0.25:
            crowds.add(label)
    for label in np.unique(found[found > 0]).tolist():
        of_found[label] = of_true[label] if label in of_true and rng.random() < 0.8 else int(rng.choice([CAT, DOG, SKY]))
    return Scene(true, of_true, crowds, found, of_found)


def as_truth(scene):
    objects = [(n, i) for n, i in zip(scene.of_true, instances_from_labels(scene.true, scene.of_true), strict=True)]
    void = scene.true == 0
    return TruthImage(
        scene.true.shape,
        [i for n, i in objects if n not in scene.crowds and i.category in (CAT, DOG)],
        [i for n, i in objects if n in scene.crowds],
        void=Instance.from_mask(void, 0) if void.any() else None,
        stuff=[i for n, i in objects if n not in scene.crowds and i.category in (SKY, ROAD)],
    )


def dense_quality(scenes, categories):
    """Compute PQ, SQ and RQ by the definition, segment by segment and pixel by pixel."""
    values = []
    for category in categories:
        ious, fp, fn = [], 0, 0
        for s in scenes:
            true = [s.true == n for n, c in s.of_true.items() if c == category and n not in s.crowds]
            crowd = np.isin(s.true, [n for n in s.crowds if s.of_true[n] == category])
            found = [s.found == n for n, c in s.of_found.items() if c == category]
            void = s.true == 0
            partners = 0
            for t in true:
                fits = []
                for f in found:
                    iou = (t & f).sum() / (t | (f & ~void)).sum()
                    if iou > 0.5:
                        fits.append(iou)
                assert len(fits) <= 1
                ious += fits
                partners += len(fits)
                fn += not fits
            for f in found:
                if any((t & f).sum() / (t | (f & ~void)).sum() > 0.5 for t in true):
                    continue
                fp += (f & (void | crowd)).sum() / f.sum() <= 0.5
        if ious or fp or fn:
            weight = len(ious) + fp / 2 + fn / 2
            values.append((sum(ious) / weight, sum(ious) / len(ious) if ious else 0, len(ious) / weight))
    return np.mean(values, axis=0) if values else [math.nan] * 3


def same(quality, expected):
    return (quality.pq, quality.sq, quality.rq) == pytest.approx(tuple(expected), abs=1e-12, nan_ok=True)


def build(seed):
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng) for _ in range(rng.integers(1, 4))]
    truth = GroundTruth({f"i{n}": as_truth(s) for n, s in enumerate(scenes)}, CATEGORIES)
    predictions = {f"i{n}": instances_from_labels(s.found, s.of_found) for n, s in enumerate(scenes)}
    return scenes, truth, predictions


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_definition(seed):
    scenes, truth, predictions = build(seed)
    has_stuff = any(c in (SKY, ROAD) for s in scenes for c in s.of_found.values())
    means = evaluate(predictions, truth).panoptic
    assert same(means["things"], dense_quality(scenes, [CAT, DOG]))
    if has_stuff:
        assert same(means["all"], dense_quality(scenes, CATEGORIES))
        assert same(means["stuff"], dense_quality(scenes, [SKY, ROAD]))
    else:
        assert set(means) == {"things"}


def write_panoptic(folder, name, maps, categories, crowds, scores=None):
    """Write images, as (labels, category of each) by stem, as anybody would."""
    annotations = []
    (folder / name).mkdir(parents=True)
    for n, (stem, (labels, of)) in enumerate(maps.items(), 1):
        Image.fromarray(segment_colours(labels.astype(np.int32))).save(folder / name / f"{stem}.png")
        segments = [
            {"id": i, "category_id": c, "area": int((labels == i).sum()), "iscrowd": int(i in crowds[stem])}
            for i, c in of.items()
        ]
        for segment in segments if scores else ():
            segment["score"] = scores[segment["id"]]
        annotations.append({"image_id": n, "file_name": f"{stem}.png", "segments_info": segments})
    content = {
        "images": [
            {"id": n, "file_name": f"{s}.jpg", "height": m.shape[0], "width": m.shape[1]}
            for n, (s, (m, _)) in enumerate(maps.items(), 1)
        ],
        "annotations": annotations,
        "categories": [{"id": c.id, "name": c.name, "isthing": int(c.isthing)} for c in categories.values()],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("seed", range(12))
def test_it_is_what_panopticapi_says(seed, tmp_path, capsys):
    evaluation = pytest.importorskip("panopticapi.evaluation")
    rng = np.random.default_rng(seed)
    scenes = {f"i{n}": draw_scene(rng) for n in range(4)}
    gt = write_panoptic(tmp_path, "gt", {k: (s.true, s.of_true) for k, s in scenes.items()}, CATEGORIES, {k: s.crowds for k, s in scenes.items()})
    pred = write_panoptic(tmp_path, "pred", {k: (s.found, s.of_found) for k, s in scenes.items()}, CATEGORIES, dict.fromkeys(scenes, set()))
    pairs = list(zip(*(json.loads(path.read_text())["annotations"] for path in (gt, pred)), strict=True))
    categories = {c["id"]: c for c in json.loads(gt.read_text())["categories"]}
    stat = evaluation.pq_compute_single_core(0, pairs, str(tmp_path / "gt"), str(tmp_path / "pred"), categories)
    truth = load_truth(gt)
    ours = evaluate(load_predictions(pred, truth).images, truth)
    for name, isthing in (("all", None), ("things", True), ("stuff", False)):
        theirs, by_category = stat.pq_average(categories, isthing)
        quality = ours.panoptic[name]
        assert (quality.pq, quality.sq, quality.rq) == pytest.approx((theirs["pq"], theirs["sq"], theirs["rq"]), abs=1e-9)
        assert quality.categories == theirs["n"]
        for row in ours.categories:
            if row.id in by_category and row.panoptic.categories:
                assert row.panoptic.pq == pytest.approx(by_category[row.id]["pq"], abs=1e-9)
