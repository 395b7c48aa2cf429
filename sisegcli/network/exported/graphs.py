"""What exported files hold: a graph for each network, under names that are part of the format, and a description.

All graphs of a file are one, without connections between them, so that one file is enough; each tensor that goes in or
out is called ``GRAPH/NAME``. Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sisegcli.errors import CheckpointError
from sisegcli.network.config import FORMAT, NetworkConfig, parse_config

MAX_ALIGNMENT = 256

KINDS = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}
"""Kinds of exported files, and how their names end."""


class Graph(NamedTuple):
    """A network of a file: the names of what it is shown, and of what it answers.

    The first input is (N, 3, H, W) uint8, all others are (N, 1, H, W) float32.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: bool = False

    @property
    def input_names(self) -> list[str]:
        """The inputs' names in the file."""
        return [f"{self.name}/{name}" for name in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The outputs' names in the file."""
        return [f"{self.name}/{name}" for name in self.outputs]

    def shapes(self, count: int, height: int, width: int) -> list[tuple[int, ...]]:
        """Return the shapes of the answers to `count` images or windows.

        >>> graphs_of(NetworkConfig())[0].shapes(8, 64, 96)
        [(8, 2, 16, 24), (8, 1, 16, 24)]
        """
        quarter, half = (height // 4, width // 4), (height // 2, width // 2)
        if self.whole:
            return [(count, 2, *quarter), (count, 1, *quarter)]
        if self.name == "edges":
            return [(count, 1, *half), (count,)]
        return [(count, 2) if self.name == "wholeness" else (count, 1, *quarter)]


def graphs_of(config: NetworkConfig) -> list[Graph]:
    """Return the graphs of a configuration's networks.

    >>> [graph.name for graph in graphs_of(NetworkConfig(membership=True))]
    ['network', 'membership']
    """
    seen = ("images", "guide") if config.guided else ("images",)
    found = [Graph("network", seen, ("displacement", "boundary"), whole=True)]
    if config.membership:
        found.append(Graph("membership", ("windows", "things", "prompts"), ("logits",)))
    if config.edges:
        found.append(Graph("edges", ("windows", "things", "instances"), ("logits", "rough")))
    if config.wholeness:
        found.append(Graph("wholeness", ("windows", "things", "shapes"), ("logits",)))
    return found


@dataclass(frozen=True)
class Description:
    """What an exported file says of itself.

    Attributes
    ----------
    config : NetworkConfig
        The configuration of the networks.
    alignment : int
        Sides of images are multiples of this many pixels.
    sizes : mapping
        Numbers in each graph, by name.
    notes : mapping
        Notes of the weights: data, recipe, seed.
    """

    config: NetworkConfig
    alignment: int
    sizes: Mapping[str, int]
    notes: Mapping[str, str]

    def to_metadata(self) -> dict[str, str]:
        """Return all of it as texts."""
        facts = {"alignment": self.alignment, "sizes": dict(self.sizes)}
        config = json.dumps(asdict(self.config))
        return {**self.notes, "format": FORMAT, "config": config, "exported": json.dumps(facts)}


def parse_description(path: Path, metadata: Mapping[str, Any]) -> Description:
    """Read what `Description.to_metadata` wrote.

    Raises
    ------
    CheckpointError
        If it is another program's, or another version's.
    """
    if metadata.get("format") != FORMAT or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{path} holds no sisegcli network; use a file that 'sisegcli export' wrote.")
    config = parse_config(path, metadata)
    notes = {name: text for name, text in metadata.items() if name not in ("format", "config", "exported")}
    try:
        facts = json.loads(metadata["exported"])
        alignment, sizes = facts["alignment"], dict(facts["sizes"])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        alignment, sizes = 0, {}
    fine = type(alignment) is int and 0 < alignment <= MAX_ALIGNMENT
    if (
        not fine
        or list(sizes) != [graph.name for graph in graphs_of(config)]
        or not all(type(size) is int for size in sizes.values())
    ):
        raise CheckpointError(f"{path} does not say what it holds; export it again with this version of sisegcli.")
    return Description(config, alignment, sizes, notes)
