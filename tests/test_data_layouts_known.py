"""Data sets that are known by their files: pairs, categories, and what their masks' values mean."""

import json

import numpy as np
import pytest
from small_sets import write_png

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.data.category_lists import load_categories
from sisegcli.data.layouts import LAYOUTS, find_pairs
from sisegcli.data.mask_values import MaskValues
from sisegcli.errors import LayoutError
from sisegcli.running.convert import convert
from sisegcli.running.options import ConvertOptions

EXAMPLES = {  # an image and its mask, and others that are not amiss
    "cityscapes": (
        "leftImg8bit/val/bonn/bonn_1_2_leftImg8bit.png",
        "gtFine/val/bonn/bonn_1_2_gtFine_labelIds.png",
        ["gtFine/val/bonn/bonn_1_2_gtFine_labelTrainIds.png", "gtFine/val/bonn/bonn_1_2_gtFine_color.png"],
    ),
    "ade20k": (
        "images/validation/ADE_val_00000001.jpg",
        "annotations/validation/ADE_val_00000001.png",
        ["objectInfo150.txt"],
    ),
    "ade20k-full": (
        "images/ADE/training/urban/street/ADE_train_00016964.jpg",
        "images/ADE/training/urban/street/ADE_train_00016964_seg.png",
        [
            "images/ADE/training/urban/street/ADE_train_00016964_parts_1.png",
            "images/ADE/training/urban/street/ADE_train_00016964/instance_000_ADE_train_00016964.png",
        ],
    ),
    "coco-stuff": (
        "images/val2017/000000000139.jpg",
        "annotations/val2017/000000000139.png",
        ["annotations/instances_val2017.json", "annotations/val2017/000000000139_labelTrainIds.png"],
    ),
    "mmsegmentation": ("img_dir/train/a.png", "ann_dir/train/a.png", []),
}


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def run(root):
    return convert(ConvertOptions(root=root, out=root.with_name(f"{root.name}-out"), method="components"))


def found(layout, root):
    assert layout.problems == []
    return [(p.stem, p.image.relative_to(root).as_posix(), p.mask.relative_to(root).as_posix()) for p in layout.pairs]


@pytest.mark.parametrize("name", EXAMPLES)
def test_is_known_by_its_names(tmp_path, name):
    image, mask, others = EXAMPLES[name]
    layout = find_pairs(make(tmp_path, image, mask, *others))
    assert layout.name == name and name in LAYOUTS
    [pair] = layout.pairs
    assert (pair.image, pair.mask, layout.problems) == (tmp_path / image, tmp_path / mask, [])
    assert image.endswith(f"{pair.stem}{pair.image.suffix}")
    assert ": 1 pair from " in layout.description


def test_a_list_beside_the_images_is_preferred(tmp_path):
    image, mask, others = EXAMPLES["cityscapes"]
    make(tmp_path, image, mask, *others)
    (tmp_path / "classes.txt").write_text("tram\n")
    layout = find_pairs(tmp_path)
    assert layout.name == "cityscapes"
    assert layout.categories is not None and layout.categories.name(1) == "tram"


def test_folders_that_are_named_mean_the_same(tmp_path):
    image, mask, _ = EXAMPLES["coco-stuff"]
    make(tmp_path, image, mask)
    layout = find_pairs(None, images=tmp_path / "images/val2017", masks=tmp_path / "annotations/val2017")
    assert (layout.name, layout.values) == ("explicit", MaskValues(background=None))
    assert layout.categories == load_categories("coco-stuff")


class TestCityscapes:
    def test_label_ids(self, tmp_path):
        image, mask, _ = EXAMPLES["cityscapes"]
        layout = find_pairs(make(tmp_path, image, mask))
        assert (layout.values, layout.categories) == (MaskValues(0, 255), load_categories("cityscapes"))

    def test_train_ids_where_there_is_nothing_else(self, tmp_path):
        image, _, others = EXAMPLES["cityscapes"]
        layout = find_pairs(make(tmp_path, image, *others))
        assert [pair.mask.name for pair in layout.pairs] == ["bonn_1_2_gtFine_labelTrainIds.png"]
        assert layout.problems == []
        assert layout.values == MaskValues(None, 255)
        assert layout.categories is not None
        assert {layout.categories.name(n): layout.categories.isthing(n) for n in (0, 13)} == {
            "road": False,
            "car": True,
        }

    def test_road_is_no_background_among_train_ids(self, tmp_path):
        image, mask, _ = EXAMPLES["cityscapes"]
        write_png(tmp_path / image, np.zeros((1, 4, 3), np.uint8))
        write_png(tmp_path / mask.replace("labelIds", "labelTrainIds"), np.array([[0, 13, 255, 13]], np.uint8))
        done = convert(
            ConvertOptions(root=tmp_path, out=tmp_path.with_name(f"{tmp_path.name}-out"), method="components")
        )
        assert dict(done.instances) == {"car": 2, "road": 1}
        assert done.notes == []

    def test_our_train_ids_are_those_of_cityscapesscripts(self):
        labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
        known = {label.trainId: (label.name, label.hasInstances) for label in labels if 0 <= label.trainId < 255}
        assert {c.id: (c.name, c.isthing) for c in load_categories("cityscapes-train").values()} == known


