"""Every bad input gives one sentence that names the file and a defined exit code, and leaves nothing but the output."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bad_inputs import CODES, cases
from typer.testing import CliRunner

from sisegcli.cli import app

CASES = cases()
WRITTEN = {
    "merged": "instances.json",
    "reported": "report.html",
    "doubted": "report.html",
    "drawn": "p.png",
}
"""What commands other than convert have written, by what must come of a case."""


def files_of(folder):
    """Return what lies in a folder, links as links, without the output folder."""
    found = {}
    for path in folder.rglob("*"):
        place = path.relative_to(folder)
        if place.parts[0] != "out":
            found[place] = path.lstat().st_mtime_ns if not path.is_dir() or path.is_symlink() else None
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case, tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    arguments = case.write(folder) or ["convert", "set", "--out", "out", "--method", "components"]
    before = files_of(folder)
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    printed = "".join(result.output.split())  # lines are broken at any place
    assert "Traceback" not in printed
    assert result.exit_code == CODES[case.come], result.output
    assert "".join(case.sentence.split()) in printed, result.output
    assert files_of(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    out = folder / "out"
    if case.come in ("nothing", "refused", "usage", "told"):
        assert not out.exists()
    if case.come == "refused":
        assert re.fullmatch(r"([^\n]+ pairs? [^\n]+\n)?Error: [^\n]+\.\n", result.stderr), result.stderr
    if case.come in WRITTEN:
        assert (out / WRITTEN[case.come]).is_file()
    if case.come in ("converted", "listed"):
        assert not list(out.rglob("*.part"))
        names = {image["file_name"] for image in json.loads((out / "instances.json").read_text())["images"]}
        assert any(Path(name).stem in ("good", "a", "ADE_train_00000001") for name in names)
        assert ("bad.png" in names) is False or case.come == "converted"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory work on Linux alone")
def test_bombs_need_little_memory():
    words = ["bomb", "zeros", "billion", "nested", "polygon", "size", "long-number", "tar-"]
    script = Path(__file__).with_name("bad_inputs.py")
    command = [sys.executable, str(script), *words]
    # Each thread of a library takes its part of the memory that is allowed, used or not.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_enough():
    assert len(CASES) >= 300
    assert len({case.name for case in CASES}) == len(CASES)
