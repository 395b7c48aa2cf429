"""Whether a round of corrections helps: nuclei, a few of whose images somebody corrects.

    python benchmarks/corrections.py DATA OUT --weights W [--count 10] [--epochs 20] [--seed 0]

W are weights that `benchmarks/nuclei.py` made from the semantic masks of every second image of DATA/nuclei-dev. The
round is a user's: convert these images with W, list what is doubtful by `sisegcli report --layers`, correct the images
with most doubt (their true instances take the place of a person's work), and train on by `sisegcli train --start W
--corrections`. As many steps without corrections tell what more training alone does. All three weights are measured on
the other half. Prints JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from measuring import measure
from nuclei import SET, link_half
from plan import SETS, Column, Table, Way

from sisegcli.cli import app
from sisegcli.training.corrections import repeats


def most_doubtful(table: Path, count: int) -> list[str]:
    """Return the stems of the images whose doubts, summed over the lines of doubtful.csv, are largest."""
    doubts: defaultdict[str, float] = defaultdict(float)
    with table.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            doubts[line["stem"]] += float(line["doubt"])
    return sorted(doubts, key=lambda stem: (-doubts[stem], stem))[:count]


def link_corrected(data: Path, stems: Collection[str], out: Path) -> None:
    """Link the images, masks and true instances of some images into a folder."""
    for name in ("images", "masks", "instances"):
        (out / name).mkdir(parents=True, exist_ok=True)
        for path in (data / name).iterdir():
            link = out / name / path.name
            if path.stem in stems and not link.is_symlink():
                link.symlink_to(path.resolve())


def run(*arguments: object) -> None:
    """Run a command of sisegcli.

    Raises
    ------
    SystemExit
        If it fails.
    """
    if status := app([str(argument) for argument in arguments], standalone_mode=False):
        raise SystemExit(int(status))


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, correct, train twice, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--weights", type=Path, required=True, metavar="W")
    parser.add_argument("--count", type=int, default=10, metavar="N", help="images to correct")
    parser.add_argument("--epochs", type=float, default=20.0, metavar="N", help="passes over the images")
    parser.add_argument("--seed", default="0", metavar="N")
    options = parser.parse_args(arguments)
    out, learned = options.out, options.out / "data"
    images = link_half(options.data / SET, learned)

    run("convert", learned, "--weights", options.weights, "--out", out / "instances", "--overwrite")
    layers = ("--layers", "--weights", options.weights)
    run("report", out / "instances", "--input", learned, *layers, "--overwrite")
    chosen = most_doubtful(out / "instances" / "doubtful.csv", options.count)
    link_corrected(options.data / SET, chosen, out / "corrected")

    # Corrected images come several times in an epoch; without them, more epochs make the same number of steps.
    longer = options.epochs * (1 + len(chosen) * (repeats(len(chosen), images) - 1) / images)
    training = ("train", learned, "--start", options.weights, "--seed", options.seed, "--overwrite")
    run(*training, "--epochs", longer, "--out", out / "more")
    run(*training, "--epochs", options.epochs, "--corrections", out / "corrected", "--out", out / "with")

    weights = {
        "before": options.weights,
        "more training": out / "more" / "weights.safetensors",
        "corrections": out / "with" / "weights.safetensors",
    }
    columns = [Column(title, Way("siseg", str(path))) for title, path in weights.items()]
    half = next(one for one in SETS if one.name == SET)
    found, notes = measure(options.data, [half], [Table("Corrections", columns, microscopy=True)], "auto")
    figures = {
        title: {
            "ap": round(100 * report.ap, 1),
            "ap50": round(100 * report.ap50, 1),
            "splits": report.faults.split,
            "merges": report.faults.merged,
        }
        for title, report in found[SET].reports.items()
    }
    sys.stdout.write(json.dumps({"corrected": chosen, "notes": notes, **figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
