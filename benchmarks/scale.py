"""Measure what a conversion costs per image on one core, and reckon what millions of images would cost.

    python benchmarks/scale.py [DIR] [--split NAME] [--sizes 1e6 1e8 1e10] [--listed 200000]

Runs ``sisegcli convert`` in processes of their own, with one thread each, and counts the processor's time, not the
clock's: other programs hardly change it. Without DIR it takes the repository's example scenes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sisegcli.data.layouts import find_pairs
from sisegcli.running.merge import merge

EXAMPLES = Path(__file__).parent.parent / "examples" / "scenes"
LISTING = """
import resource, sys, time
from sisegcli.data.layouts import find_pairs
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
pairs = find_pairs(sys.argv[1]).pairs
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@dataclass(frozen=True)
class Costs:
    """What was measured; times are seconds of one core, sizes bytes.

    Attributes
    ----------
    start, image, baseline : float
        Time until the first image, time an image, and time an image of ``--method components``.
    memory : float
        Most memory of a process.
    read, coco, voc : float
        Bytes an image: read (photograph and mask), ``instances.json``, and VOC's PNGs with their table.
    listed, pair : float
        Time and memory that a pair costs before any work.
    merged : float
        Time that `merge` takes for an image in ``instances.json``.
    """

    start: float
    image: float
    baseline: float
    memory: float
    read: float
    coco: float
    voc: float
    listed: float
    pair: float
    merged: float


def processor_seconds(command: Sequence[str]) -> tuple[float, float, str]:
    """Run a program with one thread; return its processor time, its most memory in bytes, and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        printed = pipe.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}.")
    scale = 1 if sys.platform == "darwin" else 1024
    return used.ru_utime + used.ru_stime, float(used.ru_maxrss * scale), printed


def measure(root: Path, split: str | None, listed: int) -> Costs:
    """Convert a folder whole and a first image alone, list empty files, and merge."""
    layout = find_pairs(root, split=split)
    pairs = len(layout.pairs)
    read = sum(path.stat().st_size for pair in layout.pairs for path in (pair.image, pair.mask))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        common = ["-m", "sisegcli", "convert", str(root), "--workers", "1", "--device", "cpu", "--batch-size", "1"]
        common += ["--split", split] if split else []
        formats = ["--to", "coco", "--to", "voc"]
        first, _, _ = processor_seconds([*common, "--shard", f"1/{pairs}", "--out", str(out / "first")])
        whole, memory, _ = processor_seconds([*common, *formats, "--out", str(out / "whole")])
        components = [*common, "--method", "components"]
        begin, _, _ = processor_seconds([*components, "--shard", f"1/{pairs}", "--out", str(out / "b1")])
        baseline, _, _ = processor_seconds([*components, "--out", str(out / "b")])
        halves = []
        for number in (1, 2):
            halves.append(out / f"half{number}")
            processor_seconds([*components, "--shard", f"{number}/2", "--out", str(halves[-1])])
        started = time.process_time()
        for number in range(20):
            merge(halves, out / f"merged{number}")
        merged = (time.process_time() - started) / 20 / pairs
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            (out / "many" / kind).mkdir(parents=True)
            for number in range(listed):
                (out / "many" / kind / f"image-{number:012}.{suffix}").touch()
        seconds, kilobytes = processor_seconds(["-c", LISTING, str(out / "many")])[2].split()
        voc = _size(out / "whole") - _size(out / "whole/instances.json")
        return Costs(
            start=first - (whole - first) / (pairs - 1),
            image=(whole - first) / (pairs - 1),
            baseline=(baseline - begin) / (pairs - 1),
            memory=memory,
            read=read / pairs,
            coco=_size(out / "whole/instances.json") / pairs,
            voc=voc / pairs,
            listed=float(seconds) / listed,
            pair=float(kilobytes) * 1024 / listed,
            merged=merged,
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*.*"))


def rows(costs: Costs, sizes: Sequence[float]) -> list[list[str]]:
    """Return the two tables as one list of rows: what was measured, and what follows for numbers of images.

    >>> costs = Costs(3, 0.5, 0.01, 6e8, 1e5, 2e3, 5e3, 1e-5, 1e3, 1e-4)
    >>> [row[1] for row in rows(costs, [1e6])[-8:]]
    ['139', '100 GB', '2 GB', '5 GB', '10 s', '1 GB', '2 min', '20']
    """
    measured = [
        ["start of a process", f"{costs.start:.1f} s"],
        ["an image", f"{costs.image:.3f} s ({1 / costs.image:.1f} images/s a core)"],
        ["an image, `--method components`", f"{costs.baseline:.4f} s"],
        ["most memory", _bytes(costs.memory)],
        ["read, an image", _bytes(costs.read)],
        ["`instances.json`, an image", _bytes(costs.coco)],
        ["VOC's PNGs, an image", _bytes(costs.voc)],
        ["finding a pair", f"{costs.listed * 1e6:.0f} µs, {_bytes(costs.pair)} of memory"],
        ["merging an image", f"{costs.merged * 1e6:.0f} µs"],
    ]
    reckoned = [
        ["core hours", *(f"{n * costs.image / 3600:,.0f}" for n in sizes)],
        ["read", *(_bytes(n * costs.read) for n in sizes)],
        ["`instances.json`", *(_bytes(n * costs.coco) for n in sizes)],
        ["VOC's PNGs", *(_bytes(n * costs.voc) for n in sizes)],
        ["finding the pairs, each shard", *(_time(n * costs.listed) for n in sizes)],
        ["memory for the pairs, each shard", *(_bytes(n * costs.pair) for n in sizes)],
        ["merging", *(_time(n * costs.merged) for n in sizes)],
        ["shards of seven hours", *(f"{-(-n * costs.image // (7 * 3600)):,.0f}" for n in sizes)],
    ]
    return [*measured, *reckoned]


def _bytes(number: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} bytes"


def _time(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=EXAMPLES)
    parser.add_argument("--split")
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e6, 1e8, 1e10])
    parser.add_argument("--listed", type=int, default=200_000)
    chosen = parser.parse_args(arguments)
    for row in rows(measure(chosen.root, chosen.split, chosen.listed), chosen.sizes):
        print(f"| {' | '.join(row)} |")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
