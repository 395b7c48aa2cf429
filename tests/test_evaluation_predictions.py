"""Predictions of every format that convert writes, read back: the same masks, categories and scores."""

from __future__ import annotations

import json
import tarfile
import zipfile

import numpy as np
import pytest
from format_scenes import CATEGORIES, LABELS, RANDOM, fill, scene, write
from hypothesis import given, settings
from hypothesis import strategies as st

from sisegcli.categories import Categories
from sisegcli.errors import InputError, SisegError
from sisegcli.evaluation import GroundTruth, TruthImage, evaluate, load_predictions
from sisegcli.formats import filling
from sisegcli.formats.filling import fill_polygons
from sisegcli.formats.one_outline import one_outline
from sisegcli.instances import Instance, instances_from_labels

SCENES = [scene(), scene("b", labels=np.zeros((3, 4), int)), scene("c", labels=LABELS.T.copy())]

# What is named itself, besides the output folder; whether scores are kept; whether sizes are the ground truth's.
FORMATS = {
    "coco": ("instances.json", True, False),
    "voc": ("", True, False),
    "coco-panoptic": ("panoptic.json", True, False),
    "tiff": ("labels.csv", True, False),
    "npz": ("npz", True, False),
    "datumaro": ("datumaro", True, False),
    "webdataset": ("instances.tar", True, False),
    "ade20k": ("ade20k", True, False),
    "labelme": ("labelme", True, False),
    "geojson": ("geojson", True, True),
    "cityscapes": ("gtFine", False, False),
    "yolo": ("yolo", False, True),
}


def truth_of(*scenes, categories=CATEGORIES):
    images = {one.stem: TruthImage(one.size, one.instances) for one in scenes}
    return GroundTruth(images, categories)


def shown(instances, scored):
    """Instances as plain data, in an order of their own."""
    return sorted((i.category, i.counts, round(i.score, 5) if scored else 0) for i in instances)


@pytest.mark.parametrize("name", FORMATS)
def test_what_we_write_is_read_back(tmp_path, name):
    if name == "tiff":
        pytest.importorskip("tifffile")
    place, scored, needs_sizes = FORMATS[name]
    write(name, tmp_path, *SCENES)
    truth = truth_of(*SCENES)
    for path in (tmp_path, tmp_path / place):
        if name == "datumaro" and path != tmp_path:
            path /= "annotations/default.json"
        found = load_predictions(path, truth)
        assert found.images.keys() == {one.stem for one in SCENES}
        for one in SCENES:
            assert shown(found.images[one.stem], scored) == shown(one.instances, scored)
        assert bool(found.notes) is not scored
        report = evaluate(found.images, truth, categories=found.categories, notes=found.notes)
        assert (report.ap, report.predicted) == (1, report.truth)
        assert report.notes == found.notes  # categories are called alike
    if needs_sizes:
        with pytest.raises(InputError, match="does not tell how large its image is"):
            load_predictions(tmp_path)
    else:
        assert load_predictions(tmp_path).images.keys() == found.images.keys()


def test_categories_without_ids_are_known_by_name(tmp_path):
    write("datumaro", tmp_path, *SCENES)
    found = load_predictions(tmp_path)
    ids = {i.category for i in found.images["street/a"]}
    assert len(ids) == 4 and {"car", 'person "x", <b>', "sky"} < {found.categories.name(number) for number in ids}
    others = truth_of(*SCENES, categories=Categories())
    assert len({i.category for i in load_predictions(tmp_path, others).images["street/a"]}) == 4


def test_what_keeps_scores_is_read_first(tmp_path):
    for name in ("yolo", "cityscapes", "npz"):
        write(name, tmp_path, *SCENES)
    assert load_predictions(tmp_path).notes == []
    assert load_predictions(tmp_path / "gtFine").notes != []


def test_images_of_cityscapes_get_their_names_back(tmp_path):
    street = scene("val/aachen_0_0_leftImg8bit")
    write("cityscapes", tmp_path, street)
    assert list(load_predictions(tmp_path).images) == [street.stem]


