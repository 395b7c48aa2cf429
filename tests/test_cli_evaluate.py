import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_sets import write_png
from typer.testing import CliRunner

from sisegcli.categories import Categories, Category
from sisegcli.cli import app
from sisegcli.formats.coco import CocoWriter
from sisegcli.formats.records import ImageResult
from sisegcli.instances import instances_from_labels

LABELS = np.array([[1, 1, 0, 2], [1, 1, 0, 2]], np.uint8)
CLASSES = np.where(LABELS == 1, 8, np.where(LABELS == 2, 12, 0)).astype(np.uint8)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write a VOC folder `voc` of two images of a cat and a dog, and predictions `found` that miss the dog of b."""
    monkeypatch.chdir(tmp_path)
    writer = CocoWriter(Path("found"), Categories([Category(8, "cat"), Category(12, "dog")]))
    for stem in ("a", "b"):
        write_png(Path("voc/JPEGImages") / f"{stem}.jpg", np.zeros((2, 4, 3), np.uint8))
        write_png(Path("voc/SegmentationObject") / f"{stem}.png", LABELS)
        write_png(Path("voc/SegmentationClass") / f"{stem}.png", CLASSES)
        instances = instances_from_labels(LABELS, {1: 8, 2: 12} if stem == "a" else {1: 8}, {1: 0.9, 2: 0.8})
        writer.add(ImageResult(stem, Path(f"{stem}.jpg"), LABELS.shape, instances))
    writer.close()
    sets = Path("voc/ImageSets/Segmentation")
    sets.mkdir(parents=True)
    (sets / "easy.txt").write_text("a\n")


def run(*arguments, code=0):
    result = CliRunner().invoke(
        app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "80", "TERM": "dumb"}, catch_exceptions=False
    )
    assert result.exit_code == code, result.output
    return result


def lines(text):
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("files")
def test_tables():
    found = lines(run("found", "--gt", "voc").stdout)
    # The dogs' precision is 1 at the recalls 0, 0.01, …, 0.5, and 0 at the other 50.
    assert ["AP", "AP50", "AP75", "small", "medium", "large", "AR"] in found
    assert ["75.2", "75.2", "75.2", "75.2", "–", "–", "75.0"] in found
    assert ["75.0", "75.0", "75.0", "75.0"] in found
    assert ["75.2", "75.2", "75.2", "75.2", "–", "–"] in found
    assert ["PQ", "SQ", "RQ", "categories"] in found
    assert ["things", "83.3", "100.0", "83.3", "2"] in found
    assert ["4", "3", "0", "0", "1", "0"] in found
    assert not any("dog" in line for line in found)


@pytest.mark.usefixtures("files")
def test_a_line_for_each_category():
    found = lines(run("found", "--gt", "voc", "--per-category").stdout)
    assert ["cat", "100.0", "100.0", "100.0", "2", "2", "0", "0", "0", "0"] in found
    assert ["dog", "50.5", "50.5", "50.0", "2", "1", "0", "0", "1", "0"] in found
    assert ["cat", "100.0", "100.0", "100.0", "100.0"] in found
    assert ["dog", "50.5", "66.7", "100.0", "66.7"] in found


@pytest.mark.usefixtures("files")
def test_split_and_notes():
    result = run("found/instances.json", "--gt", "voc", "--split", "easy")
    assert ["100.0", "100.0", "100.0", "100.0", "–", "–", "100.0"] in lines(result.stdout)
    assert "Note: Ignored: predictions of images that are not in the ground truth (1)." in result.stdout


@pytest.mark.usefixtures("files")
def test_json_alone():
    result = run("found", "--gt", "voc", "--json")
    report = json.loads(result.stdout)
    assert report["ap"] == pytest.approx((1 + 51 / 101) / 2)
    assert report["ap_large"] is None
    assert report["voc_ap"] == {"0.25": 0.75, "0.5": 0.75, "0.7": 0.75, "0.75": 0.75}
    assert report["boundary"]["ap"] == pytest.approx(report["ap"])
    assert report["panoptic"] == {
        "things": {"pq": pytest.approx(5 / 6), "sq": 1.0, "rq": pytest.approx(5 / 6), "categories": 2}
    }
    dog = report["categories"][1]
    assert dog["curves"]["0.5"] == pytest.approx([1.0] * 51 + [0.0] * 50)
    assert len(dog["curves"]) == 10 and len(report["recalls"]) == 101
    assert max(map(len, result.stdout.splitlines())) > 500  # a curve stays on one line
    assert report["faults"] == {"split": 0, "merged": 0, "missed": 1, "spurious": 0}
    assert [row["name"] for row in report["categories"]] == ["cat", "dog"]
    assert result.stderr == ""


@pytest.mark.usefixtures("files")
def test_the_report_is_written_too_and_guarded():
    text = run("found", "--gt", "voc", "--json").stdout
    result = run("found", "--gt", "voc", "--out", "reports/found.json")
    assert "AP50" in result.stdout
    assert Path("reports/found.json").read_text() == text
    again = run("found", "--gt", "voc", "--out", "reports/found.json", code=1)
    assert "reports/found.json exists already" in again.stderr
    run("found", "--gt", "voc", "--out", "reports/found.json", "--overwrite")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["found", "--gt", "nowhere"], "nowhere does not exist; give the ground truth"),
        (["nowhere", "--gt", "voc"], "nowhere cannot be read"),
        (["found", "--gt", "found"], "found has no SegmentationObject, so it is no ground truth"),
        (["found", "--gt", "voc", "--split", "hard"], "splits there: easy"),
    ],
)
def test_errors_are_a_sentence(arguments, sentence):
    result = run(*arguments, code=1)
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.usefixtures("files")
def test_predictions_of_another_size():
    writer = CocoWriter(Path("other"), Categories())
    instances = [replace(i, score=0.5) for i in instances_from_labels(LABELS.T, {1: 8})]
    writer.add(ImageResult("a", Path("a.jpg"), (4, 2), instances))
    writer.close()
    assert "The predictions of a are 2 x 4 pixels" in run("other", "--gt", "voc", code=1).stderr


def test_the_ground_truth_must_be_given():
    assert "--gt" in run("found", code=2).stderr
