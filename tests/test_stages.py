"""Time by stage."""

from __future__ import annotations

import threading
from itertools import count

import pytest

import sisegcli.stages as module
from sisegcli.stages import profiled, stage


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Every look at the clock is a second later."""
    ticks = count()
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(ticks)))


@stage("membership")
def ask():
    return "answer"


@stage("grouping")
def group(questions):
    return [ask() for _ in range(questions)]


def test_a_stage_inside_another_counts_once():
    with profiled() as seconds:
        assert group(2) == ["answer", "answer"]
    # Looks at the clock: group 0, ask 1 to 2, ask 3 to 4, group 5.
    assert seconds == {"grouping": 3.0, "membership": 2.0}


def test_what_follows_is_not_charged_for_what_came_before():
    with profiled() as seconds:
        ask()
        group(0)
    assert seconds == {"membership": 1.0, "grouping": 1.0}


def test_a_stage_that_fails_is_counted_too():
    @stage("encode")
    def fail():
        raise ValueError("no")

    with profiled() as seconds, pytest.raises(ValueError, match="no"):
        fail()
    assert seconds == {"encode": 1.0}


def test_threads_are_added_up():
    with profiled() as seconds:
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
            thread.join()
    assert seconds == {"membership": 3.0}


def test_nobody_listens_afterwards():
    with profiled() as seconds:
        pass
    ask()
    assert seconds == {}
