"""Refinement of displacement: literal fields, and a twin that moves one pixel after the other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisegcli.grouping.refinement import refine_displacement


def refine_pixel(displacement, y, x, steps, tolerance):
    """Follow the field from one pixel, with plain floats."""
    height, width, _ = displacement.shape
    start = (y, x)
    y, x = float(y), float(x)
    for _ in range(steps):
        top, left = math.floor(y), math.floor(x)
        vector = np.zeros(2)
        for row, part_y in ((top, 1 - (y - top)), (top + 1, y - top)):
            for column, part_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                vector += part_y * part_x * displacement[min(row, height - 1), min(column, width - 1)]
        new_y = min(max(y + vector[0], 0), height - 1)
        new_x = min(max(x + vector[1], 0), width - 1)
        step = math.hypot(new_y - y, new_x - x)
        y, x = new_y, new_x
        if step < tolerance:
            break
    return y - start[0], x - start[1]


def refine_by_pixel(displacement, active, steps, tolerance):
    refined = np.zeros((*active.shape, 2))
    for y, x in np.argwhere(active):
        refined[y, x] = refine_pixel(displacement, y, x, steps, tolerance)
    return refined


def random_field(seed, height, width, length):
    rng = np.random.default_rng(seed)
    displacement = rng.uniform(-length, length, (height, width, 2)).astype(np.float32)
    return displacement, rng.random((height, width)) < 0.7


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7), st.integers(0, 5))
def test_equals_moving_pixel_by_pixel(seed, height, width, steps):
    # Few steps, because a random field drives rounding errors apart; no tolerance, so that none decides who rests.
    displacement, active = random_field(seed, height, width, 3)
    refined = refine_displacement(displacement, active, steps, tolerance=0)
    assert refined.dtype == np.float32
    np.testing.assert_allclose(refined, refine_by_pixel(displacement, active, steps, 0), atol=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 7), st.floats(0, 9), st.floats(0.05, 1.5))
def test_noisy_field_of_a_centre_equals_the_twin_to_the_end(seed, centre_y, centre_x, strength):
    noise, active = random_field(seed, 8, 10, 0.02)
    grid = np.stack(np.mgrid[:8, :10], axis=-1)
    displacement = (strength * ([centre_y, centre_x] - grid) + noise).astype(np.float32)
    refined = refine_displacement(displacement, active, tolerance=1e-3)
    np.testing.assert_allclose(refined, refine_by_pixel(displacement, active, 300, 1e-3), atol=0.03)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 50))
def test_ends_inside_the_grid(seed, length):
    displacement, active = random_field(seed, 5, 8, length)
    end = refine_displacement(displacement, active) + np.stack(np.mgrid[:5, :8], axis=-1)
    assert (end >= 0).all()
    assert (end <= [4, 7]).all()


def test_one_step_is_the_field_itself():
    displacement, active = random_field(3, 6, 6, 0.4)
    inner = np.zeros_like(active)
    inner[1:5, 1:5] = active[1:5, 1:5]
    refined = refine_displacement(displacement, inner, steps=1)
    np.testing.assert_allclose(refined, displacement * inner[..., None], atol=1e-6)


def test_no_step_moves_nothing():
    displacement, active = random_field(3, 6, 6, 4)
    assert not refine_displacement(displacement, active, steps=0).any()


def test_circling_pixels_stop_at_the_last_step():
    # Two pixels that point at each other never rest: after an even number of steps each is home again.
    displacement = np.zeros((1, 2, 2), np.float32)
    displacement[0, :, 1] = [1, -1]
    active = np.ones((1, 2), bool)
    assert not refine_displacement(displacement, active, steps=300).any()
    np.testing.assert_array_equal(refine_displacement(displacement, active, steps=301), displacement)


def test_a_step_into_the_wall_rests_there():
    displacement = np.full((4, 3, 2), [-2.0, 5.0], np.float32)
    refined = refine_displacement(displacement, np.ones((4, 3), bool))
    grid = np.stack(np.mgrid[:4, :3], axis=-1)
    np.testing.assert_array_equal(refined + grid, np.broadcast_to([0, 2], (4, 3, 2)))


def test_a_pixel_rests_after_its_first_short_step():
    displacement = np.full((1, 9, 2), [0, 0.5], np.float32)
    active = np.zeros((1, 9), bool)
    active[0, 1] = True
    assert refine_displacement(displacement, active, tolerance=0.6)[0, 1, 1] == 0.5
    assert refine_displacement(displacement, active, tolerance=0.5)[0, 1, 1] == 7


@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (0, 4)])
def test_nothing_active(shape):
    refined = refine_displacement(np.ones((*shape, 2), np.float32), np.zeros(shape, bool))
    assert refined.shape == (*shape, 2)
    assert not refined.any()


def test_inputs_stay_as_they_are_and_layout_does_not_matter():
    displacement, active = random_field(5, 6, 7, 1)
    kept = displacement.copy()
    expected = refine_displacement(displacement, active)
    np.testing.assert_array_equal(displacement, kept)
    channels_first = np.ascontiguousarray(displacement.transpose(2, 0, 1)).transpose(1, 2, 0)
    np.testing.assert_array_equal(refine_displacement(channels_first, np.asfortranarray(active)), expected)
