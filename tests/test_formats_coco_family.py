"""COCO's panoptic, results and CVAT files, as pycocotools and panopticapi's rules see them."""

import contextlib
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from format_scenes import CATEGORIES, CATEGORY, LABELS, SCORES, scene, write
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sisegcli.errors import InputError, OutputError
from sisegcli.evaluation import load_predictions, load_truth
from sisegcli.formats import FORMATS, coco_panoptic, joiner


def quiet(make, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        return make(*arguments)


class TestPanoptic:
    def check(self, out):
        """The rules of panopticapi's evaluation: PNG and JSON name the same segments, of categories that are listed."""
        content = json.loads((out / "panoptic.json").read_text())
        categories = {category["id"] for category in content["categories"]}
        images = {image["id"]: image for image in content["images"]}
        labels = {}
        for annotation in content["annotations"]:
            with Image.open(out / "panoptic" / annotation["file_name"]) as picture:
                assert picture.mode == "RGB"
                colours = np.asarray(picture, np.uint32)
            ids = colours[..., 0] + 256 * colours[..., 1] + 256 * 256 * colours[..., 2]
            image = images[annotation["image_id"]]
            assert ids.shape == (image["height"], image["width"])
            segments = {segment["id"]: segment for segment in annotation["segments_info"]}
            assert set(np.unique(ids).tolist()) - {0} == set(segments)
            for number, segment in segments.items():
                assert segment["category_id"] in categories
                assert segment["area"] == (ids == number).sum()
                rows, columns = np.nonzero(ids == number)
                left, top = columns.min(), rows.min()
                assert segment["bbox"] == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
                assert segment["iscrowd"] == 0
            labels[image["file_name"]] = ids
        assert len(labels) == len(images)
        return content, labels

    def test_round_trip(self, tmp_path):
        content, labels = self.check(write("coco-panoptic", tmp_path, scene(), scene("b", np.zeros((2, 3), int))))
        np.testing.assert_array_equal(labels["street/a.jpg"], LABELS)
        assert not labels["b.jpg"].any()
        segments = content["annotations"][0]["segments_info"]
        assert {segment["id"]: segment["category_id"] for segment in segments} == CATEGORY
        assert {segment["id"]: segment["score"] for segment in segments} == SCORES
        assert {c["id"]: (c["name"], c["isthing"]) for c in content["categories"]} == {
            3: ("car", 1),
            7: ('person "x", <b>', 1),
            9: ("class-9", 1),
            21: ("sky", 0),
        }

    def test_numbers_above_255_take_the_other_channels(self, tmp_path):
        labels = np.arange(600).reshape(20, 30)
        _, found = self.check(write("coco-panoptic", tmp_path, scene("a", labels)))
        np.testing.assert_array_equal(found["a.jpg"], labels)

    def test_more_segments_than_24_bits_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(coco_panoptic, "MOST", 4)
        writer = FORMATS["coco-panoptic"].writer(tmp_path, CATEGORIES)
        with pytest.raises(OutputError, match=r"a\.png cannot hold 5 segments: panoptic PNGs end at 4; write COCO's"):
            writer.add(scene())
        writer.abort()
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class TestResults:
    def test_pycocotools_finds_them_perfect(self, tmp_path):
        results = [scene("val/000000000042"), scene("val/000000000007", LABELS[::-1])]
        write("coco", tmp_path, *results)
        write("coco-results", tmp_path, *results)
        truth = json.loads((tmp_path / "instances.json").read_text())
        number = {1: 42, 2: 7}
        for image in truth["images"]:
            image["id"] = number[image["id"]]
        for annotation in truth["annotations"]:
            annotation["image_id"] = number[annotation["image_id"]]
        (tmp_path / "gt.json").write_text(json.dumps(truth))
        coco = quiet(COCO, tmp_path / "gt.json")
        found = quiet(coco.loadRes, str(tmp_path / "coco_results.json"))
        for annotation in found.dataset["annotations"]:
            assert annotation["score"] in SCORES.values()
        evaluation = quiet(COCOeval, coco, found, "segm")
        for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
            quiet(step)
        assert evaluation.stats[:3].tolist() == [1.0, 1.0, 1.0]
        predictions = load_predictions(tmp_path / "coco_results.json", load_truth(tmp_path / "gt.json"))
        assert {stem: [i.counts for i in found] for stem, found in predictions.images.items()} == {
            result.stem: [i.counts for i in result.instances] for result in results
        }

    def test_images_are_numbers(self, tmp_path):
        write("coco-results", tmp_path, scene("b/x"), scene("000017"), scene("y", np.zeros((2, 2), int)), scene("z"))
        with (tmp_path / "coco_results.csv").open(newline="") as file:
            assert list(csv.reader(file))[1:] == [
                ["1", "b/x.jpg"],
                ["17", "000017.jpg"],
                ["3", "y.jpg"],
                ["4", "z.jpg"],
            ]
        ids = [record["image_id"] for record in json.loads((tmp_path / "coco_results.json").read_text())]
        assert sorted(set(ids)) == [1, 4, 17]

    def test_a_place_that_is_taken_blocks_nothing(self, tmp_path):
        results = [scene(name) for name in ("2", "x", "y", "3", "9", "z")]
        writer = FORMATS["coco-results"].writer(tmp_path / "whole", CATEGORIES)
        for result in results:
            if result.stem == "3":
                with pytest.raises(OutputError, match=r"^3\.jpg has the image number 3"):
                    writer.add(result)
            else:
                writer.add(result)
        writer.close()
        rows = (tmp_path / "whole" / "coco_results.csv").read_text().split()[1:]
        assert rows == ["2,2.jpg", "3,x.jpg", "4,y.jpg", "9,9.jpg", "5,z.jpg"]
        write("coco-results", tmp_path / "one", *results[:2])
        write("coco-results", tmp_path / "two", results[2], *results[4:])
        for name in FORMATS["coco-results"].outputs:
            assert joiner(name)([tmp_path / part / name for part in ("one", "two")], tmp_path / name) == 5
            assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    def test_two_images_of_one_number_are_refused(self, tmp_path):
        writer = FORMATS["coco-results"].writer(tmp_path, CATEGORIES)
        writer.add(scene("a/7"))
        with pytest.raises(
            OutputError, match=r"^b/07\.jpg has the image number 7 in .*, as another image has; convert"
        ):
            writer.add(scene("b/07"))
        writer.close()
        assert {record["image_id"] for record in json.loads((tmp_path / "coco_results.json").read_text())} == {7}

    def test_no_images_at_all(self, tmp_path):
        write("coco-results", tmp_path)
        assert json.loads((tmp_path / "coco_results.json").read_text()) == []

    def test_joined_numbers_are_those_of_one_run(self, tmp_path):
        results = [scene("a"), scene("0009"), scene("b"), scene("c", np.zeros((1, 1), int)), scene("d")]
        write("coco-results", tmp_path / "whole", *results)
        write("coco-results", tmp_path / "one", *results[:3])
        write("coco-results", tmp_path / "two", *results[3:])
        for name in FORMATS["coco-results"].outputs:
            parts = [tmp_path / part / name for part in ("one", "two")]
            assert joiner(name)(parts, tmp_path / name) == 5
            assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    def test_joining_finds_clashes_and_foreign_files(self, tmp_path):
        write("coco-results", tmp_path / "one", scene("a/4"))
        write("coco-results", tmp_path / "two", scene("b/4"))
        parts = [tmp_path / part / "coco_results.json" for part in ("one", "two")]
        with pytest.raises(InputError, match=r"b/4\.jpg in .*two.* and a/4\.jpg have the same number 4; join only"):
            joiner("coco_results.json")(parts, tmp_path / "all.json")
        (tmp_path / "two/coco_results.csv").write_text("x,y\n")
        with pytest.raises(InputError, match=r"coco_results\.csv is not as sisegcli wrote it"):
            joiner("coco_results.json")(parts, tmp_path / "all.json")
        assert not (tmp_path / "all.json").exists()

    def test_abort_leaves_nothing(self, tmp_path):
        writer = FORMATS["coco-results"].writer(tmp_path, CATEGORIES)
        writer.add(scene())
        writer.abort()
        assert not list(tmp_path.iterdir())


class TestCvat:
    def test_round_trip(self, tmp_path):
        write("cvat", tmp_path, scene(), scene("b"))
        coco = quiet(COCO, tmp_path / "cvat.json")
        assert [image["file_name"] for image in coco.dataset["images"]] == ["street/a.jpg", "b.jpg"]
        names = {category["id"]: category["name"] for category in coco.dataset["categories"]}
        assert min(names) == 1
        for image_id in coco.getImgIds():
            annotations = coco.loadAnns(coco.getAnnIds(image_id))
            for label, annotation in zip(CATEGORY, annotations, strict=True):
                assert names[annotation["category_id"]] == CATEGORIES.name(CATEGORY[label])
                np.testing.assert_array_equal(coco.annToMask(annotation), label == LABELS)

    def test_polygons_are_for_what_they_can_say(self, tmp_path):
        write("cvat", tmp_path, scene())
        annotations = json.loads((tmp_path / "cvat.json").read_text())["annotations"]
        assert [isinstance(a["segmentation"], list) for a in annotations] == [False, False, True, True, True]
        assert [a["iscrowd"] for a in annotations] == [1, 1, 0, 0, 0]
        assert annotations[2]["segmentation"] == [[3, 4, 4, 4, 4, 5, 3, 5]]

    def test_a_category_of_id_0(self, tmp_path):
        write("cvat", tmp_path, scene("a", np.array([[1, 2]]), {1: 0, 2: 3}))
        content = json.loads((tmp_path / "cvat.json").read_text())
        assert {c["id"]: c["name"] for c in content["categories"]}[4] == "class-0"
        assert [annotation["category_id"] for annotation in content["annotations"]] == [4, 1]


@pytest.mark.parametrize("name", ["coco-panoptic", "coco-results", "cvat"])
def test_existing_files_are_refused(tmp_path, name):
    write(name, tmp_path, scene())
    with pytest.raises(OutputError, match=r"exists already; choose another folder with --out, or pass --overwrite"):
        FORMATS[name].writer(tmp_path, CATEGORIES)
    write(name, tmp_path, scene("b"), overwrite=True)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("coco", "coco-results", "cvat", "datumaro")])
def test_stems_stay_in_the_folder(tmp_path, name):
    writer = FORMATS[name].writer(tmp_path / "out", CATEGORIES)
    with pytest.raises(OutputError, match="leads out of"):
        writer.add(scene("../a"))
    writer.abort()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_format_takes_an_image_without_instances_and_no_images(tmp_path):
    for name in FORMATS:
        write(name, tmp_path / "none")
        write(name, tmp_path / "empty", scene("a", np.zeros((3, 2), int)))
    assert not list(tmp_path.rglob(".*"))
    assert Path(tmp_path / "empty/yolo/labels/a.txt").read_text() == ""
