"""Ground truth of other data sets: Cityscapes, ADE20K, label images; each in the files that it really has."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from small_sets import write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.data.category_lists import load_categories
from sisegcli.errors import ImageError, LayoutError
from sisegcli.evaluation import TRUTHS, evaluate, load_truth
from sisegcli.evaluation.label_truth import read_ids
from sisegcli.formats.cityscapes import CityscapesWriter
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Instance, instances_from_labels

SKY, PERSON, CAR = 23, 24, 26


def areas(instances):
    return [(i.category, i.area) for i in instances]


# Cityscapes


def write_cityscapes(root, values, name="val/ulm/ulm_000000_000019"):
    write_png(root / "gtFine" / f"{name}_gtFine_instanceIds.png", np.asarray(values, np.uint16))
    return root


def test_cityscapes(tmp_path):
    values = [[0, 23, 23, 24000, 24001, 26], [30000, 7, 3, 24000, 24001, 26]]
    truth = load_truth(write_cityscapes(tmp_path, values))
    [(stem, image)] = truth.images.items()
    assert stem == "val/ulm/ulm_000000_000019_leftImg8bit"
    assert areas(image.instances) == [(PERSON, 2), (PERSON, 2)]
    assert areas(image.crowds) == [(CAR, 2)]  # a group of cars
    assert areas(image.stuff) == [(7, 1), (SKY, 2)]
    assert image.void.mask().astype(int).tolist() == [[1, 0, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]]  # a trailer is ignored
    assert truth.categories.name(SKY) == "sky" and not truth.categories.isthing(SKY)


def test_cityscapes_is_known_from_any_of_its_folders(tmp_path):
    root = write_cityscapes(tmp_path / "city", [[24000]])
    write_cityscapes(root, [[24000]], "train/bonn/bonn_1")
    assert list(load_truth(root, "train").images) == ["train/bonn/bonn_1_leftImg8bit"]
    assert list(load_truth(root / "gtFine" / "val").images) == ["ulm/ulm_000000_000019_leftImg8bit"]
    assert list(load_truth(root / "gtFine" / "val", "val").images) == ["ulm/ulm_000000_000019_leftImg8bit"]
    with pytest.raises(LayoutError, match="no images in a folder called test; folders there: train, val"):
        load_truth(root, "test")


@pytest.mark.parametrize("value", [34, 23000, 65535])
def test_values_that_cityscapes_does_not_have(tmp_path, value):
    with pytest.raises(ImageError, match=f"has the value {value}, which is no id of Cityscapes"):
        load_truth(write_cityscapes(tmp_path, [[value]]))


def test_what_we_write_for_cityscapes_is_read_back(tmp_path):
    labels = np.array([[1, 1, 2], [3, 3, 3]], np.int32)
    instances = instances_from_labels(labels, {1: CAR, 2: CAR, 3: SKY})
    writer = CityscapesWriter(tmp_path, load_categories("cityscapes"))
    writer.add(ImageResult("ulm/x_leftImg8bit", Path("x.png"), (2, 3), instances))
    writer.close()
    truth = load_truth(tmp_path)
    assert {stem: (image.instances, image.stuff) for stem, image in truth.images.items()} == {
        "ulm/x_leftImg8bit": (instances[:2], instances[2:])
    }
    report = evaluate({"ulm/x_leftImg8bit": instances}, truth)
    assert [round(q.pq, 9) for q in report.panoptic.values()] == [1, 1, 1]


# ADE20K


def write_challenge(root, split, name, kinds, objects, semantic=None):
    colours = np.stack([kinds, objects, np.zeros_like(kinds)], axis=-1).astype(np.uint8)
    write_png(root / "annotations_instance" / split / f"{name}.png", colours)
    if semantic is not None:
        write_png(root / "annotations" / split / f"{name}.png", np.asarray(semantic, np.uint8))


def test_ade20k_of_the_challenge(tmp_path):
    kinds, objects = np.array([[0, 4, 4, 4], [0, 0, 100, 0]]), np.array([[0, 1, 1, 2], [0, 0, 7, 0]])
    root = tmp_path / "ADEChallengeData2016"
    write_challenge(root, "validation", "ADE_val_00000001", kinds, objects, [[3, 13, 13, 13], [3, 0, 13, 13]])
    write_challenge(root, "training", "ADE_train_00000001", kinds, objects)
    truth = load_truth(tmp_path)
    image = truth.images["validation/ADE_val_00000001"]
    assert areas(image.instances) == [(13, 2), (13, 1), (150, 1)]  # the 4th thing is a person, the 100th a flag
    assert areas(image.stuff) == [(3, 2)]
    # No label, or that of a thing without an object: void to PQ, but not to AP.
    assert image.unlabeled.mask().astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 0, 1]]
    assert image.void is None
    assert truth.images["training/ADE_train_00000001"].stuff is None
    for folder in (root, root / "annotations_instance"):
        assert list(load_truth(folder, "validation").images) == ["validation/ADE_val_00000001"]


def test_what_void_of_ade20k_is_to_whom(tmp_path):
    write_challenge(tmp_path, "validation", "a", np.array([[4, 0, 0]]), np.array([[1, 0, 0]]), [[13, 0, 0]])
    truth = load_truth(tmp_path)
    report = evaluate({"a": [Instance.from_mask(np.ones((1, 3), bool), 13)]}, truth)
    assert (report.panoptic["things"].pq, report.ap) == (1, 0)


def test_things_and_sizes_that_the_challenge_does_not_have(tmp_path):
    write_challenge(tmp_path, "validation", "a", np.array([[101]]), np.array([[1]]))
    with pytest.raises(ImageError, match="has the thing 101, but the challenge has 100"):
        load_truth(tmp_path)
    write_challenge(tmp_path, "validation", "a", np.array([[1]]), np.array([[1]]), [[3, 3]])
    with pytest.raises(ImageError, match="is 2 x 1 pixels, but its instances are 1 x 1"):
        load_truth(tmp_path)
    write_png(tmp_path / "annotations_instance/validation/a.png", np.zeros((1, 1), np.uint8))
    with pytest.raises(ImageError, match=r"a\.png has the mode L, but"):
        load_truth(tmp_path)


def write_full(root, name, ids, objects, names):
    ids = np.asarray(ids)
    colours = np.stack([ids // 256 * 10, ids % 256, objects], axis=-1).astype(np.uint8)
    write_png(root / f"{name}_seg.png", colours)
    write_png(root / f"{name}.jpg", np.zeros((*ids.shape, 3), np.uint8))
    listed = [{"name": name, "name_ndx": number} for number, name in names.items()]
    (root / f"{name}.json").write_text(json.dumps({"annotation": {"object": listed}}), "latin-1")


def test_the_full_ade20k(tmp_path):
    street = tmp_path / "images/ADE/training/urban/street"
    ids = [[401, 401, 401, 2420], [0, 401, 2420, 2420]]
    objects = [[128, 128, 255, 64], [0, 255, 64, 64]]  # spread over 0 to 255
    write_full(street, "ADE_train_00000001", ids, objects, {401: "car, auto", 2420: "sky"})
    truth = load_truth(tmp_path, "training")
    [(stem, image)] = truth.images.items()
    assert stem == "images/ADE/training/urban/street/ADE_train_00000001"
    assert areas(image.instances) == [(401, 2), (401, 2)]
    assert areas(image.stuff) == [(2420, 3)]
    assert image.unlabeled.box == (1, 0, 1, 1)
    assert truth.categories.name(401) == "car, auto"


@pytest.mark.data
def test_real_objects_of_the_full_ade20k(data_root):
    root = data_root / "fixtures/ade20k_full_3/dataset"
    truth = load_truth(root)
    assert len(truth.images) == 3
    overlaps = []
    for stem, image in truth.images.items():
        beside = root / f"{stem}.json"
        listed = json.loads(beside.read_text("latin-1"))["annotation"]["object"]
        objects = [o for o in listed if o["parts"]["part_level"] == 0 and truth.categories.isthing(o["name_ndx"])]
        assert len(objects) == len(image.instances)
        for one in objects:
            # The data set's own mask of the object: 255 is visible, 128 is hidden by others.
            with Image.open(beside.parent / one["instance_mask"]) as picture:
                visible = np.asarray(picture) == 255
            mine = [i.rle for i in image.instances if i.category == one["name_ndx"]]
            overlaps.append(coco_mask.iou(mine, [Instance.from_mask(visible, 1).rle], [0]).max())
    assert len(overlaps) == 76 and min(overlaps) > 0.96
    assert overlaps.count(1) == 73  # the files of the others leave out up to 196 pixels
    perfect = {stem: [*image.instances, *image.stuff] for stem, image in truth.images.items()}
    report = evaluate(perfect, truth)
    assert [q.pq for q in report.panoptic.values()] == pytest.approx([1, 1, 1])
    assert report.ap == report.boundary.ap == pytest.approx(1)


# Label images


def write_tiff(path, values):
    tifffile = pytest.importorskip("tifffile")
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values)


@pytest.mark.parametrize(
    ("values", "expected", "void"),
    [
        (np.array([[0, 7, 255]], np.uint8), [0, 7, 255], [0, 0, 1]),
        (np.array([[0, 255, 65535]], np.uint16), [0, 255, 65535], [0, 0, 1]),
        (np.array([[0, 70000, 2**32 - 1]], np.uint32), [0, 70000, 2**32 - 1], [0, 0, 1]),
        (np.array([[0, 70000, -1]], np.int32), [0, 70000, -1], [0, 0, 1]),
    ],
)
def test_numbers_of_all_widths(tmp_path, values, expected, void):
    write_tiff(tmp_path / "x.tif", values)
    ids, nobody = read_ids(tmp_path / "x.tif")
    assert (ids.tolist(), nobody.astype(int).tolist()) == ([expected], [void])
    if values.dtype.itemsize < 4:
        write_png(tmp_path / "x.png", values)
        assert np.array_equal(read_ids(tmp_path / "x.png")[0], ids)


def test_wide_labels_in_folders(tmp_path):
    write_tiff(tmp_path / "instances/deep/x.tiff", np.array([[70000, 70000, 70001, 2**32 - 1]], np.uint32))
    write_png(tmp_path / "masks/deep/x.png", np.array([[8, 8, 12, 12]], np.uint8))
    image = load_truth(tmp_path).images["deep/x"]
    assert areas(image.instances) == [(8, 2), (12, 1)]
    assert (image.void.box, image.stuff) == ((0, 3, 1, 1), None)


def test_labels_side_by_side_with_stuff(tmp_path):
    write_png(tmp_path / "a" / "x.png", np.zeros((1, 4, 3), np.uint8))
    write_png(tmp_path / "a" / "x_instances.png", np.array([[1, 2, 0, 0]], np.uint16))
    write_png(tmp_path / "a" / "x_mask.png", np.array([[8, 8, 20, 255]], np.uint8))
    (tmp_path / "a" / "categories.csv").write_text("id,name,isthing\n8,cat,1\n20,sky,0\n")
    [(stem, image)] = load_truth(tmp_path / "a").images.items()
    assert (stem, areas(image.instances), areas(image.stuff)) == ("x", [(8, 1), (8, 1)], [(20, 1)])
    assert image.void.box == (0, 3, 1, 1)
    with pytest.raises(LayoutError, match="has no lists of images"):
        load_truth(tmp_path / "a", "val")
    (tmp_path / "a" / "x_mask.png").unlink()
    with pytest.raises(LayoutError, match=r"x_mask\.png is missing"):
        load_truth(tmp_path / "a")


def test_label_images_that_are_none(tmp_path):
    write_tiff(tmp_path / "x.tif", np.zeros((2, 2), np.float32))
    with pytest.raises(ImageError, match="2 dimensions of float32 instead of numbers"):
        read_ids(tmp_path / "x.tif")
    write_tiff(tmp_path / "instances/x.tif", np.array([[2**31]], np.uint32))
    write_png(tmp_path / "masks/x.png", np.array([[1]], np.uint8))
    with pytest.raises(ImageError, match="holds a number above 2,147,483,647"):
        load_truth(tmp_path)


def test_what_is_not_known_is_one_sentence(tmp_path):
    (tmp_path / "nothing").mkdir()
    result = CliRunner().invoke(app, ["evaluate", "x", "--gt", str(tmp_path / "nothing")])
    assert result.exit_code == 1
    assert "is no ground truth; give a VOC folder" in result.stderr and "Cityscapes, ADE20K" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_documentation_lists_what_is_known():
    text = (Path(__file__).parent.parent / "docs/evaluation.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == list(TRUTHS)
