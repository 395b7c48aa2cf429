"""README and documentation name only what exists: commands, options, their values, files, extras and Python names."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import sisegcli
from sisegcli.cli import app
from sisegcli.cli.settings import read_tables

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = "\n".join([README, *(path.read_text("utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))])
COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]


SESSIONS: list[str] = [
    line
    for block in re.findall(r"```console\n(.*?)```", TEXTS, re.DOTALL)
    for line in re.findall(r"^\$ (sisegcli .*)$", block, re.MULTILINE)
]


@pytest.mark.parametrize("line", SESSIONS)
def test_command_lines_parse(line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    assert COMMANDS[name].make_context(name, arguments).params


def test_there_are_sessions_of_every_command() -> None:
    assert {line.split()[1] for line in SESSIONS} == set(COMMANDS)


def test_options_named_in_the_text_exist() -> None:
    known = {name for command in COMMANDS.values() for option in command.params for name in option.opts}
    known |= {name for option in typer.main.get_command(app).params for name in option.opts}
    for script in (*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").glob("*.py")):
        known |= set(re.findall(r'"(--[a-z][a-z-]*)"', script.read_text(encoding="utf-8")))
    text = re.sub(r"torchrun .*? -- ", "", TEXTS)  # whose options are its own
    text = re.sub(r"^\$ (pip|gh|scripts/lock) .*$", "", text, flags=re.MULTILINE)  # theirs, too
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert named and named <= known, named - known


def test_the_file_of_options_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", TEXTS, re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "sisegcli.toml").write_text(block)
        assert read_tables(tmp_path / "sisegcli.toml", COMMANDS)


def test_command_names_in_the_text_exist() -> None:
    named = set(re.findall(r"`sisegcli ([a-z]+)", TEXTS))
    assert named <= set(COMMANDS)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("https://"):
            assert (ROOT / target).exists(), target


def test_extras_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r'"(?:\.|sisegcli)\[(\w+)\]"', TEXTS)) <= set(extras)


def test_its_results_are_those_of_the_documentation() -> None:
    table = re.search(r"^\| set \|.*?\n\n", README, re.DOTALL | re.MULTILINE)
    assert table and table[0] in (ROOT / "docs/results.md").read_text(encoding="utf-8")


def test_python_names_exist() -> None:
    for names in re.findall(r"^from sisegcli import (.+)$", TEXTS, re.MULTILINE):
        for name in names.split(", "):
            assert hasattr(sisegcli, name), name