def test_ade20k_without_its_json(tmp_path):
    write("ade20k", tmp_path, *SCENES)
    for path in (tmp_path / "ade20k").rglob("*.json"):
        path.unlink()
    found = load_predictions(tmp_path)
    assert shown(found.images["c"], False) == shown(SCENES[2].instances, False)
    assert "has no scores" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "path", "content"),
    [
        ("npz", "npz/b.npz", b"no archive"),
        ("npz", "npz/b.npz", b"PK\x05\x06" + bytes(18)),
        ("datumaro", "datumaro/annotations/default.json", b"[]"),
        ("datumaro", "datumaro/annotations/default.json", b'{"items": [{}], "categories": {"label": {"labels": []}}}'),
        ("webdataset", "instances.tar", b"no archive"),
        ("webdataset", "instances.tar", b""),
        ("ade20k", "ade20k/b.json", b"{}"),
        ("ade20k", "ade20k/b_seg.png", b"no picture"),
        ("labelme", "labelme/b.json", b'{"imageHeight": 3, "imageWidth": -1, "shapes": []}'),
        (
            "labelme",
            "labelme/b.json",
            b'{"imageHeight": 3, "imageWidth": 4, "shapes": [{"label": "x", "points": [1]}]}',
        ),
        ("geojson", "geojson/b.geojson", b'{"features": [{"geometry": {"type": "Point"}}]}'),
        ("cityscapes", "gtFine/b_instanceIds.png", b"no picture"),
        ("yolo", "yolo/labels/b.txt", b"99 0 0 1 1 1 0\n"),
        ("yolo", "yolo/labels/b.txt", b"0 0 0 1\n"),
        ("yolo", "yolo/labels/b.txt", b"0 nan 0 1 1 1 0\n"),
        ("yolo", "yolo/data.yaml", b"train: x\n"),
        ("tiff", "labels.csv", b"stem,instance,category_id,score\n"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, path, content):
    if name == "tiff":
        pytest.importorskip("tifffile")
    write(name, tmp_path, *SCENES)
    (tmp_path / path).write_bytes(content)
    with pytest.raises(SisegError, match=r"b[._]|c\.|default\.json|instances\.tar|data\.yaml|street"):
        load_predictions(tmp_path, truth_of(*SCENES))


def test_an_array_that_says_it_is_endless_is_refused(tmp_path):
    (tmp_path / "npz").mkdir()
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1000000000000, 1000), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "npz/a.npz", "w") as archive:
        archive.writestr("labels.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match=r"a\.npz is not as sisegcli wrote it"):
        load_predictions(tmp_path)


def test_an_archive_that_would_swell_is_refused(tmp_path):
    (tmp_path / "npz").mkdir()
    from sisegcli.evaluation import label_predictions

    path = tmp_path / "npz" / "x.npz"
    np.savez_compressed(path, labels=np.zeros((400, 400), np.int32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_predictions, "MAX_PIXELS", 1000)
        with pytest.raises(InputError, match=r"x\.npz is not as sisegcli wrote it"):
            load_predictions(tmp_path)


def test_members_of_an_archive_are_its_json_files(tmp_path):
    write("webdataset", tmp_path, *SCENES)
    with tarfile.open(tmp_path / "instances.tar") as archive:
        record = json.load(archive.extractfile("street/a.json"))
    assert len(record["instances"]) == len(load_predictions(tmp_path).images["street/a"])


@settings(max_examples=60, deadline=None)
@given(RANDOM, st.integers(1, 3))
def test_outlines_are_filled_to_the_masks_that_they_came_from(labels, number):
    for instance in instances_from_labels(labels, {number: 1}):
        outline = one_outline(instance)
        np.testing.assert_array_equal(fill_polygons([outline], instance.size), instance.mask())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 9), st.floats(-2, 9)), min_size=1, max_size=7))
def test_polygons_are_filled_as_pixel_by_pixel(corners):
    np.testing.assert_array_equal(fill_polygons([corners], (6, 7)), fill(corners, (6, 7)))


def test_polygons_are_filled_in_parts(monkeypatch):
    zigzag = np.stack((np.arange(200) % 7, 40.0 * (np.arange(200) % 2)), 1)
    whole = fill_polygons([zigzag], (40, 100))
    monkeypatch.setattr(filling, "AT_ONCE", 120)  # three edges
    np.testing.assert_array_equal(fill_polygons([zigzag], (40, 100)), whole)
    assert whole.any()
    with pytest.raises(ValueError, match="more often than pixels can tell"):
        fill_polygons([zigzag], (40, 10))


def test_polygons_may_be_holes_and_nothing():
    square, hole = [(0, 0), (4, 0), (4, 4), (0, 4)], [(1, 1), (3, 1), (3, 3), (1, 3)]
    filled = fill_polygons([square, hole], (4, 4))
    assert Instance.from_mask(filled, 1).area == 12 and not filled[1:3, 1:3].any()
    assert not fill_polygons([], (2, 2)).any()
    with pytest.raises(ValueError, match="a list of corners"):
        fill_polygons([[1, 2, 3]], (2, 2))
