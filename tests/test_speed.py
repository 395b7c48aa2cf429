"""The benchmark of speed: its arithmetic, on clocks and programs that are known."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
import time
from itertools import accumulate, cycle

import numpy as np
import on_device
import pytest
import speed
import speed_rows
import timing
import torch
from floors import Scene
from ideal_fields import ideal_fields
from speed_rows import ROWS, Setting
from timing import Row

from sisegcli.grouping.options import GroupingOptions

NOT_MEASURED = Row("b", "us", "a GPU", None, "<= 1", "no GPU")


def test_examples():
    assert doctest.testmod(speed).failed == 0


@pytest.mark.parametrize(
    ("value", "target", "reached"),
    [(1.15, "<= 1.15", True), (1.16, "<= 1.15", False), (1500, ">= 1500", True), (2.4, ">= 2.5", False)],
)
def test_targets(value, target, reached):
    assert Row("a", "us", "them", value, target).reached is reached


def test_what_was_not_measured_reaches_nothing():
    assert NOT_MEASURED.reached is None


def test_ratios_are_of_runs_that_follow_each_other(monkeypatch):
    """Three pairs after the first, which takes longer and does not count; a slow machine in the second hits both."""
    took = [9, 9, 2, 1, 20, 10, 3, 1]
    ticks = iter([0, *accumulate(x for pair in zip(took, cycle([0]), strict=False) for x in pair)])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    assert timing.pairs(lambda: None, lambda: None, 3) == (3, 1, 2)


def test_the_last_line_is_json_with_every_ratio(monkeypatch, capsys, tmp_path):
    rows = {"one": lambda setting: [Row("convert_over_floor", "us", "them", 1.1, "<= 1.15"), NOT_MEASURED]}
    monkeypatch.setattr(speed, "ROWS", rows)
    monkeypatch.setattr(speed, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(sys, "argv", ["speed.py", str(tmp_path), "--json"])
    speed.main()
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1]) == {"convert_over_floor": 1.1, "b": None}
    assert any("1.10" in line and "reached" in line for line in lines)
    assert any("not measured" in line and "no GPU" in line for line in lines)


def test_the_walk_of_the_benchmark_is_the_walk(monkeypatch, tmp_path):
    monkeypatch.setattr(speed_rows, "_square", lambda count: 1.0)
    monkeypatch.setattr(speed_rows, "GRID", (12, 16))
    rows = {row.name: row for row in ROWS["walk"](Setting(tmp_path, 1, 1, 1, False))}
    assert rows["walk_error"].reached
    assert np.isfinite(rows["walk_speedup"].value)


def test_grouping_on_a_device_is_compared_part_by_part(monkeypatch):
    labels = np.zeros((48, 64), np.int32)
    labels[8:40, 8:32], labels[8:40, 32:56] = 1, 2
    mask = np.where(labels > 0, 3, -1).astype(np.int32)
    options = GroupingOptions(cut=0.5, basins=1.0)
    scenes = [Scene(mask, *ideal_fields(labels), options, [], [], [], set()) for _ in range(3)]
    rows = on_device.parts(scenes, torch.device("cpu"), 2, 1)
    assert [row.name for row in rows] == ["votes_2", "refinement_2", "walk_2", "grouping_2"]
    assert all(row.note.endswith("; the same") for row in rows)
    with pytest.raises(SystemExit, match="no CUDA device"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        on_device.main([])


def test_processor_seconds_are_those_of_started_programs_too(monkeypatch) -> None:
    monkeypatch.setattr(timing, "of_processor", True)
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    assert timing.seconds(lambda: subprocess.run([sys.executable, "-c", busy], check=True)) >= 0.2
    assert timing.seconds(lambda: time.sleep(0.2)) < 0.2
