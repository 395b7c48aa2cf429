"""Watershed: drawn blobs, and a twin that climbs, marks and joins with plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from sisegcli.grouping.components import label_components
from sisegcli.grouping.watershed import label_watershed, split_region

masks = npst.arrays(
    np.int32, npst.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([-2, -1, 4, 4, 4, 9])
)


def split_slowly(region, min_distance, smoothing):
    """Climb from each pixel, choose markers, and join the pair of slopes with the highest saddle again and again."""
    smooth = ndimage.gaussian_filter(ndimage.distance_transform_edt(region), smoothing)
    height = {(y, x): (smooth[y, x], -y, -x) for y, x in np.argwhere(region).tolist()}
    around = {
        (y, x): [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (y + dy, x + dx) in height]
        for y, x in height
    }
    group = {}
    for pixel in height:
        top = pixel
        while (above := max(around[top], key=height.get)) != top:
            top = above
        group[pixel] = top
    markers = []
    for top in sorted(set(group.values()), key=height.get, reverse=True):
        if all(math.dist(top, marker) > min_distance for marker in markers):
            markers.append(top)
    while set(group.values()) - set(markers):
        saddles = [
            (min(height[a], height[b]), sorted((height[group[a]], height[group[b]]), reverse=True), group[a], group[b])
            for a in height
            for b in around[a]
            if group[a] != group[b] and (group[a] not in markers or group[b] not in markers)
        ]
        _, _, one, other = max(saddles, key=lambda saddle: saddle[:2])
        if other in markers:
            one, other = other, one
        group = {pixel: one if top == other else top for pixel, top in group.items()}
    labels = np.zeros(region.shape, np.int32)
    for pixel, top in group.items():
        labels[pixel] = markers.index(top) + 1
    return labels


def same_partition(a, b):
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def blobs(seed, size=14):
    """Return the largest component of a few discs, some of them with holes, which make many peaks and saddles."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    region = np.zeros((size, size), bool)
    for _ in range(rng.integers(1, 9)):
        region |= np.hypot(y - rng.integers(1, size - 1), x - rng.integers(1, size - 1)) < rng.uniform(1, 4)
    region &= rng.random(region.shape) < rng.choice([1, 0.95, 0.8])
    parts, _ = ndimage.label(region, np.ones((3, 3)))
    return parts == np.bincount(parts[parts > 0]).argmax()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 2.5, 4, 6]), st.sampled_from([0.3, 0.5, 0.8]))
def test_equals_plain_climbing_and_joining(seed, min_distance, smoothing):
    region = blobs(seed, size=20)
    labels = split_region(region, min_distance, smoothing)
    assert same_partition(labels, split_slowly(region, min_distance, smoothing))


@settings(max_examples=60, deadline=None)
@given(masks, st.sampled_from([1, 2, 5]), st.sets(st.sampled_from([4, 9])))
def test_each_pixel_has_one_label_of_its_category(mask, min_distance, stuff):
    labels, categories = label_watershed(mask, stuff, min_distance, smoothing=0.5)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, mask >= 0)
    assert list(categories) == list(range(1, len(categories) + 1))
    assert set(np.unique(labels[labels > 0]).tolist()) == set(categories)
    assert all((mask[labels == label] == category).all() for label, category in categories.items())
    components, _ = label_components(mask, stuff)
    assert all(len(np.unique(components[labels == label])) == 1 for label in categories)
    assert all(list(categories.values()).count(category) <= 1 for category in stuff)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_parts_are_connected(seed):
    mask = np.where(blobs(seed), 1, -1)
    labels, categories = label_watershed(mask, min_distance=2, smoothing=0.5)
    for label in categories:
        assert ndimage.label(labels == label, np.ones((3, 3)))[1] == 1


@pytest.mark.parametrize("shift", [16, 22])
def test_two_discs_are_cut_at_the_neck(shift):
    y, x = np.mgrid[:30, :60]
    left, right = np.hypot(y - 15, x - 15) < 12, np.hypot(y - 15, x - 15 - shift) < 12
    labels, categories = label_watershed(np.where(left | right, 3, -1))
    assert categories == {1: 3, 2: 3}
    middle = 15 + shift / 2
    wrong = (left | right) & ((labels == 1) != (x < middle)) & (np.abs(x - middle) > 1)
    assert not wrong.any()


def test_higher_minimal_distance_cuts_less():
    y, x = np.mgrid[:30, :60]
    region = (np.hypot(y - 15, x - 15) < 12) | (np.hypot(y - 15, x - 37) < 12)
    assert len(label_watershed(np.where(region, 3, -1), min_distance=25)[1]) == 1


def test_a_disc_and_a_full_image_stay_whole():
    y, x = np.mgrid[:41, :41]
    assert len(label_watershed(np.where(np.hypot(y - 20, x - 20) < 17, 0, -1))[1]) == 1
    labels, categories = label_watershed(np.zeros((40, 60), np.int32), min_distance=2, smoothing=0.1)
    assert categories == {1: 0}
    assert (labels == 1).all()


@pytest.mark.parametrize("shape", [(0, 4), (3, 4)])
def test_nobody(shape):
    labels, categories = label_watershed(np.full(shape, -1, np.int32))
    assert labels.shape == shape
    assert not labels.any()
    assert categories == {}
