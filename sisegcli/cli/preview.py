"""``sisegcli preview``."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.convert import Edges, MethodName
from sisegcli.cli.options import METHOD, OUTPUT, mask_options


class Show(str, Enum):
    """How a terminal shows pictures."""

    auto = "auto"
    kitty = "kitty"
    iterm = "iterm"
    sixel = "sixel"
    blocks = "blocks"
    no = "no"


def preview(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photograph.", show_default=False)],
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="Its semantic mask.", show_default=False)],
    background: shared.Background = "auto",
    ignore: shared.Ignore = "auto",
    categories: shared.CategoryList = None,
    colours: shared.Colours = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the picture, as PNG, instead of showing it; by default IMAGE-instances.png in the current "
            "folder, where the terminal shows no pictures.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    show: Annotated[
        Show,
        typer.Option(
            help="How the terminal shows pictures. auto: what its environment variables tell; no: a PNG is written.",
            rich_help_panel=OUTPUT,
        ),
    ] = Show.auto,
    scale: Annotated[
        int,
        typer.Option(
            min=1,
            max=8,
            metavar="N",
            help="Enlarge the picture; from 2 on with smooth outlines, for print.",
            rich_help_panel=OUTPUT,
        ),
    ] = 1,
    legend: Annotated[
        bool, typer.Option("--legend", help="List categories and colours below.", rich_help_panel=OUTPUT)
    ] = False,
    displacement: Annotated[
        bool, typer.Option("--displacement", help="Show the displacement field beside it.", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: shared.Overwrite = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
    method: Annotated[MethodName, typer.Option(help="As for convert.", rich_help_panel=METHOD)] = MethodName.siseg,
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Weights of the network.", rich_help_panel=METHOD)
    ] = "default",
    edges: Annotated[Edges, typer.Option(help="As for convert.", rich_help_panel=METHOD)] = Edges.auto,
    min_area: Annotated[
        int, typer.Option(min=0, metavar="PIXELS", help="Remove smaller instances.", rich_help_panel=METHOD)
    ] = 0,
    device: shared.Device = "auto",
) -> None:
    """Show the instances of one image: in the terminal, or as a PNG.

    Pictures in the terminal need kitty's, iTerm2's or sixel graphics, or 24-bit colour. Where stdout is no terminal, or
    NO_COLOR is set, a PNG is written.
    """
    import os
    import shutil
    import sys

    from PIL import Image

    from sisegcli.cli.console import Console
    from sisegcli.formats.files import refuse_existing, replacing
    from sisegcli.running.preview import PreviewOptions, draw_preview
    from sisegcli.terminal import choose_kind
    from sisegcli.terminal import show as show_picture

    kind = None if show is Show.no else show.value
    if show is Show.auto:
        kind = choose_kind(os.environ, terminal=sys.stdout.isatty())
    path = out or (Path(f"{image.stem}-instances.png") if kind is None else None)
    if path is not None:
        refuse_existing(path, overwrite=overwrite)
    found = draw_preview(
        PreviewOptions(
            image,
            mask,
            method=method.value,
            weights=weights,
            edges=edges.value,
            device=device,
            min_area=min_area,
            scale=scale,
            legend=legend,
            field=displacement,
            **mask_options(background, ignore, categories, colours),
        )
    )
    console = Console(verbose=verbose, quiet=quiet)
    counts = Counter(found.categories.name(i.category) for i in found.instances)
    listed = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
    console.say(f"Instances: {listed}.")
    console.detail(f"Weights: {weights}. Device: {device}. Method: {method.value}.")
    for i in found.instances:
        top, left, height, width = i.box
        place = f"{width} × {height} pixels at x {left}, y {top}"
        console.detail(f"{found.categories.name(i.category)}: score {i.score:.2f}, area {i.area:,}, {place}")
    if path is None:
        columns, lines = shutil.get_terminal_size()
        typer.echo(show_picture(found.picture, str(kind), columns=columns, lines=lines), nl=False, color=True)
        return
    with replacing(path) as temporary:
        Image.fromarray(found.picture).save(temporary, "PNG", optimize=True)
    console.tell(f"Written: {path}")
