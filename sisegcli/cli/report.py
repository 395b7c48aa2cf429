"""``sisegcli report``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.convert import Edges
from sisegcli.cli.options import INPUT, METHOD, OUTPUT, mask_options


class Embed(str, Enum):
    """Where the page has its pictures."""

    auto = "auto"
    all = "all"
    none = "none"


def report(
    found: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Output folder of sisegcli convert, or its instances.json; may be a URL."),
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="DIR",
            help="The folder that was converted, for photographs and masks. By default NAME where OUT is "
            "NAME-instances.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = None,
    images: shared.Images = None,
    masks: shared.Masks = None,
    split: shared.Split = None,
    background: shared.Background = "auto",
    ignore: shared.Ignore = "auto",
    categories: shared.CategoryList = None,
    colours: shared.Colours = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Ground truth, as for evaluate --gt: errors can be filtered, scores are compared with what is right.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    truth_split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="List of images of the ground truth.", rich_help_panel=INPUT),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page; by default report.html in OUT.", rich_help_panel=OUTPUT),
    ] = None,
    embed: Annotated[
        Embed,
        typer.Option(
            help="auto: pictures are in the page, smaller the more there are (none from 20,000 on), and image files "
            "are linked. all: large ones, nothing is linked. none: linked alone.",
            rich_help_panel=OUTPUT,
        ),
    ] = Embed.auto,
    overwrite: shared.Overwrite = False,
    as_json: shared.Json = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Run the network once more, for its displacement field and boundary map.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Weights for --layers.", rich_help_panel=METHOD)
    ] = "default",
    edges: Annotated[Edges, typer.Option(help="For --layers: as for convert.", rich_help_panel=METHOD)] = Edges.auto,
    device: shared.Device = "auto",
) -> None:
    """Make one HTML page to look through what a conversion found.

    The page needs no network. It has all images with their masks and instances, filters, and figures; the most doubtful
    images come first. What can't be read is listed at the end (exit code 1).
    """
    from sisegcli.cli.console import Console, ConvertProgress
    from sisegcli.report import ReportOptions, report_anywhere

    chosen = ReportOptions(
        found=found,
        root=root,
        images=images,
        masks=masks,
        split=split,
        truth=truth,
        truth_split=truth_split,
        layers=layers,
        weights=weights,
        device=device,
        edges=edges.value,
        embed=embed.value,
        out=out,
        overwrite=overwrite,
        **mask_options(background, ignore, categories, colours),
    )
    console = Console(as_json, verbose=verbose, quiet=quiet)
    with ConvertProgress(console, "Reporting") as progress:
        summary = report_anywhere(chosen, progress)
    console.show_report(summary)
    raise typer.Exit(summary.exit_code)
