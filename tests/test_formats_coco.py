"""COCO files: valid for pycocotools, and read back as written."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sisegcli.categories import Categories, Category
from sisegcli.errors import InputError, OutputError
from sisegcli.formats.coco import CocoWriter, read_coco
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Instance, instances_from_labels

LABELS = np.array(
    [
        [1, 1, 0, 2, 2, 2],
        [1, 1, 0, 2, 0, 2],
        [0, 0, 0, 2, 2, 2],
        [3, 3, 3, 3, 3, 3],
    ]
)
CATEGORIES = Categories([Category(15, "person", supercategory="human"), Category(3, "sky", isthing=False)])


def result(stem="street/a", labels=LABELS):
    instances = instances_from_labels(labels, {1: 15, 2: 7, 3: 3}, {1: 0.9, 2: 0.8123456789, 3: 0.5})
    return ImageResult(stem, Path(f"/photos/{stem}.jpg"), labels.shape, instances)


def write(out, *results, **options):
    writer = CocoWriter(out, CATEGORIES, **options)
    for one in results:
        writer.add(one)
    writer.close()
    return out / "instances.json"


def test_content(tmp_path):
    path = write(tmp_path, result(), result("b", LABELS[:, ::-1]))
    content = json.loads(path.read_text())
    assert list(content) == ["info", "licenses", "images", "annotations", "categories"]
    assert content["images"] == [
        {"id": 1, "file_name": "street/a.jpg", "width": 6, "height": 4},
        {"id": 2, "file_name": "b.jpg", "width": 6, "height": 4},
    ]
    assert content["categories"] == [
        {"id": 3, "name": "sky", "supercategory": "", "isthing": 0},
        {"id": 7, "name": "class-7", "supercategory": "", "isthing": 1},
        {"id": 15, "name": "person", "supercategory": "human", "isthing": 1},
    ]
    assert [a["id"] for a in content["annotations"]] == [1, 2, 3, 4, 5, 6]
    assert [a["image_id"] for a in content["annotations"]] == [1, 1, 1, 2, 2, 2]
    ring = content["annotations"][1]
    assert (ring["category_id"], ring["area"], ring["bbox"]) == (7, 8, [3, 0, 3, 3])
    assert (ring["iscrowd"], ring["score"]) == (0, 0.812346)
    assert ring["segmentation"]["size"] == [4, 6]
    np.testing.assert_array_equal(coco_mask.decode(ring["segmentation"]), LABELS == 2)


@pytest.mark.parametrize("polygons", [False, True])
def test_pycocotools_agrees(tmp_path, polygons, capsys):
    big = np.kron(LABELS, np.ones((30, 30), int))
    path = write(tmp_path, result("a", big), result("b", big.T), polygons=polygons)
    truth = COCO(str(path))
    assert len(truth.getAnnIds()) == 6
    for annotation in truth.loadAnns(truth.getAnnIds(imgIds=[2])):
        expected = {15: 1, 7: 2, 3: 3}[annotation["category_id"]] == big.T
        np.testing.assert_array_equal(truth.annToMask(annotation), expected)
    content = json.loads(path.read_text())
    keys = ("image_id", "category_id", "segmentation", "score")
    if polygons:  # results have run lengths in any case
        for annotation in content["annotations"]:
            annotation["segmentation"] = truth.annToRLE(annotation)
    found = truth.loadRes([{key: a[key] for key in keys} for a in content["annotations"]])
    evaluation = COCOeval(truth, found, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
    capsys.readouterr()


@pytest.mark.parametrize("polygons", [False, True])
def test_reads_what_it_wrote(tmp_path, polygons):
    written = [result(), result("empty", np.zeros((5, 3), int))]
    coco = read_coco(write(tmp_path, *written, polygons=polygons))
    assert [(i.id, i.file_name, i.size) for i in coco.images.values()] == [
        (1, "street/a.jpg", (4, 6)),
        (2, "empty.jpg", (5, 3)),
    ]
    assert [c.name for c in coco.categories.values()] == ["sky", "class-7", "person"]
    assert not coco.categories.isthing(3)
    assert not coco.is_results
    assert coco.annotations[2] == []
    for annotation, instance in zip(coco.annotations[1], written[0].instances, strict=True):
        assert not annotation.crowd
        assert annotation.area == instance.area
        assert annotation.instance.score == pytest.approx(instance.score, abs=1e-6)
        assert (annotation.instance.category, annotation.instance.box) == (instance.category, instance.box)
        np.testing.assert_array_equal(annotation.instance.mask(), instance.mask())


def test_no_images_at_all(tmp_path):
    coco = read_coco(write(tmp_path / "new" / "folder"))
    assert coco.images == {} and coco.annotations == {}


def test_nothing_but_the_file_stays(tmp_path):
    write(tmp_path, result())
    assert [p.name for p in tmp_path.iterdir()] == ["instances.json"]


def test_abort_leaves_nothing(tmp_path):
    writer = CocoWriter(tmp_path, CATEGORIES)
    writer.add(result())
    assert list(tmp_path.iterdir())
    writer.abort()
    assert not list(tmp_path.iterdir())


def test_abort_and_close_after_close_do_nothing(tmp_path):
    writer = CocoWriter(tmp_path, CATEGORIES)
    writer.close()
    before = writer.path.read_bytes()
    writer.close()
    writer.abort()
    assert writer.path.read_bytes() == before
    assert writer.paths == [tmp_path / "instances.json"]


def test_existing_files_are_refused(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"instances\.json exists already; .*--overwrite"):
        CocoWriter(tmp_path, CATEGORIES)
    assert path.read_text() == "mine"
    aborted = CocoWriter(tmp_path, CATEGORIES, overwrite=True)
    aborted.abort()
    assert path.read_text() == "mine"
    assert len(read_coco(write(tmp_path, result(), overwrite=True)).images) == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        CocoWriter(tmp_path / "file" / "out", CATEGORIES)


def ground_truth(**changes):
    annotation = {"id": 9, "image_id": 4, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 2, 2], "area": 4.5}
    annotation["segmentation"] = [[0, 0, 2, 0, 2, 2, 0, 2]]
    return {
        "images": [{"id": 4, "file_name": "x.jpg", "height": 3, "width": 4}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [annotation | changes],
    }


def save(tmp_path, content):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    "segmentation",
    [
        [[0, 0, 2, 0, 2, 2, 0, 2]],
        [[0, 0, 1, 0, 1, 2, 0, 2], [1, 0, 2, 0, 2, 2, 1, 2]],
        {"size": [3, 4], "counts": [0, 2, 1, 2, 7]},
        {"size": [3, 4], "counts": Instance.from_mask(np.indices((3, 4)).max(axis=0) < 2, 1).counts.decode()},
    ],
)
def test_every_kind_of_segmentation(tmp_path, segmentation):
    coco = read_coco(save(tmp_path, ground_truth(segmentation=segmentation, iscrowd=1)))
    (annotation,) = coco.annotations[4]
    assert annotation.instance.mask().astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert (annotation.crowd, annotation.area, annotation.instance.score) == (True, 4.5, 1.0)


def test_empty_segmentations_are_left_out(tmp_path):
    assert read_coco(save(tmp_path, ground_truth(segmentation=[]))).annotations == {4: []}


def test_results_files(tmp_path):
    instance = Instance.from_mask(np.eye(3, dtype=bool), 2)
    segmentation = {"size": [3, 3], "counts": instance.counts.decode()}
    entry = {"image_id": 4, "category_id": 2, "segmentation": segmentation, "score": 0.25}
    coco = read_coco(save(tmp_path, [entry]))
    assert coco.is_results and not coco.categories
    assert coco.images[4].size == (3, 3)
    assert coco.annotations[4][0].instance.score == 0.25
    np.testing.assert_array_equal(coco.annotations[4][0].instance.mask(), np.eye(3, dtype=bool))
    with pytest.raises(InputError, match="without the size"):
        read_coco(save(tmp_path, [entry | {"segmentation": [[0, 0, 2, 0, 2, 2]]}]))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"segmentation": {"size": [3, 4], "counts": "1"}}, "does not fill its image"),
        ({"segmentation": {"size": [3, 4], "counts": "o"}}, "damaged"),
        ({"segmentation": {"size": [3, 4], "counts": "~~"}}, "damaged"),
        ({"segmentation": {"size": [3, 4], "counts": [5, -5, 12]}}, "does not fill its image"),
        ({"segmentation": {"size": [4, 4], "counts": [16]}}, "size"),
        ({"segmentation": {"size": [0, 4], "counts": []}}, "height 0"),
        ({"segmentation": [[1, 2, 3, 4]]}, "three corners"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e12]]}, "far outside"),
        ({"segmentation": [[1, 2, 3, 4, 5, None]]}, "annotation number 1"),
        ({"segmentation": 5}, "annotation number 1"),
        ({"image_id": 5}, "image 5 is not in the file"),
        ({"category_id": "cat"}, "annotation number 1"),
    ],
)
def test_bad_annotations_are_named(tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        read_coco(save(tmp_path, ground_truth(**changes)))
    assert "truth.json" in str(error.value)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_coco(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match=r"broken\.json is not JSON"):
        read_coco(tmp_path / "broken.json")
    for content in ({"images": []}, 5):
        with pytest.raises(InputError, match=r"truth\.json is not a COCO file"):
            read_coco(save(tmp_path, content))
    content = ground_truth()
    del content["images"][0]["height"]
    with pytest.raises(InputError, match="'height' is missing"):
        read_coco(save(tmp_path, content))
