"""--verbose and --quiet: what is said, where, and where they may come from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from small_sets import ONE_CAT, TWO_DOGS, write_folders, write_png, write_voc
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.cli.settings import FILE
from sisegcli.grouping.components import label_components

BOTH = "Error: --verbose and --quiet contradict each other; choose one of them.\n"


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0, env=None):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def photos(tmp_path):
    """A folder of two pairs, and a third image without a mask."""
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT})
    Image.new("RGB", (4, 4)).save(root / "images" / "c.png")
    return root


CONVERT = ("convert", "set", "--method", "components", "--overwrite")
PROBLEM = "set/images/c.png has no mask; add it or remove the image."


@pytest.mark.parametrize(
    ("options", "out", "err", "absent"),
    [
        ((), ["2 images converted", "Written: "], ["Two folders: ", PROBLEM], ["a: 3 instances", "Device:"]),
        (("--quiet",), [], [PROBLEM], ["Two folders", "Written"]),
        (("-q",), [], [PROBLEM], ["Two folders", "Written"]),
        (("--quiet", "--profile"), ["encode "], [PROBLEM], ["Two folders", "Written"]),
        (
            ("--verbose",),
            ["2 images converted"],
            [
                "Layout: folders. Mask values: background: 0, ignored: 255.",
                "Device: none",
                "a: 3 instances, 0.0",
                "b: 1 ",
            ],
            [],
        ),
        (("-v",), ["2 images converted"], ["b: 1 instance, 0.0", PROBLEM], []),
    ],
)
def test_a_conversion(invoke, photos, options, out, err, absent):
    result = invoke(*CONVERT, *options, code=1)
    assert all(sentence in result.stdout for sentence in out), result.stdout
    assert all(sentence in result.stderr for sentence in err), result.stderr
    assert not any(sentence in result.output for sentence in absent), result.output
    if not out:
        assert result.stdout == ""


@pytest.mark.parametrize(("option", "words"), [("--quiet", False), ("--verbose", True)])
def test_json_comes_alone_on_stdout(invoke, photos, option, words):
    result = invoke(*CONVERT, "--json", option, code=1)
    assert json.loads(result.stdout)["images"]["converted"] == 2
    assert ("b: 1 instance" in result.stderr) is words
    assert bool(result.stderr) is words


@pytest.mark.parametrize(
    ("line", "env", "file", "loud"),
    [
        ((), {"SISEG_QUIET": "1"}, None, -1),
        ((), {"SISEG_VERBOSE": "1"}, None, 1),
        ((), {"SISEG_CONVERT_QUIET": "true"}, None, -1),
        ((), {"SISEG_CONVERT_QUIET": "0", "SISEG_QUIET": "1"}, None, 0),
        ((), {}, "[convert]\nquiet = true\n", -1),
        ((), {}, "[convert]\nverbose = true\n", 1),
        (("--verbose",), {"SISEG_QUIET": "1"}, None, 1),
        (("--quiet",), {}, "[convert]\nverbose = true\n", -1),
        ((), {"SISEG_QUIET": "1"}, "[convert]\nverbose = true\n", -1),
        (("--verbose", "--quiet"), {}, None, None),
        (("-qv",), {}, None, None),
        ((), {"SISEG_QUIET": "1", "SISEG_VERBOSE": "1"}, None, None),
        ((), {}, "[convert]\nverbose = true\nquiet = true\n", None),
    ],
)
def test_the_nearest_goes_first_and_both_from_one_place_are_refused(invoke, photos, tmp_path, line, env, file, loud):
    if file is not None:
        (tmp_path / FILE).write_text(file)
    if loud is None:
        result = invoke(*CONVERT, *line, env=env, code=2)
        assert (result.stdout, result.stderr) == ("", BOTH)
        return
    result = invoke(*CONVERT, *line, env=env, code=1)
    assert ("b: 1 instance" in result.stderr) is (loud == 1)
    assert ("converted" in result.stdout) is (loud >= 0)


def test_a_bad_variable_is_named(invoke, photos):
    result = invoke(*CONVERT, env={"SISEG_QUIET": "perhaps", "COLUMNS": "200"}, code=2)
    assert "It comes from SISEG_QUIET." in result.stderr


@pytest.mark.parametrize("command", ["convert", "train", "evaluate", "merge", "report", "export", "preview"])
def test_both_are_refused_by_every_command(invoke, command):
    needed = {"preview": ("x.jpg", "x.png"), "evaluate": ("x", "--gt", "y"), "merge": ("x", "--out", "y")}
    needed |= {"export": ("--to", "onnx")}
    result = invoke(command, *needed.get(command, ("x",)), "--quiet", "--verbose", code=2)
    assert result.stderr == BOTH


def test_other_commands(invoke, tmp_path):
    root = write_voc(tmp_path / "VOC2012", {"a": TWO_DOGS, "b": ONE_CAT})
    for stem, mask in {"a": TWO_DOGS, "b": ONE_CAT}.items():
        objects, _ = label_components(np.where(np.isin(mask, (0, 255)), -1, mask.astype(int)))
        write_png(root / "SegmentationObject" / f"{stem}.png", objects.astype(np.uint8))
    for shard in (1, 2):
        convert = ("convert", root, "--method", "components", "--shard", f"{shard}/2", "--out", f"part{shard}")
        assert invoke(*convert, "--quiet").output == ""
    assert invoke("merge", "part1", "part2", "--out", "whole", "--quiet").output == ""
    result = invoke("merge", "part2", "part1", "--out", "again", "--verbose")
    assert "part2: shard 2/2, images: 1, problems: 0\n" in result.stderr

    evaluate = ("evaluate", "whole", "--gt", root)
    quiet = invoke(*evaluate, "--quiet")
    assert "COCO, %" in quiet.stdout and quiet.stderr == ""
    counted = "Ground truth: 2 images, 4 instances, 20 categories with a name.\nPredictions: 2 images, 4 instances, "
    assert counted in invoke(*evaluate, "--verbose").stderr

    assert invoke("report", "whole", "--input", root, "--quiet").output == ""
    assert "a: instances: 3" in invoke("report", "whole", "--input", root, "--verbose", "--overwrite").stderr

    pair = (root / "JPEGImages" / "b.jpg", root / "SegmentationClass" / "b.png", "--method", "components")
    assert invoke("preview", *pair, "--show", "no", "--quiet").output == ""
    assert (tmp_path / "b-instances.png").exists()
    result = invoke("preview", *pair, "--show", "no", "--verbose", "--overwrite")
    assert "class-8: score " in result.stderr
    assert "Written: b-instances.png" in result.stdout


@pytest.mark.parametrize(
    ("loudness", "lines", "details", "written"),
    [({}, 20, False, True), ({"quiet": True}, 20, False, False), ({"verbose": True}, 25, True, True)],
)
def test_a_training(tmp_path, capsys, loudness, lines, details, written):
    from sisegcli.cli.console import Console
    from sisegcli.cli.train_progress import TrainProgress, show_training
    from sisegcli.training.run import TrainSummary

    problems = [f"Image {number} is damaged." for number in range(25)]
    console = Console(**loudness)
    with TrainProgress(console) as progress:
        progress.started(3, 10**6, "cpu", tmp_path)
        progress.detailed("Recipe: default.")
        progress.stepped(7, 0.5, {"field": 0.25})
        for sentence in problems:
            progress.problem(sentence)
    show_training(console, TrainSummary(tmp_path / "w", 7, 6.0, {}, None, False, problems))
    out, err = capsys.readouterr()
    assert err.count("is damaged.") == lines
    assert ("25 problems; --verbose or --json lists them all." in err) is (lines < 25)
    assert ("Recipe: default." in err, "step 7  field 0.250" in err) == (details, details)
    assert ("Weights: " in out) is written
    assert ("Training 1.0 million" in err) is written


def test_a_bar_is_no_part_of_quiet():
    from sisegcli.cli.console import Console

    console = Console(quiet=True)
    console.err._force_terminal = True
    assert not console.has_bars
    assert list(console.watch(np.arange(3), "Reading")) == [0, 1, 2]
