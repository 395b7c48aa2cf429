"""Compare training's speed with that of the same steps on batches that are on the device already.

    python benchmarks/training_rate.py DATA [DATA ...] [--minutes M] [--batch-size N ...] [--crop N] [--workers N]
        [--device NAME] [--backbone-weights FILE] [--json]

The first of each pair of runs is `sisegcli train` as it is. The second takes the first eight batches that the first
would take, again and again, from the device's memory: what is left is the networks' work. A rate is that of the later
half of a run's steps. With --device cpu it is a rehearsal.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from speed import show
from timing import Row, machine

from sisegcli.devices import pick_device
from sisegcli.training import loader, loop
from sisegcli.training.listener import TrainListener
from sisegcli.training.loader import Batch
from sisegcli.training.options import TrainOptions
from sisegcli.training.run import train

HELD = 8
"""Batches that are used again and again."""


class Clock(TrainListener):
    """Notes when each step was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def stepped(self, step: int, progress: float, losses: Mapping[str, float]) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())

    def rate(self) -> float:
        """Return the steps a second of the later half of the steps."""
        later = self.times[len(self.times) // 2 :]
        if len(later) < 3:
            sys.exit("Error: too few steps were made to tell a rate; give more --minutes.")
        return (len(later) - 1) / (later[-1] - later[0])


def steps_a_second(options: TrainOptions, *, held: bool) -> float:
    """Train for a while; return the rate of the steps."""
    made = loader.batches
    device = pick_device(options.device)

    def hold(*given: Any, **named: Any) -> Iterator[Batch]:
        first = list(itertools.islice(made(*given, **named), HELD))
        yield from itertools.cycle([batch._each(lambda x: x.to(device)) for batch in first])

    clock = Clock()
    if held:
        vars(loop)["batches"] = hold
    try:
        train(options, clock)
    finally:
        vars(loop)["batches"] = made
    return clock.rate()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print machine, table and, if asked, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="folders of images and semantic masks")
    parser.add_argument("--minutes", type=float, default=1.0, metavar="M", help="of each run, 1 by default")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[8], metavar="N", help="crops in a step")
    parser.add_argument("--crop", type=int, metavar="N", help="side of crops, in pixels; the recipe's by default")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), metavar="N")
    parser.add_argument("--device", default="cuda", metavar="NAME")
    parser.add_argument("--backbone-weights", type=Path, metavar="FILE", help="ImageNet's, where there is no package")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("Error: there is no CUDA device here; --device cpu rehearses.")
    write = sys.stdout.write
    write("\n".join(machine()) + "\n")
    rows = []
    for size in given.batch_size:
        with tempfile.TemporaryDirectory() as folder:
            options = TrainOptions(
                tuple(given.data),
                Path(folder),
                minutes=given.minutes,
                crop=given.crop,
                batch_size=size,
                device=given.device,
                workers=given.workers,
                backbone_weights=given.backbone_weights,
                overwrite=True,
            )
            ours, theirs = (steps_a_second(options, held=held) for held in (False, True))
        note = f"{ours * size:.0f} and {theirs * size:.0f} crops/s"
        rows.append(
            Row(f"train_{size}", f"train, {size} crops a step", "its steps alone", ours / theirs, ">= 0.9", note)
        )
    write("\n".join(show(rows)) + "\n")
    if given.json:
        write(json.dumps({row.name: row.value for row in rows}) + "\n")


if __name__ == "__main__":
    main()
