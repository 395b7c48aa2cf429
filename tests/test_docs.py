"""The documentation does what it says: its Python runs, its sessions parse, and the notebook comes to its end."""

from __future__ import annotations

import doctest
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import typer.main
from PIL import Image
from typer.testing import CliRunner

from sisegcli.cli import app

ROOT = Path(__file__).parent.parent
SCENES = ROOT / "examples" / "scenes"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

FOREIGN = re.compile(r"^(from|import) (transformers|mmseg)\b", re.MULTILINE)
"""Libraries that no test has; blocks that import them are compiled, and stand-ins take the place of what they make."""


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def semantic_scene(things: int, rest: int) -> torch.Tensor:
    """Return what a network would say of a scene: one thing category in front of one other."""
    mask = np.asarray(Image.open(SCENES / "SegmentationClass" / "scene-04.png"))
    return torch.from_numpy(np.where((mask > 0) & (mask < 255), things, rest).astype(np.int64))


def a_photograph(_: Path) -> dict[str, Any]:
    for name, folder, suffix in (("sheep", "JPEGImages", "jpg"), ("sheep", "SegmentationClass", "png")):
        shutil.copy(SCENES / folder / f"scene-04.{suffix}", f"{name}.{suffix}")
    return {}


def a_conversion(_: Path) -> dict[str, Any]:
    arguments = ["convert", str(SCENES), "--method", "components", "--out", "instances"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return {}


def transformers_output(_: Path) -> dict[str, Any]:
    Path("predictions").mkdir()
    model = SimpleNamespace(config=SimpleNamespace(id2label={0: "sky", 1: "sheep"}))
    image = Image.open(SCENES / "JPEGImages" / "scene-04.jpg").convert("RGB")
    semantic = semantic_scene(things=12, rest=2)  # person, sky
    return {"Image": Image, "image": image, "semantic": semantic, "model": model}


def mmsegmentation_output(_: Path) -> dict[str, Any]:
    Image.open(SCENES / "JPEGImages" / "scene-04.jpg").save("street.png")
    data = semantic_scene(things=11, rest=0)[None]  # person, road
    model = SimpleNamespace(dataset_meta={"classes": ("sky", "sheep")})
    return {"result": SimpleNamespace(pred_sem_seg=SimpleNamespace(data=data)), "model": model}


STANDS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "docs/reference/python.md": a_photograph,
    "docs/tutorial.md": a_conversion,
    "docs/how-to/transformers.md": transformers_output,
    "docs/how-to/mmsegmentation.md": mmsegmentation_output,
}
"""What the blocks of a page find in the working folder and among the names."""


def run_page(page: str, folder: Path) -> dict[str, Any]:
    """Run the Python of a page, block after block, in one namespace; return that."""
    names = STANDS[page](folder)
    for number, block in enumerate(blocks(page)):
        program = compile(block, f"{page}, block {number}", "exec")
        if not FOREIGN.search(block):
            exec(program, names)
    return names


def test_every_page_with_python_is_run() -> None:
    assert {page for page in PAGES if blocks(page)} == {*STANDS, "README.md"}


def test_python_of_the_reference_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_page("docs/reference/python.md", tmp_path)
    written = json.loads(Path("out/instances.json").read_text(encoding="utf-8"))
    assert len(written["annotations"]) == len(names["instances"]) > 1
    assert np.asarray(Image.open("overlay.png")).shape == (240, 320, 3)


def test_python_of_the_readme_is_that_of_the_reference() -> None:
    assert blocks("README.md") == blocks("docs/reference/python.md")[:1]


def test_python_of_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page("docs/tutorial.md", tmp_path)
    said = [line for line in capsys.readouterr().out.splitlines() if line.endswith("]")]
    assert said and all(line.split()[0] in {"apple", "leaf", "brick", "fish", "starfish"} for line in said)


@pytest.mark.parametrize(
    ("page", "background"), [("docs/how-to/transformers.md", "sky"), ("docs/how-to/mmsegmentation.md", "road")]
)
def test_five_lines_make_instances_of_what_other_libraries_give(
    page: str, background: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_page(page, tmp_path)
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert said.count(background) == 1  # stuff is one segment
    assert said.count("person") == len(said) - 1 > 1
    assert sum(instance.area for instance in names["instances"]) == 240 * 320
    assert [(c.name, c.isthing) for c in names["categories"].values()] == [("sky", False), ("sheep", True)]  # its own
    five = next(block for block in blocks(page) if "Segmenter(" in block).split("\n\n", 1)
    assert len([line for line in five[1].splitlines() if line]) <= 5
    if "semantic" in names:  # what was saved has the ids of the list
        assert np.unique(np.asarray(Image.open("predictions/street.png"))).tolist() == [3, 13]


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads((ROOT / "examples" / "tour.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "scenes").symlink_to(SCENES)
    monkeypatch.chdir(tmp_path / "examples")
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells, start=1):
        exec(compile("".join(cell["source"]), f"tour.ipynb, cell {number}", "exec"), names)
    written = json.loads((tmp_path / "out" / "tour" / "instances.json").read_text(encoding="utf-8"))
    assert len(written["images"]) == 3
    assert len(written["annotations"]) == sum(len(found) for found in names["found"].values())
    assert names["report"].images == 3 and 0 < names["report"].ap < 1
    assert names["picture"].shape[1] == 640
    assert "cuts around" in capsys.readouterr().out


def test_the_page_of_commands_has_every_option() -> None:
    pytest.importorskip("mkdocs")
    docs_pages = pytest.importorskip("docs_pages")
    page = docs_pages.commands_page()
    program: Any = typer.main.get_command(app)
    for name, command in program.commands.items():
        part = page.split(f"\n## sisegcli {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts and all(option in part for option in parameter.opts), (name, parameter.opts)


def test_what_the_documentation_takes_from_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("mkdocs")
    docs_pages = pytest.importorskip("docs_pages")
    assert doctest.testmod(docs_pages) == (0, 3)
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    docs_pages.on_post_page('<a href="https://there.example/">', page=page)
    assert not caplog.records
    docs_pages.on_post_page('<script src="https://there.example/a.js">', page=page)
    assert [record.getMessage() for record in caplog.records] == [
        'index.md would fetch <script src="https://there.example/a.js">'
    ]
