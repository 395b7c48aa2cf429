"""What the wheel must hold is asked for in pyproject.toml; building one is left to the build itself."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import sisegcli
from sisegcli.data.category_lists import BUILTIN
from sisegcli.report.page import SCRIPTS
from sisegcli.shipped import weights_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
LARGEST = 30_000_000
"""Bytes that the weights may take: they are most of the wheel."""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return content


def test_weights_go_where_the_installed_package_looks(project: dict[str, Any]) -> None:
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"weights": "sisegcli/weights"}
    assert weights_folder() in (ROOT / "weights", Path(sisegcli.__file__).parent / "weights")
    shipped = list((ROOT / "weights").glob("*.safetensors"))
    assert "default" in {path.stem for path in shipped}
    assert sum(path.stat().st_size for path in shipped) < LARGEST


def test_the_version_is_the_package_s(project: dict[str, Any]) -> None:
    assert project["project"]["version"] == sisegcli.__version__


def test_data_files_lie_inside_the_package() -> None:
    package = resources.files("sisegcli")
    assert (package / "py.typed").is_file()
    assert {f"{name}.csv" for name in BUILTIN} <= {path.name for path in (package / "data/lists").iterdir()}
    assert {"frame.html", "style.css", *SCRIPTS} <= {path.name for path in (package / "report/page").iterdir()}


def test_the_licence_is_named_and_there(project: dict[str, Any]) -> None:
    assert all((ROOT / name).is_file() for name in project["project"]["license-files"])
