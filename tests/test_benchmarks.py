"""The benchmark of the README's tables, on a tiny data folder."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import ceiling
import numpy as np
import pytest
import result_tables
import results
import torch
from small_sets import write_png

from sisegcli.data.images import read_image
from sisegcli.data.masks import MaskReader
from sisegcli.evaluation import evaluate, load_truth
from sisegcli.methods import build_method
from sisegcli.network.checkpoint import NetworkConfig, build_network, save_checkpoint
from sisegcli.network.inference import Predictor

OBJECTS = np.zeros((64, 96), np.uint8)
OBJECTS[8:40, 8:32], OBJECTS[8:40, 32:56], OBJECTS[8:40, 56:80], OBJECTS[50:62, 70:90] = 1, 2, 3, 4
CLASSES = np.where(OBJECTS > 3, 15, np.where(OBJECTS > 0, 17, 0)).astype(np.uint8)
"""Three sheep side by side, and a person."""

PREDICTED = np.where(np.arange(96) < 12, 0, CLASSES).astype(np.uint8)
"""A network that misses four columns of the first sheep."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images; the second is empty but for the person, and only the first has touching objects."""
    lone = OBJECTS == 4
    root = tmp_path / "voc-val-dev"
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    for name, keep in (("a", OBJECTS > 0), ("b", lone)):
        write_png(root / f"JPEGImages/{name}.png", noise)
        write_png(root / f"SegmentationObject/{name}.png", np.where(keep, OBJECTS, 0).astype(np.uint8))
        write_png(root / f"SegmentationPred/{name}.png", np.where(keep, PREDICTED, 0).astype(np.uint8))
        for folder in ("SegmentationClass", "SegmentationClassFilled"):
            write_png(root / folder / f"{name}.png", np.where(keep, CLASSES, 0).astype(np.uint8))
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for split, names in (("val", "a\nb\n"), ("clean_touching_same_class", "a\n"), ("with_pred", "a\nb\n")):
        (lists / f"{split}.txt").write_text(names)
    for folder, labels in (("instances", OBJECTS), ("masks", CLASSES)):
        write_png(tmp_path / f"coco-dev/{folder}/x.png", labels)
    write_png(tmp_path / "coco-dev/images/x.png", noise)
    return tmp_path


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config = NetworkConfig(guided=True)
    save_checkpoint(tmp_path / "mine.safetensors", build_network(config), config)
    return str(tmp_path / "mine.safetensors")


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert results.main([*map(str, arguments), "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_baselines_and_ceiling(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, data, "--weights", "--paper", "none")
    assert list(found["sets"]) == [one.name for one in results.SETS]
    assert any("reconstructed" in note for note in found["notes"])
    val, touching = found["sets"]["val"], found["sets"]["clean_touching_same_class"]
    assert (val["components"]["images"], touching["components"]["images"]) == (2, 1)
    assert (val["components"]["truth"], touching["components"]["truth"]) == (5, 4)
    assert [val[column]["ap"] for column in ("components", "ceiling")] == pytest.approx([0.5, 1])  # persons alone
    assert val["components"]["faults"] == {"split": 0, "merged": 1, "missed": 3, "spurious": 1}
    assert touching["ceiling"]["faults"] == {"split": 0, "merged": 0, "missed": 0, "spurious": 0}
    # Of the first sheep 20 of 24 columns are there, which is right at IoUs up to 0.8; all else is whole.
    predicted = found["sets"]["with_pred"]["ceiling"]
    assert predicted["ap50"] == pytest.approx(1) and 0.7 < predicted["ap"] < 0.95
    assert found["sets"]["coco-dev"]["ceiling"]["ap"] == pytest.approx(1)


def test_markdown_says_what_was_not_measured(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(data), "--only", "val", "with_pred", "--weights", "--paper", "nowhere", "--markdown"]
    assert results.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "Results:",
        "",
        "| set | components | watershed | ceiling |",
        "|---|---|---|---|",
        "| val (2) | 50.0 / 50.0 | 50.0 / 50.0 | 100.0 / 100.0 |",
    ]
    assert "| val (2) | 50.0 / 50.0 | not measured | not measured |  |" in lines
    assert any(line.startswith("Not measured: No weights called 'nowhere'") for line in lines)
    assert not any(line.startswith("| coco-dev") for line in lines)


def test_a_table_for_people(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert results.main([str(data), "--only", "coco-dev", "--weights", "--paper", "none"]) == 0
    out, err = capsys.readouterr()
    assert "coco-dev (1)" in out and "Objects split" in out
    assert err == "coco-dev: 1 of 1 images\n"


def test_columns_of_a_network_share_its_predictions_and_equal_separate_runs(
    data: Path, weights: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    predict = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", lambda self, *given: calls.append(1) or predict(self, *given))
    arguments = (data, "--only", "with_pred", "--weights", weights, "--paper", weights, "--device", "cpu")
    found = run_json(capsys, *arguments)["sets"]["with_pred"]
    assert len(calls) == 2 * 2  # with the mask, and without it

    root = data / "voc-val-dev"
    truth = load_truth(root, "with_pred")
    for title, options in (
        ("sisegcli (mine)", {}),
        ("sisegcli (mine) --edges refine", {"edges": "refine"}),
        ("+ DFM", {"refine": False}),
        ("+ DFM + CBR", {}),
    ):
        method = build_method("siseg", weights=weights, device="cpu", **options)
        expected = {}
        for stem in truth.images:
            image = read_image(root / f"JPEGImages/{stem}.png")
            mask = MaskReader().read(root / f"SegmentationPred/{stem}.png")
            expected[stem] = method.segment([image], [mask])[0].instances
        assert found[title] == json.loads(json.dumps(evaluate(expected, truth).to_json())), title


def test_an_image_that_cannot_be_read_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "coco-dev/masks/x.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit):
        results.main([str(data / "coco-dev")])
    assert "holds none of" in capsys.readouterr().err
    assert results.main([str(data), "--only", "coco-dev", "--weights", "--paper", "none"]) == 1
    assert "x.png" in capsys.readouterr().err


def test_doctests() -> None:
    assert doctest.testmod(result_tables) == (0, 1)
    assert doctest.testmod(ceiling) == (0, 3)
