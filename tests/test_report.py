"""What a report holds: doubts, errors, maps, and a page that nothing can break out of."""

from __future__ import annotations

import base64
import csv
import html.parser
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_scenes import draw_scenes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from small_sets import write_png, write_voc
from typer.testing import CliRunner

from sisegcli.categories import Categories, Category
from sisegcli.cli import app
from sisegcli.errors import ImageError, InputError
from sisegcli.evaluation import Faults, GroundTruth, TruthImage, evaluate
from sisegcli.formats.coco import CocoWriter
from sisegcli.formats.records import ImageResult
from sisegcli.grouping.scores import score_instances
from sisegcli.instances import Decision, Instance, instances_from_labels, labels_from_instances
from sisegcli.methods import ComponentsMethod
from sisegcli.report.budget import GRIDS, SIDES, choose_sizes
from sisegcli.report.doubt import cut_doubts, image_doubt, instance_doubts, scores_by_evidence, scores_by_size
from sisegcli.report.doubtful import by_evidence, by_scores
from sisegcli.report.errors import RIGHT, SPURIOUS, compare
from sisegcli.report.maps import grid_of, label_map, pack, small_picture
from sisegcli.report.page import build_page, script_json

LABELS = np.kron(np.array([[1, 1, 2, 2, 0, 3], [1, 1, 2, 2, 0, 0]]), np.ones((8, 8), int)).astype(np.int32)
CATEGORY_OF = {1: 5, 2: 5, 3: 6}


# Doubt


def test_doubts_of_cuts_are_what_the_network_saw() -> None:
    seen = {1: 0.9, 2: 0.4, 3: 0.7}
    instances = instances_from_labels(LABELS, CATEGORY_OF, score_instances(LABELS, CATEGORY_OF, seen))
    assert cut_doubts(instances, Categories()) == pytest.approx([0.1, 0.6, 0.3])
    assert scores_by_evidence([instances], Categories()) and not scores_by_size([instances])


def test_stuff_is_never_cut() -> None:
    categories = Categories([Category(5, "sky", isthing=False)])
    scores = score_instances(LABELS, CATEGORY_OF, {1: 1.0, 2: 1.0, 3: 0.5}, stuff={5})
    instances = instances_from_labels(LABELS, CATEGORY_OF, scores)
    assert cut_doubts(instances, categories) == pytest.approx([0, 0, 0.5])
    assert scores_by_evidence([instances], categories)


def test_scores_of_others_are_taken_at_their_word() -> None:
    instances = instances_from_labels(LABELS, CATEGORY_OF, {1: 0.9, 2: 0.8, 3: 0.3})
    assert not scores_by_evidence([instances], Categories())
    assert instance_doubts(instances) == pytest.approx([0.1, 0.2, 0.7])
    assert image_doubt(instance_doubts(instances)) == pytest.approx(1 - 0.9 * 0.8 * 0.3)


def test_scores_by_size_alone_tell_no_doubt() -> None:
    [found] = ComponentsMethod().segment([], [np.where(LABELS > 0, 5, -1)])
    assert scores_by_size([found.instances])
    assert scores_by_size([[]])
    assert scores_by_size([instances_from_labels(LABELS, CATEGORY_OF)])  # all have 1


# Doubtful decisions


def test_decisions_become_lines() -> None:
    instances = instances_from_labels(LABELS, CATEGORY_OF)
    middles = ((8.0, 8.0), (8.0, 24.0))
    decisions = [
        Decision(True, 0.8, *middles),
        Decision(False, 0.9, (4.0, 4.0), (12.0, 12.0)),
        Decision(True, 0.3, *middles),  # certain enough
        Decision(True, 0.9, (8.0, 24.0), (4.0, 44.0)),  # of two categories: outputs of something else
        Decision(True, 0.9, (4.0, 4.0), (12.0, 12.0)),  # one instance in the outputs
        Decision(False, 0.7, (8.0, 8.0), (15.0, 36.0)),  # near no instance
    ]
    assert by_evidence("a", decisions, instances, LABELS[::2, ::2]) == [
        ("a", "split", 0.8, 5, 1, 2, 8.0, 8.0, 8.0, 24.0),
        ("a", "merge", 0.9, 5, 1, 1, 4.0, 4.0, 12.0, 12.0),
    ]
    assert by_evidence("a", decisions, [], np.zeros((2, 2), np.int32)) == []


