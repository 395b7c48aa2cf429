"""YOLO, LabelMe, VOC's boxes, Datumaro and GeoJSON, by the rules of the programs that read them."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from format_scenes import CATEGORIES, CATEGORY, LABELS, RANDOM, SCORES, drawn, fill, scene, write
from hypothesis import given

from sisegcli.categories import Categories, Category
from sisegcli.errors import InputError, OutputError
from sisegcli.formats import FORMATS, joiner
from sisegcli.formats.one_outline import one_outline


@given(RANDOM)
def test_one_outline_fills_to_the_mask(labels):
    for instance in scene("a", labels).instances:
        assert fill(one_outline(instance), instance.size).tolist() == instance.mask().tolist()


def read_yolo(path):
    """Read labels as Ultralytics' `verify_image_label` does: a class and the corners of a polygon in each line."""
    rows = [line.split() for line in path.read_text().strip().splitlines() if line]
    assert all(len(row) > 6 for row in rows), "Ultralytics takes five numbers for a box"
    found = [(int(row[0]), np.array(row[1:], np.float32).reshape(-1, 2)) for row in rows]
    for _, corners in found:
        assert corners.min() >= 0 and corners.max() <= 1
    return found


def read_names(path):
    """Read the names of ``data.yaml``; its strings are JSON's."""
    lines = path.read_text().splitlines()
    assert lines[1:4] == ["train: images", "val: images", "names:"]
    pairs = [line.strip().split(": ", 1) for line in lines[4:]]
    return {int(number): json.loads(name) for number, name in pairs}


class TestYolo:
    def test_one_line_an_object(self, tmp_path):
        write("yolo", tmp_path, scene(), scene("b", np.zeros((2, 2), int)))
        names = read_names(tmp_path / "yolo/data.yaml")
        assert list(names) == list(range(len(names)))
        assert [names[number] for number in range(4)] == ["car", 'person "x", <b>', "sky", "class-0"]
        found = read_yolo(tmp_path / "yolo/labels/street/a.txt")
        assert [names[number] for number, _ in found] == [CATEGORIES.name(CATEGORY[label]) for label in CATEGORY]
        for label, (_, corners) in zip(CATEGORY, found, strict=True):
            pixels = [(float(x) * 7, float(y) * 5) for x, y in np.round(corners * (7, 5), 3)]
            assert fill([(x / 7, y / 5) for x, y in pixels], LABELS.shape).tolist() == (label == LABELS).tolist()
        assert read_yolo(tmp_path / "yolo/labels/b.txt") == []

    def test_pillow_draws_what_was_there(self, tmp_path):
        write("yolo", tmp_path, scene("a"))
        for label, (_, corners) in zip(CATEGORY, read_yolo(tmp_path / "yolo/labels/a.txt"), strict=True):
            corners = [(round(float(x) * 7, 3), round(float(y) * 5, 3)) for x, y in corners]
            np.testing.assert_array_equal(drawn(corners, LABELS.shape), label == LABELS)

    def test_coordinates_are_exact_enough_for_large_images(self, tmp_path):
        labels = np.zeros((3, 99_991), int)
        labels[1, 99_989] = 1
        write("yolo", tmp_path, scene("a", labels))
        text = (tmp_path / "yolo/labels/a.txt").read_text().split()
        assert {round(float(x) * 99_991, 3) for x in text[1::2]} == {99_989.0, 99_990.0}

    def test_labels_lie_where_ultralytics_looks(self, tmp_path):
        write("yolo", tmp_path, scene("street/a"))
        image = tmp_path / "yolo" / "images" / "street" / "a.jpg"
        labels = "/labels/".join(str(image).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"  # its img2label_paths
        assert labels == str(tmp_path / "yolo/labels/street/a.txt")
        assert (tmp_path / "yolo/labels/street/a.txt").is_file()

    def test_yaml_reads_the_names(self, tmp_path):
        yaml = pytest.importorskip("yaml")
        odd = Categories([Category(1, "yes"), Category(2, "#1: é\\\t\u2028"), Category(3, "3")])
        write("yolo", tmp_path, scene("a", np.array([[1]]), {1: 2}), categories=odd)
        content = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))
        assert content == {"train": "images", "val": "images", "names": {0: "yes", 1: "#1: é\\\t\u2028", 2: "3"}}

    def test_joining_takes_the_longest_names_and_refuses_others(self, tmp_path):
        write("yolo", tmp_path / "one", scene("a", np.array([[1]]), {1: 0}))
        write("yolo", tmp_path / "two", scene("b", np.array([[1]]), {1: 3}))
        write("yolo", tmp_path / "three", scene("b"), categories=Categories([Category(3, "dog")]))
        parts = [tmp_path / name / "yolo/data.yaml" for name in ("two", "one")]
        joiner("yolo/data.yaml")(parts, tmp_path / "data.yaml")
        assert (tmp_path / "data.yaml").read_bytes() == parts[1].read_bytes()
        with pytest.raises(
            InputError, match="have different names of classes; convert both with the same --categories"
        ):
            joiner("yolo/data.yaml")([*parts, tmp_path / "three/yolo/data.yaml"], tmp_path / "data.yaml")
        parts[0].write_text("names: []\n")
        with pytest.raises(InputError, match=r"data\.yaml is not as sisegcli wrote it"):
            joiner("yolo/data.yaml")(parts, tmp_path / "data.yaml")


