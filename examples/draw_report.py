"""Photograph the report of the example scenes, for the README.

    sisegcli convert examples/scenes --out out/scenes --overwrite
    sisegcli report out/scenes --input examples/scenes --truth examples/scenes --overwrite
    python examples/draw_report.py out/scenes/report.html examples/report.png

This needs Chromium.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

COLOURS = 256


def photograph(page: Path, size: tuple[int, int], chromium: str = "chromium") -> Image.Image:
    """Return what Chromium shows of a page in a window of this size (height, width)."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "page.png")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        options += [f"--window-size={size[1]},{size[0]}", "--virtual-time-budget=8000", f"--screenshot={picture}"]
        subprocess.run([chromium, *options, page.resolve().as_uri()], check=True, capture_output=True)
        with Image.open(picture) as opened:
            shown: Image.Image = opened.convert("RGB")
        return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Photograph a page, in few colours.")
    parser.add_argument("page", type=Path, help="HTML page")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 1100), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--chromium", default="chromium", help="program")
    options = parser.parse_args(arguments)
    shown = photograph(options.page, (options.size[0], options.size[1]), options.chromium)
    shown.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
