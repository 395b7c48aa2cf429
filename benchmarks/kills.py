"""Kill a conversion at random moments, again and again, and see that nothing is lost and nothing done twice.

    python benchmarks/kills.py [--kills 500] [--images 24] [--seed 0]

Half of the kills (SIGKILL) come at a random access to the disk: as a file is opened, renamed or removed, or before or
after the journal takes a statement. The other half come after a random time. A run is killed up to five times, and goes
on with ``--resume`` each time; then it may end, and its outputs have to be the same, byte for byte, as those of a run
that was left alone. What the journal knows as done at a kill must not be worked on again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sisegcli.formats import FORMATS
from sisegcli.instances import Segmentation
from sisegcli.methods import ComponentsMethod, Images, Masks
from sisegcli.running import journal as journals
from sisegcli.running.convert import convert
from sisegcli.running.database import Database
from sisegcli.running.options import ConvertOptions

BATCH = 3
CHAIN = 5
"""Most kills of one run."""

_DISK = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


@dataclass
class Report:
    """What came of it.

    Attributes
    ----------
    kills, runs : int
        Kills, and runs that they hit; each of these was brought to its end.
    done_again : int
        Images worked on again although the journal had them.
    in_flight : int
        Images worked on again because they were under way when the kill came.
    lost : int
        Images that the last journal of a run does not have as done.
    different : int
        Runs whose outputs differ from those of one that was left alone.
    """

    kills: int = 0
    runs: int = 0
    done_again: int = 0
    in_flight: int = 0
    lost: int = 0
    different: int = 0


class Logged(ComponentsMethod):
    """Components that look at images in batches, and write down which they were given."""

    needs_images = True

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log

    def segment(self, images: Images, masks: Masks) -> list[Segmentation]:
        """Note each image, whose number is its first pixel, and segment the batch."""
        with self._log.open("a") as file:
            file.write("".join(f"{image[0, 0, 0]}\n" for image in images))
        return super().segment(images, masks)


def draw(root: Path, count: int, seed: int) -> None:
    """Write small images and masks; the first pixel of an image is its number."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        mask = np.kron(rng.integers(0, 3, (4, 5)), np.ones((6, 6))).astype(np.uint8)
        image = rng.integers(0, 255, (*mask.shape, 3)).astype(np.uint8)
        image[0, 0] = number
        for folder, pixels in (("images", image), ("masks", mask)):
            path = root / folder / f"part{number % 2}" / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def run(root: Path, out: Path, log: Path, *, fatal: int = 0) -> int:
    """Convert in this process, which is killed at the access to the disk of that number; return their number."""
    journals.COMMIT_SECONDS = 0.0  # no batch waits for others, so that it is clear what has to be safe
    count, lock = 0, threading.Lock()

    def touch() -> None:
        nonlocal count
        with lock:
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(method: Callable[..., Any]) -> Callable[..., Any]:
        def touching(*given: Any, **named: Any) -> Any:
            touch()
            found = method(*given, **named)
            touch()
            return found

        return touching

    for name in ("begin", "commit", "execute", "insert", "close"):
        setattr(Database, name, around(getattr(Database, name)))
    sys.addaudithook(lambda event, _: touch() if event in _DISK else None)
    shared: dict[str, Any] = {"method": "components", "batch_size": BATCH, "workers": 2, "overlay": True}
    shared["to"] = tuple(FORMATS)
    summary = convert(ConvertOptions(root=root, out=out, resume=True, **shared), method=Logged(log))
    if summary.exit_code:
        raise SystemExit("; ".join(problem.sentence for problem in summary.problems))
    return count


def fork(work: Callable[[], int], answer: Path, *, delay: float | None = None) -> bool:
    """Do work in a process of its own, killed after a delay if one is given; return whether it came to its end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            answer.write_text(str(work()))
            code = 0
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()
        finally:
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"A run ended with code {code}.")
    return code == 0


def done(out: Path) -> set[str]:
    """Return the images that the journal has."""
    path = out / journals.FOLDER / "journal.sqlite"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("PRAGMA user_version").fetchone()[0]:
            return set()
        return {stem for (stem,) in database.execute("SELECT stem FROM images WHERE state = 'done'")}


def content(out: Path) -> dict[str, bytes]:
    """Return all outputs, and whatever was left behind."""
    files = (path for path in out.rglob("*") if path.is_file() and path.parent.name != journals.FOLDER)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def chain(root: Path, base: Path, expected: dict[str, bytes], moments: list[dict[str, Any]], report: Report) -> None:
    """Kill a run at some moments, then let it end, and add to the report what came of it."""
    out, log, answer = base / "out", base / "log", base / "answer"
    shutil.rmtree(out, ignore_errors=True)
    log.write_text("")
    safe: set[str] = set()
    for moment in [*moments, {}]:
        before = len(log.read_text().split())
        work = partial(run, root, out, log, fatal=moment.get("fatal", 0))
        ended = fork(work, answer, delay=moment.get("delay"))
        report.kills += not ended  # some moments come after the end
        given = log.read_text().split()
        stems = {f"part{int(number) % 2}/{int(number):03}" for number in given[before:]}
        report.done_again += len(stems & safe)
        safe |= done(out)
        if not moment and not ended:
            raise SystemExit("A run that nobody killed did not end.")
    report.runs += 1
    report.in_flight += len(given) - len(set(given))
    report.lost += len(set(given)) - len(done(out))
    report.different += content(out) != expected


def survive(kills: int, images: int, seed: int, base: Path) -> Report:
    """Kill runs so many times, and tell what came of them."""
    chance, report = random.Random(seed), Report()
    root, answer = base / "set", base / "answer"
    draw(root, images, seed)
    started = time.monotonic()
    fork(lambda: run(root, base / "whole", base / "log"), answer)
    took, accesses = time.monotonic() - started, int(answer.read_text())
    expected = content(base / "whole")
    while report.kills < kills:
        count = min(chance.randint(1, CHAIN), kills - report.kills)
        moments: list[dict[str, Any]] = []
        for _ in range(count):
            share = 0.4 if moments else 1.0  # where a run goes on, less is left
            at_access = {"fatal": chance.randint(1, round(share * accesses))}
            moments.append(at_access if chance.random() < 0.5 else {"delay": chance.uniform(0, share * took)})
        chain(root, base, expected, moments, report)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; the exit code is 1 if anything was lost, done twice or different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = survive(chosen.kills, chosen.images, chosen.seed, Path(folder))
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return int(bool(report.done_again or report.lost or report.different))


if __name__ == "__main__":
    sys.exit(main())
