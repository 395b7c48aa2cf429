"""Cityscapes, ADE20K and NumPy: label images, read back by each field's own rules."""

import json

import numpy as np
import pytest
from format_scenes import CATEGORIES, CATEGORY, LABELS, RANDOM, SCORES, scene, write
from hypothesis import given
from PIL import Image

from sisegcli.categories import Categories, Category
from sisegcli.data.category_lists import load_categories
from sisegcli.errors import OutputError
from sisegcli.formats import FORMATS

CITY = load_categories("cityscapes")
CITY_CATEGORY = {1: 26, 2: 24, 3: 24, 4: 23, 5: 33}  # car, person, person, sky, bicycle


def pixels(path):
    with Image.open(path) as picture:
        return picture.mode, np.asarray(picture)


def nothing_is_left(writer, tmp_path):
    writer.abort()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class TestCityscapes:
    def test_content(self, tmp_path):
        write("cityscapes", tmp_path, scene("val/bonn/bonn_1_leftImg8bit", category=CITY_CATEGORY), categories=CITY)
        mode, ids = pixels(tmp_path / "gtFine/val/bonn/bonn_1_gtFine_instanceIds.png")
        values = np.array([0, 26000, 24000, 24001, 23, 33000])
        assert mode == "I;16"
        np.testing.assert_array_equal(ids, values[LABELS])
        mode, ids = pixels(tmp_path / "gtFine/val/bonn/bonn_1_gtFine_labelIds.png")
        assert mode == "L"
        np.testing.assert_array_equal(ids, np.array([0, 26, 24, 24, 23, 33])[LABELS])

    def test_other_names(self, tmp_path):
        write("cityscapes", tmp_path, scene("street/a"))
        names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
        assert names == ["gtFine/street/a_instanceIds.png", "gtFine/street/a_labelIds.png"]

    def test_cityscapesscripts_reads_it(self, tmp_path):
        labels = pytest.importorskip("cityscapesscripts.helpers.labels")
        instance = pytest.importorskip("cityscapesscripts.evaluation.instance")
        write("cityscapes", tmp_path, scene("a", category=CITY_CATEGORY), categories=CITY)
        _, ids = pixels(tmp_path / "gtFine/a_instanceIds.png")
        found = [instance.Instance(ids, number) for number in np.unique(ids)]
        assert {(labels.id2label[one.labelID].name, one.pixelCount) for one in found} == {
            ("unlabeled", 12),
            ("car", 8),
            ("person", 5),
            ("person", 1),
            ("sky", 7),
            ("bicycle", 2),
        }
        assert all(labels.id2label[one.labelID].hasInstances == (one.instID >= 1000) for one in found)

    def test_our_list_is_that_of_cityscapesscripts(self):
        labels = pytest.importorskip("cityscapesscripts.helpers.labels")
        known = {label.id: (label.name, label.hasInstances) for label in labels.labels if label.id >= 0}
        assert {category.id: (category.name, category.isthing) for category in CITY.values()} == known

    @given(RANDOM)
    def test_round_trip(self, tmp_path_factory, labels):
        out = write("cityscapes", tmp_path_factory.mktemp("city"), result := scene("a", labels))
        _, ids = pixels(out / "gtFine/a_instanceIds.png")
        masks = {(int(n) // 1000, (ids == n).tobytes()) for n in np.unique(ids) if n >= 1000}
        assert masks == {(i.category, i.mask().tobytes()) for i in result.instances}

    def test_a_thousand_instances_fit_and_no_more(self, tmp_path):
        labels = np.arange(1, 1003).reshape(2, 501)
        labels[labels > 1000] = 0
        write("cityscapes", tmp_path, scene("a", labels, dict.fromkeys(range(1, 1001), 65 - 1)))
        assert pixels(tmp_path / "gtFine/a_instanceIds.png")[1].max() == 64_999
        writer = FORMATS["cityscapes"].writer(tmp_path / "more", CATEGORIES)
        with pytest.raises(OutputError, match=r"a_instanceIds\.png cannot hold more than 1000 instances of 'car', as"):
            writer.add(scene("a", np.arange(1, 1002).reshape(7, 143), dict.fromkeys(range(1, 1002), 3)))
        nothing_is_left(writer, tmp_path / "more")

    @pytest.mark.parametrize(("category", "count"), [(0, 1), (66, 1), (65, 537), (1000, 1)])
    def test_ids_beyond_16_bits_are_refused(self, tmp_path, category, count):
        writer = FORMATS["cityscapes"].writer(tmp_path, Categories())
        labels = np.arange(1, count + 1).reshape(1, -1)
        with pytest.raises(OutputError, match=rf"cannot hold instances of the id {category}: .*; write COCO's format"):
            writer.add(scene("a", labels, dict.fromkeys(range(1, count + 1), category)))
        nothing_is_left(writer, tmp_path)

    def test_stuff_may_have_larger_ids(self, tmp_path):
        stuff = Categories([Category(999, "sky", isthing=False), Category(1000, "sea", isthing=False)])
        write("cityscapes", tmp_path, scene("a", np.array([[1, 0]]), {1: 999}), categories=stuff)
        assert pixels(tmp_path / "gtFine/a_instanceIds.png")[1].tolist() == [[999, 0]]
        mode, ids = pixels(tmp_path / "gtFine/a_labelIds.png")
        assert (mode, ids.tolist()) == ("I;16", [[999, 0]])
        writer = FORMATS["cityscapes"].writer(tmp_path / "more", stuff)
        with pytest.raises(OutputError, match="cannot hold the stuff 'sea' of the id 1000, but ids from 1 to 999"):
            writer.add(scene("a", np.array([[1, 0]]), {1: 1000}))
        nothing_is_left(writer, tmp_path / "more")

    def test_nothing_of_id_0_becomes_unlabeled_but_the_unlabeled(self, tmp_path):
        write("cityscapes", tmp_path, scene("a", np.array([[1, 0]]), {1: 0}), categories=CITY)
        road = FORMATS["cityscapes"].writer(tmp_path / "train", load_categories("cityscapes-train"))
        with pytest.raises(OutputError, match=r"cannot hold the stuff 'road' of the id 0, .* as 0 is unlabeled"):
            road.add(scene("a", np.array([[1, 0]]), {1: 0}))
        nothing_is_left(road, tmp_path / "train")


def load_ade20k(folder, stem):
    """Read an image as ADE20K's `utils_ade20k.loadAde20K` does: category and instance of each pixel, and objects."""
    seg = pixels(folder / f"{stem}_seg.png")[1]
    red, green, blue = (seg[..., channel] for channel in range(3))
    classes = (red / 10).astype(np.int32) * 256 + green.astype(np.int32)
    instances = np.unique(blue, return_inverse=True)[1].reshape(blue.shape)
    objects = json.loads((folder / f"{stem}.json").read_text())["annotation"]["object"]
    for one in objects:
        assert isinstance(one["raw_name"], str) and isinstance(one["attributes"], list)
        assert (int(one["crop"]), int(one["parts"]["part_level"])) == (0, 0)
        assert len(one["polygon"]["x"]) == len(one["polygon"]["y"]) >= 4
    return classes, instances, {int(one["id"]): one for one in objects}


class TestAde20k:
    def test_round_trip(self, tmp_path):
        many = np.kron(LABELS, np.ones((2, 2), int))
        write("ade20k", tmp_path, scene(), scene("b", many, {**CATEGORY, 1: 3000, 2: 6655}))
        classes, instances, objects = load_ade20k(tmp_path / "ade20k", "street/a")
        np.testing.assert_array_equal(instances, LABELS)
        np.testing.assert_array_equal(classes, np.array([0, *CATEGORY.values()])[LABELS])
        assert {number: (one["name_ndx"], one["score"]) for number, one in objects.items()} == {
            number: (CATEGORY[number], SCORES[number]) for number in CATEGORY
        }
        assert objects[2]["name"] == 'person "x", <b>'
        write("ade20k", tmp_path, scene("c", np.array([[0, 1]]), {1: 0}))
        classes, instances, objects = load_ade20k(tmp_path / "ade20k", "c")
        assert (instances.tolist(), objects[1]["name_ndx"]) == ([[0, 1]], 0)
        classes, instances, _ = load_ade20k(tmp_path / "ade20k", "b")
        np.testing.assert_array_equal(instances, many)
        assert {int(classes[many == 1][0]), int(classes[many == 2][0])} == {3000, 6655}

    def test_limits(self, tmp_path):
        labels = np.arange(256).reshape(16, 16)
        write("ade20k", tmp_path / "full", scene("a", labels))
        np.testing.assert_array_equal(load_ade20k(tmp_path / "full/ade20k", "a")[1], labels)
        writer = FORMATS["ade20k"].writer(tmp_path / "more", CATEGORIES)
        with pytest.raises(OutputError, match=r"a_seg\.png cannot hold 256 instances, but 255, in ADE20K's channels"):
            writer.add(scene("a", labels + 1))
        with pytest.raises(OutputError, match="cannot hold the id 6656, but ids up to 6655"):
            writer.add(scene("a", np.array([[1]]), {1: 6656}))
        nothing_is_left(writer, tmp_path / "more")

    @pytest.mark.data
    def test_real_files_are_read_by_the_same_rules(self, data_root):
        places = data_root / "fixtures/ade20k_full_3/dataset/ADE20K_2021_17_01/images/ADE/training/urban/street"
        for path in places.glob("*_seg.png"):
            seg = pixels(path)[1]
            listed = json.loads(path.with_name(path.name.replace("_seg.png", ".json")).read_text("latin1"))
            classes = (seg[..., 0] // 10).astype(int) * 256 + seg[..., 1]
            named = {one["name_ndx"] for one in listed["annotation"]["object"]}
            assert set(np.unique(classes).tolist()) - {0} <= named


class TestNpz:
    @given(RANDOM)
    def test_round_trip(self, tmp_path_factory, labels):
        out = write("npz", tmp_path_factory.mktemp("npz"), result := scene("x/a", labels))
        with np.load(out / "npz/x/a.npz", allow_pickle=False) as found:
            assert {name: found[name].dtype.str[1:2] for name in found} == {
                "labels": "i",
                "categories": "i",
                "names": "U",
                "scores": "f",
            }
            assert found["labels"].shape == labels.shape
            assert found["categories"].tolist() == [i.category for i in result.instances]
            assert found["names"].tolist() == [CATEGORIES.name(i.category) for i in result.instances]
            assert found["scores"].tolist() == [i.score for i in result.instances]
            for number, instance in enumerate(result.instances, start=1):
                np.testing.assert_array_equal(found["labels"] == number, instance.mask())
