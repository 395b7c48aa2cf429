import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisegcli.grouping.basins import cut_at_ridges


def test_a_ridge_parts_a_cluster_and_its_votes_another():
    clusters = np.ones((9, 21), np.int32)
    clusters[:, 15:] = 2
    boundary = np.full((9, 21), 0.1, np.float32)
    boundary[:, 7] = 0.9
    parts = cut_at_ridges(clusters, boundary, sigma=0.8)
    assert len(np.unique(parts[:, :7])) == 1 and len(np.unique(parts[:, 15:])) == 1
    assert len({parts[4, 3], parts[4, 11], parts[4, 18]}) == 3


def test_without_ridges_clusters_stay_whole():
    clusters = np.array([[0, 1, 1, 2], [0, 1, 2, 2]], np.int32)
    assert np.array_equal(cut_at_ridges(clusters, np.zeros((2, 4), np.float32), sigma=1.0), clusters)


def test_nothing_to_cut():
    assert not cut_at_ridges(np.zeros((3, 4), np.int32), np.ones((3, 4), np.float32), sigma=1.5).any()


@pytest.mark.parametrize("sigma", [0.5, 1.5])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_parts_refine_clusters(sigma, seed):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 4, (rng.integers(1, 30), rng.integers(1, 30))).astype(np.int32)
    boundary = rng.random(clusters.shape, np.float32)
    parts = cut_at_ridges(clusters, boundary, sigma=sigma)
    assert np.array_equal(parts > 0, clusters > 0)
    assert sorted(np.unique(parts[parts > 0])) == list(range(1, parts.max() + 1))
    for part in range(1, parts.max() + 1):
        assert len(np.unique(clusters[parts == part])) == 1
