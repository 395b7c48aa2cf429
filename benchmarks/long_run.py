"""Convert many small images in one run; see that all are accounted for, memory stays flat and the journal small.

    python benchmarks/long_run.py [--images 100000] [--broken 100]

Generates pairs of 64 × 48 pixels, of which some have a mask that is no image, and converts them with the command line
(``--method components``, one thread). Prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KINDS = 500
"""Different masks; files are written from memory, as drawing them would take longer than converting."""


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """Return an array as the bytes of a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def generate(root: Path, count: int, broken: int) -> None:
    """Write pairs, in folders of a thousand."""
    rng = np.random.default_rng(0)
    photograph = png(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8))
    blobs = [np.kron(rng.integers(0, 4, (4, 4)), np.ones((12, 16))).astype(np.uint8) for _ in range(KINDS)]
    masks = [png(mask) for mask in blobs]
    bad = set(rng.permutation(count)[:broken].tolist())
    for number in range(count):
        for kind, content in (("images", photograph), ("masks", masks[number % KINDS])):
            path = root / kind / f"{number // 1000:03}" / f"{number:06}.png"
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"no picture" if kind == "masks" and number in bad else content)


def size(journal: Path) -> int:
    """Return the bytes of a journal with its log."""
    found = 0
    for path in (journal, journal.with_name(journal.name + "-wal")):
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


def resident(pid: int) -> int:
    """Return the memory of a process (VmRSS), in bytes."""
    return status(pid, "VmRSS")


def status(pid: int, name: str) -> int:
    """Return what the system notes of a process, in bytes; 0 when that is over."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def watch(command: Sequence[str], journal: Path) -> dict[str, Any]:
    """Run a program; return what it printed, its memory on the way, and the most that the journal took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    memory, most, peak, started = [], 0, 0, time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(command, env=environment, stdout=printed, stderr=subprocess.DEVNULL) as process,
    ):
        while process.poll() is None:
            time.sleep(0.5)
            peak = max(peak, status(process.pid, "VmHWM"))
            now = size(journal)
            if now > most:  # images are being converted
                memory.append(resident(process.pid))
            most = max(most, now)
        printed.seek(0)
        return {
            "summary": json.loads(printed.read()),
            "code": process.returncode,
            "memory": [value for value in memory if value],
            "peak": peak,
            "journal": most,
            "seconds": time.monotonic() - started,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; the exit code is 1 if an image is not accounted for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--broken", type=int, default=100)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder, "set"), Path(folder, "out")
        generate(root, chosen.images, chosen.broken)
        journal = out / ".sisegcli" / "journal.sqlite"
        command = [sys.executable, "-m", "sisegcli", "convert", str(root), "--out", str(out), "--json"]
        found = watch([*command, "--method", "components", "--workers", "1"], journal)
        with closing(sqlite3.connect(journal)) as database:
            states = dict(database.execute("SELECT state, count(*) FROM images GROUP BY state"))
        written = len(json.loads((out / "instances.json").read_text())["images"])
        summary, memory = found["summary"], found["memory"]
        report = {
            "images": chosen.images,
            "converted": summary["images"]["converted"],
            "listed as problems": len(summary["problems"]),
            "lost": chosen.images - written - len(summary["problems"]),
            "states in the journal": states,
            "exit code": found["code"],
            "seconds": round(found["seconds"]),
            **{
                f"memory at {part} %, MB": round(memory[(len(memory) - 1) * part // 100] / 1e6) if memory else None
                for part in (10, 50, 100)
            },
            "memory at most, MB": round(found["peak"] / 1e6),
            "instances.json, MB": round((out / "instances.json").stat().st_size / 1e6, 1),
            "journal at its largest, MB": round(found["journal"] / 1e6, 1),
            "journal after the run, MB": round(size(journal) / 1e6, 1),
        }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return int(report["lost"] != 0)


if __name__ == "__main__":
    sys.exit(main())
