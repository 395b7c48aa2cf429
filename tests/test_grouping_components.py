"""Connected components: literal cases, and a twin that labels one category after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from sisegcli.grouping.components import count_pixels, label_components, number_in_raster_order

masks = npst.arrays(
    np.int32, npst.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([-2, -1, 0, 1, 300])
)


def label_by_category(mask, stuff, connectivity):
    """Label each category with scipy, then number the segments by their first pixel."""
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    segments = []
    for category in sorted(set(mask[mask >= 0].tolist())):
        where = mask == category
        parts, count = ndimage.label(where, structure)
        pieces = [where] if category in stuff else [parts == part for part in range(1, count + 1)]
        segments += [(int(np.flatnonzero(piece)[0]), piece, category) for piece in pieces]
    labels = np.zeros(mask.shape, np.int32)
    categories = {}
    for number, (_, piece, category) in enumerate(sorted(segments, key=lambda segment: segment[0]), start=1):
        labels[piece] = number
        categories[number] = category
    return labels, categories


@settings(max_examples=80, deadline=None)
@given(masks, st.sets(st.sampled_from([0, 1, 300, 5])), st.sampled_from([4, 8]))
def test_equals_labelling_category_by_category(mask, stuff, connectivity):
    labels, categories = label_components(mask, stuff, connectivity)
    expected, expected_categories = label_by_category(mask, stuff, connectivity)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, expected)
    assert categories == expected_categories
    assert all(type(value) is int for item in categories.items() for value in item)


def test_touching_categories_stay_apart():
    labels, categories = label_components(np.array([[4, 4, 9], [4, 9, 9]], np.int32))
    np.testing.assert_array_equal(labels, [[1, 1, 2], [1, 2, 2]])
    assert categories == {1: 4, 2: 9}


def test_diagonal_neighbours_touch_by_default():
    mask = np.array([[0, -1], [-1, 0]], np.int32)
    assert label_components(mask)[0].max() == 1
    assert label_components(mask, connectivity=4)[0].max() == 2


@pytest.mark.parametrize("fill", [-1, -2])
def test_nobody_in_an_empty_mask(fill):
    labels, categories = label_components(np.full((3, 4), fill, np.int32), stuff=[1])
    assert labels.shape == (3, 4)
    assert not labels.any()
    assert categories == {}


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0)])
def test_mask_without_pixels(shape):
    labels, categories = label_components(np.zeros(shape, np.int32), stuff=[0])
    assert labels.shape == shape
    assert categories == {}
    assert number_in_raster_order(labels)[1].size == 0


def test_memory_layout_does_not_matter():
    mask = np.array([[1, 1, -1, 1], [-1, 1, -1, 2], [2, -1, 1, 1]], np.int32)
    expected, _ = label_components(mask)
    np.testing.assert_array_equal(label_components(np.asfortranarray(mask))[0], expected)
    np.testing.assert_array_equal(label_components(np.repeat(mask, 2, axis=1)[:, ::2])[0], expected)


def test_more_components_than_16_bits_hold():
    mask = np.full((600, 600), -1, np.int32)
    mask[::2, ::2] = 3
    labels, categories = label_components(mask)
    assert len(categories) == 90_000
    np.testing.assert_array_equal(labels[::2, ::2].ravel(), np.arange(1, 90_001))


@settings(max_examples=50)
@given(
    labels=npst.arrays(np.int32, npst.array_shapes(min_dims=2, max_dims=2, min_side=0), elements=st.integers(0, 4)),
    least=st.integers(0, 7),
)
def test_pixels_are_counted_as_one_by_one(labels, least):
    found = count_pixels(labels, least=least)
    np.testing.assert_array_equal(found, np.bincount(labels.ravel(), minlength=least))
    assert found.dtype == np.int64
