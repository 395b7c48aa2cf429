"""Outlines drawn anew, by refiners that know the answer, beside plain loops over pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.grouping.components import label_components
from sisegcli.grouping.outlines import (
    LEAST,
    SURROUNDINGS,
    WITNESSES,
    Look,
    at_pixels,
    choose_looks,
    looks_rough,
    redraw_outlines,
)
from sisegcli.grouping.outlines import ROUGH as FROM
from sisegcli.windows import Window

seeds = st.integers(0, 2**32 - 1)
SIDE = 80
THING, STUFF = 3, 9

Rectangle = tuple[int, int, int, int]
"""First row and column, and those after the last."""
Draw = Callable[[Sequence[Look]], tuple[np.ndarray, np.ndarray]]


def paint(size: tuple[int, int], rectangles: dict[int, Rectangle]) -> np.ndarray:
    labels = np.zeros(size, np.int32)
    for label, (top, left, bottom, right) in rectangles.items():
        labels[top:bottom, left:right] = label
    return labels


def mask_of(labels: np.ndarray, categories: dict[int, int] | None = None) -> np.ndarray:
    mask = np.full(labels.shape, BACKGROUND, np.int32)
    mask[labels > 0] = THING
    for label, category in (categories or {}).items():
        mask[labels == label] = category
    return mask


def knowing(rectangles: dict[int, Rectangle]) -> Draw:
    """Draw as one who knows where instances are: logits are pixels to the nearest side, negative beyond it."""

    def draw(looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
        answers = []
        for look in looks:
            top, left, bottom, right = rectangles[look.label]
            steps = (np.arange(SIDE) + 0.5) * look.window.side / SIDE
            y, x = (look.window.top + steps)[:, None], (look.window.left + steps)[None]
            answers.append(np.minimum(np.minimum(y - top, bottom - y), np.minimum(x - left, right - x)))
        return np.array(answers, np.float32), np.zeros(len(looks), np.float32)

    return draw


def saying(words: dict[int, float]) -> Draw:
    """Claim each whole window with one logit."""

    def draw(looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
        answers = [np.full((SIDE, SIDE), words[look.label], np.float32) for look in looks]
        return np.array(answers), np.zeros(len(looks), np.float32)

    return draw


def never(looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("nobody should have been asked")


# -- who is looked at --------------------------------------------------------------------------------------------------


def test_looks_show_instances_up_close_largest_first() -> None:
    labels = paint((100, 120), {4: (2, 3, 22, 13), 2: (30, 20, 60, 80), 7: (70, 0, 80, 14)})
    labels[30, 20] = 0
    first, second = choose_looks(labels)
    assert (first.label, first.corner, second.label, second.corner) == (2, (30, 20), 4, (2, 3))
    expected = np.full((30, 60), 255)
    expected[0, 0] = 0
    np.testing.assert_array_equal(first.shape, expected)
    assert first.shape.dtype == np.uint8 and second.shape.tolist() == [[255] * 10] * 20
    side = SURROUNDINGS * 60
    assert first.window == pytest.approx((45 - side / 2, 50 - side / 2, side))
    assert second.window == pytest.approx((12 - 20, 8 - 20, 40))  # no window is smaller


def test_only_the_instance_itself_is_shown() -> None:
    labels = paint((40, 40), {1: (0, 0, 40, 40), 2: (10, 10, 25, 25)})
    one, two = choose_looks(labels)
    assert np.count_nonzero(one.shape) == 40 * 40 - 15 * 15 and not one.shape[10:25, 10:25].any()
    assert two.shape.all() and two.corner == (10, 10)


@pytest.mark.parametrize("area, seen", [(LEAST - 1, 0), (LEAST, 1)])
def test_crumbs_are_not_looked_at(area: int, seen: int) -> None:
    labels = np.zeros((20, 40), np.int32)
    labels.ravel()[40 : 40 + area] = 5
    assert len(choose_looks(labels)) == seen


def test_some_are_passed_over_and_a_few_may_be_enough() -> None:
    labels = paint((40, 200), {n: (0, 40 * (n - 1), 20, 40 * (n - 1) + 10 + 2 * n) for n in (1, 2, 3, 4)})
    assert [look.label for look in choose_looks(labels)] == [4, 3, 2, 1]
    assert [look.label for look in choose_looks(labels, passed=[3, 1])] == [4, 2]
    assert [look.label for look in choose_looks(labels, passed=[4], most=2)] == [3, 2]
    assert choose_looks(labels, most=0) == [] == choose_looks(np.zeros((4, 5), np.int32))


# -- whether a mask is rough -------------------------------------------------------------------------------------------


class Witness:
    """Gives its word on each region, by the region's order."""

    def __init__(self, words: Sequence[float]) -> None:
        self.words, self.asked = words, list[Look]()

    def __call__(self, looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
        self.asked = list(looks)
        return np.zeros((len(looks), SIDE, SIDE), np.float32), np.array(self.words[: len(looks)], np.float32)


def regions(count: int) -> np.ndarray:
    """Return a mask of regions of one category, each a little smaller than the one before."""
    mask = np.full((30, 40 * count), BACKGROUND, np.int32)
    for number in range(count):
        mask[2:24, 40 * number : 40 * number + 30 - number] = THING
    return mask


@pytest.mark.parametrize(
    "words, rough",
    [([3.0], True), ([-3.0], False), ([3.0, -2.0], True), ([2.0, -3.0], False), ([0.0], False), ([-1.0, -1, 3], True)],
)
def test_a_mask_is_rough_if_its_regions_are_in_the_mean(words: list[float], rough: bool) -> None:
    assert looks_rough(regions(len(words)), Witness([word + FROM for word in words])) is rough


@pytest.mark.parametrize("last, rough", [(6.5, True), (5.5, False)])
def test_the_largest_regions_alone_bear_witness(last: float, rough: bool) -> None:
    # Smaller ones would say the contrary.
    words = [-6 / (WITNESSES - 1)] * (WITNESSES - 1) + [last] + [-100.0 if rough else 100.0] * 3
    witness = Witness([word + FROM for word in words])
    assert looks_rough(regions(WITNESSES + 3), witness) is rough
    areas = [np.count_nonzero(look.shape) for look in witness.asked]
    assert areas == [22 * (30 - number) for number in range(WITNESSES)]


def test_where_there_are_no_regions_nothing_is_rough() -> None:
    nothing = np.full((30, 40), BACKGROUND, np.int32)
    crumb, void, wall = nothing.copy(), nothing.copy(), nothing.copy()
    crumb[2:5, 2:5], void[:20], wall[:20] = THING, IGNORE, STUFF
    for mask in (nothing, crumb, void):
        assert looks_rough(mask, never) is False
    assert looks_rough(wall, never, stuff=[STUFF]) is False
    assert looks_rough(wall, Witness([FROM + 1.0])) is True


def test_a_region_is_of_one_category_and_stuff_is_none() -> None:
    mask = regions(2)
    mask[:, 15:30] = np.where(mask[:, 15:30] == THING, 5, BACKGROUND)
    mask[24:] = STUFF
    witness = Witness([1.0] * 4)
    looks_rough(mask, witness, stuff=[STUFF])
    assert sorted(look.corner for look in witness.asked) == [(2, 0), (2, 15), (2, 40)]
    kept = mask.copy()
    known = label_components(mask, stuff=[STUFF], connectivity=4)
    again = Witness([1.0] * 4)
    looks_rough(mask, again, stuff=[STUFF], components=known)
    assert [look.window for look in again.asked] == [look.window for look in witness.asked]
    np.testing.assert_array_equal(mask, kept)


# -- what becomes of instances -----------------------------------------------------------------------------------------

TRUE: dict[int, Rectangle] = {1: (10, 10, 38, 34), 2: (10, 34, 38, 62), 5: (50, 20, 72, 44)}
ROUGH: dict[str, dict[int, Rectangle]] = {
    "true": TRUE,
    "eroded": {1: (13, 13, 35, 31), 2: (12, 36, 36, 60), 5: (53, 23, 69, 41)},
    "dilated": {1: (7, 7, 41, 34), 2: (8, 34, 40, 65), 5: (47, 17, 75, 47)},
    "moved": {1: (8, 12, 36, 38), 2: (12, 38, 40, 60), 5: (52, 17, 74, 41)},
}


@pytest.mark.parametrize("rough", ROUGH)
def test_one_who_knows_draws_the_true_outlines(rough: str) -> None:
    truth, labels = paint((80, 75), TRUE), paint((80, 75), ROUGH[rough])
    kept = labels.copy()
    found = redraw_outlines(labels, mask_of(labels), knowing(TRUE))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_array_equal(labels, kept)


def test_objects_cut_by_the_image_are_drawn_up_to_its_rim() -> None:
    true = {1: (0, 0, 30, 26), 2: (0, 26, 30, 50)}
    labels = paint((30, 50), {1: (3, 2, 30, 24), 2: (0, 24, 27, 50)})
    np.testing.assert_array_equal(redraw_outlines(labels, mask_of(labels), knowing(true)), paint((30, 50), true))


def test_the_strongest_claim_wins() -> None:
    labels = paint((30, 60), {1: (0, 0, 30, 30), 2: (0, 30, 30, 60)})
    # A window reaches five pixels around; each sees the other's first columns.
    for words, winner in (({1: 2.0, 2: 3.0}, 2), ({1: 3.0, 2: 2.0}, 1)):
        found = redraw_outlines(labels, mask_of(labels), saying(words))
        assert (found[:, 26:34] == winner).all()
        assert (found[:, :20] == 1).all() and (found[:, 40:] == 2).all()


def test_nobody_vanishes() -> None:
    labels = paint((50, 50), {1: (10, 10, 30, 30), 2: (10, 30, 30, 48)})
    gone = redraw_outlines(labels, mask_of(labels), saying({1: -1.0, 2: -1.0}))
    np.testing.assert_array_equal(gone, labels)
    one = redraw_outlines(labels, mask_of(labels), saying({1: 5.0, 2: -1.0}))
    expected = paint((50, 50), {1: (0, 0, 40, 40), 2: (10, 30, 30, 48)})  # it claims all of its window
    np.testing.assert_array_equal(one, expected)


def test_who_comes_back_may_not_make_another_vanish() -> None:
    # Instance 1 moves onto 2, which is let go of; 2 comes back where 1 is then, so that 1 has to come back as well.
    labels = paint((40, 80), {1: (5, 5, 35, 35), 2: (5, 35, 35, 65)})
    found = redraw_outlines(labels, mask_of(labels), knowing({1: (8, 36, 32, 39), 2: (0, 100, 10, 110)}))
    np.testing.assert_array_equal(found, labels)


def test_ignored_pixels_stay_nobodys() -> None:
    true = {1: (10, 10, 40, 40)}
    labels = paint((50, 50), {1: (13, 13, 37, 37)})
    mask = mask_of(labels)
    mask[:12], mask[20:25, 38:] = IGNORE, IGNORE
    found = redraw_outlines(labels, mask, knowing(true))
    np.testing.assert_array_equal(found, np.where(mask == IGNORE, 0, paint((50, 50), true)))


def test_stuff_takes_what_things_let_go_of() -> None:
    # A thing in a wall, and one on background.
    labels = paint((50, 100), {3: (0, 0, 50, 50), 1: (10, 10, 40, 40), 2: (10, 60, 40, 90)})
    mask = mask_of(labels, {3: STUFF})
    true = {1: (14, 14, 36, 36), 2: (14, 64, 36, 86)}
    found = redraw_outlines(labels, mask, knowing(true), stuff=[STUFF])
    np.testing.assert_array_equal(found, paint((50, 100), {3: (0, 0, 50, 50), **true}))
    # What nobody is sure about goes to nobody where there is no stuff.
    plain = redraw_outlines(np.where(labels == 3, 0, labels), mask_of(np.where(labels == 3, 0, labels)), knowing(true))
    np.testing.assert_array_equal(plain, paint((50, 100), true))


def test_things_take_stuff_that_is_theirs() -> None:
    labels = paint((50, 50), {3: (0, 0, 50, 50), 1: (14, 14, 36, 36)})
    found = redraw_outlines(labels, mask_of(labels, {3: STUFF}), knowing({1: (10, 12, 38, 40)}), stuff=[STUFF])
    np.testing.assert_array_equal(found, paint((50, 50), {3: (0, 0, 50, 50), 1: (10, 12, 38, 40)}))


def test_stuff_is_not_drawn_anew() -> None:
    labels = paint((30, 30), {1: (0, 0, 30, 30)})
    assert redraw_outlines(labels, mask_of(labels, {1: STUFF}), never, stuff=[STUFF]) is labels


@pytest.mark.parametrize("reach, left", [(34, 14), (36, 12), (39, 9)])
def test_crumbs_keep_what_nobody_claims(reach: int, left: int) -> None:
    labels = paint((40, 60), {1: (5, 5, 35, 34), 2: (20, 34, 26, 48)})
    found = redraw_outlines(labels, mask_of(labels), knowing({1: (5, 5, 35, reach)}))
    np.testing.assert_array_equal(found, paint((40, 60), {2: (20, 34, 26, 48), 1: (5, 5, 35, reach)}))
    assert np.count_nonzero(found == 2) == 6 * left


def test_a_crumb_that_is_claimed_comes_back() -> None:
    labels = paint((40, 60), {1: (5, 5, 35, 34), 2: (20, 34, 22, 37)})
    found = redraw_outlines(labels, mask_of(labels), knowing({1: (5, 5, 35, 40)}))
    np.testing.assert_array_equal(found, paint((40, 60), {1: (5, 5, 35, 40), 2: (20, 34, 22, 37)}))


def test_crumbs_alone_stay_and_nobody_is_asked() -> None:
    labels = paint((20, 20), {1: (2, 2, 9, 9), 2: (11, 11, 15, 15)})
    np.testing.assert_array_equal(redraw_outlines(labels, mask_of(labels), never), labels)


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rectangles over each other, some of them stuff, and ignored pixels."""
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(30, 60, 2).tolist())
    labels = np.zeros(size, np.int32)
    for label in range(1, int(rng.integers(1, 7))):
        top, left = rng.integers(-5, 40, 2).clip(0)
        height, width = rng.integers(3, 30, 2)
        labels[top : top + height, left : left + width] = label
    categories = {label: STUFF for label in range(1, 7) if rng.random() < 0.2}
    stuff = sorted(categories)[:1]  # a category of stuff is one segment
    labels[np.isin(labels, list(categories))] = stuff[0] if stuff else 0
    mask = mask_of(labels, categories)
    mask[(labels == 0) & (rng.random(size) < 0.1)] = IGNORE
    return labels, mask


def guessing(seed: int) -> Draw:
    def draw(looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        blocks = rng.normal(rng.uniform(-2, 2), 2, (len(looks), 8, 8))
        return np.kron(blocks, np.ones((10, 10))).astype(np.float32), np.zeros(len(looks), np.float32)

    return draw


@given(seeds)
def test_every_pixel_goes_to_who_claims_it_most(seed: int) -> None:
    labels, mask = scene(seed)
    draw = guessing(seed)
    found = redraw_outlines(labels, mask, draw, stuff=[STUFF])
    # As many as before, in the same numbers, each pixel one's own, and none where the mask is unknown.
    assert found.shape == labels.shape and found.dtype == np.int32
    assert np.unique(found[found > 0]).tolist() == np.unique(labels[labels > 0]).tolist()
    assert not found[mask == IGNORE].any()
    looks = choose_looks(labels, passed=np.unique(labels[mask == STUFF]).tolist())
    if not looks:
        np.testing.assert_array_equal(found, labels)
        return
    claims = {label: np.zeros(labels.shape) for label in [0, *(look.label for look in looks)]}
    for look, answer in zip(looks, draw(looks)[0], strict=True):
        box, logits = at_pixels(answer, look.window, labels.shape)
        claims[look.label][box] = logits
    names = np.array(list(claims))
    winner = names[np.argmax(list(claims.values()), 0)]
    strong = (np.max(list(claims.values()), 0) > 1e-3) & (mask != IGNORE)
    back = np.isin(labels, np.setdiff1d(labels, np.append(winner[mask != IGNORE], found)))
    changed = strong & (found != winner) & ~back
    assert (found[changed] == labels[changed]).all()  # of those alone who would have vanished
    weak = (winner == 0) & (found > 0)
    assert (np.isin(found[weak], np.unique(labels[mask == STUFF])) | (found[weak] == labels[weak])).all()


# -- answers at pixels -------------------------------------------------------------------------------------------------


def bilinear(answer: np.ndarray, window: Window, row: int, column: int) -> float:
    """Interpolate between the middles of cells; beyond the outer middles their values go on."""
    cells, value = len(answer), 0.0
    places = []
    for pixel, start in ((row, window.top), (column, window.left)):
        place = (pixel + 0.5 - start) * cells / window.side - 0.5
        places.append(min(max(place, 0.0), cells - 1.0))
    y, x = places
    for i in (int(y), min(int(y) + 1, cells - 1)):
        for j in (int(x), min(int(x) + 1, cells - 1)):
            share = (1 - abs(y - i) if int(y) + 1 < cells else 0.5) * (1 - abs(x - j) if int(x) + 1 < cells else 0.5)
            value += share * float(answer[i, j])
    return value


@given(seeds, st.floats(-50, 50), st.floats(-50, 50), st.floats(3, 90), st.sampled_from([1, 4, 9]))
def test_answers_at_pixels_equal_a_look_at_each(seed: int, top: float, left: float, side: float, cells: int) -> None:
    answer = np.random.default_rng(seed).normal(0, 3, (cells, cells)).astype(np.float32)
    window, size = Window(top, left, side), (20, 27)
    (rows, columns), logits = at_pixels(answer, window, size)
    assert logits.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert np.zeros(size)[rows, columns].shape == logits.shape  # in the image
    for (i, j), value in np.ndenumerate(logits):
        assert value == pytest.approx(bilinear(answer, window, rows.start + i, columns.start + j), abs=1e-3)
    shown = [
        (row, column)
        for row, column in np.ndindex(size)
        if top <= row + 0.5 < top + side and left <= column + 0.5 < left + side
    ]
    assert all(rows.start <= r < rows.stop and columns.start <= c < columns.stop for r, c in shown)


def test_answers_by_hand() -> None:
    answer = np.array([[0.0, 4.0], [8.0, 12.0]], np.float32)
    (rows, columns), logits = at_pixels(answer, Window(1.0, -2.0, 4.0), (4, 9))
    # Cells are two pixels wide, and the window's first two columns are beyond the image.
    assert (rows, columns) == (slice(1, 4), slice(0, 2))
    assert logits.tolist() == [[3.0, 4.0], [5.0, 6.0], [9.0, 10.0]]


@pytest.mark.parametrize("window", [Window(-50, 3, 20), Window(30, 3, 20), Window(2, 40, 9), Window(2, -9, 9)])
def test_a_window_beyond_the_image_shows_nothing(window: Window) -> None:
    box, logits = at_pixels(np.ones((8, 8), np.float32), window, (20, 30))
    assert logits.size == 0 and np.zeros((20, 30))[box].shape == logits.shape
