"""Put scenes, their masks and what became of them into one picture, a column each.

    sisegcli convert examples/scenes --overlay --out out/demo --overwrite
    python examples/draw_overview.py examples/scenes out/demo/overlay examples/overview.png --names scene-01 scene-04

The rows are the image, the semantic mask, the instances and, where a network was at work, the displacement field.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

GAP = 6  # pixels between pictures
PAPER = (255, 255, 255)


def draw_overview(scenes: Path, overlays: Path, names: Sequence[str]) -> Image.Image:
    """Draw the overview.

    Parameters
    ----------
    scenes : Path
        Folder in the layout of a VOC devkit.
    overlays : Path
        Folder of the pictures that ``sisegcli convert --overlay`` drew.
    names : sequence of str
        Names of scenes, all of one size.
    """
    columns = [_column(scenes, overlays, name) for name in names]
    width, height = columns[0][0].size
    rows = min(map(len, columns))
    sheet = Image.new("RGB", (len(columns) * (width + GAP) - GAP, rows * (height + GAP) - GAP), PAPER)
    for x, column in enumerate(columns):
        for y, picture in enumerate(column[:rows]):
            sheet.paste(picture, (x * (width + GAP), y * (height + GAP)))
    return sheet


def _column(scenes: Path, overlays: Path, name: str) -> list[Image.Image]:
    image = Image.open(scenes / "JPEGImages" / f"{name}.jpg").convert("RGB")
    mask = Image.open(scenes / "SegmentationClass" / f"{name}.png").convert("RGB")
    overlay = Image.open(overlays / f"{name}.png").convert("RGB")
    panels = [overlay.crop((0, 0, *image.size))]
    if overlay.width >= 2 * image.width:  # the displacement field is the second panel
        panels.append(overlay.crop((overlay.width - image.width, 0, *overlay.size)))
    return [image, mask, *panels]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Put scenes, masks and instances into one picture.")
    parser.add_argument("scenes", type=Path, help="folder of scenes in VOC layout")
    parser.add_argument("overlays", type=Path, help="folder of overlays")
    parser.add_argument("out", type=Path, help="picture to write, PNG or JPEG")
    parser.add_argument("--names", nargs="+", required=True, help="names of scenes")
    options = parser.parse_args(arguments)
    sheet = draw_overview(options.scenes, options.overlays, options.names)
    sheet.save(options.out, optimize=True, quality=92)


if __name__ == "__main__":
    main()
