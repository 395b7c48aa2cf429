"""Batches side by side."""

from __future__ import annotations

import threading

import pytest
import torch

from sisegcli.running.lanes import map_in_lanes


class Method:
    lanes = 2


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_several_threads():
    both = threading.Barrier(2, timeout=30)  # breaks unless two batches are under way at once

    def work(batch):
        both.wait()
        return batch, torch.get_num_threads()

    assert list(map_in_lanes(work, range(6), Method())) == [(batch, 2) for batch in range(6)]
    assert torch.get_num_threads() == 4


def test_a_method_that_says_nothing_runs_where_it_is_called():
    here = threading.current_thread()
    assert list(map_in_lanes(lambda batch: threading.current_thread() is here, range(3), object())) == [True] * 3


def test_batches_are_taken_when_there_is_use_for_them():
    taken = []

    def batches():
        for batch in range(20):
            taken.append(batch)
            yield batch

    results = map_in_lanes(lambda batch: batch, batches(), Method())
    assert next(results) == 0
    assert len(taken) == 3
    results.close()
    assert torch.get_num_threads() == 4


def test_an_error_ends_it_and_gives_the_threads_back():
    def fail(batch):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(map_in_lanes(fail, range(5), Method()))
    assert torch.get_num_threads() == 4