class TestAde20k:
    def test_the_challenge(self, tmp_path):
        image, mask, _ = EXAMPLES["ade20k"]
        layout = find_pairs(make(tmp_path, image, mask))
        assert layout.values == MaskValues(0, 255)
        assert layout.categories == load_categories("ade20k")

    def test_the_full_data_set_has_codes_in_its_colours(self, tmp_path):
        image, mask, _ = EXAMPLES["ade20k-full"]
        colours = np.array([[[0, 0, 0], [10, 56, 9], [90, 76, 21], [90, 76, 32]]], np.uint8)
        write_png(tmp_path / image, np.zeros((1, 4, 3), np.uint8))
        write_png(tmp_path / mask, colours)
        objects = [{"name_ndx": 312, "name": "building, edifice"}, {"name_ndx": 2380, "name": "signboard, sign"}]
        listed = {"annotation": {"object": [*objects, {"name_ndx": 0, "name": "-"}]}}
        (tmp_path / image).with_suffix(".json").write_text(json.dumps(listed))
        layout = find_pairs(tmp_path)
        assert layout.values == MaskValues(0, None, encoded=True)
        assert layout.values.reader().read(layout.pairs[0].mask).tolist() == [[BACKGROUND, 312, 2380, 2380]]
        assert layout.categories is not None
        named = {c.id: (c.name, c.isthing) for c in layout.categories.values()}
        assert named == {312: ("building, edifice", False), 2380: ("signboard, sign", True)}

    def test_without_names(self, tmp_path):
        image, mask, _ = EXAMPLES["ade20k-full"]
        assert find_pairs(make(tmp_path, image, mask)).categories is None

    def test_a_table_of_ones_own_wins_over_the_code(self):
        reader = MaskValues(encoded=True).reader(colours={(10, 56, 9): 7})
        assert reader.ids(np.array([[[10, 56, 9]]], np.uint8), "x").tolist() == [[7]]

    def test_a_mask_without_image_is_told(self, tmp_path):
        image, mask, _ = EXAMPLES["ade20k-full"]
        layout = find_pairs(make(tmp_path, image, mask, "images/ADE_train_00000002_seg.png"))
        assert [problem.path.name for problem in layout.problems] == ["ADE_train_00000002_seg.png"]

    @pytest.mark.data
    def test_real_masks_hold_the_objects_of_their_json(self, data_root):
        layout = find_pairs(data_root / "fixtures/ade20k_full_3")
        assert (layout.name, len(layout.pairs)) == ("ade20k-full", 3)
        pair = layout.pairs[0]
        content = json.loads(pair.image.with_suffix(".json").read_text("latin-1"))
        named = {one["name_ndx"] for one in content["annotation"]["object"]}
        values = set(np.flatnonzero(np.bincount(layout.values.reader().read(pair.mask).ravel() + 1)).tolist())
        assert len(values) > 5 and {value - 1 for value in values} - {BACKGROUND} <= named
        assert layout.categories is not None
        assert {layout.categories.name(n): layout.categories.isthing(n) for n in (401, 2420)} == {
            "car, auto, automobile, machine, motorcar": True,
            "sky": False,
        }


