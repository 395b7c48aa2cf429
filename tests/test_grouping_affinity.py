"""Boundary affinities: literal walls, and a twin that looks at one pair of pixels after the other."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisegcli.grouping.affinity import WEAKEST, boundary_affinity, half_disc, line


def distance_from_line(point, end):
    return abs(end[0] * point[1] - end[1] * point[0]) / math.hypot(*end)


def affinity_by_pair(boundary, active, radius, beta, same):
    pixels = np.argwhere(active)
    affinity = np.eye(len(pixels))
    for (i, a), (j, b) in itertools.permutations(enumerate(pixels), 2):
        end = b - a
        if math.hypot(*end) >= radius or (same is not None and same[tuple(a)] != same[tuple(b)]):
            continue
        highest = 0.0
        for y in range(min(a[0], b[0]), max(a[0], b[0]) + 1):
            for x in range(min(a[1], b[1]), max(a[1], b[1]) + 1):
                if distance_from_line((y - a[0], x - a[1]), end) < 1 - 1e-9:
                    highest = max(highest, boundary[y, x])
        affinity[i, j] = (1 - highest) ** beta
    return affinity


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.sampled_from([1, 1.5, 2, 3, 4.2, 5, 10]),
    st.sampled_from([1.0, 10.0]),
    st.booleans(),
)
def test_equals_pair_by_pair(seed, shape, radius, beta, regions):
    rng = np.random.default_rng(seed)
    boundary = rng.random(shape, np.float32) ** 3
    active = rng.random(shape) < 0.7
    same = rng.integers(0, 2, shape) if regions else None
    affinity = boundary_affinity(boundary, active, radius, beta, same)
    assert affinity.dtype == np.float32
    np.testing.assert_allclose(affinity.toarray(), affinity_by_pair(boundary, active, radius, beta, same), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_matrix_is_symmetric_sorted_and_free_of_weak_links(seed):
    rng = np.random.default_rng(seed)
    affinity = boundary_affinity(rng.random((9, 7), np.float32), rng.random((9, 7)) < 0.8)
    assert (affinity != affinity.T).nnz == 0
    assert affinity.data.min() > WEAKEST
    affinity.has_canonical_format = False
    affinity.check_format(full_check=True)
    assert all(np.all(np.diff(affinity.indices[a:b]) > 0) for a, b in itertools.pairwise(affinity.indptr))


def test_radius_five_links_68_neighbours_and_oneself():
    active = np.ones((11, 11), bool)
    affinity = boundary_affinity(np.zeros((11, 11), np.float32), active)
    links = np.diff(affinity.indptr).reshape(11, 11)
    assert links[5, 5] == 69
    assert links.max() == 69
    assert set(affinity.data.tolist()) == {1.0}


def test_lines_are_irnets():
    # IRNet's rule, (dy x - dx y)² / (dy² + dx²) < 1, worked out by hand.
    lengths = {(0, 4): 5, (1, 1): 4, (1, 4): 10, (2, 2): 7, (2, 3): 8, (3, 3): 10, (4, 2): 11, (2, -2): 7}
    assert {offset: len(line(*offset)) for offset in lengths} == lengths
    for offset in half_disc(5):
        points = line(*offset)
        assert (0, 0) in points
        assert offset in points
        assert sorted((-y, -x) for y, x in line(-offset[0], -offset[1])) == sorted(points)


@pytest.mark.parametrize("slope", [0, 1])
def test_nothing_passes_a_thin_wall(slope):
    boundary = np.zeros((12, 12), np.float32)
    y = np.arange(12)
    boundary[y, y if slope else 6] = 1
    side = np.sign(np.arange(12) - np.where(slope, y, 6)[:, None])
    active = side != 0
    affinity = boundary_affinity(boundary, active).tocoo()
    side = side[active]
    assert np.all(side[affinity.row] == side[affinity.col])
    assert affinity.nnz > affinity.shape[0]


def test_pixels_alone_are_linked_with_themselves():
    active = np.zeros((20, 20), bool)
    active[0, 0] = active[19, 19] = True
    affinity = boundary_affinity(np.ones((20, 20), np.float32), active)
    np.testing.assert_array_equal(affinity.toarray(), np.eye(2))


def test_boundary_between_active_pixels_counts_where_nobody_is_active():
    boundary = np.array([[0, 0.5, 0]], np.float32)
    active = np.array([[True, False, True]])
    np.testing.assert_allclose(boundary_affinity(boundary, active, beta=2).toarray(), [[1, 0.25], [0.25, 1]])


def test_rounding_beyond_one_is_a_wall():
    boundary = np.array([[0, 1.0001]], np.float32)
    np.testing.assert_array_equal(boundary_affinity(boundary, np.ones((1, 2), bool), beta=2).toarray(), np.eye(2))


def test_no_active_pixel():
    affinity = boundary_affinity(np.zeros((3, 3), np.float32), np.zeros((3, 3), bool))
    assert affinity.shape == (0, 0)
    assert affinity.dtype == np.float32
