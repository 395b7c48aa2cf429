"""Train on one's own kind of images: half of the nuclei, by their semantic masks alone.

    python benchmarks/nuclei.py DATA OUT [--epochs N | --minutes N] [OPTION ...]

Links images and masks of every second image of DATA/nuclei-dev into OUT/data (their instances are not shown), runs
`sisegcli train` on them into OUT/run, and says how to measure the weights on the other half. Further options go to
`sisegcli train`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from plan import halves

from sisegcli.cli import app

SET = "nuclei-dev"
SHOWN = ("images", "masks")
"""Folders that training may see."""


def link_half(data: Path, out: Path) -> int:
    """Link the half to learn from into a folder; return how many images it has."""
    learned = set(halves(path.stem for path in (data / "images").iterdir())[0])
    for name in SHOWN:
        (out / name).mkdir(parents=True, exist_ok=True)
        for path in (data / name).iterdir():
            link = out / name / path.name
            if path.stem in learned and not link.is_symlink():
                link.symlink_to(path.resolve())
    return len(learned)


def main(arguments: Sequence[str] | None = None) -> int:
    """Link, train, and say what is next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--epochs", metavar="N", help="passes over the images")
    time.add_argument("--minutes", metavar="N", help="time to train")
    options, more = parser.parse_known_args(arguments)
    if not (options.data / SET).is_dir():
        parser.error(f"{options.data} holds no {SET}")
    count = link_half(options.data / SET, options.out / "data")
    sys.stderr.write(f"{options.out / 'data'}: {count} images with semantic masks\n")
    run = options.out / "run"
    for name in ("epochs", "minutes"):
        if getattr(options, name) is not None:
            more += [f"--{name}", getattr(options, name)]
    status = app(["train", str(options.out / "data"), "--out", str(run), "--seed", "0", *more], standalone_mode=False)
    if status:
        return int(status)
    weights = run / "weights.safetensors"
    command = ["python", "benchmarks/quality.py", str(options.data), "--only", SET, "--nuclei", str(weights)]
    sys.stdout.write(f"Measure it on the other half: {shlex.join(command)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