def test_without_the_network_touching_instances_of_a_category_are_listed() -> None:
    labels = LABELS.copy()
    labels[:8, 32:40] = 3  # touches the second, but is of another category
    instances = instances_from_labels(labels, CATEGORY_OF)
    assert by_scores("a", [0.7, 0.6, 0.9], instances, labels) == [("a", "split", 0.6, 5, 1, 2, 8, 8, 8, 24)]
    assert by_scores("a", [0.7, 0.4, 0.9], instances, labels) == []


# Errors


@pytest.mark.parametrize("seed", range(25))
def test_errors_are_those_of_an_evaluation(seed: int) -> None:
    scenes = draw_scenes(seed)
    if not any(image.instances or image.crowds for image in scenes.truth.images.values()):
        scenes = draw_scenes(seed + 1000)
    judged = compare(scenes.predictions, scenes.truth)
    found = judged.images.values()
    assert evaluate(scenes.predictions, scenes.truth).faults == Faults(
        split=sum(len(image.split) for image in found),
        merged=sum(len(image.merged) for image in found),
        missed=sum(len(image.missed) for image in found),
        spurious=sum(image.verdicts.count(SPURIOUS) for image in found),
    )
    rows = evaluate(scenes.predictions, scenes.truth).categories
    assert judged.curves == {row.id: row.curves for row in rows if row.curves}


def test_errors_have_places() -> None:
    true = instances_from_labels(LABELS, CATEGORY_OF)
    whole = Instance.from_mask((LABELS == 1) | (LABELS == 2), 5, 0.9)
    truth = GroundTruth({"x/a": TruthImage((16, 48), true)})
    errors = compare({"a": [replace(true[2], category=7), whole]}, truth).images["a"]
    assert errors.verdicts == [SPURIOUS, RIGHT]  # at an IoU of just a half
    assert errors.merged == [1]
    assert errors.missed == [(5, (0, 0, 16, 16)), (6, (0, 40, 8, 8))]
    assert errors.split == []


def test_truth_of_other_images_or_sizes_is_refused() -> None:
    truth = GroundTruth({"b": TruthImage((16, 48), [])})
    with pytest.raises(InputError, match="No image is in the ground truth: one here is called a, one there b"):
        compare({"a": []}, truth)
    with pytest.raises(ImageError, match="48 x 16 pixels"):
        compare({"b": instances_from_labels(LABELS, CATEGORY_OF)}, GroundTruth({"b": TruthImage((2, 2), [])}))


# Maps


@given(
    arrays.arrays(
        np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.sampled_from([0, 1, 2, 300, 70_000])
    ),
)
def test_maps_read_back(labels: np.ndarray) -> None:
    packed = pack(labels)
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["z"])), f"<u{packed['b']}")
    rows = raw.reshape(packed["h"], packed["w"])
    np.testing.assert_array_equal(np.cumsum(rows, axis=0, dtype=rows.dtype), labels)


@given(
    arrays.arrays(np.int32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 4)),
    st.integers(1, 24),
)
def test_small_maps_are_the_labels_at_their_places(labels: np.ndarray, side: int) -> None:
    instances = instances_from_labels(labels, dict.fromkeys(range(1, 5), 1))
    size = (labels.shape[0], labels.shape[1])
    found = label_map(instances, size, side)
    np.testing.assert_array_equal(found, labels_from_instances(instances, size)[np.ix_(*grid_of(size, side))])
    assert max(found.shape) <= side


