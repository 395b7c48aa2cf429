"""The random walk: its expansion against repeated squaring and against plain steps, and what every walk keeps."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sisegcli.grouping.affinity import boundary_affinity
from sisegcli.grouping.walk import chebyshev_coefficients, dense_walk, random_walk

lengths = st.sampled_from([0, 1, 2, 3, 7, 64, 255, 256])


def random_graph(seed, height=7, width=8, labels=3):
    """Return affinities of a random boundary map on a random region, and seeds like those of instances."""
    rng = np.random.default_rng(seed)
    boundary = rng.random((height, width), np.float32) ** rng.integers(1, 9)
    active = rng.random((height, width)) < 0.9
    affinity = boundary_affinity(boundary, active)
    owner = rng.integers(0, labels, affinity.shape[0])
    return affinity, np.eye(labels, dtype=np.float32)[owner] * (1 - boundary[active])[:, None]


def step_by_step(affinity, seeds, steps):
    """Hand on what pixels hold, one link after the other."""
    links = affinity.toarray().astype(float)
    held = seeds.astype(float)
    for _ in range(steps):
        following = np.zeros_like(held)
        for giver in range(len(links)):
            for taker in range(len(links)):
                following[taker] += links[taker, giver] / links[:, giver].sum() * held[giver]
        held = following
    return held


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), lengths)
def test_equals_the_dense_walk(seed, steps):
    affinity, seeds = random_graph(seed)
    walked = random_walk(affinity, seeds, steps)
    assert walked.dtype == np.float32
    np.testing.assert_allclose(walked, dense_walk(affinity, seeds, steps), atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), lengths)
def test_equals_the_dense_walk_closely_with_all_terms(seed, steps):
    affinity, seeds = random_graph(seed)
    np.testing.assert_allclose(
        random_walk(affinity, seeds, steps, error=0), dense_walk(affinity, seeds, steps), atol=1e-4
    )


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_dense_walk_equals_plain_steps(steps):
    affinity, seeds = random_graph(1, height=3, width=4)
    np.testing.assert_allclose(dense_walk(affinity, seeds, steps), step_by_step(affinity, seeds, steps), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), lengths)
def test_mass_is_kept_and_hardly_negative(seed, steps):
    affinity, seeds = random_graph(seed)
    walked = random_walk(affinity, seeds, steps)
    np.testing.assert_allclose(walked.sum(axis=0), seeds.sum(axis=0), rtol=1e-4, atol=1e-4)
    assert walked.min(initial=0) > -1e-3


@pytest.mark.parametrize("steps", [0, 1])
def test_short_walks_are_exact(steps):
    affinity, seeds = random_graph(4)
    expected = seeds if steps == 0 else affinity.toarray() / affinity.toarray().sum(axis=0) @ seeds
    np.testing.assert_allclose(random_walk(affinity, seeds, steps), expected, atol=1e-6)


def test_a_wall_keeps_labels_apart():
    boundary = np.zeros((6, 9), np.float32)
    boundary[:, 4] = 1
    affinity = boundary_affinity(boundary, np.ones((6, 9), bool))
    left = np.broadcast_to(np.arange(9) < 4, (6, 9)).ravel()
    seeds = np.stack((left, ~left), axis=1).astype(np.float32)
    seeds[np.flatnonzero(boundary.ravel())] = 0
    walked = random_walk(affinity, seeds)
    np.testing.assert_allclose(walked[left][:, 1], 0, atol=1e-6)
    assert (walked[left][:, 0] > 0.4).all()


def test_pixels_without_links_keep_their_seeds():
    affinity = sparse.csr_array(np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]], np.float32))
    seeds = np.array([[2, 0], [1, 0], [0, 1]], np.float32)
    for walk in (random_walk, dense_walk):
        np.testing.assert_allclose(walk(affinity, seeds, 8), [[2, 0], [0.5, 0.5], [0.5, 0.5]], atol=1e-3)


def test_no_pixel():
    empty = boundary_affinity(np.zeros((2, 2), np.float32), np.zeros((2, 2), bool))
    assert random_walk(empty, np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_inputs_stay_as_they_are():
    affinity, seeds = random_graph(9)
    kept = affinity.copy(), seeds.copy()
    random_walk(affinity, seeds)
    np.testing.assert_array_equal(affinity.data, kept[0].data)
    np.testing.assert_array_equal(seeds, kept[1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.sampled_from([1e-1, 1e-3, 1e-6]))
def test_coefficients_stay_within_the_error(steps, error):
    coefficients = chebyshev_coefficients(steps, error)
    x = np.linspace(-1, 1, 501)
    assert coefficients.sum() == pytest.approx(1, abs=1e-12)
    assert coefficients.min() >= 0
    assert len(coefficients) <= min(steps, np.sqrt(2 * steps * np.log(4 / error)) + 1) + 1
    np.testing.assert_allclose(np.polynomial.chebyshev.chebval(x, coefficients), x**steps, atol=error + 1e-9)


@pytest.mark.parametrize("steps", [1, 2, 5, 30, 31])
def test_coefficients_are_the_binomial_ones(steps):
    exact = [
        Fraction(2 if k else 1, 2**steps) * comb(steps, (steps - k) // 2) if (steps - k) % 2 == 0 else 0
        for k in range(steps + 1)
    ]
    np.testing.assert_allclose(chebyshev_coefficients(steps, error=0), [float(c) for c in exact], rtol=1e-9)
