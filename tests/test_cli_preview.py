from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import TWO_DOGS, write_png
from typer.testing import CliRunner

import sisegcli.terminal
from sisegcli.cli import app


@pytest.fixture(autouse=True)
def pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    mask = np.kron(TWO_DOGS, np.ones((16, 16), np.uint8))
    write_png(Path("x.png"), np.full((*mask.shape, 3), 128, np.uint8))
    write_png(Path("mask.png"), mask)


def run(*arguments, code=0):
    result = CliRunner().invoke(
        app, ["preview", "x.png", "mask.png", "--method", "components", *arguments], catch_exceptions=False
    )
    assert result.exit_code == code, result.output
    return result


def test_where_there_is_no_terminal_a_png_is_written():
    result = run("--categories", "voc")
    assert result.stdout == "Written: x-instances.png\n"
    assert result.stderr == "Instances: 2 dog, 1 person.\n"
    assert np.asarray(Image.open("x-instances.png")).shape == (64, 96, 3)
    assert "x-instances.png exists already" in run(code=1).stderr
    run("--overwrite")


def test_a_figure_for_print_is_enlarged_and_has_a_legend():
    run("--out", "figures/x.png", "--scale", "2", "--legend", "--categories", "voc")
    figure = np.asarray(Image.open("figures/x.png"))
    assert figure.shape[1] == 192 and figure.shape[0] > 128
    assert tuple(figure[-1, -1]) == (255, 255, 255)


def test_a_terminal_shows_it(monkeypatch):
    assert run("--show", "kitty").stdout.startswith("\x1b_Ga=T,f=100,")
    assert run("--show", "iterm").stdout.startswith("\x1b]1337;File=inline=1;")
    assert run("--show", "sixel").stdout.startswith('\x1bP0;1;0q"1;1;96;64#')
    assert run("--show", "blocks").stdout.startswith("\x1b[38;2;")
    assert not Path("x-instances.png").exists()


def test_the_environment_decides(monkeypatch):
    seen = []
    monkeypatch.setattr(sisegcli.terminal, "choose_kind", lambda env, terminal: seen.append(terminal) or "blocks")
    assert "▀" in run().stdout
    assert seen == [False]  # a test runner is no terminal


def test_what_cannot_be_read_is_a_sentence():
    Path("mask.png").unlink()
    result = run(code=1)
    assert result.stderr.startswith("Error: mask.png does not exist")
    assert not Path("x-instances.png").exists()


def test_sizes_must_agree():
    write_png(Path("mask.png"), TWO_DOGS)
    assert "resize the mask without interpolation" in run(code=1).stderr
