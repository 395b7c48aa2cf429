"""Options that several commands share, in the panels of their help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

if TYPE_CHECKING:
    from sisegcli.data.mask_values import Value

INPUT, OUTPUT, METHOD, RUNNING = "Input", "Output", "Method", "Running"

_DIGITS = 10

Split = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only images listed in ImageSets/Segmentation/NAME.txt.", rich_help_panel=INPUT),
]
Images = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the images, if they have another place.", rich_help_panel=INPUT),
]
Masks = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the masks, if there are several.", rich_help_panel=INPUT),
]
Background = Annotated[
    str,
    typer.Option(
        metavar="INT|none|auto",
        help="Mask value of the background. auto: what the layout says, mostly 0.",
        rich_help_panel=INPUT,
    ),
]
Ignore = Annotated[
    str,
    typer.Option(
        metavar="INT|none|auto",
        help="Mask value of ignored (void) pixels. auto: what the layout says, mostly 255.",
        rich_help_panel=INPUT,
    ),
]
CategoryList = Annotated[
    str | None,
    typer.Option(
        "--categories",
        metavar="LIST",
        help="Names, and which are stuff: a list of sisegcli categories (voc, coco, …), or a file (names by line, "
        "COCO's JSON, or id,name,isthing CSV). By default what the folder tells.",
        rich_help_panel=INPUT,
    ),
]
Colours = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What the colours of RGB masks stand for, as CSV lines id,red,green,blue. By default VOC's colours.",
        rich_help_panel=INPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=OUTPUT)]
Json = Annotated[
    bool, typer.Option("--json", help="Print a summary as JSON, and nothing else.", rich_help_panel=OUTPUT)
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Tell more, on stderr: with what, and of each image.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No words but of problems; figures and JSON still come.", rich_help_panel=OUTPUT
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=RUNNING)]


class MaskOptions(TypedDict):
    """How masks are read, as all options of the runs have it."""

    background: Value
    ignore: Value
    categories: str | None
    colours: Path | None


def mask_options(background: str, ignore: str, categories: str | None, colours: Path | None) -> MaskOptions:
    """Read the options on what masks mean, which four commands share."""
    return {
        "background": mask_value("--background", background),
        "ignore": mask_value("--ignore", ignore),
        "categories": categories,
        "colours": colours,
    }


def mask_value(option: str, text: str) -> Value:
    """Read the value of ``--background`` or ``--ignore``.

    >>> mask_value("--ignore", "255"), mask_value("--ignore", "none"), mask_value("--ignore", "auto")
    (255, None, 'auto')
    """
    if text.lower() == "auto":
        return "auto"
    if text.lower() == "none":
        return None
    if not text.isdecimal() or len(text) > _DIGITS:
        raise typer.BadParameter(f"{text!r} is neither a whole number nor none nor auto.", param_hint=f"'{option}'")
    return int(text)


def tile_size(text: str) -> int | str:
    """Read the value of ``--tile``; `ConvertOptions` refuses other words.

    >>> tile_size("1024"), tile_size("auto")
    (1024, 'auto')
    """
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else text
