import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.training.pairs import IGNORED, Shift, label_pairs, line_points, pair_offsets

torch.set_num_threads(1)
steps = st.integers(-12, 12)
offsets = st.tuples(steps, steps).filter(any)
short = st.tuples(st.integers(-4, 4), st.integers(-5, 5)).filter(any)


@given(offsets)
def test_a_line_joins_its_ends_step_by_step(offset):
    dy, dx = offset
    points = line_points(dy, dx)
    assert points[0] == (0, 0) and points[-1] == (dy, dx)
    assert len(points) == max(abs(dy), abs(dx)) + 1
    for (y, x), (next_y, next_x) in itertools.pairwise(points):
        assert max(abs(next_y - y), abs(next_x - x)) == 1
    length = max(abs(dy), abs(dx))
    assert all(abs(y - dy * i / length) <= 0.5 and abs(x - dx * i / length) <= 0.5 for i, (y, x) in enumerate(points))


@given(offsets)
def test_the_way_back_covers_the_same_points(offset):
    dy, dx = offset
    assert [(y + dy, x + dx) for y, x in line_points(-dy, -dx)] == list(reversed(line_points(dy, dx)))


@given(st.integers(1, 8))
def test_offsets_are_all_within_the_radius_one_of_each_opposite_pair(radius):
    found = pair_offsets(radius)
    near = {
        (dy, dx)
        for dy in range(-radius, radius + 1)
        for dx in range(-radius, radius + 1)
        if 0 < np.hypot(dy, dx) < radius
    }
    assert len(set(found)) == len(found)
    opposite = {(-dy, -dx) for dy, dx in found}
    assert not opposite & set(found)
    assert opposite | set(found) == near


@given(short, st.integers(0, 99))
def test_windows_are_the_ends_of_all_pairs(offset, seed):
    dy, dx = offset
    grid = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 5, 6)))
    shift = Shift(dy, dx)
    ends = [((y, x), (y + dy, x + dx)) for y in range(5) for x in range(6) if 0 <= y + dy < 5 and 0 <= x + dx < 6]
    for batch in range(2):
        firsts = [grid[(batch, *first)].item() for first, _ in ends]
        seconds = [grid[(batch, *second)].item() for _, second in ends]
        highest = [
            max(grid[batch, y + step_y, x + step_x].item() for step_y, step_x in line_points(dy, dx))
            for (y, x), _ in ends
        ]
        assert shift.first(grid)[batch].flatten().tolist() == firsts
        assert shift.second(grid)[batch].flatten().tolist() == seconds
        assert shift.highest_on_line(grid)[batch].flatten().tolist() == highest


def kind(first: int, second: int) -> str:
    """T for one pair, in words."""
    if IGNORED in (first, second):
        return "none"
    if first == second:
        return "same_object" if first else "same_background"
    return "objects" if first and second else "border"


@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 99))
def test_labels_of_pairs_equal_those_of_all_pairs(dy, dx, seed):
    labels = np.random.default_rng(seed).integers(IGNORED, 3, (2, 4, 5))
    found = label_pairs(torch.from_numpy(labels), Shift(dy, dx))
    kinds = ("same_object", "same_background", "objects", "border")
    for batch in range(2):
        expected = [
            kind(labels[batch, y, x], labels[batch, y + dy, x + dx])
            for y in range(4)
            for x in range(5)
            if 0 <= y + dy < 4 and 0 <= x + dx < 5
        ]
        for name in kinds:
            assert getattr(found, name)[batch].flatten().tolist() == [k == name for k in expected]
