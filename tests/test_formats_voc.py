"""Indexed PNGs in VOC's folders: what other programs see, and what we read back."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from sisegcli.categories import Categories, Category
from sisegcli.data.colours import voc_colour_map
from sisegcli.errors import ImageError, OutputError
from sisegcli.formats.records import ImageResult
from sisegcli.formats.voc import VocWriter, read_voc_instances
from sisegcli.instances import instances_from_labels

LABELS = np.array([[1, 1, 0, 2], [1, 0, 0, 2], [3, 3, 3, 2]])
CATEGORY = {1: 15, 2: 15, 3: 8}
CATEGORIES = Categories([Category(15, "person"), Category(8, "cat, black")])


def result(stem="a", labels=LABELS, categories=CATEGORY, scores=None):
    found = instances_from_labels(labels, categories, scores)
    return ImageResult(stem, Path(f"{stem}.jpg"), labels.shape, found)


def mode_of(path):
    with Image.open(path) as picture:
        return picture.mode


def write(out, *results, **options):
    writer = VocWriter(out, CATEGORIES, **options)
    for one in results:
        writer.add(one)
    writer.close()
    return out


def test_content(tmp_path):
    write(tmp_path, result("street/a.b", scores={1: 0.25}))
    with (
        Image.open(tmp_path / "SegmentationObject" / "street" / "a.b.png") as objects,
        Image.open(tmp_path / "SegmentationClass" / "street" / "a.b.png") as classes,
    ):
        assert objects.mode == classes.mode == "P"
        assert np.asarray(objects).tolist() == LABELS.tolist()
        assert np.asarray(classes).tolist() == [[15, 15, 0, 15], [15, 0, 0, 15], [8, 8, 8, 15]]
        np.testing.assert_array_equal(np.asarray(objects.convert("RGB")), voc_colour_map()[LABELS])
    with (tmp_path / "instances.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["stem", "instance", "category_id", "category", "score", "area", "top", "left", "height", "width"],
        ["street/a.b", "1", "15", "person", "0.25", "3", "0", "0", "2", "2"],
        ["street/a.b", "2", "15", "person", "1.0", "3", "0", "3", "3", "1"],
        ["street/a.b", "3", "8", "cat, black", "1.0", "3", "2", "0", "1", "3"],
    ]


@pytest.mark.parametrize(("count", "mode"), [(254, "P"), (255, "I;16"), (300, "I;16")])
def test_many_instances_take_16_bits(tmp_path, count, mode):
    labels = np.arange(400).reshape(20, 20)
    labels[labels > count] = 0
    write(tmp_path, result(labels=labels, categories=dict.fromkeys(range(1, count + 1), 15)))
    paths = [tmp_path / folder / "a.png" for folder in ("SegmentationObject", "SegmentationClass")]
    assert [mode_of(path) for path in paths] == [mode, "P"]
    read, categories, void = read_voc_instances(*paths)
    np.testing.assert_array_equal(read, labels)
    assert categories == dict.fromkeys(range(1, count + 1), 15)
    assert not void.any()


@pytest.mark.parametrize(("category", "mode"), [(254, "P"), (255, "I;16"), (65534, "I;16")])
def test_large_categories_take_16_bits(tmp_path, category, mode):
    write(tmp_path, result(categories=CATEGORY | {1: category}))
    path = tmp_path / "SegmentationClass" / "a.png"
    assert mode_of(path) == mode
    assert read_voc_instances(tmp_path / "SegmentationObject" / "a.png", path)[1] == CATEGORY | {1: category}


def test_categories_beyond_16_bits_are_refused_whole(tmp_path):
    writer = VocWriter(tmp_path, CATEGORIES)
    with pytest.raises(OutputError, match="cannot hold the number 65535"):
        writer.add(result(categories=CATEGORY | {1: 65535}))
    writer.abort()
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("stem", ["../a", "x/../../a", "/a", "", "."])
def test_stems_stay_in_the_folder(tmp_path, stem):
    writer = VocWriter(tmp_path / "out", CATEGORIES)
    with pytest.raises(OutputError, match="leads out of"):
        writer.add(ImageResult(stem, Path("a.jpg"), LABELS.shape, []))
    writer.abort()
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("folder", ["SegmentationObject", "SegmentationClass"])
def test_existing_pngs_are_refused_before_anything_is_written(tmp_path, folder):
    mine = tmp_path / folder / "a.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    writer = VocWriter(tmp_path, CATEGORIES)
    with pytest.raises(OutputError, match=r"a\.png exists already"):
        writer.add(result())
    writer.abort()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [mine]
    assert mine.read_bytes() == b"mine"
    write(tmp_path, result(), overwrite=True)
    assert mode_of(mine) == "P"


def test_an_existing_table_is_refused(tmp_path):
    write(tmp_path, result())
    with pytest.raises(OutputError, match=r"instances\.csv exists already"):
        VocWriter(tmp_path, CATEGORIES)


def test_only_finished_files_stay(tmp_path):
    writer = VocWriter(tmp_path, CATEGORIES)
    writer.add(result())
    writer.abort()
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert names == ["SegmentationClass/a.png", "SegmentationObject/a.png"]
    write(tmp_path, overwrite=True)
    assert (tmp_path / "instances.csv").read_text().count("\n") == 1
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]


def test_an_image_without_instances(tmp_path):
    write(tmp_path, result(labels=np.zeros((2, 3), int)))
    labels, categories, _ = read_voc_instances(*(tmp_path / f / "a.png" for f in ("SegmentationObject",) * 2))
    assert labels.shape == (2, 3) and not labels.any() and categories == {}


def save(path, values, palette=False):
    picture = Image.fromarray(np.asarray(values))
    if palette:
        picture.putpalette(voc_colour_map().tobytes())
    picture.save(path)
    return path


def read(tmp_path, objects, classes, dtype=np.uint8, **options):
    objects_png = save(tmp_path / "objects.png", np.array(objects, dtype))
    return read_voc_instances(objects_png, save(tmp_path / "classes.png", np.array(classes, np.uint8)), **options)


def test_void_of_either_png_is_void(tmp_path):
    labels, categories, void = read(tmp_path, [[1, 255, 2, 2]], [[7, 0, 255, 8]])
    assert labels.dtype == np.int32
    assert labels.tolist() == [[1, 0, 0, 2]]
    assert categories == {1: 7, 2: 8}
    assert void.tolist() == [[False, True, True, False]]


def test_void_of_16_bits_is_65535(tmp_path):
    labels, categories, void = read(tmp_path, [[255, 65535, 300]], [[7, 7, 7]], np.uint16)
    assert labels.tolist() == [[255, 0, 300]]
    assert categories == {255: 7, 300: 7}
    assert void.tolist() == [[False, True, False]]


def test_most_pixels_name_the_category(tmp_path):
    objects = [[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4]]
    classes = [[9, 0, 0, 0, 6, 5, 5, 6, 0, 0, 255, 255]]
    # Background has no vote (1), ties go to the smaller id (2), background alone stays (3), void alone is left out (4).
    assert read(tmp_path, objects, classes)[1] == {1: 9, 2: 5, 3: 0}


def test_another_void(tmp_path):
    _, categories, void = read(tmp_path, [[1, 9]], [[255, 9]], void=9)
    assert categories == {1: 255} and void.tolist() == [[False, True]]


def test_bad_pngs_are_named(tmp_path):
    good = save(tmp_path / "good.png", np.zeros((2, 2), np.uint8), palette=True)
    with pytest.raises(ImageError, match=r"none\.png does not exist"):
        read_voc_instances(tmp_path / "none.png", good)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.png is not an image"):
        read_voc_instances(good, tmp_path / "text.png")
    with pytest.raises(ImageError, match=r"rgb\.png has colours"):
        read_voc_instances(save(tmp_path / "rgb.png", np.zeros((2, 2, 3), np.uint8)), good)
    with pytest.raises(ImageError, match=r"wide\.png is 3 x 2 pixels, but .*good\.png is 2 x 2"):
        read_voc_instances(save(tmp_path / "wide.png", np.zeros((2, 3), np.uint8)), good)


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 4)),
    st.lists(st.sampled_from([0, 3, 254, 400]), min_size=4, max_size=4),
)
def test_reads_what_it_wrote(tmp_path_factory, labels, ids):
    out = tmp_path_factory.mktemp("voc")
    one = result(labels=labels, categories=dict(enumerate(ids, start=1)))
    write(out, one)
    read, categories, void = read_voc_instances(
        *(out / f / "a.png" for f in ("SegmentationObject", "SegmentationClass"))
    )
    assert not void.any()
    assert categories == {n: i.category for n, i in enumerate(one.instances, start=1)}
    for number, instance in enumerate(one.instances, start=1):
        np.testing.assert_array_equal(read == number, instance.mask())
