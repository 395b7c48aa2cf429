import json
from pathlib import Path

import pytest
from small_sets import ONE_CAT, write_folders
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import OutputError
from sisegcli.training import run as training
from sisegcli.training.options import TrainOptions
from sisegcli.training.run import TrainSummary

DONE = TrainSummary(Path("runs/dogs/weights.safetensors"), 1200, 90.0, {"boundary": 0.5}, 41.25, False, [])

EVERY_OPTION = """
    one two --out o --recipe paper --epochs 3 --minutes 2.5 --resume --backbone resnet50 --backbone-weights r.pth
    --crop 320 --batch-size 4 --lr 0.01 --seed 7 --val v --val-split val --val-every 10 --save-every 20
    --device cpu --workers 2 --split train --images i --masks m --ignore none --background 3
    --categories voc --overwrite --tensorboard --start s.safetensors --corrections c
"""


@pytest.fixture
def invoke(monkeypatch):
    """Run the command with a training that remembers its options and does nothing."""
    asked = []

    def run(*arguments, code=0, summary=DONE, error=None):
        def train(options, listener):
            asked.append(options)
            if error:
                raise error
            listener.preparing("Looking for lone objects", 2)
            listener.prepared(2)
            listener.started(2, 3_100_000, "cpu", options.out)
            listener.problem("x.png cannot be read.")
            listener.stepped(1, 0.5, {"boundary": 0.25})
            listener.validated(1, 41.25, True)
            return summary

        monkeypatch.setattr(training, "train", train)
        result = CliRunner().invoke(app, ["train", *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result, asked[-1] if asked else None

    return run


def test_defaults_are_left_to_the_recipe(invoke, tmp_path):
    _, options = invoke(tmp_path / "dogs")
    assert options == TrainOptions(data=(tmp_path / "dogs",), out=Path("runs/dogs"))


def test_every_option_arrives(invoke):
    _, options = invoke(
        *EVERY_OPTION.split(),
    )
    assert options == TrainOptions(
        data=(Path("one"), Path("two")),
        out=Path("o"),
        recipe="paper",
        epochs=3,
        minutes=2.5,
        resume=True,
        start=Path("s.safetensors"),
        corrections=Path("c"),
        backbone="resnet50",
        backbone_weights=Path("r.pth"),
        crop=320,
        batch_size=4,
        lr=0.01,
        seed=7,
        val=Path("v"),
        val_split="val",
        val_every=10,
        device="cpu",
        workers=2,
        images=Path("i"),
        masks=Path("m"),
        split="train",
        background=3,
        ignore=None,
        categories="voc",
        tensorboard=True,
        overwrite=True,
        save_every=20,
    )


def test_what_is_said(invoke):
    result, _ = invoke("dogs")
    assert "Training 3.1 million parameters on 2 images, on cpu; the run is in runs/dogs." in result.stderr
    assert "x.png cannot be read." in result.stderr
    assert "Step 1: AP 41.25, the best so far." in result.stderr
    assert "1,200 steps in 1.5 minutes." in result.stdout
    assert "Best AP: 41.25" in result.stdout
    assert "Use them: sisegcli convert DIR --weights runs/dogs/weights.safetensors" in result.stdout


def test_json_alone(invoke):
    result, _ = invoke("dogs", "--json")
    assert json.loads(result.stdout) == DONE.to_json()
    assert result.stderr == ""


def test_an_interrupted_run_ends_with_130(invoke):
    interrupted = TrainSummary(Path("w"), 1, 90.0, {}, None, True, [])
    result, _ = invoke("dogs", code=130, summary=interrupted)
    assert "Interrupted after 1 step; --resume goes on from there." in result.stdout
    assert "Best AP" not in result.stdout


def test_errors_are_one_sentence(invoke):
    result, _ = invoke("dogs", code=1, error=OutputError("runs/dogs holds a run already."))
    assert result.stderr == "Error: runs/dogs holds a run already.\n"
    result, _ = invoke("dogs", "--recipe", "soup", code=2)
    assert "soup" in result.stderr
    result, _ = invoke("dogs", "--ignore", "white", code=2)
    assert "neither a whole number nor none" in result.stderr.replace("\n", " ")


def test_the_edges_recipe_without_weights_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folders(tmp_path / "dogs", {"a": ONE_CAT})
    result = CliRunner().invoke(app, ["train", "dogs", "--recipe", "edges", "--device", "cpu"], catch_exceptions=False)
    assert result.exit_code == 2
    sentence = "--recipe edges adds to weights that are there; name them with --start."
    assert " ".join(result.stderr.split()).endswith(f"Error: {sentence}")
    assert not (tmp_path / "runs").exists()


def test_a_folder_is_needed(invoke):
    result, _ = invoke(code=2)
    assert "Missing argument" in result.stderr


def test_images_that_were_left_out_are_told_by_the_exit_code(invoke):
    lacking = TrainSummary(Path("w"), 1, 90.0, {}, None, False, ["x.png cannot be read."])
    result, _ = invoke("dogs", code=1, summary=lacking)
    assert "x.png cannot be read." in result.stderr
    assert "Weights: w" in result.stdout