def test_small_pictures_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((40, 120, 3), 99, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert small_picture(tmp_path / "a.jpg", 60).shape == (60, 20, 3)


@given(st.integers(1, 10**6))
def test_pages_have_a_bounded_size(count: int) -> None:
    sizes = choose_sizes(count, "auto")
    assert sizes.picture == 0 or SIDES[0] <= sizes.picture <= SIDES[1]
    assert GRIDS[0] <= sizes.grid <= GRIDS[1]
    assert count > 20_000 or sizes.picture**2 * 0.75 * 0.24 * count < 60e6


# The page

EVIL = ["<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<!--", "&amp;", '"\u2028\\', "{{DATA}}"]


class Elements(html.parser.HTMLParser):
    """Gathers the elements of a page, and the content of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.scripts and self.lasttag == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_breaks_out_of_the_page(evil: str) -> None:
    tame, wild = Elements(), Elements()
    tame.feed("".join(build_page("tame", [{"image": "tame"}], [{"stem": "tame"}])))
    wild.feed("".join(build_page(evil, [{"image": evil}], [{"stem": evil}])))
    assert wild.tags == tame.tags
    assert "img" not in wild.tags
    data = {attributes["id"]: json.loads(text) for attributes, text in wild.scripts if "id" in attributes}
    assert data["table"]["title"] == data["table"]["stem"] == evil
    assert data["chunk-0"] == [{"image": evil}]


def test_names_from_files_do_not_break_out(tmp_path: Path) -> None:
    counts = Instance.from_mask(np.ones((4, 6), bool), 1).counts.decode()
    content: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    for number, evil in enumerate(EVIL, start=1):
        name = {"id": number, "name": evil, "supercategory": evil}
        content["categories"].append(name)
        content["images"].append({"id": number, "file_name": f"{evil.replace('/', '')}.png", "height": 4, "width": 6})
        rle = {"size": [4, 6], "counts": counts}
        one = {"id": number, "image_id": number, "category_id": number, "segmentation": rle, "score": 0.5}
        content["annotations"].append(one)
    folder = tmp_path / "<b>found"
    folder.mkdir()
    (folder / "instances.json").write_text(json.dumps(content))
    assert CliRunner().invoke(app, ["report", str(folder)]).exit_code == 0
    page = Elements()
    page.feed((folder / "report.html").read_text("utf-8"))
    assert "img" not in page.tags and "b" not in page.tags
    [table] = [json.loads(text) for attributes, text in page.scripts if attributes.get("id") == "table"]
    assert {category["name"] for category in table["categories"]} == set(EVIL)
    assert table["title"] == "<b>found: instances"


@given(st.text())
def test_json_in_scripts_has_no_markup(text: str) -> None:
    code = script_json({text: [text]})
    assert json.loads(code) == {text: [text]}
    assert not set("<>&\u2028\u2029") & set(code)


def test_the_script_sets_text_and_never_markup() -> None:
    page = "".join(build_page("title", [], [{}]))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", page)
    assert re.search(r"default-src 'none'; script-src 'sha256-[A-Za-z0-9+/=]+';", page)
    addresses = set(re.findall(r"https?://[^\s\"')]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name of a kind of element, which nobody fetches


def test_images_come_in_chunks() -> None:
    page = "".join(build_page("title", ({"n": n} for n in range(70)), [{}]))
    found = re.findall(r'id="chunk-(\d+)">(.*?)</script>', page)
    assert [(int(number), len(json.loads(text))) for number, text in found] == [(0, 32), (1, 32), (2, 6)]


# The command


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images in `set/`, whose instances are in `set-instances/`."""
    monkeypatch.chdir(tmp_path)
    mask = np.where(LABELS == 3, 6, np.where(LABELS > 0, 5, 0)).astype(np.uint8)
    write_voc(tmp_path / "set", {"a": mask, "b": mask}, {"val": ["a"]})
    for stem in "ab":
        write_png(tmp_path / "set/SegmentationObject" / f"{stem}.png", LABELS.astype(np.uint8))
    writer = CocoWriter(tmp_path / "set-instances", Categories([Category(5, "cat"), Category(6, "dog")]))
    scores = score_instances(LABELS, CATEGORY_OF, {1: 0.4, 2: 0.3, 3: 0.9})
    for stem in "ab":
        instances = instances_from_labels(LABELS, CATEGORY_OF, scores)
        writer.add(ImageResult(stem, Path(f"{stem}.jpg"), (16, 48), instances))
    writer.close()
    return tmp_path


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def table_of(path: Path) -> dict:
    [text] = re.findall(r'id="table">(.*?)</script>', path.read_text("utf-8"))
    return json.loads(text)


def test_a_report_beside_its_outputs(converted: Path) -> None:
    result = run("set-instances", "--truth", "set")
    assert result.stdout.startswith("2 images with 6 instances, layers image, mask, instances, truth: ")
    assert result.stdout.endswith("MB.\nWritten: set-instances/report.html\nWritten: set-instances/doubtful.csv\n")
    table = table_of(converted / "set-instances/report.html")
    assert table["images"]["stem"] == ["a", "b"]
    assert table["images"]["link"][0] == "../set/JPEGImages/a.jpg"
    assert table["images"]["doubt"] == pytest.approx([1 - 0.2 * 0.15 * 0.9] * 2)
    assert [category["name"] for category in table["categories"]] == ["cat", "dog"]
    assert table["instances"]["right"] == [1] * 6
    rows = list(csv.DictReader((converted / "set-instances/doubtful.csv").read_text().splitlines()))
    assert [(row["stem"], row["decision"], row["doubt"], row["category"]) for row in rows] == [
        ("a", "split", "0.6", "cat"),
        ("b", "split", "0.6", "cat"),
    ]
    first = (converted / "set-instances/report.html").read_bytes()
    run("set-instances", "--truth", "set", "--overwrite")
    assert (converted / "set-instances/report.html").read_bytes() == first


def test_json_and_another_place(converted: Path) -> None:
    summary = json.loads(run("set-instances", "--out", "pages/a.html", "--json").stdout)
    assert summary["page"] == "pages/a.html" and summary["doubtful"] == 2
    assert summary["layers"] == ["image", "mask", "instances"]
    assert summary["bytes"] == Path("pages/a.html").stat().st_size
    assert table_of(Path("pages/a.html"))["images"]["link"] == ["../set/JPEGImages/a.jpg", "../set/JPEGImages/b.jpg"]


def test_pictures_can_all_be_in_the_page_or_none(converted: Path) -> None:
    run("set-instances", "--embed", "all")
    page = (converted / "set-instances/report.html").read_text()
    assert '"image":"' in page and table_of(converted / "set-instances/report.html")["images"]["link"] == [0, 0]
    run("set-instances", "--embed", "none", "--overwrite")
    page = (converted / "set-instances/report.html").read_text()
    assert '"image":"' not in page and "../set/JPEGImages/a.jpg" in page


def test_without_input_instances_alone(converted: Path) -> None:
    (converted / "set-instances").rename(converted / "found")
    result = run("found/instances.json")
    assert "Without --input DIR, the folder that was converted" in result.stderr
    assert "layers instances:" in result.stdout
    assert (converted / "found/report.html").is_file()


def test_what_cannot_be_read_is_listed_and_all_else_is_there(converted: Path) -> None:
    (converted / "set/JPEGImages/a.jpg").write_bytes(b"no image")
    write_png(converted / "set/SegmentationClass/b.png", np.zeros((3, 3), np.uint8))
    result = run("set-instances", code=1)
    assert "2 problems:" in result.stderr
    assert "a.jpg is not an image that can be read" in result.stderr
    assert "b.png and its image" in result.stderr
    assert len(table_of(converted / "set-instances/report.html")["images"]["stem"]) == 2


def test_images_are_compared_with_the_outputs(converted: Path) -> None:
    result = run("set-instances", "--input", "set", "--split", "val")
    assert "Not in the input folder, and so without pictures: 1 of 2 images." in result.stderr
    write_voc(converted / "other", {"c": np.zeros((2, 2), np.uint8)})
    result = run("set-instances", "--input", "other", "--overwrite", code=1)
    assert "one is called c, the other a; give the folder that was converted as --input" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 1, "nowhere does not exist; give an output folder of sisegcli convert."),
        (["set/JPEGImages"], 1, "set/JPEGImages has neither SegmentationObject"),
        (["set-instances", "--truth", "nowhere"], 1, "nowhere does not exist; give the ground truth"),
        (["set-instances", "--truth-split", "val"], 2, "--truth-split is about ground truth; add --truth."),
        (["set-instances/instances.json", "--layers", "--out", "x/y.html"], 2, "--layers needs the photographs"),
    ],
)
def test_errors_are_a_sentence(converted: Path, arguments: list[str], code: int, sentence: str) -> None:
    result = run(*arguments, code=code)
    assert result.stderr.startswith("Error: ") and sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(converted.rglob("*.html"))


def test_nothing_is_overwritten(converted: Path) -> None:
    (converted / "set-instances/doubtful.csv").write_text("mine")
    assert "doubtful.csv exists already" in run("set-instances", code=1).stderr
    assert (converted / "set-instances/doubtful.csv").read_text() == "mine"
    assert not (converted / "set-instances/report.html").exists()


def test_layers_of_the_network(converted: Path) -> None:
    result = run("set-instances", "--layers", "--device", "cpu")
    assert "layers image, mask, instances, displacement, boundary" in result.stdout
    table = table_of(converted / "set-instances/report.html")
    assert all(seconds > 0 for seconds in table["images"]["seconds"])
    [chunk] = re.findall(r'id="chunk-0">(.*?)</script>', (converted / "set-instances/report.html").read_text())
    assert base64.b64decode(json.loads(chunk)[0]["boundary"]).startswith(b"\xff\xd8")
