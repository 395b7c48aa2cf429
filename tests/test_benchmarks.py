"""The benchmark of the README's tables, on a tiny data folder."""

from __future__ import annotations

import doctest
import json
import math
import resource
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import candidates
import ceiling
import corrections
import measuring
import mirrors
import networks
import nuclei
import numpy as np
import plan
import pytest
import quality
import result_tables
import scale
import torch
from candidates import Cut, auc, find_cuts
from ideal_fields import ideal_fields
from networks import Networks, Scene
from small_sets import write_png

from sisegcli.data.images import read_image
from sisegcli.data.masks import MaskReader, normalise
from sisegcli.errors import LayoutError
from sisegcli.evaluation import TruthImage, evaluate, load_truth
from sisegcli.grouping.options import GroupingOptions
from sisegcli.instances import Instance, instances_from_labels
from sisegcli.network.asking import Asker, Sight
from sisegcli.network.checkpoint import NetworkConfig, build_network, save_checkpoint
from sisegcli.network.inference import Predictor
from sisegcli.segmenter import Segmenter
from sisegcli.training import run
from sisegcli.training.options import TrainOptions
from sisegcli.training.run import TrainSummary
from sisegcli.windows import CELLS

torch.set_num_threads(1)
OBJECTS = np.zeros((64, 96), np.uint8)
OBJECTS[8:40, 8:32], OBJECTS[8:40, 32:56], OBJECTS[8:40, 56:80], OBJECTS[50:62, 70:90] = 1, 2, 3, 4
CLASSES = np.where(OBJECTS > 3, 15, np.where(OBJECTS > 0, 17, 0)).astype(np.uint8)
"""Three sheep side by side, and a person."""

PREDICTED = np.where(np.arange(96) < 12, 0, CLASSES).astype(np.uint8)
"""A network that misses four columns of the first sheep."""