class TestLabelMe:
    def test_shapes(self, tmp_path):
        write("labelme", tmp_path, scene())
        content = json.loads((tmp_path / "labelme/street/a.json").read_text())
        # What LabelMe's loader asks for: these keys, labels that are text, points that are pairs of numbers.
        assert {"version", "flags", "shapes", "imagePath", "imageData"} <= set(content)
        assert (content["imagePath"], content["imageData"]) == ("a.jpg", None)
        assert (content["imageHeight"], content["imageWidth"]) == LABELS.shape
        for shape in content["shapes"]:
            assert {"label", "points", "group_id", "shape_type", "flags"} <= set(shape)
            assert shape["shape_type"] == "polygon"
            assert all(isinstance(value, float) for point in shape["points"] for value in point)
        assert [shape["label"] for shape in content["shapes"]] == ["car", *['person "x", <b>'] * 4, "sky", "class-9"]
        assert [shape["group_id"] for shape in content["shapes"]] == [None, 2, 2, 2, None, None, None]

    @given(RANDOM)
    def test_polygons_of_an_instance_fill_to_its_mask(self, tmp_path_factory, labels):
        out = write("labelme", tmp_path_factory.mktemp("labelme"), result := scene("a", labels))
        shapes = json.loads((out / "labelme/a.json").read_text())["shapes"]
        masks = {}
        for number, shape in enumerate(shapes):  # LabelMe: a shape without a group is an instance of its own
            key = shape["group_id"] or f"alone {number}"
            masks[key] = masks.get(key, False) | fill([tuple(point) for point in shape["points"]], labels.shape)
        assert [mask.tolist() for mask in masks.values()] == [i.mask().tolist() for i in result.instances]

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its file open
    def test_labelme_reads_it(self, tmp_path):
        pytest.importorskip("labelme")
        from labelme import LabelFile
        from PIL import Image

        write("labelme", tmp_path, scene("a"))
        Image.new("RGB", LABELS.shape[::-1]).save(tmp_path / "labelme/a.jpg")
        assert len(LabelFile(str(tmp_path / "labelme/a.json")).shapes) == 7


