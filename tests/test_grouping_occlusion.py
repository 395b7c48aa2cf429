"""Links behind other things: who hides a part, and what does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.grouping.occlusion import HIDDEN, NEAR, _box_distance, find_hidden_links

THING, OTHER = 7, 3


def scene(between: int, gap: int = 2, side: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Two squares of one category, side by side, with something between them."""
    labels = np.zeros((side, 2 * side + gap), np.int32)
    labels[:, :side], labels[:, side + gap :] = 1, 2
    return labels, np.where(labels > 0, THING, between)


def test_another_thing_between_two_pieces_links_them() -> None:
    [(gap, a, b)] = find_hidden_links(*scene(OTHER), [2, 1])
    assert (a, b) == (1, 2)
    assert gap == pytest.approx(3 / 12)  # from cell to cell, in sides


def test_background_and_their_own_category_hide_nothing() -> None:
    labels, categories = scene(-1)
    categories[0, 0] = OTHER  # another category elsewhere is not between them
    labels[0, 0] = 0
    assert find_hidden_links(labels, categories, [1, 2]) == []
    labels, categories = scene(THING)
    labels[0, 0], categories[0, 0] = 0, OTHER
    assert find_hidden_links(labels, categories, [1, 2]) == []


@pytest.mark.parametrize("share, linked", [(HIDDEN + 0.1, True), (HIDDEN - 0.3, False)])
def test_most_of_what_is_between_has_to_be_a_thing(share: float, linked: bool) -> None:
    labels, categories = scene(-1)
    gap = (labels == 0) & (np.arange(12) < round(12 * share))[:, None]
    categories[gap] = OTHER
    assert bool(find_hidden_links(labels, categories, [1, 2])) is linked


def test_far_pieces_are_not_linked() -> None:
    near, far = int(12 * NEAR) - 2, int(12 * NEAR) + 1
    assert find_hidden_links(*scene(OTHER, gap=near), [1, 2])
    assert find_hidden_links(*scene(OTHER, gap=far), [1, 2]) == []


def test_only_named_pieces_are_looked_at() -> None:
    labels, categories = scene(OTHER)
    assert find_hidden_links(labels, categories, [1]) == []
    assert find_hidden_links(labels, categories, []) == []


@given(st.integers(0, 2**32 - 1))
def test_links_do_not_depend_on_the_side_that_one_looks_from(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 5, (4, 5)), np.ones((4, 4), int)).astype(np.int32)
    categories = np.where(np.isin(labels, (1, 2, 3)), THING, np.where(labels == 4, OTHER, -1))
    there = [number for number in (1, 2, 3) if (labels == number).any()]
    found = {(a, b): gap for gap, a, b in find_hidden_links(labels, categories, there)}
    flipped = {(a, b): gap for gap, a, b in find_hidden_links(labels[:, ::-1].copy(), categories[:, ::-1], there)}
    for pair in set(found) & set(flipped):
        assert found[pair] == pytest.approx(flipped[pair])
    for (a, b), gap in found.items():
        assert a < b and 0 < gap < NEAR
        ends = [np.argwhere(labels == number) for number in (a, b)]
        closest = np.linalg.norm(ends[0][:, None] - ends[1][None], axis=2).min()
        assert gap == pytest.approx(closest / np.sqrt(min(len(ends[0]), len(ends[1]))))


def test_boxes_are_as_far_apart_as_their_closest_cells() -> None:
    boxes = [(slice(0, 2), slice(0, 2)), (slice(5, 6), slice(0, 9)), (slice(4, 6), slice(5, 7))]
    np.testing.assert_allclose(_box_distance(boxes), [[0, 4, 5], [4, 0, 0], [5, 0, 0]])
