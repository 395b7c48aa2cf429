"""Several processes give what one gives, byte for byte, though some of them are killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_sets import ONE_CAT, TWO_DOGS, write_folders, write_png
from typer.testing import CliRunner

from sisegcli.categories import Categories
from sisegcli.cli import app
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.errors import CheckpointError, OptionError, SisegError, WorkerError
from sisegcli.running import in_processes
from sisegcli.running.chunks import Task
from sisegcli.running.convert import convert
from sisegcli.running.in_processes import work_in_processes
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions
from sisegcli.running.resuming import Work


class Deadly:
    """Makes the reader kill its process at images of some names, each so many times (0: always)."""

    def __init__(self, folder, **times):
        self.folder, self.times, self.read = folder, times, None

    def __call__(self, read):
        made = Deadly(self.folder, **self.times)
        made.read = read
        return made.read_or_die

    def read_or_die(self, pair):
        if pair.stem in self.times:
            died = len(list(self.folder.glob(f"{pair.stem}-*")))
            if died < self.times[pair.stem] or not self.times[pair.stem]:
                (self.folder / f"{pair.stem}-{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.read(pair)


class Faulty:
    """Makes the reader fail in a way that nobody expects."""

    def __call__(self, read):
        return self.fail

    def fail(self, pair):
        raise ZeroDivisionError(f"at {pair.stem}")


class Slow:
    """Makes the reader take its time, and tell that it began."""

    def __init__(self, mark):
        self.mark, self.read = mark, None

    def __call__(self, read):
        made = Slow(self.mark)
        made.read = read
        return made.wait

    def wait(self, pair):
        if pair.stem > "im03":
            self.mark.touch()
            time.sleep(60)
        return self.read(pair)


def content(folder):
    outputs = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".sisegcli"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outputs}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of eleven pairs, one of them damaged."""
    noise = np.random.default_rng(0)
    masks = {f"im{n:02}": np.kron(TWO_DOGS if n % 2 else ONE_CAT, np.ones((9, 9 + n), np.uint8)) for n in range(11)}
    write_folders(tmp_path / "set", masks)
    for name, mask in masks.items():
        write_png(tmp_path / f"set/images/{name}.png", noise.integers(0, 255, (*mask.shape, 3), np.uint8))
    (tmp_path / "set/masks/im07.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return Path("set")


def options_for(root, name, **options):
    return ConvertOptions(root=root, out=Path(name), device="cpu", **{"method": "components", **options})


def test_two_processes_give_what_one_gives(root):
    shared = {"method": "siseg", "batch_size": 3, "to": ("coco", "voc"), "overlay": True}
    one = convert(options_for(root, "one", **shared))
    two = convert(options_for(root, "two", processes=2, profile=True, **shared))
    assert content(Path("two")) == content(Path("one"))
    assert two.to_json()["problems"] == one.to_json()["problems"] != []
    assert two.to_json()["instances"] == one.to_json()["instances"]
    assert {"decode", "forward", "grouping"} <= two.stages.keys()


def test_who_is_killed_is_replaced(root, tmp_path):
    one = convert(options_for(root, "one"))
    two = convert(options_for(root, "two", processes=2), fetch=Deadly(tmp_path, im02=1, im05=1, im09=1))
    assert len(list(tmp_path.glob("im0?-*"))) == 3
    assert content(Path("two")) == content(Path("one"))
    assert two.to_json()["problems"] == one.to_json()["problems"]


def test_an_image_that_kills_every_time_is_a_problem_and_nothing_else_is_lost(root, tmp_path):
    options = options_for(root, "out", batch_size=8, method="siseg", processes=2)
    summary = convert(options, fetch=Deadly(tmp_path, im05=0))
    assert summary.converted == 9 and summary.exit_code == 1
    assert [problem.path.stem for problem in summary.problems] == ["im05", "im07"]
    assert summary.problems[0].sentence == (
        "set/images/im05.png ended the process that converted it, twice (memory?); use a smaller image."
    )
    # A chunk of 8 is halved after its second death, its parts after one each, and the image alone is tried twice.
    assert len(list(tmp_path.glob("im05-*"))) == 5
    resumed = convert(replace(options, resume=True))
    assert (resumed.converted, resumed.resumed) == (10, 9)


def test_errors_of_the_processes_reach_the_user(root, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"broken\.safetensors"):
        convert(options_for(root, "a", method="siseg", weights="broken.safetensors", processes=2))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: at im0"):
        convert(options_for(root, "b", processes=2), fetch=Faulty())


def test_processes_that_never_begin(root, monkeypatch):
    monkeypatch.setattr(in_processes, "_serve", os._exit)  # gets the task as its exit code, and fails
    options = options_for(root, "out", processes=2)
    with pytest.raises(WorkerError, match=r"3 processes ended before they began to work \(exit code 1\)"):
        list(work_in_processes(Task(options, Categories(), MaskReader(), None), WORK, Interrupts(), print))


def test_processes_that_the_system_refuses(monkeypatch, root):
    def refuse(process):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", refuse)
    summary = convert(options_for(root, "out", processes=2))
    assert summary.exit_code == 1 and summary.converted == 0
    assert any(
        "A process cannot be started (Resource temporarily unavailable); use fewer --processes." in problem.sentence
        for problem in summary.problems
    )


def test_a_run_whose_processes_never_begin_lists_what_it_did_not_come_to(root, monkeypatch):
    monkeypatch.setattr(in_processes, "_serve", os._exit)
    summary = convert(options_for(root, "out", processes=2))
    assert summary.exit_code == 1 and summary.converted == 0
    assert any("3 processes ended before they began to work" in problem.sentence for problem in summary.problems)


PAIR = Pair("a", Path("a.png"), Path("a.png"))
WORK = Work([PAIR] * 3, range(3))


def test_every_error_survives_the_way_between_processes():
    import pickle

    kinds, found = [SisegError], []
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.append(kind)
        again = pickle.loads(pickle.dumps(kind("A sentence.")))  # as between processes
        assert type(again) is kind and str(again) == "A sentence."
    assert len(found) > 8


def test_ctrl_c_keeps_what_is_done_and_ends_the_processes(root, tmp_path):
    class Hasty(Listener):
        def advanced(self, count):
            if not self.sent:
                os.kill(os.getpid(), signal.SIGINT)
            self.sent = True

        sent = False

    start = time.monotonic()
    options = options_for(root, "out", processes=2, batch_size=1)
    summary = convert(options, Hasty(), fetch=Slow(tmp_path / "began"))
    assert summary.interrupted and summary.exit_code == 130
    assert 1 <= summary.converted <= 4 and time.monotonic() - start < 50
    assert convert(replace(options, resume=True)).converted == 10


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes are POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_who_started_them(root, number):
    script = f"""
import pathlib, sys
sys.path[:0] = {sys.path!r}
from test_running_in_processes import Slow, options_for
from sisegcli.running.convert import convert
if __name__ == "__main__":
    options = options_for(pathlib.Path("set"), "out", processes=2, batch_size=1)
    convert(options, fetch=Slow(pathlib.Path("began")))
"""
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as run:
        wait_for(Path("began").exists)
        run.send_signal(number)
    wait_for(lambda: not alive(run.pid))
    command = ["convert", "set", "--out", "out", "--method", "components", "--device", "cpu"]
    more = ["--resume", "--processes", "2", "--batch-size", "1", "--json"]
    result = CliRunner().invoke(app, [*command, *more])
    assert result.exit_code == 1 and json.loads(result.stdout)["images"]["converted"] == 10


def wait_for(happened):
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_are_of_this_machine(tmp_path):
    with pytest.raises(OptionError, match="--processes is about this machine"):
        ConvertOptions(root=tmp_path, processes=2, engine="ray")
