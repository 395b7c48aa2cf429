"""Exporting weights to files of other engines, and making sure that these answer the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sisegcli.errors import CheckpointError, OptionError, OutputError
from sisegcli.formats.files import hidden_folder, output_errors
from sisegcli.network.checkpoint import load_checkpoint
from sisegcli.network.config import read_metadata
from sisegcli.network.exported.engines import ExportedNetwork, Run, as_tuple
from sisegcli.network.exported.files import companions, load_exported
from sisegcli.network.exported.graphs import KINDS, Description, graphs_of
from sisegcli.network.exported.onnx_file import write_onnx
from sisegcli.network.exported.openvino_file import write_openvino
from sisegcli.network.exported.portable import describe_parts, examples, portable
from sisegcli.network.exported.torchscript_file import write_torchscript
from sisegcli.network.model import SisegNetwork
from sisegcli.shipped import weights_path

CLOSE = 1e-3
"""How much answers may differ, as a share of the largest; engines order sums otherwise, which comes to some 1e-6."""


@dataclass(frozen=True)
class ExportSummary:
    """What was written.

    Attributes
    ----------
    weights : str
        The file that was exported.
    kind : str
        ``onnx``, ``openvino`` or ``torchscript``.
    outputs : list of str
        Files that were written.
    size : int
        Bytes of them together.
    networks : dict
        Numbers in each network.
    difference : float
        How much answers to random images differ at most from those of the weights, as a share of the largest.
    """

    weights: str
    kind: str
    outputs: list[str]
    size: int
    networks: dict[str, int]
    difference: float

    def to_json(self) -> dict[str, Any]:
        """Return all of it for a JSON file."""
        return asdict(self)


def export(weights: str | Path, kind: str, out: Path | None = None, *, overwrite: bool = False) -> ExportSummary:
    """Export weights to one file; to two, for OpenVINO.

    Parameters
    ----------
    weights : str or Path
        Name of weights that ship, or a file that ``sisegcli train`` wrote.
    kind : str
        A key of `KINDS`.
    out : Path, optional
        The file; by default the weights' name in the current directory. It appears when it is whole and was tried out.
    overwrite : bool
        Replace what exists.

    Raises
    ------
    CheckpointError
        If the weights cannot be read, or the file's answers are others than theirs.
    OptionError
        If there is no such kind, a package for it is missing, or the file's name has another ending.
    OutputError
        If the file exists or cannot be written.
    """
    if kind not in KINDS:
        raise OptionError(f"Nothing exports to '{kind}'; choose one of {', '.join(KINDS)}.")
    source = weights_path(weights)
    network, config = load_checkpoint(source)
    target = Path(f"{source.stem}{KINDS[kind]}") if out is None else out
    if target.suffix != KINDS[kind]:
        raise OptionError(
            f"--to {kind} writes files that end with {KINDS[kind]}; name --out {target.stem}{KINDS[kind]}."
        )
    wanted = [target] if kind == "torchscript" else companions(target)
    for path in wanted:
        if path.is_dir() or (path.exists() and not overwrite):
            raise OutputError(f"{path} exists already; choose another name with --out, or pass --overwrite.")
    notes = {name: text for name, text in read_metadata(source)[0].items() if name not in ("format", "config")}
    parts = portable(network)
    description = describe_parts(parts, network, config, notes)
    with hidden_folder(target) as folder, output_errors(target):
        made = folder / target.name
        runs = _write(made, kind, parts, description)
        found = load_exported(made)[0] if runs is None else ExportedNetwork(description, runs, made)
        difference = _difference(network, found, description)
        if not difference <= CLOSE:
            raise CheckpointError(
                f"{source} cannot be exported to {kind}: the file answers otherwise (by {difference:.1e}); "
                "use another kind, or another version of its packages."
            )
        for path in reversed(wanted):  # what others look for comes last
            (folder / path.name).replace(path)
    size = sum(path.stat().st_size for path in wanted)
    return ExportSummary(str(source), kind, [str(p) for p in wanted], size, dict(description.sizes), difference)


def _write(
    path: Path, kind: str, parts: Mapping[str, torch.nn.Module], description: Description
) -> dict[str, Run] | None:
    """Write a file; return what runs it, if it is of a kind that is not read."""
    if kind == "torchscript":
        return write_torchscript(path, parts, description)
    (write_onnx if kind == "onnx" else write_openvino)(path, parts, description)
    return None


def _difference(network: SisegNetwork, exported: Any, description: Description) -> float:
    """Compare answers to images that were not traced, in number and in size."""
    largest = 0.0
    for graph in graphs_of(description.config):
        shown = examples(graph, 2 * description.alignment, count=3, seed=1)
        ours, theirs = (whole if graph.whole else getattr(whole, graph.name) for whole in (network, exported))
        with torch.inference_mode():
            pairs = zip(as_tuple(ours(*shown)), as_tuple(theirs(*shown)), strict=True)
            shares = [float((a - b).abs().max() / a.abs().max().clamp_min(1e-6)) for a, b in pairs]
        largest = math.nan if any(map(math.isnan, (largest, *shares))) else max(largest, *shares)
    return largest
