"""Panoptic quality, against its definition pixel by pixel, and against panopticapi where that is installed."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from sisegcli.categories import Categories, Category
from sisegcli.errors import ImageError, InputError
from sisegcli.evaluation import GroundTruth, TruthImage, evaluate, load_predictions, load_truth
from sisegcli.evaluation.panoptic import compare_segments, joint_counts
from sisegcli.formats import panoptic_reader
from sisegcli.formats.coco_panoptic import segment_colours
from sisegcli.formats.panoptic_reader import is_panoptic
from sisegcli.instances import Instance, instances_from_labels

CAT, DOG, SKY, ROAD = 3, 7, 20, 21
CATEGORIES = Categories(
    [Category(CAT, "cat"), Category(DOG, "dog"), Category(SKY, "sky", False), Category(ROAD, "road", False)]
)


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
        of_found[label] = (
            of_true[label] if label in of_true and rng.random() < 0.8 else int(rng.choice([CAT, DOG, SKY]))
        )
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
@example(1420)  # stuff is predicted in void alone
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


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_panopticapi_says(seed, tmp_path, capsys):
    evaluation = pytest.importorskip("panopticapi.evaluation")
    rng = np.random.default_rng(seed)
    scenes = {f"i{n}": draw_scene(rng) for n in range(4)}
    gt = write_panoptic(
        tmp_path,
        "gt",
        {k: (s.true, s.of_true) for k, s in scenes.items()},
        CATEGORIES,
        {k: s.crowds for k, s in scenes.items()},
    )
    pred = write_panoptic(
        tmp_path,
        "pred",
        {k: (s.found, s.of_found) for k, s in scenes.items()},
        CATEGORIES,
        {k: set() for k in scenes},
    )
    pairs = list(zip(*(json.loads(path.read_text())["annotations"] for path in (gt, pred)), strict=True))
    categories = {c["id"]: c for c in json.loads(gt.read_text())["categories"]}
    stat = evaluation.pq_compute_single_core(0, pairs, str(tmp_path / "gt"), str(tmp_path / "pred"), categories)
    truth = load_truth(gt)
    ours = evaluate(load_predictions(pred, truth).images, truth)
    for name, isthing in (("all", None), ("things", True), ("stuff", False)):
        theirs, by_category = stat.pq_average(categories, isthing)
        quality = ours.panoptic[name]
        assert (quality.pq, quality.sq, quality.rq) == pytest.approx(
            (theirs["pq"], theirs["sq"], theirs["rq"]), abs=1e-9
        )
        assert quality.categories == theirs["n"]
        for row in ours.categories:
            if row.id in by_category and row.panoptic.categories:
                assert row.panoptic.pq == pytest.approx(by_category[row.id]["pq"], abs=1e-9)


def strip(*labels):
    return np.array([labels], np.int32)


def segments(labels, of, scores=None):
    return instances_from_labels(strip(*labels), of, scores)


def counted(found, true, *, crowds=(), void=None, stuff=None):
    """Compare one row of pixels; return matched, false negatives and false positives of each category."""
    nobody = Instance.from_mask(strip(*void) > 0, 0) if void else None
    image = TruthImage(true[0].size, true, list(crowds), void=nobody, stuff=stuff)
    counts, hidden = compare_segments({"a": found}, GroundTruth({"a": image}), lambda category: True)
    return {c: (n.ious, n.unmatched_true, n.unmatched_found) for c, n in counts.items()}, hidden


def test_half_an_overlap_is_no_match():
    true = segments([1, 1, 0, 0], {1: CAT})
    assert counted(segments([1, 1, 1, 1], {1: CAT}), true)[0] == {CAT: ([], 1, 1)}
    assert counted(segments([1, 1, 1, 0], {1: CAT}), true)[0] == {CAT: ([2 / 3], 0, 0)}
    assert counted(segments([1, 1, 1, 0], {1: DOG}), true)[0] == {CAT: ([], 1, 0), DOG: ([], 0, 1)}


def test_void_is_out_of_the_union_and_excuses_what_lies_in_it():
    true = segments([1, 1, 0, 0, 0, 0], {1: CAT})
    void = [0, 0, 1, 1, 1, 1]
    assert counted(segments([1, 1, 1, 1, 1, 1], {1: CAT}), true, void=void)[0] == {CAT: ([1.0], 0, 0)}
    assert counted(segments([0, 1, 1, 1, 0, 0], {1: DOG}), true, void=void)[0] == {CAT: ([], 1, 0)}
    assert counted(segments([1, 1, 1, 1, 0, 0], {1: DOG}), true, void=void)[0] == {CAT: ([], 1, 0), DOG: ([], 0, 1)}


def test_crowds_excuse_their_category_alone():
    true, crowd = segments([1, 0, 0, 0], {1: DOG}), segments([0, 1, 1, 1], {1: CAT})
    both = segments([1, 2, 2, 3], {1: DOG, 2: CAT, 3: DOG})
    assert counted(both, true, crowds=crowd)[0] == {DOG: ([1.0], 0, 1)}


def test_several_crowds_count_together():
    true = segments([1, 0, 0, 0, 0], {1: DOG})
    crowds = segments([0, 1, 2, 0, 0], {1: CAT, 2: CAT})
    assert counted(segments([2, 1, 1, 1, 0], {1: CAT, 2: DOG}), true, crowds=crowds)[0] == {DOG: ([1.0], 0, 0)}


def test_overlaps_are_settled_and_told():
    wide, narrow = segments([1, 1, 1, 1], {1: CAT})[0], segments([0, 0, 0, 1], {1: CAT})[0]
    strong, weak = segments([1, 1, 1, 0], {1: CAT}, {1: 0.9})[0], segments([0, 0, 1, 1], {1: CAT}, {1: 0.2})[0]
    counts, hidden = counted([strong, weak], [wide, narrow])
    assert counts == {CAT: ([1.0, 1.0], 0, 0)}
    assert hidden == 2
    truth = GroundTruth({"a": TruthImage((1, 4), [wide, narrow])})
    assert "but 2 pixels belong to several here" in evaluate({"a": [strong, weak]}, truth).notes[-1]


def test_many_labels_are_counted_without_a_table():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 90, (2, 20, 30)).astype(np.int32)
    pairs, expected = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1, return_counts=True)
    for most in (89, 4000):  # a table, and none
        rows, columns, counts = joint_counts(first, second, most, most)
        assert np.array_equal(pairs, [rows, columns]) and np.array_equal(expected, counts)


def test_stuff_that_the_truth_does_not_know_is_left_out():
    things, both = segments([1, 1, 0], {1: CAT}), segments([1, 1, 2], {1: CAT, 2: SKY})
    names = Categories([CATEGORIES[CAT], CATEGORIES[SKY]])
    report = evaluate({"a": both}, GroundTruth({"a": TruthImage((1, 3), things)}), categories=names)
    assert report.panoptic == {"things": report.categories[0].panoptic} and report.panoptic["things"].pq == 1
    knowing = GroundTruth({"a": TruthImage((1, 3), things, stuff=both[1:])}, names)
    report = evaluate({"a": both}, knowing)
    assert {name: quality.pq for name, quality in report.panoptic.items()} == {"all": 1, "things": 1, "stuff": 1}
    assert (report.truth, report.predicted, report.faults.spurious) == (1, 1, 0)  # AP is about things
    assert [(row.name, row.compared) for row in report.categories] == [("cat", True), ("sky", False)]
    report = evaluate({"a": things}, knowing)
    assert set(report.panoptic) == {"things"}
    assert "There is no stuff among the predictions" in report.notes[-1]


def test_a_panoptic_file_is_read(tmp_path):
    true = np.array([[0, 1, 1, 300], [2, 2, 70000, 70000]])
    of, name = {1: CAT, 2: SKY, 300: CAT, 70000: DOG}, "panoptic_val"
    path = write_panoptic(tmp_path, name, {"x": (true, of)}, CATEGORIES, {"x": {70000}}, dict.fromkeys(of, 0.5))
    truth = load_truth(path)
    image = truth.images["x"]
    assert (image.size, image.id, image.void.area) == ((2, 4), 1, 1)
    assert [(i.category, i.area) for i in image.instances] == [(CAT, 2), (CAT, 1)]
    assert [(i.category, i.area) for i in image.crowds] == [(DOG, 2)]
    assert [(i.category, i.area) for i in image.stuff] == [(SKY, 2)]
    found = load_predictions(path, truth)
    assert (found.notes, [i.score for i in found.images["x"]]) == ([], [0.5] * 4)
    (tmp_path / "some.txt").write_text("x.jpg\n")
    assert list(load_truth(path, str(tmp_path / "some.txt")).images) == ["x"]


def test_the_sign_of_a_panoptic_file_is_found_wherever_it_lies(tmp_path, monkeypatch):
    path = write_panoptic(tmp_path, "p", {"x": (strip(1), {1: CAT})}, CATEGORIES, {"x": set()})
    assert not is_panoptic(tmp_path / "none.json")
    for size in (16, 17, 23, 64):  # across the borders of blocks
        monkeypatch.setattr(panoptic_reader, "_BLOCK", size)
        assert is_panoptic(path)
    path.write_text(path.read_text().replace("segments_info", "segments"))
    assert not is_panoptic(path)


def test_ids_of_images_may_be_names(tmp_path):
    path = write_panoptic(tmp_path, "p", {"x": (strip(1), {1: CAT})}, CATEGORIES, {"x": set()})
    content = json.loads(path.read_text())
    content["images"][0]["id"] = content["annotations"][0]["image_id"] = "street_1"
    path.write_text(json.dumps(content))
    assert load_truth(path).images["x"].id is None


def test_segments_without_scores_are_scored_by_area(tmp_path):
    path = write_panoptic(tmp_path, "panoptic", {"x": (strip(1, 1, 1, 2), {1: CAT, 2: SKY})}, CATEGORIES, {"x": set()})
    found = load_predictions(tmp_path)
    assert [i.score for i in found.images["x"]] == [0.75, 0.25]
    assert f"{path} has no scores" in found.notes[0]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda c: c["annotations"][0].update(file_name="../x.png"), "leads out of its folder"),
        (lambda c: c["annotations"][0].update(file_name="y.png"), r"y\.png does not exist"),
        (lambda c: c["annotations"][0].pop("file_name"), "'file_name' is missing"),
        (lambda c: c["annotations"][0]["segments_info"].pop(), r"has the segment 2, which the JSON does not list"),
        (
            lambda c: c["annotations"][0]["segments_info"].append({"id": 9, "category_id": 3}),
            "no pixel of the segment 9",
        ),
        (lambda c: c["annotations"][0]["segments_info"].append({"id": 1, "category_id": 3}), "is there twice"),
        (lambda c: c["annotations"][0]["segments_info"][0].update(score=math.inf), "not a finite number"),
        (lambda c: c["annotations"].append(c["annotations"][0]), "two images called x"),
        (lambda c: c["categories"][0].pop("name"), "'name' is missing"),
        (lambda c: c.update(annotations={"segments_info": 1}), "has no annotations"),
    ],
)
def test_damaged_panoptic_files_are_a_sentence(tmp_path, damage, sentence):
    path = write_panoptic(tmp_path, "p", {"x": (strip(1, 2), {1: CAT, 2: SKY})}, CATEGORIES, {"x": set()})
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=sentence):
        load_truth(path)


def test_panoptic_pngs_must_be_colours_and_there(tmp_path):
    path = write_panoptic(tmp_path, "p", {"x": (strip(1), {1: CAT})}, CATEGORIES, {"x": set()})
    Image.new("L", (1, 1)).save(tmp_path / "p" / "x.png")
    with pytest.raises(ImageError, match="hold numbers as RGB"):
        load_truth(path)
    (tmp_path / "p").rename(tmp_path / "q")
    with pytest.raises(InputError, match=r"the folder of the PNGs of p\.json, is missing"):
        load_truth(path)
