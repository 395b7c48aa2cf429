"""What files call themselves never commands the terminal."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.cli.printable import printable

EVIL = "\x1b]0;mine\x07\x1b[2J\x9b31m"


@given(st.text())
def test_no_control_character_gets_through(text):
    shown = printable(text)
    assert all(character in "\n\t" or character.isprintable() or ord(character) >= 0xA0 for character in shown)
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose only image and category have such names; another image is broken."""
    mask = np.zeros((40, 40), np.uint8)
    mask[5:30, 5:30] = 1
    write_png(tmp_path / f"in/images/a{EVIL}.png", np.zeros((40, 40, 3), np.uint8))
    write_png(tmp_path / f"in/masks/a{EVIL}.png", mask)
    write_png(tmp_path / f"in/masks/b{EVIL}.png", mask)
    (tmp_path / f"in/images/b{EVIL}.png").write_bytes(b"nothing")
    (tmp_path / "names.csv").write_text(f"id,name,isthing\n0,background,0\n1,[red]cat{EVIL},1\n", encoding="utf-8")
    return tmp_path


def test_convert_and_evaluate(folder: Path) -> None:
    run = CliRunner().invoke
    out = folder / "out"
    arguments = ["convert", str(folder / "in"), "--method", "components", "--categories", str(folder / "names.csv")]
    made = run(app, [*arguments, "--out", str(out), "--verbose"])
    assert made.exit_code == 1 and r"b\x1b]0;mine\x07\x1b[2J\x9b31m.png" in made.stderr
    assert r"[red]cat\x1b]0;mine" in made.stdout
    found = str(out / "instances.json")
    judged = run(app, ["evaluate", found, "--gt", found, "--per-category"])
    assert judged.exit_code == 0 and r"[red]cat\x1b]0;mine" in judged.stdout
    refused = run(app, [*arguments, "--out", str(out)])
    assert refused.exit_code == 1
    missing = run(app, ["convert", str(folder / f"no{EVIL}")])
    assert missing.exit_code == 1 and r"no\x1b]0;mine" in missing.stderr
    for result in (made, judged, refused, missing):
        assert not set(result.output) & {"\x1b", "\x07", "\x9b"}


def test_json_is_plain_too(folder: Path) -> None:
    arguments = ["convert", str(folder / "in"), "--method", "components", "--json", "--out", str(folder / "out")]
    made = CliRunner().invoke(app, arguments)
    assert "\x1b" not in made.stdout
    assert EVIL in json.loads(made.stdout)["problems"][0]["path"]
