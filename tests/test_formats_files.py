"""Names of files, while they are written and afterwards."""

import os
from pathlib import Path

import numpy as np
import pytest
from small_sets import write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import OutputError
from sisegcli.formats.files import LONGEST, below, remove_abandoned, replacing, temporary_name

LONG = "x" * 251
WIDE = "é" * 125 + "z"


@pytest.mark.parametrize("stem", [LONG, WIDE])
def test_the_longest_names_can_be_written(tmp_path: Path, stem: str) -> None:
    path = tmp_path / f"{stem}.png"
    with replacing(path) as temporary:
        assert len(os.fsencode(temporary.name)) <= LONGEST and temporary.name.startswith(f".{stem[:9]}")
        temporary.write_text("whole")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_long_names_that_begin_alike_have_temporary_names_of_their_own(tmp_path: Path) -> None:
    names = {temporary_name(tmp_path / f"{LONG}.{end}").name for end in ("txt", "png")}
    assert len(names) == 2


def test_what_a_process_left_of_a_long_name_is_removed(tmp_path: Path) -> None:
    path = tmp_path / f"{LONG}.png"
    left = Path(str(temporary_name(path)).replace(f".{os.getpid()}.", ".99999999999."))
    left.write_text("half")
    remove_abandoned(path)
    assert not left.exists()


def test_a_name_that_is_too_long_is_refused() -> None:
    assert len(below(Path("out"), LONG, ".png").name) == LONGEST
    with pytest.raises(OutputError, match="is a name of 256 bytes, and 255 are the most; rename the image"):
        below(Path("out"), LONG, ".json")


def test_images_whose_names_a_format_cannot_hold_are_listed(tmp_path: Path) -> None:
    for name in ("short", LONG):
        write_png(tmp_path / f"in/images/{name}.png", np.zeros((8, 8, 3), np.uint8))
        write_png(tmp_path / f"in/masks/{name}.png", np.ones((8, 8), np.uint8))
    arguments = ["convert", str(tmp_path / "in"), "--method", "components", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--to", "labelme", "--to", "npz"])
    assert result.exit_code == 1
    assert "rename the image" in result.stderr and "Traceback" not in result.output
    assert [path.name for path in (tmp_path / "out/labelme").iterdir()] == ["short.json"]
    assert len(list((tmp_path / "out/npz").iterdir())) == 2
