"""The commands by name, each imported and built when it is asked for: building all takes as long as importing Typer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer

from sisegcli.cli.help import Command
from sisegcli.cli.settings import Configurable

HELP_NAMES = {"help_option_names": ["-h", "--help"]}

COMMANDS: Mapping[str, str] = {
    "convert": "Convert images and semantic masks to object instances.",
    "merge": "Join the outputs of shards, as if they had been converted in one run.",
    "train": "Train the network on images and semantic masks alone.",
    "evaluate": (
        "Compare instances with ground truth: COCO, boundary and VOC AP, PQ, and what was split, merged, missed, "
        "made up."
    ),
    "report": "Make one HTML page to look through what a conversion found.",
    "preview": "Show the instances of one image: in the terminal, or as a PNG.",
    "formats": (
        "List the formats that convert writes, the layouts that it reads, and the ground truth that evaluate reads."
    ),
    "categories": (
        "Print a list of categories as CSV, which --categories reads back; without LIST, name those that come along."
    ),
    "weights": "List, show or verify weights.",
    "export": "Export weights for other engines: ONNX, OpenVINO or TorchScript.",
    "doctor": (
        "Say what this machine has for sisegcli: device, packages, weights, speed, and what would make it faster."
    ),
}
"""Commands in the order of the help, with the first paragraph of their docstrings, as the help shows it."""


class Commands(Mapping[str, Any]):
    """The commands of the program; `sisegcli.cli.NAME` holds the function of each."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            COMMANDS[name]  # a KeyError for what is no command
            self._built[name] = _build(name)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Command(Configurable, Command):
    """A command whose options may also come from the environment and from a file."""


def _build(name: str) -> Any:
    # Without rich_markup_mode, neither help nor errors import Rich, which takes longer than all else.
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    function = getattr(import_module(f"sisegcli.cli.{name}"), name)
    alone.command(name, cls=_Command, context_settings=HELP_NAMES)(function)
    return typer.main.get_command(alone)
