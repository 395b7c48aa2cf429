import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.categories import Categories, Category
from sisegcli.data.category_lists import BUILTIN, load_categories
from sisegcli.errors import CategoryError


def write(folder, name, text):
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_voc():
    voc = load_categories("voc")
    assert list(voc) == list(range(1, 21))
    assert [voc.name(i) for i in (1, 2, 11, 15, 16, 20)] == [
        *("aeroplane", "bicycle", "diningtable", "person", "pottedplant", "tvmonitor")
    ]
    assert all(category.isthing for category in voc.values())


def test_coco_keeps_its_gaps():
    coco = load_categories("COCO")
    assert len(coco) == 80
    assert set(range(1, 91)) - set(coco) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert coco[1] == Category(1, "person", True, "person")
    assert coco[90] == Category(90, "toothbrush", True, "indoor")
    assert all(category.isthing for category in coco.values())


def test_ade20k_has_100_things_and_50_stuff():
    ade = load_categories("ade20k")
    assert list(ade) == list(range(1, 151))
    assert sum(category.isthing for category in ade.values()) == 100
    assert [ade.name(i) for i in (1, 13, 45, 66, 84, 150)] == [
        *("wall", "person", "chest of drawers", "toilet", "truck", "flag")
    ]
    # The challenge's own split: a tree, a rock and a crt screen are stuff, a fence and a step are things.
    assert [ade.isthing(i) for i in (5, 35, 142, 33, 122)] == [False, False, False, True, True]


def test_cityscapes_has_the_label_ids():
    city = load_categories("cityscapes")
    assert list(city) == list(range(34))
    assert [category.id for category in city.values() if category.isthing] == list(range(24, 34))
    assert [city.name(i) for i in (0, 7, 24, 26, 33)] == ["unlabeled", "road", "person", "car", "bicycle"]


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_names_are_given_once(name):
    names = [category.name for category in load_categories(name).values()]
    assert len(set(names)) == len(names)


def test_text_counts_from_1(tmp_path):
    found = load_categories(str(write(tmp_path, "names.txt", "\ufeffcell\nmitochondrion, large\n\n")))
    assert dict(found) == {1: Category(1, "cell"), 2: Category(2, "mitochondrion, large")}


@pytest.mark.parametrize("top", ["_background_\n", "__ignore__\n_background_\n", "Background\n"])
def test_background_and_ignore_take_no_id(tmp_path, top):
    found = load_categories(write(tmp_path, "class_names.txt", f"{top}aeroplane\r\nbicycle\r\n"))
    assert {i: found.name(i) for i in found} == {1: "aeroplane", 2: "bicycle"}


def test_coco_json(tmp_path):
    entries = [
        {"id": 7, "name": "train", "supercategory": "vehicle"},
        {"id": 149, "name": "road", "isthing": 0},
    ]
    expected = [Category(7, "train", True, "vehicle"), Category(149, "road", False)]
    for content in ({"images": [], "categories": entries}, entries):
        assert list(load_categories(write(tmp_path, "a.json", json.dumps(content))).values()) == expected


def test_csv(tmp_path):
    text = 'ID, Name ,isthing,supercategory\n3,"road, route",false,ground\n1,car,1,\n2,bus,,vehicle\n'
    for name in ("a.csv", "a.txt"):
        assert list(load_categories(write(tmp_path, name, text)).values()) == [
            Category(1, "car"),
            Category(2, "bus", True, "vehicle"),
            Category(3, "road, route", False, "ground"),
        ]
    assert dict(load_categories(write(tmp_path, "b.csv", "id,name\n0,sky\n"))) == {0: Category(0, "sky")}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.txt", "", r"a\.txt names no categories"),
        ("a.txt", "background\n", r"a\.txt names no categories"),
        ("a.txt", "cat\n\ndog\n", r"a\.txt, line 2 is empty"),
        ("a.csv", "1,cat,1\n", r"a\.csv, line 1 does not name the columns"),
        ("a.csv", "id,name\n1,cat\nx,dog\n", r"a\.csv, line 3 has the id 'x'"),
        ("a.csv", "id,name\n-1,cat\n", r"a\.csv, line 2 has the id '-1'"),
        ("a.csv", "id,name,isthing\n1,cat,maybe\n", r"a\.csv, line 2 is not as the header says"),
        ("a.csv", "id,name\n1,cat,dog\n", r"a\.csv, line 2 is not as the header says"),
        ("a.csv", "id,name\n1,cat\n1,dog\n", r"a\.csv, line 3 has the id 1 again, after line 2"),
        ("a.csv", "id,name\n1,\n", r"a\.csv, line 2 has no name"),
        ("a.json", '{"categories":\n [}', r"a\.json, line 2 is not JSON"),
        ("a.json", "{}", r"a\.json has no list called categories"),
        ("a.json", "[]", r"a\.json names no categories"),
        ("a.json", '[{"name": "cat"}]', r"a\.json, categories\[0\] has no id"),
        ("a.json", '[{"id": true, "name": "cat"}]', r"a\.json, categories\[0\] has no id"),
        ("a.json", '[{"id": 1}]', r"a\.json, categories\[0\] has no name"),
        ("a.json", "[3]", r"a\.json, categories\[0\] has no id"),
    ],
)
def test_errors_name_file_and_place(tmp_path, name, text, sentence):
    with pytest.raises(CategoryError, match=sentence) as raised:
        load_categories(write(tmp_path, name, text))
    assert str(raised.value).endswith(".")


def test_what_is_no_list(tmp_path):
    with pytest.raises(
        CategoryError, match="pascal is neither a file nor one of the lists voc, coco, ade20k, cityscapes"
    ):
        load_categories("pascal")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\xfe")
    for path in (tmp_path / "a.png", tmp_path):
        with pytest.raises(CategoryError, match=f"{path} cannot be read as UTF-8 text"):
            load_categories(path)


@given(
    st.dictionaries(
        st.integers(0, 300), st.tuples(st.sampled_from(["cat", "a, b", 'an "x"']), st.booleans()), min_size=1
    )
)
def test_json_and_csv_say_the_same(tmp_path_factory, content):
    expected = Categories(Category(i, name, thing) for i, (name, thing) in content.items())
    folder = tmp_path_factory.mktemp("lists")
    entries = [{"id": c.id, "name": c.name, "isthing": int(c.isthing)} for c in expected.values()]
    quoted = [f"{c.id},{json.dumps(c.name).replace(chr(92), chr(34))},{c.isthing}" for c in expected.values()]
    as_json = load_categories(write(folder, "a.json", json.dumps(entries)))
    as_csv = load_categories(write(folder, "a.csv", "\n".join(["id,name,isthing", *quoted])))
    assert as_json == as_csv == expected


@pytest.mark.data
def test_real_lists(data_root):
    coco = load_categories("coco")
    for path in (data_root / "coco-train" / "categories.json", data_root / "coco-dev" / "instances.json"):
        assert load_categories(path) == coco
    labelme = data_root / "fixtures/labelme_voc3/examples/instance_segmentation/data_dataset_voc/class_names.txt"
    names = load_categories(labelme)
    assert (len(names), names.name(15), names.name(20)) == (20, "person", "tv/monitor")