class TestVocBoxes:
    def test_content(self, tmp_path):
        write("voc-boxes", tmp_path, scene(), scene("b", np.zeros((2, 3), int)))
        root = ElementTree.parse(tmp_path / "Annotations/street/a.xml").getroot()
        assert [root.findtext(name) for name in ("folder", "filename")] == ["JPEGImages/street", "a.jpg"]
        assert [root.findtext(f"size/{name}") for name in ("width", "height", "depth")] == ["7", "5", "3"]
        found = []
        for one in root.iter("object"):
            box = [int(one.findtext(f"bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax")]
            assert (one.findtext("difficult"), one.findtext("truncated")) == ("0", "0")
            found.append((one.findtext("name"), box))
        # Pixels count from 1, the last one included.
        assert found == [
            ("car", [1, 2, 3, 4]),
            ('person "x", <b>', [5, 2, 7, 4]),
            ('person "x", <b>', [4, 5, 4, 5]),
            ("sky", [1, 1, 7, 1]),
            ("class-9", [5, 5, 6, 5]),
        ]
        empty = ElementTree.parse(tmp_path / "Annotations/b.xml").getroot()
        assert empty.findtext("folder") == "JPEGImages" and empty.find("object") is None


class TestDatumaro:
    def test_content(self, tmp_path):
        write("datumaro", tmp_path, scene(), scene("b", np.zeros((2, 3), int)))
        content = json.loads((tmp_path / "datumaro/annotations/default.json").read_text())
        assert content["dm_format_version"] == "1.0"
        labels = [label["name"] for label in content["categories"]["label"]["labels"]]
        items = {item["id"]: item for item in content["items"]}
        assert items["street/a"]["image"] == {"path": "street/a.jpg", "size": [5, 7]}
        assert items["b"]["annotations"] == []
        for number, annotation in enumerate(items["street/a"]["annotations"], start=1):
            assert (annotation["id"], annotation["type"]) == (number, "mask")
            assert labels[annotation["label_id"]] == CATEGORIES.name(CATEGORY[number])
            assert annotation["attributes"] == {"score": SCORES[number]}

    def test_datumaro_reads_it(self, tmp_path):
        pytest.importorskip("datumaro")
        from datumaro.components.dataset import Dataset

        write("datumaro", tmp_path, scene("a"))
        [item] = Dataset.import_from(str(tmp_path / "datumaro"), "datumaro")
        for label, annotation in zip(CATEGORY, item.annotations, strict=True):
            np.testing.assert_array_equal(annotation.image.astype(bool), label == LABELS)

    def test_nothing_is_left_after_an_abort(self, tmp_path):
        writer = FORMATS["datumaro"].writer(tmp_path, CATEGORIES)
        writer.abort()
        writer.add(scene())
        writer.abort()
        assert not list(tmp_path.iterdir())

    def test_existing_files_are_refused(self, tmp_path):
        write("datumaro", tmp_path, scene())
        with pytest.raises(OutputError, match=r"default\.json exists already"):
            FORMATS["datumaro"].writer(tmp_path, CATEGORIES)
        write("datumaro", tmp_path, overwrite=True)

    def test_joining_finds_clashes(self, tmp_path):
        for name in ("one", "two"):
            write("datumaro", tmp_path / name, scene("a"))
        write("datumaro", tmp_path / "three", scene("b"), categories=Categories([Category(3, "dog")]))
        one, two, three = (tmp_path / name / "datumaro/annotations/default.json" for name in ("one", "two", "three"))
        join = joiner("datumaro/annotations/default.json")
        with pytest.raises(InputError, match=r"^a is in .*one.* and in .*two.* too; join only outputs of different"):
            join([one, two], tmp_path / "all.json")
        with pytest.raises(InputError, match="have different labels; convert both with the same --categories"):
            join([one, three], tmp_path / "all.json")
        two.write_text("{}")
        with pytest.raises(InputError, match=r"default\.json is not as sisegcli wrote it"):
            join([one, two], tmp_path / "all.json")
        assert not (tmp_path / "all.json").exists()


class TestGeoJson:
    @given(RANDOM)
    def test_shapely_finds_valid_polygons_of_the_same_pixels(self, tmp_path_factory, labels):
        shapely = pytest.importorskip("shapely")
        out = write("geojson", tmp_path_factory.mktemp("geojson"), result := scene("a", labels))
        features = json.loads((out / "geojson/a.geojson").read_text())["features"]
        for feature, instance in zip(features, result.instances, strict=True):
            shape = shapely.from_geojson(json.dumps(feature["geometry"]))
            assert shape.is_valid and shape.area == instance.area
            ys, xs = np.indices(labels.shape) + 0.5
            np.testing.assert_array_equal(shapely.contains_xy(shape, xs, ys), instance.mask())

    def test_geopandas_reads_a_table_of_valid_shapes(self, tmp_path):
        geopandas = pytest.importorskip("geopandas")
        labels = np.zeros((12, 20), np.int32)
        labels[1:9, 1:9], labels[3:6, 3:6], labels[2:8, 12:18] = 1, 0, 2
        result = scene("a", labels)
        table = geopandas.read_file(write("geojson", tmp_path, result) / "geojson/a.geojson")
        assert table.geometry.is_valid.all()
        assert [shape.area for shape in table.geometry] == [instance.area for instance in result.instances]
        assert [len(shape.interiors) for shape in table.geometry] == [1, 0]