class TestCocoStuff:
    def test_values_are_one_less_than_ids(self):
        stuff, things = load_categories("coco-stuff"), load_categories("coco")
        assert len(stuff) == 171 and sum(category.isthing for category in stuff.values()) == 80
        assert {c.id + 1: (c.name, c.supercategory) for c in stuff.values() if c.isthing} == {
            c.id: (c.name, c.supercategory) for c in things.values()
        }
        assert (stuff.name(91), stuff.name(156), stuff.name(181)) == ("banner", "sky-other", "wood")

    def test_255_is_void_and_0_a_person(self, tmp_path):
        image, mask, _ = EXAMPLES["coco-stuff"]
        write_png(tmp_path / image, np.zeros((1, 4, 3), np.uint8))
        write_png(tmp_path / mask, np.array([[0, 255, 156, 0]], np.uint8))
        layout = find_pairs(tmp_path)
        assert layout.values.reader().read(tmp_path / mask).tolist() == [[0, IGNORE, 156, 0]]
        done = convert(
            ConvertOptions(root=tmp_path, out=tmp_path.with_name(f"{tmp_path.name}-out"), method="components")
        )
        assert dict(done.instances) == {"person": 2, "sky-other": 1}

    @pytest.mark.parametrize("maps", ["stuffthingmaps", "stuffthingmaps_trainval2017"])
    def test_maps_beside_the_splits(self, tmp_path, maps):
        make(tmp_path, "train2017/000000000009.jpg", "test2017/000000000001.jpg", f"{maps}/train2017/000000000009.png")
        layout = find_pairs(tmp_path)
        assert layout.name == "coco-stuff"
        assert found(layout, tmp_path) == [
            ("train2017/000000000009", "train2017/000000000009.jpg", f"{maps}/train2017/000000000009.png")
        ]

    @pytest.mark.parametrize("image", ["images/val2017/000000000139", "images/test2014/COCO_train2014_000000000077"])
    def test_train_ids_have_no_gaps(self, tmp_path, image):
        mask = image.replace("images", "annotations") + "_labelTrainIds.png"
        layout = find_pairs(make(tmp_path, f"{image}.jpg", mask))
        assert layout.name == "coco-stuff" and layout.problems == []
        assert layout.categories is not None
        assert list(layout.categories) == list(range(171))
        assert layout.categories.name(11) == "stop sign"

    def test_other_masks_of_coco_images_are_not_meant(self, tmp_path):
        layout = find_pairs(make(tmp_path, "images/000000000139.jpg", "masks/000000000139.png"))
        assert (layout.name, layout.values, layout.categories) == ("folders", MaskValues(), None)


class TestMapillary:
    LABELS = (
        {"name": "animal--bird", "readable": "Bird", "instances": True, "evaluate": True},
        {"name": "nature--sky", "readable": "Sky", "instances": False, "evaluate": True},
        {"name": "void--unlabeled", "readable": "Unlabeled", "instances": False, "evaluate": False},
    )

    @pytest.mark.parametrize("version", ["v2.0/", "v1.2/", ""])
    def test_the_splits_and_the_list(self, tmp_path, version):
        make(tmp_path, "testing/images/z.jpg", *(f"training/{version}{kind}/a.png" for kind in ("instances", "labels")))
        make(tmp_path, "training/images/a.jpg", "validation/images/b.jpg", f"validation/{version}labels/b.png")
        config = f"config_{version[:-1]}.json" if version else "config.json"
        (tmp_path / config).write_text(json.dumps({"labels": self.LABELS}))
        layout = find_pairs(tmp_path)
        assert layout.name == "mapillary"
        assert found(layout, tmp_path) == [
            ("training/a", "training/images/a.jpg", f"training/{version}labels/a.png"),
            ("validation/b", "validation/images/b.jpg", f"validation/{version}labels/b.png"),
        ]
        assert layout.values == MaskValues(background=None, ignore=2)
        assert layout.categories is not None
        assert [(c.id, c.name, c.isthing, c.supercategory) for c in layout.categories.values()] == [
            (0, "Bird", True, "animal"),
            (1, "Sky", False, "nature"),
            (2, "Unlabeled", False, "void"),
        ]
        alone = find_pairs(tmp_path / "training")
        assert (alone.name, alone.values) == ("mapillary", layout.values)
        assert found(alone, tmp_path)[0][0] == "a"

    def test_the_list_of_the_masks_own_version_is_read(self, tmp_path):
        make(tmp_path, "training/images/a.jpg", "training/v1.2/labels/a.png")
        (tmp_path / "config_v2.0.json").write_text(json.dumps({"labels": self.LABELS[::-1]}))
        (tmp_path / "config_v1.2.json").write_text(json.dumps({"labels": self.LABELS}))
        assert find_pairs(tmp_path).values.ignore == 2

    @pytest.mark.parametrize("content", ["{", "[]", '{"labels": []}', '{"labels": [3]}', '{"model_type": "segformer"}'])
    def test_another_config_is_no_list(self, tmp_path, content):
        make(tmp_path, "training/images/a.jpg", "training/labels/a.png")
        (tmp_path / "config.json").write_text(content)
        layout = find_pairs(tmp_path)
        assert (layout.name, layout.values) == ("folders", MaskValues())