SHEEP = TruthImage((64, 96), instances_from_labels(OBJECTS, {1: 17, 2: 17, 3: 17, 4: 15}))
ABLATION = (
    "votes",
    "+ boundary",
    "+ membership",
    "+ wholeness",
    "without the walk",
    "image alone",
    "without synthetic instances",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images; the second is empty but for the person, and only the first has touching objects. Five of nuclei."""
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
    for number, name in enumerate("edcba"):  # of each image, one nucleus more; one of them is a crumb
        found = np.where(number >= OBJECTS, OBJECTS, 0)
        found[60:63, 2:5] = 9
        write_png(tmp_path / f"nuclei-dev/images/{name}.{'jpg' if number % 2 else 'png'}", noise)
        write_png(tmp_path / f"nuclei-dev/instances/{name}.png", found.astype(np.uint16))
        write_png(tmp_path / f"nuclei-dev/masks/{name}.png", (found > 0).astype(np.uint8))
    return tmp_path


def save_weights(path: Path, **config: Any) -> str:
    torch.manual_seed(0)
    made = NetworkConfig(guided=True, **config)
    save_checkpoint(path, build_network(made), made)
    return str(path)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return save_weights(tmp_path / "mine.safetensors", membership=True, grouping={"cut": 0.4})


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert quality.main([*map(str, arguments), "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_baselines_and_ceiling(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, data, "--weights", "--paper", "none")
    assert list(found["sets"]) == [one.name for one in plan.SETS]
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
    # The second half is "b" with three nuclei that touch, and "d" with one; each has a crumb, which all drop.
    nuclei_dev = found["sets"]["nuclei-dev"]
    assert nuclei_dev["components"]["images"] == 2 and nuclei_dev["components"]["truth"] == 3 + 1 + 2
    assert nuclei_dev["components"]["faults"] == {"split": 0, "merged": 1, "missed": 5, "spurious": 1}
    assert nuclei_dev["ceiling"]["faults"] == {"split": 0, "merged": 0, "missed": 2, "spurious": 0}
    assert found["gap_closed"]["val"] == found["candidate_cuts"]["val"] == {}


def test_markdown_says_what_was_not_measured(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(data), "--only", "val", "with_pred", "nuclei-dev", "--weights", "--paper", "nowhere", "--markdown"]
    assert quality.main(arguments) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[:5] == [
        "Results:",
        "",
        "| set | components | watershed | ceiling |",
        "|---|---|---|---|",
        "| val (2) | 50.0 / 50.0 | 50.0 / 50.0 | 100.0 / 100.0 |",
    ]
    assert "| set | components | watershed | sisegcli, trained on nuclei | ceiling | gap closed |" in lines
    assert any(line.startswith("| nuclei-dev (2) |") and line.count("not measured") == 2 for line in lines)
    assert "| val (2) | 50.0 / 50.0 | not measured | not measured |  |" in lines
    assert "|  | val (2) | with_pred (2), SegmentationPred | nuclei-dev (2) |" in lines
    assert "| components | 0 / 1 | 0 / 1 | 0 / 1 |" in lines
    measured_cuts = "| nuclei-dev (2) | sisegcli, trained on nuclei |" + " not measured |" * 5
    assert measured_cuts in lines
    assert any(line.startswith("Not measured: No weights called 'nowhere'") for line in lines)
    assert not any(line.startswith("| coco-dev") for line in lines) and "Ablation of" not in out


def test_a_table_for_people(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert quality.main([str(data), "--only", "coco-dev", "--weights", "--paper", "none"]) == 0
    out, err = capsys.readouterr()
    assert "coco-dev (1)" in out and "Objects split" in out
    assert err == "coco-dev: 1 of 1 images\n"


def test_columns_of_a_network_share_its_answers_and_equal_separate_runs(
    data: Path, weights: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    field, boundary = ideal_fields(OBJECTS.astype(np.int32), wall=1.0)

    def predict(self: Predictor, images: Any, things: Any) -> Any:
        """See boundaries two cells off, clearer ones without the mask."""
        calls.append("predict")
        return [(field, np.roll(boundary, 2, 1) * np.float32(0.9 if thing.min() < 0 else 0.6)) for thing in things]

    def ask(self: Asker, sight: Sight, windows: Any, prompts: Any) -> np.ndarray:
        """Call all one object, if the mask is not shown."""
        calls.append("ask")
        return np.full((len(windows), CELLS, CELLS), 4 if sight.things.all() else -0.5, np.float32)

    monkeypatch.setattr(Predictor, "predict", predict)
    monkeypatch.setattr(Asker, "ask", ask)
    arguments = (data, "--only", "with_pred", "--weights", weights, "--paper", weights, "--device", "cpu")
    found = run_json(capsys, *arguments, "--unpasted", weights)["sets"]["with_pred"]
    # Both networks see each image with the mask and without it; all asks about the same pieces are one.
    assert (calls.count("predict"), calls.count("ask")) == (2 * 2, 2 * 2)
    merged = {title: found[title]["faults"]["merged"] for title in ABLATION}
    assert merged == dict(zip(ABLATION, (0, 1, 0, 0, 0, 1, 0), strict=True))
    assert len({found[title]["ap"] for title in ("votes", "+ boundary", "+ membership")}) == 3
    assert found["votes"] == found["without the walk"] != found["+ membership"]

    blind = np.full((64, 96), -1, np.int8)
    for title, options, changes in (
        ("sisegcli (mine)", {}, {}),
        ("sisegcli (mine) --edges refine", {"edges": "refine"}, {}),
        ("+ DFM", {"refine": False}, {}),
        ("+ DFM + CBR", {}, {}),
        ("votes", {"refine": False}, {"cut": 0.65, "flat": True}),
        ("+ boundary", {}, {"cut": 0.65}),
        ("+ membership", {}, {}),
        ("+ wholeness", {}, {}),
        ("without the walk", {"refine": False}, {}),
        ("image alone", {}, {"blind": True}),
        ("without synthetic instances", {}, {}),
    ):
        segmenter = Segmenter(weights, device="cpu", **options)
        predictor, asker = segmenter.predictor.predict, segmenter.asker.ask
        if "cut" in changes:
            segmenter.asker, segmenter.options = None, replace(segmenter.options, cut=changes["cut"])
        if "flat" in changes:
            segmenter.predictor.predict = lambda i, t, p=predictor: [(d, np.ones_like(b)) for d, b in p(i, t)]
        if "blind" in changes:
            segmenter.predictor.predict = lambda i, t, p=predictor: p(i, [blind])
            segmenter.asker.ask = lambda s, w, p, a=asker: a(Sight(s.image, np.full((64, 96), 255, np.uint8)), w, p)
        assert found[title] == separately(segmenter, data / "voc-val-dev", "SegmentationPred"), title


def separately(method: Any, root: Path, masks: str) -> dict[str, Any]:
    """Measure a method on its own."""
    truth = load_truth(root, "with_pred")
    expected = {}
    for stem in truth.images:
        image = read_image(root / f"JPEGImages/{stem}.png")
        expected[stem] = method.segment([image], [MaskReader().read(root / f"{masks}/{stem}.png")])[0].instances
    report: dict[str, Any] = json.loads(json.dumps(evaluate(expected, truth).to_json(curves=False)))
    return report


def test_weights_without_membership_and_those_of_nuclei(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare, small = save_weights(data / "bare.safetensors"), save_weights(data / "small.safetensors", magnify=2.0)
    options = ["--only", "val", "nuclei-dev", "--weights", bare, "--nuclei", small, "--paper", "none"]
    found = run_json(capsys, data, *options, "--device", "cpu")
    val, nuclei_dev = found["sets"]["val"], found["sets"]["nuclei-dev"]
    assert set(ABLATION) - set(val) == {"without synthetic instances"} and not set(ABLATION) & set(nuclei_dev)
    assert val["+ boundary"] == val["+ membership"] == val["sisegcli (bare)"]
    assert any("bare.safetensors have no membership network" in note for note in found["notes"])
    assert {"sisegcli (bare)", "sisegcli, trained on nuclei"} < set(nuclei_dev)
    gap = 100 * (val["sisegcli (bare)"]["ap"] - 0.5) / (1 - 0.5)
    assert found["gap_closed"]["val"] == pytest.approx({"sisegcli (bare)": gap})
    assert set(found["gap_closed"]["nuclei-dev"]) == {"sisegcli (bare)", "sisegcli, trained on nuclei"}
    for name, title in (("val", "sisegcli (bare)"), ("nuclei-dev", "sisegcli, trained on nuclei")):
        assert list(found["candidate_cuts"][name]) == [title]
        assert found["candidate_cuts"][name][title]["auc"]["membership"] is None


# -- gap and candidates -----------------------------------------------------------------------------------------------


def test_gap_closed_where_there_is_none() -> None:
    assert quality.gap_closed(0.2, 0.1, 0.6) == pytest.approx(-25)
    assert math.isnan(quality.gap_closed(0.5, 0.5, 0.5)) and math.isnan(quality.gap_closed(math.nan, 0.5, 1))


@pytest.mark.parametrize("seed", range(20))
def test_auc_is_the_share_of_pairs_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 40))
    values, true = rng.integers(0, 1 + seed, count) / 4, rng.random(count) < 0.4  # many ties
    true[:2] = True, False
    won = [(a > b) + (a == b) / 2 for a in values[true] for b in values[~true]]
    assert auc(values.tolist(), true.tolist()) == pytest.approx(sum(won) / len(won))
    assert math.isnan(auc(values.tolist(), [True] * count)) and math.isnan(auc([], []))


def make_scene(factor: int = 1, **changes: Any) -> Scene:
    """Return what a perfect network says of the sheep, on an image that was enlarged."""
    grown = np.kron(OBJECTS, np.ones((factor, factor), np.uint8)).astype(np.int32)
    mask = normalise(np.kron(CLASSES, np.ones((factor, factor), np.uint8)))
    return replace(Scene(mask, *ideal_fields(grown), None), **changes)


@pytest.mark.parametrize("factor", [1, 2])
def test_cuts_between_sheep_are_true(factor: int) -> None:
    cuts = find_cuts(make_scene(factor), GroupingOptions(), SHEEP)
    assert [cut.true for cut in cuts] == [True, True]
    assert all(cut.boundary == pytest.approx(0.95) and cut.membership is None for cut in cuts)
    assert all(0.8 < cut.votes < 0.95 for cut in cuts)  # votes are six cells apart, without any spread


def test_a_cut_inside_an_object_is_false_and_strangers_do_not_count() -> None:
    options, scene = GroupingOptions(), make_scene()
    labels = np.minimum(OBJECTS, 2)  # the second and the third sheep are one
    one = TruthImage((64, 96), instances_from_labels(labels, {1: 17, 2: 17}))
    assert [cut.true for cut in find_cuts(scene, options, one)] == [True, False]
    alone = TruthImage((64, 96), [Instance.from_mask(OBJECTS == 1, 17)])
    assert find_cuts(scene, options, alone) == []  # of the second sheep nobody knows whose it is


def test_membership_changes_the_evidence() -> None:
    def ask(prompts: Any) -> np.ndarray:
        return np.full((len(prompts), CELLS, CELLS), 4.0, np.float32)

    bare, asked = (find_cuts(make_scene(ask=a), GroupingOptions(), SHEEP) for a in (None, ask))
    assert [replace(cut, membership=None) for cut in asked] == bare
    assert all(cut.membership < cut.votes - 0.2 for cut in asked)


def test_a_summary_of_nothing() -> None:
    empty = {"boundary": None, "votes": None, "membership": None}
    assert candidates.summary([]) == {"cuts": 0, "true": 0, "auc": empty}
    assert candidates.summary([Cut(True, 0.5, 0.5, 0.5)]) == {"cuts": 1, "true": 1, "auc": empty}


def test_what_is_watched_is_what_is_grouped(data: Path) -> None:
    weights = save_weights(data / "small.safetensors", magnify=2.0)
    segmenter = Networks("cpu").segmenter(weights)
    image = np.zeros((64, 96, 3), np.uint8)
    segmenter.segment([image], [normalise(CLASSES)])
    np.testing.assert_array_equal(segmenter.seen.mask, make_scene(2).mask)
    assert segmenter.seen.boundary.shape == (32, 48) and segmenter.seen.ask is None


# -- training on nuclei -----------------------------------------------------------------------------------------------


def test_nuclei_are_learned_from_one_half(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainOptions] = []

    def train(options: TrainOptions, listener: object) -> TrainSummary:
        asked.append(options)
        return TrainSummary(options.out / "weights.safetensors", 1, 1.0, {}, None, False, [])

    monkeypatch.setattr(run, "train", train)
    out = tmp_path / "my runs"
    for time in (["--epochs", "2"], ["--minutes", "3"]):  # a second call finds the links
        assert nuclei.main([str(data), str(out), *time, "--workers", "0"]) == 0
    assert sorted(path.name for path in (out / "data").rglob("*.*")) == sorted(
        ["e.png", "c.png", "a.png", "e.png", "c.png", "a.png"]
    )
    assert not (out / "data/instances").exists()
    assert (out / "data/images/a.png").read_bytes() == (data / "nuclei-dev/images/a.png").read_bytes()
    assert [(o.epochs, o.minutes) for o in asked] == [(2, None), (None, 3)]
    assert {(o.data, o.out, o.seed, o.workers) for o in asked} == {((out / "data",), out / "run", 0, 0)}
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[-4:] == ["--only", "nuclei-dev", "--nuclei", str(out / "run/weights.safetensors")]


def test_what_keeps_nuclei_from_being_learned(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        nuclei.main([str(data / "coco-dev"), str(tmp_path / "out")])
    assert "holds no nuclei-dev" in capsys.readouterr().err

    def train(*_: object) -> None:
        raise LayoutError("There is nothing here.")

    monkeypatch.setattr(run, "train", train)
    assert nuclei.main([str(data), str(tmp_path / "out")]) == LayoutError.exit_code
    out, err = capsys.readouterr()
    assert "There is nothing here." in err and "quality.py" not in out


def test_a_round_of_corrections(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainOptions] = []

    def train(options: TrainOptions, listener: object) -> TrainSummary:
        asked.append(options)
        made = options.out / "weights.safetensors"
        made.parent.mkdir(parents=True)
        made.write_bytes(Path(weights).read_bytes())
        return TrainSummary(made, 1, 1.0, {}, None, False, [])

    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr(corrections, "most_doubtful", lambda table, count: [f"{table.exists()}", "c"][-count:])
    out = tmp_path / "out"
    given = [str(data), str(out), "--weights", weights, "--count", "1", "--epochs", "6"]
    assert corrections.main(given) == 0
    figures = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert [path.name for path in (out / "corrected/instances").iterdir()] == ["c.png"]
    # One of three images is corrected: a share of a quarter of the samples without coming twice.
    assert [(o.epochs, o.corrections) for o in asked] == [(6.0, None), (6.0, out / "corrected")]
    assert figures["corrected"] == ["c"]
    assert figures["before"] == figures["more training"] == figures["corrections"]


def test_the_most_doubtful_images_come_first(tmp_path: Path) -> None:
    table = tmp_path / "doubtful.csv"
    table.write_text("stem,decision,doubt\na,split,0.9\nb,merge,0.6\nb,split,0.6\nc,split,0.5\n")
    assert corrections.most_doubtful(table, 2) == ["b", "a"]


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_an_image_that_cannot_be_read_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "coco-dev/masks/x.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit):
        quality.main([str(data / "coco-dev")])
    assert "holds none of" in capsys.readouterr().err
    assert quality.main([str(data), "--only", "coco-dev", "--weights", "--paper", "none"]) == 1
    assert "x.png" in capsys.readouterr().err


def test_processor_time_is_that_of_the_program() -> None:
    _, memory, printed = scale.processor_seconds(["-c", "print(7)"])
    busy, _, _ = scale.processor_seconds(["-c", "import time\nwhile time.process_time() < 0.5: pass"])
    assert printed == "7\n"
    assert busy >= 0.5
    # The system counts what this process had when the program was started.
    mine = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 1e6 < memory < max(1e9, 1.1 * mine)
    with pytest.raises(SystemExit, match="ended with code 3"):
        scale.processor_seconds(["-c", "import sys; sys.exit(3)"])


def test_costs_grow_with_the_number_of_images() -> None:
    costs = scale.Costs(2, 0.36, 0.01, 5e8, 1e5, 2e3, 5e3, 1e-5, 1e3, 1e-4)
    table = {name: figures for name, *figures in scale.rows(costs, [1e6, 1e8])}
    assert table["core hours"] == ["100", "10,000"]
    assert table["`instances.json`"] == ["2 GB", "200 GB"]
    assert table["finding the pairs, each shard"] == ["10 s", "17 min"]
    assert table["shards of seven hours"] == ["15", "1,429"]


def test_doctests() -> None:
    assert doctest.testmod(scale) == (0, 2)
    assert doctest.testmod(result_tables) == (0, 1)
    assert doctest.testmod(ceiling) == (0, 3)
    assert doctest.testmod(mirrors) == (0, 2)
    assert doctest.testmod(candidates) == (0, 2)
    assert doctest.testmod(plan) == doctest.testmod(quality) == (0, 1)
    assert doctest.testmod(measuring) == doctest.testmod(networks) == (0, 0)


def test_components_are_mirrored_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    scenes = Path(__file__).parent.parent / "examples" / "scenes"
    assert mirrors.main([str(scenes), "--split", "val", "--images", "3", "--method", "components"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 3
    assert found["keep"]["mirror"] == found["keep"]["batch"]
    assert found["keep"]["mirror"]["instances"] > 10
    assert (found["keep"]["mirror"]["matched"], found["keep"]["mirror"]["equal"]) == (1, 1)


def test_sides_of_instances_that_nobody_matches() -> None:
    one = Instance.from_mask(np.eye(2, 3) > 0, 3)
    assert mirrors.best_overlaps([one], []) == [0]
    assert mirrors.best_overlaps([one], [replace(one, category=4)]) == [0, 0]


def test_large_images_are_converted_both_ways(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tifffile")
    import large

    sizes = ["--compare", "150", "--sides", "90", "--tile", "64", "--keep", str(tmp_path / "k")]
    assert large.main([str(data), "none", "--method", "components", *sizes]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["150", "off"], ["150", "64"], ["90", "64"]]
    assert rows[0][2] == rows[1][2] != "0"
    assert rows[0][6] == rows[1][6] != ""
    assert rows[2][6] == ""
    texts = [(tmp_path / "k" / "150" / f"tile-{tile}" / "instances.json").read_text() for tile in ("off", "64")]
    assert texts[0] == texts[1]
