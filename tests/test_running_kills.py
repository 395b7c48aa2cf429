"""Runs that are killed: 50 random moments in small, and the command itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_sets import TWO_DOGS, write_folders

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot kill as Unix does")


def test_fifty_kills_lose_nothing_and_nothing_is_done_twice():
    command = [sys.executable, str(BENCHMARKS / "kills.py"), "--kills", "50", "--images", "12"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] >= 50
    assert (report["lost"], report["done_again"], report["different"]) == (0, 0, 0)


def content(folder):
    outputs = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".sisegcli"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outputs}


@pytest.mark.slow
def test_the_command_killed_on_the_way_goes_on(tmp_path):
    """With the network, on the processor."""
    noise = np.random.default_rng(0)
    masks = {f"im{n:02}": np.kron(np.roll(TWO_DOGS, n), np.ones((9, 9), np.uint8)) for n in range(12)}
    root = write_folders(tmp_path / "set", masks)
    from small_sets import write_png

    for path in (root / "images").iterdir():
        write_png(path, noise.integers(0, 255, (36, 54, 3), np.uint8))

    def command(out):
        options = ["--device", "cpu", "--batch-size", "2", "--json", "--resume"]
        return [sys.executable, "-m", "sisegcli", "convert", str(root), "--out", str(tmp_path / out), *options]

    whole = subprocess.run(command("whole"), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    with subprocess.Popen(command("out"), env=ENVIRONMENT, stdout=subprocess.DEVNULL) as victim:
        log = tmp_path / "out" / ".sisegcli" / "journal.sqlite-wal"
        while victim.poll() is None and not (log.exists() and log.stat().st_size > 60_000):
            time.sleep(0.01)
        victim.kill()
    rest = subprocess.run(command("out"), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (rest.returncode, rest.stderr) == (0, "")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert json.loads(rest.stdout)["images"]["converted"] == 12
    if victim.returncode == -signal.SIGKILL:  # and it was not done already
        assert json.loads(rest.stdout)["images"].get("resumed", 0) <= 12
