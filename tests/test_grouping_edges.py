"""Borders at full resolution: literal cases, and twins that decide pixel by pixel and island by island."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sisegcli.grouping import edges
from sisegcli.grouping.edges import absorb_islands, spread_labels

small_labels = npst.arrays(
    np.int32, npst.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([0, 1, 1, 1, 2, 2, 7])
)


def score_of(coarse, y, x, index):
    """Interpolate between the middles of four cells."""
    h, w, _ = coarse.shape
    y = min(max((y - 1.5) / 4, 0), h - 1)
    x = min(max((x - 1.5) / 4, 0), w - 1)
    top, left = math.floor(y), math.floor(x)
    score = 0.0
    for row, part_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, part_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if part_x * part_y:
                score += part_x * part_y * float(coarse[row, column, index])
    return score


def neighbours(pixel):
    return [(pixel[0] + dy, pixel[1] + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def pieces_of(labels):
    """Return the connected pieces of equal label, as lists of pixels, in raster order of their first pixel."""
    left = {(y, x): int(labels[y, x]) for y, x in np.argwhere(labels > 0).tolist()}
    pieces = []
    while left:
        first = min(left)
        label = left.pop(first)
        piece, front = [first], [first]
        while front:
            for other in neighbours(front.pop()):
                if left.get(other) == label:
                    del left[other]
                    piece.append(other)
                    front.append(other)
        pieces.append((label, piece))
    return pieces


def absorb_slowly(labels, smallest, share):
    pieces = sorted(pieces_of(labels), key=lambda piece: -len(piece[1]))
    final, seen = {}, set()
    for label, piece in pieces:
        total = int((labels == label).sum())
        new = label
        if label in seen and (len(piece) < smallest or len(piece) < share * total):
            touched = [final[other] for pixel in piece for other in neighbours(pixel) if other in final]
            if touched:
                new = max(sorted(set(touched)), key=touched.count)
        seen.add(label)
        final.update(dict.fromkeys(piece, new))
    absorbed = np.zeros_like(labels)
    for pixel, label in final.items():
        absorbed[pixel] = label
    return absorbed


def spread_slowly(coarse, regions, allowed, smallest):
    labels = np.zeros(regions.shape, np.int32)
    for region, indices in allowed.items():
        if not indices:
            continue
        own = np.zeros(regions.shape, np.int32)
        for y, x in np.argwhere(regions == region).tolist():
            own[y, x] = max(sorted(indices), key=lambda index: score_of(coarse, y, x, index)) + 1
        labels += absorb_slowly(own, smallest, 0.02)
    return labels


def random_case(seed):
    """Return small whole scores, whose interpolation is exact, over regions that need not be connected."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 18, 2)
    coarse = rng.integers(-3, 4, (-(-height // 4), -(-width // 4), 4)).astype(np.float32)
    regions = np.kron(rng.integers(0, 4, (6, 6)), np.ones((3, 3), int))[:height, :width].astype(np.int32)
    allowed = {region: rng.choice(4, rng.integers(1, 5), replace=False).tolist() for region in (1, 2, 3)}
    return coarse, regions, allowed


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 20]))
def test_equals_deciding_pixel_by_pixel(seed, smallest):
    coarse, regions, allowed = random_case(seed)
    labels = spread_labels(coarse, regions, allowed, smallest=smallest)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, spread_slowly(coarse, regions, allowed, smallest))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_pixel_of_a_region_has_one_allowed_label(seed):
    coarse, regions, allowed = random_case(seed)
    labels = spread_labels(coarse + 0.1, regions, allowed)
    np.testing.assert_array_equal(labels > 0, regions > 0)
    for region, indices in allowed.items():
        assert set(np.unique(labels[regions == region]).tolist()) <= {index + 1 for index in indices}


@settings(max_examples=80, deadline=None)
@given(small_labels, st.integers(0, 12), st.sampled_from([0.0, 0.02, 0.3]))
def test_absorbing_equals_island_by_island(labels, smallest, share):
    kept = labels.copy()
    np.testing.assert_array_equal(absorb_islands(labels, smallest, share), absorb_slowly(labels, smallest, share))
    np.testing.assert_array_equal(labels, kept)


def test_bands_do_not_show(monkeypatch):
    coarse, regions, allowed = random_case(6)
    expected = spread_labels(coarse, regions, allowed)
    monkeypatch.setattr(edges, "BAND", 3)
    np.testing.assert_array_equal(spread_labels(coarse, regions, allowed), expected)
    assert len(regions) > 3


def test_border_lies_where_scores_cross():
    # Middles of cells at columns 1.5, 5.5, 9.5; scores of the labels cross at 1.5 + 4 * 0.75 = 4.5.
    coarse = np.array([[[3, 0], [2, 3], [0, 9]]], np.float32)
    labels = spread_labels(coarse, np.ones((2, 12), np.int32), {1: [0, 1]})
    np.testing.assert_array_equal(labels, np.repeat([[1] * 5 + [2] * 7], 2, axis=0))


def test_ties_go_to_the_lower_index():
    labels = spread_labels(np.zeros((2, 2, 3), np.float32), np.ones((5, 7), np.int32), {1: [2, 1]})
    assert (labels == 2).all()


def test_one_label_needs_no_scores():
    labels = spread_labels(np.full((1, 1, 2), np.nan, np.float32), np.array([[1, 2, 0]]), {1: [1], 2: [0]})
    np.testing.assert_array_equal(labels, [[2, 1, 0]])


def test_regions_without_a_label_belong_to_nobody():
    labels = spread_labels(np.zeros((1, 1, 2), np.float32), np.array([[1, 2, 3]]), {1: [], 3: [0, 1], 9: [0, 1]})
    np.testing.assert_array_equal(labels, [[0, 0, 1]])
    assert not spread_labels(np.zeros((1, 1, 2), np.float32), np.array([[1, 2]]), {}).any()


def test_share_of_the_label_makes_a_stray():
    labels = np.ones((40, 60), np.int32)
    labels[:, 50:] = 2
    labels[10:15, 53:58] = 1  # 25 pixels: more than 20, but less than 2 % of 2,025.
    absorbed = absorb_islands(labels)
    assert (absorbed[:, 50:] == 2).all()
    np.testing.assert_array_equal(absorb_islands(labels, share=0), labels)


def test_a_stray_follows_the_larger_stray_that_it_touches():
    labels = np.full((9, 20), 1, np.int32)
    labels[:, 10:] = 2
    labels[2:6, 3:6] = 2
    labels[6, 4] = 3
    labels[0, 19] = 3
    np.testing.assert_array_equal(absorb_islands(labels)[2:7, 3:6], np.ones((5, 3)))


@pytest.mark.parametrize("shape", [(0, 5), (4, 5)])
def test_no_region(shape):
    labels = spread_labels(np.zeros((1, 2, 2), np.float32), np.zeros(shape, np.int32), {1: [0, 1]})
    assert labels.shape == shape
    assert not labels.any()