class TestSplits:
    def test_folders_in_each_split(self, tmp_path):
        make(tmp_path, "train/images/a.jpg", "train/masks/a.png", "val/images/a.jpg", "val/masks/a_mask.png")
        make(tmp_path, "test/images/c.jpg", "notes/images/d.jpg")
        layout = find_pairs(tmp_path)
        assert layout.name == "folders"
        assert found(layout, tmp_path) == [
            ("train/a", "train/images/a.jpg", "train/masks/a.png"),
            ("val/a", "val/images/a.jpg", "val/masks/a_mask.png"),
        ]
        assert layout.description == f"Two folders: 2 pairs from train and val in {tmp_path}."

    def test_problems_of_all_splits_are_told(self, tmp_path):
        make(tmp_path, "train/image/a.jpg", "train/image/b.jpg", "train/label/a.png", "valid/image/c.jpg")
        make(tmp_path, "valid/label/c.png", "valid/label/d.png")
        names = [problem.path.name for problem in find_pairs(tmp_path).problems]
        assert names == ["b.jpg", "d.png"]


class TestHuggingFace:
    def test_csv_in_each_split(self, tmp_path):
        make(tmp_path, "train/images/1.jpg", "train/masks/1.png", "validation/2.jpg", "validation/2_mask.png")
        (tmp_path / "train/metadata.csv").write_text("file_name,mask_file_name\nimages/1.jpg,masks/1.png\n")
        (tmp_path / "validation/metadata.csv").write_text("file_name,mask_file_name\n2.jpg,2_mask.png\n")
        (tmp_path / "id2label.json").write_text('{"0": "background", "1": "cat"}')
        layout = find_pairs(tmp_path)
        assert layout.name == "hugging-face"
        assert found(layout, tmp_path) == [
            ("train/images/1", "train/images/1.jpg", "train/masks/1.png"),
            ("validation/2", "validation/2.jpg", "validation/2_mask.png"),
        ]
        assert layout.categories is not None and layout.categories.name(1) == "cat"

    def test_jsonl(self, tmp_path):
        make(tmp_path, "a.png", "truth/b.png")
        row = {"image_file_name": "a.png", "text": "two cats", "segmentation_file_name": "truth/b.png"}
        (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n\n")
        assert found(find_pairs(tmp_path), tmp_path) == [("a", "a.png", "truth/b.png")]

    def test_what_is_not_there_is_told(self, tmp_path):
        make(tmp_path, "a.jpg", "a.png", "b.jpg", "a.bmp")
        rows = "file_name,mask_file_name\na.jpg,a.png\nb.jpg,b.png\na.bmp,a.png\n"
        (tmp_path / "metadata.csv").write_text(rows)
        layout = find_pairs(tmp_path)
        assert [pair.stem for pair in layout.pairs] == ["a"]
        assert [problem.sentence.replace(f"{tmp_path}/", "") for problem in layout.problems] == [
            "a.bmp is a second image beside a.jpg; remove one.",
            "b.png is named in metadata.csv but not there; add it.",
        ]

    @pytest.mark.parametrize(
        "text", ["file_name,label\na.jpg,cat\n", "file_name,text\na.jpg,two cats\n", "mask_file_name\na.png\n", ""]
    )
    def test_metadata_without_masks_is_passed_over(self, tmp_path, text):
        make(tmp_path, "a.jpg", "a.png")
        (tmp_path / "metadata.csv").write_text(text)
        assert find_pairs(tmp_path).name == "flat"

    def test_metadata_that_cannot_be_understood(self, tmp_path):
        make(tmp_path, "a.jpg", "a.png")
        (tmp_path / "metadata.jsonl").write_text("{\n")
        with pytest.raises(LayoutError, match=r"metadata\.jsonl cannot be understood .*; it needs file_name and mask_"):
            find_pairs(tmp_path)
        (tmp_path / "metadata.jsonl").write_text('{"file_name": "z.jpg", "mask_file_name": "z.png"}\n')
        with pytest.raises(LayoutError, match=r"has metadata of images and masks, but .*z\.jpg is named in"):
            find_pairs(tmp_path)

    def test_outputs_may_lie_beside_it(self, tmp_path):
        write_png(tmp_path / "set/train/images/1.png", np.zeros((1, 2, 3), np.uint8))
        write_png(tmp_path / "set/train/1_mask.png", np.array([[1, 0]], np.uint8))
        (tmp_path / "set/train/metadata.csv").write_text("file_name,mask_file_name\nimages/1.png,1_mask.png\n")
        done = run(tmp_path / "set")
        assert (done.converted, done.problems) == (1, [])


def test_values_that_a_user_gives_win_over_the_layout_s():
    values = MaskValues(background=None, ignore=65)
    assert (values.reader().background, values.reader().ignore) == (None, 65)
    assert (values.reader(0, None).background, values.reader(0, None).ignore) == (0, None)
