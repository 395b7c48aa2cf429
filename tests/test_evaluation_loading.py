import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import write_png

from sisegcli.categories import Categories, Category
from sisegcli.errors import ImageError, InputError, LayoutError
from sisegcli.evaluation import evaluate, load_coco_truth, load_predictions, load_truth, load_voc_truth
from sisegcli.formats.coco import CocoWriter
from sisegcli.formats.records import ImageResult
from sisegcli.formats.voc import VocWriter
from sisegcli.instances import Instance

OBJECTS = np.array([[1, 1, 1, 0, 2], [1, 1, 255, 2, 2], [0, 0, 0, 2, 2]], np.uint8)
CLASSES = np.array([[8, 8, 12, 0, 15], [8, 255, 255, 15, 15], [0, 0, 0, 15, 15]], np.uint8)


@pytest.fixture
def voc(tmp_path):
    """Write a VOC folder of two images, one of them in the split `val`."""
    root = tmp_path / "VOC2012"
    for stem in ("a", "b"):
        write_png(root / "SegmentationObject" / f"{stem}.png", OBJECTS)
        write_png(root / "SegmentationClass" / f"{stem}.png", CLASSES)
        write_png(root / "JPEGImages" / f"{stem}.jpg", np.zeros((3, 5, 3), np.uint8))
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("b\n")
    return root


def coco_content():
    square = [[0, 0, 2, 0, 2, 2, 0, 2]]
    one_row = {"size": [4, 4], "counts": [0, 1, 3, 1, 3, 1, 3, 1, 3]}
    return {
        "images": [
            {"id": 10, "file_name": "street/x.jpg", "height": 4, "width": 4},
            {"id": 20, "file_name": "street/y.jpg", "height": 4, "width": 4},
        ],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 1, "segmentation": square, "area": 4.5, "iscrowd": 0},
            {"id": 2, "image_id": 10, "category_id": 1, "segmentation": one_row, "area": 4, "iscrowd": 1},
        ],
    }


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_voc_truth(voc):
    truth = load_voc_truth(voc)
    assert list(truth.images) == ["a", "b"]
    image = truth.images["a"]
    assert image.size == (3, 5)
    assert [(i.category, i.area) for i in image.instances] == [(8, 4), (15, 5)]  # the void pixel of class is gone
    assert image.void.mask().astype(int).tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert (truth.categories.name(8), image.crowds, image.areas, image.id) == ("cat", [], None, None)


def test_voc_split_and_parent_folder(voc):
    assert list(load_voc_truth(voc, "val").images) == ["b"]
    assert list(load_truth(voc.parent, "val").images) == ["b"]
    with pytest.raises(LayoutError, match="splits there: val"):
        load_voc_truth(voc, "train")


def test_a_list_of_categories_beside_the_images_wins(voc):
    (voc / "classes.txt").write_text("apple\nleaf\n")
    assert load_voc_truth(voc).categories.name(2) == "leaf"


def test_a_missing_file_of_a_pair_is_named(voc):
    (voc / "SegmentationClass" / "b.png").unlink()
    with pytest.raises(LayoutError, match=r"SegmentationClass/b\.png is missing"):
        load_voc_truth(voc)


def test_sizes_that_differ_are_named(voc):
    write_png(voc / "SegmentationClass" / "b.png", CLASSES[:2])
    with pytest.raises(ImageError, match=r"b\.png is 5 x 3 pixels"):
        load_voc_truth(voc)


def test_16_bits_have_another_void(tmp_path):
    objects = np.array([[255, 65535, 300]], np.uint16)
    for name, values in (("instances", objects), ("masks", np.array([[1, 1, 1]], np.uint8))):
        write_png(tmp_path / name / "deep" / "n.png", values)
    image = load_truth(tmp_path).images["deep/n"]
    assert [i.box for i in image.instances] == [(0, 0, 1, 1), (0, 2, 1, 1)]
    assert image.void.box == (0, 1, 1, 1)


@pytest.mark.parametrize("name", ["SegmentationObject", "SegmentationClass"])
def test_folders_that_are_no_ground_truth(tmp_path, name):
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        load_truth(tmp_path / "nowhere")
    (tmp_path / name).mkdir()
    with pytest.raises(LayoutError, match=r"has no Segmentation(Object|Class), so it is no ground truth"):
        load_truth(tmp_path)


def test_an_empty_ground_truth_is_refused(tmp_path):
    (tmp_path / "SegmentationObject").mkdir()
    (tmp_path / "SegmentationClass").mkdir()
    with pytest.raises(LayoutError, match="holds no PNGs"):
        load_truth(tmp_path)
    with pytest.raises(InputError, match="has no images"):
        load_coco_truth(write_json(tmp_path / "gt.json", {"images": [], "annotations": [], "categories": []}))


