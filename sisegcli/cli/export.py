"""``sisegcli export``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.options import OUTPUT


class Kind(str, Enum):
    """Kinds of files."""

    onnx = "onnx"
    openvino = "openvino"
    torchscript = "torchscript"


def export(
    weights: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="Weights, by name or file.", show_default=True)
    ] = "default",
    to: Annotated[
        Kind,
        typer.Option(
            help="onnx: one .onnx file, for ONNX Runtime and others. openvino: .xml and .bin, for speed on "
            "processors. torchscript: one .pt file, for programs without Python; sisegcli does not read it.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = ...,  # type: ignore[assignment]
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file; by default the weights' name, here.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: shared.Overwrite = False,
    as_json: shared.Json = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
) -> None:
    """Export weights for other engines: ONNX, OpenVINO or TorchScript.

    All networks go into one file, with their configuration: convert --weights FILE runs it, with the same result.
    The file is tried out against the weights before it appears.
    """
    from sisegcli.cli.console import Console
    from sisegcli.running.export import export as run

    console = Console(as_json, verbose=verbose, quiet=quiet)
    console.say(f"Exporting {weights} to {to.value} …")
    summary = run(weights, to.value, out, overwrite=overwrite)
    console.detail(f"Exported from {summary.weights}.")
    for name, numbers in summary.networks.items():
        console.detail(f"{name}: {numbers:,} numbers")
    if as_json:
        console.print_json(summary.to_json())
        return
    parts = ", ".join(summary.networks)
    console.tell(f"{parts}: {summary.size / 1e6:.1f} MB; answers differ by {summary.difference:.0e} at most.")
    for path in summary.outputs:
        console.tell(f"Written: {path}")
    if to is not Kind.torchscript:
        console.tell(f"Use it: sisegcli convert DIR --weights {summary.outputs[0]}")
