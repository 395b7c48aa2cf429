"""The whole way by the command line: scenes in, instances out, and what the evaluation says of them."""

import json
from collections import Counter
from pathlib import Path

import draw_scenes
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from scipy import ndimage
from small_sets import read_instances
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.instances import labels_from_instances
from sisegcli.shipped import weights_folder

SCENES = Path(__file__).parent.parent / "examples" / "scenes"

needs_weights = pytest.mark.skipif(
    not (weights_folder() / "default.safetensors").is_file(), reason="no weights ship yet"
)


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def masks_of(root):
    """Return the semantic mask of each image by the image's name."""
    folder = root / "SegmentationClass"
    return {f"{path.stem}.jpg": np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def assert_valid(file, masks):
    """Instances are disjoint, and cover each category of each mask; pycocotools reads them."""
    found, _ = read_instances(file)
    assert set(found) == set(masks)
    for name, instances in found.items():
        mask = masks[name]
        labels = labels_from_instances(instances, mask.shape)
        assert sum(i.area for i in instances) == np.count_nonzero(labels)
        np.testing.assert_array_equal(np.array([0, *(i.category for i in instances)])[labels], mask)
    coco = COCO(str(file))
    assert sorted(image["file_name"] for image in coco.dataset["images"]) == sorted(masks)
    for annotation in coco.dataset["annotations"]:
        assert coco.annToMask(annotation).sum() == annotation["area"]
        assert 0 <= annotation["score"] <= 1 and annotation["iscrowd"] == 0


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Write three small scenes."""
    root = tmp_path_factory.mktemp("few") / "scenes"
    draw_scenes.write_voc(root, draw_scenes.draw_scenes(3, seed=21, size=(96, 131)))
    return root


def test_components_of_the_examples(tmp_path):
    summary = run("convert", SCENES, "--method", "components", "--to", "coco", "--to", "voc", "--out", tmp_path / "out")
    assert summary["images"] == {"found": 12, "converted": 12, "skipped": 0}
    assert summary["instances"]["by_category"] == {"fish": 28, "starfish": 13, "leaf": 13, "brick": 8, "apple": 4}
    assert summary["problems"] == []
    assert_valid(tmp_path / "out" / "instances.json", masks_of(SCENES))
    objects = sorted((tmp_path / "out" / "SegmentationObject").glob("*.png"))
    assert sum(int(np.array(Image.open(path)).max()) for path in objects) == 66
    report = run("evaluate", tmp_path / "out", "--gt", SCENES)
    assert (report["images"], report["truth"], report["predicted"]) == (12, 76, 66)
    assert report["faults"] == {"split": 3, "merged": 19, "missed": 36, "spurious": 26}
    assert report["ap50"] == pytest.approx(0.467, abs=5e-4)
    assert report["voc_ap"]["0.25"] == pytest.approx(0.613, abs=5e-4)


def test_components_of_drawn_scenes(few, tmp_path):
    summary = run("convert", few, "--method", "components", "--out", tmp_path / "out")
    expected = Counter()
    for mask in masks_of(few).values():
        for category in np.unique(mask[mask > 0]).tolist():
            expected[draw_scenes.CATEGORIES[category]] += ndimage.label(mask == category)[1]
    assert summary["instances"]["by_category"] == dict(expected)
    assert_valid(tmp_path / "out" / "instances.json", masks_of(few))


def test_the_truth_itself_is_perfect(few, tmp_path):
    run("convert", few, "--method", "components", "--to", "voc", "--out", tmp_path / "out")
    for folder in ("SegmentationObject", "SegmentationClass"):
        for path in (few / folder).glob("*.png"):
            (tmp_path / "out" / folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "out" / "instances.csv").unlink()
    report = run("evaluate", tmp_path / "out", "--gt", few)
    assert report["ap"] == 1
    assert set(report["faults"].values()) == {0}


@needs_weights
@pytest.mark.parametrize("options", [[], ["--no-refine", "--batch-size", "2"]])
def test_the_network_covers_the_masks(few, tmp_path, options):
    summary = run("convert", few, "--out", tmp_path / "out", "--device", "cpu", *options)
    assert summary["method"] == "siseg"
    assert summary["images"] == {"found": 3, "converted": 3, "skipped": 0}
    assert_valid(tmp_path / "out" / "instances.json", masks_of(few))


@needs_weights
def test_the_network_moves_edges_of_rough_masks(few, tmp_path):
    summary = run("convert", few, "--out", tmp_path / "out", "--device", "cpu", "--edges", "refine", "--overlay")
    assert summary["images"]["converted"] == 3
    found, _ = read_instances(tmp_path / "out" / "instances.json")
    for name, instances in found.items():
        labels = labels_from_instances(instances, masks_of(few)[name].shape)
        assert sum(i.area for i in instances) == np.count_nonzero(labels) > 0


@needs_weights
def test_the_network_is_no_worse_than_components_on_the_examples(tmp_path):
    run("convert", SCENES, "--out", tmp_path / "siseg", "--device", "cpu")
    run("convert", SCENES, "--out", tmp_path / "components", "--method", "components")
    ours, theirs = (run("evaluate", tmp_path / name, "--gt", SCENES)["ap"] for name in ("siseg", "components"))
    assert ours >= theirs