def test_coco_truth(tmp_path):
    truth = load_truth(write_json(tmp_path / "gt.json", coco_content()))
    assert list(truth.images) == ["street/x", "street/y"]
    image = truth.images["street/x"]
    assert (image.size, image.id, image.void, image.areas) == ((4, 4), 10, None, [4.5])
    assert [(i.category, i.area) for i in image.instances] == [(1, 4)]
    assert [i.box for i in image.crowds] == [(0, 0, 1, 4)]
    assert truth.categories.name(1) == "person"


def test_coco_split(tmp_path):
    path = write_json(tmp_path / "gt.json", coco_content())
    split = tmp_path / "some.txt"
    split.write_text("street/y.jpg\n\n")
    assert list(load_truth(path, str(split)).images) == ["street/y"]
    split.write_text("street/z\n")
    with pytest.raises(InputError, match="names street/z, which is not among the images"):
        load_truth(path, str(split))
    with pytest.raises(InputError, match="val cannot be read; for a COCO file, --split names a text file"):
        load_truth(path, "val")


def test_coco_truth_needs_images_with_names_of_their_own(tmp_path):
    content = coco_content()
    content["images"][1]["file_name"] = "street/x.png"
    with pytest.raises(InputError, match="two images called street/x"):
        load_coco_truth(write_json(tmp_path / "gt.json", content))
    with pytest.raises(InputError, match="list of COCO results; the ground truth must be"):
        load_coco_truth(write_json(tmp_path / "results.json", []))


def results():
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    return [Instance.from_mask(mask, 1, 0.25), Instance.from_mask(~mask, 200, 0.75)]


def write_with(writer, out, **options):
    made = writer(out, Categories([Category(1, "person")]), **options)
    made.add(ImageResult("street/x", Path("x.jpg"), (4, 4), results()))
    made.add(ImageResult("street/y", Path("y.jpg"), (4, 4), []))
    made.close()
    return out


@pytest.mark.parametrize("writer", [CocoWriter, VocWriter])
def test_what_we_write_is_read_back(tmp_path, writer):
    predictions = load_predictions(write_with(writer, tmp_path))
    assert predictions.images == {"street/x": results(), "street/y": []}
    assert predictions.notes == []
    truth = load_coco_truth(write_json(tmp_path / "gt.json", coco_content()))
    assert evaluate(predictions.images, truth).ap == pytest.approx(1)


def test_our_file_itself_and_our_polygons(tmp_path):
    file = write_with(CocoWriter, tmp_path, polygons=True) / "instances.json"
    assert load_predictions(file).images["street/x"] == results()
    assert load_predictions(file).categories.name(1) == "person"


def test_a_category_of_0_comes_from_the_table(tmp_path):
    writer = VocWriter(tmp_path, Categories())
    writer.add(ImageResult("x", Path("x.jpg"), (1, 2), [Instance.from_mask(np.array([[True, False]]), 0, 0.5)]))
    writer.close()
    [instance] = load_predictions(tmp_path).images["x"]
    assert (instance.category, instance.score) == (0, 0.5)


def test_pngs_without_a_table_are_scored_by_area(tmp_path):
    (write_with(VocWriter, tmp_path) / "instances.csv").unlink()
    predictions = load_predictions(tmp_path)
    assert [i.score for i in predictions.images["street/x"]] == [0.25, 0.75]
    assert "no instances.csv" in predictions.notes[0]


def test_a_table_that_is_none(tmp_path):
    (write_with(VocWriter, tmp_path) / "instances.csv").write_text("stem,instance\nstreet/x,1\n")
    with pytest.raises(InputError, match=r"instances\.csv cannot be read .*needs the columns stem, instance"):
        load_predictions(tmp_path)


def test_coco_results_are_found_by_image_id(tmp_path):
    rle = {"size": [4, 4], "counts": results()[0].counts.decode()}
    entries = [
        {"image_id": number, "category_id": 1, "segmentation": rle, "score": score}
        for number, score in ((10, 0.9), (10, 0.8), (99, 0.7))
    ]
    path = write_json(tmp_path / "results.json", entries)
    truth = load_coco_truth(write_json(tmp_path / "gt.json", coco_content()))
    predictions = load_predictions(path, truth)
    assert {stem: [i.score for i in found] for stem, found in predictions.images.items()} == {"street/x": [0.9, 0.8]}
    assert predictions.notes == ["Ignored: predictions of image ids that are not in the ground truth (1)."]
    with pytest.raises(InputError, match="names images by number alone"):
        load_predictions(path)


def test_what_is_no_prediction(tmp_path):
    with pytest.raises(InputError, match=r"neither SegmentationObject and SegmentationClass nor instances\.json"):
        load_predictions(tmp_path)
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        load_predictions(tmp_path / "none.json")


def test_colours_are_no_ids(voc):
    Image.new("RGB", (5, 3)).save(voc / "SegmentationObject" / "a.png")
    with pytest.raises(ImageError, match="has colours"):
        load_predictions(voc)
