"""The wheel that is built holds all that the package needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import check_wheel
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = place.glob("*.whl")
    return built


def test_it_is_whole_and_small(wheel: Path) -> None:
    assert check_wheel.faults(wheel) == []
    names = zipfile.ZipFile(wheel).namelist()
    assert {"sisegcli/py.typed", "sisegcli/weights/default.safetensors", "sisegcli/report/page/main.js"} <= {*names}


def test_what_is_missing_or_foreign_is_named(wheel: Path, tmp_path: Path) -> None:
    other = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            if name not in {"sisegcli/py.typed", "sisegcli/weights/paper.safetensors"}:
                new.writestr(name, old.read(name) if name.endswith("METADATA") else b"")
        new.writestr("tests/conftest.py", b"")
    assert check_wheel.faults(other) == [
        "sisegcli/py.typed is missing.",
        "sisegcli/weights/paper.safetensors is missing.",
        "tests/conftest.py does not belong there.",
    ]
