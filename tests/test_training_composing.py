"""Composed pictures: what is pasted is known, lies beside others, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sisegcli.errors import ImageError
from sisegcli.training.composing import FIRST_PASTED, Composer
from sisegcli.training.corrections import UNTOLD, label_objects
from sisegcli.training.objects import LoneObject, ObjectBank
from sisegcli.training.pasting import Canvas

CROP = 128
seeds = st.integers(0, 2**32 - 1)


def objects_of(mask):
    return label_objects(mask, np.full(mask.shape, UNTOLD, np.int32))


def picture_of(source, pair):
    """Return a bright picture with a disc of category 4 or 6, by the pair's number."""
    y, x = np.indices((60, 60))
    mask = np.where((y - 30) ** 2 + (x - 30) ** 2 <= 20**2, 4 + 2 * (pair % 2), -1).astype(np.int32)
    return np.full((60, 60, 3), 200 + pair, np.uint8), objects_of(mask)


def bank_of(*objects):
    groups = {}
    for number, item in enumerate(objects):
        groups.setdefault((item.source, item.category), []).append(number)
    return ObjectBank(objects, {key: np.array(numbers) for key, numbers in groups.items()})


DISCS = [
    LoneObject(source, pair, 4 + 2 * (pair % 2), (10, 10, 41, 41), 1257) for source in (0, 1) for pair in range(10)
]


def composer(sources=(0,), read=picture_of):
    return Composer(bank_of(*(item for item in DISCS if item.source in sources)), read)


def canvas_of(*boxes, side=CROP):
    """Paint grey boxes (top, bottom, left, right) onto black, with labels from 1."""
    labels = np.zeros((side, side), np.int32)
    for number, (top, bottom, left, right) in enumerate(boxes, start=1):
        labels[top:bottom, left:right] = number
    return Canvas(np.repeat(np.where(labels > 0, 90, 0).astype(np.uint8)[..., None], 3, 2), labels)


ONE = (44, 84, 44, 84)
CROWD = [(y, y + 12, x, x + 12) for y in range(4, 120, 20) for x in range(4, 120, 20)]


def compose(seed, *boxes, made=None, category=4):
    """Paste onto boxes of a category; return the canvas before and after, and what was pasted."""
    before, after = canvas_of(*boxes), canvas_of(*boxes)
    categories = dict.fromkeys(range(1, len(boxes) + 1), category)
    pasted = (made or composer()).paste(after, categories, 0, np.random.default_rng(seed))
    return before, after, pasted


# -- what is pasted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boxes", [[], [ONE], CROWD], ids=["nothing", "one", "crowd"])
@given(seed=seeds)
def test_what_is_pasted_is_named_and_the_rest_stays(boxes, seed):
    before, after, pasted = compose(seed, *boxes)
    new = set(np.unique(after.labels).tolist()) - set(np.unique(before.labels).tolist())
    assert new <= set(pasted)  # one may be hidden by a later one
    assert all(label >= FIRST_PASTED for label in pasted)
    assert set(pasted.values()) <= {4, 6}
    changed = after.labels != before.labels
    assert set(np.unique(after.labels[changed]).tolist()) <= set(pasted)
    # Feathered rims reach a little farther than labels do, or farther where something lies under a host.
    far = ~ndimage.binary_dilation(after.labels >= FIRST_PASTED, iterations=8)
    lone = far & ~ndimage.binary_dilation(before.labels > 0, iterations=8)
    np.testing.assert_array_equal(after.image[lone], before.image[lone])
    if not pasted:
        np.testing.assert_array_equal(after.image, before.image)


@given(seeds)
def test_the_same_chance_pastes_the_same(seed):
    _, one, pasted = compose(seed, ONE)
    _, two, again = compose(seed, ONE)
    assert pasted == again
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.labels, two.labels)


def test_a_few_are_pasted_beside_a_few_and_many_beside_many():
    few = [len(compose(seed, ONE)[2]) for seed in range(60)]
    assert set(few) >= {1, 2, 3} and max(few) <= 4
    many = [len(compose(seed, *CROWD)[2]) for seed in range(60)]
    assert max(many) > 8 and max(many) <= len(CROWD) // 2 and np.mean(many) > 2 * np.mean(few)


@pytest.mark.parametrize("category", [4, 6])
def test_most_are_of_the_category_of_what_they_lie_beside(category):
    found = [kind for seed in range(60) for kind in compose(seed, ONE, category=category)[2].values()]
    assert 0.7 < np.mean(np.array(found) == category) < 1


def test_objects_of_another_source_have_no_category_here():
    stranger = composer(sources=(1,))
    found = {kind for seed in range(20) for kind in compose(seed, ONE, made=stranger)[2].values()}
    assert found == {-1}
    mixed = composer(sources=(0, 1))
    found = [kind for seed in range(40) for kind in compose(seed, ONE, made=mixed)[2].values()]
    assert set(found) == {-1, 4, 6} and found.count(4) > found.count(6)


def test_most_touch_an_object_and_lie_to_its_left_or_right():
    touching, aside, over, under = [], [], 0, 0
    for seed in range(80):
        before, after, pasted = compose(seed, ONE)
        for label in pasted:
            seen = after.labels == label
            if not seen.any():
                continue
            others = (after.labels > 0) & ~seen
            touching.append((ndimage.binary_dilation(seen, iterations=2) & others).any())
        hidden = (before.labels == 1) & (after.labels != 1)
        over, under = over + bool(hidden.any()), under + (bool(pasted) and not hidden.any())
        if FIRST_PASTED in pasted and (after.labels == FIRST_PASTED).any():
            y, x = np.argwhere(after.labels == FIRST_PASTED).mean(0)
            aside.append(abs(x - 63.5) > abs(y - 63.5))
    assert np.mean(touching) > 0.6
    assert np.mean(aside) > 0.65
    assert over > 10 and under > 10


def test_pasted_objects_are_about_as_large_as_their_neighbours():
    sizes = {}
    for side in (20, 40):
        low = 64 - side // 2
        box = (low, low + side, low, low + side)
        found = [compose(seed, box)[1].labels == FIRST_PASTED for seed in range(60)]
        sizes[side] = np.median([np.sqrt(seen.sum()) for seen in found if seen.any()])
    assert 0.4 < sizes[20] / 20 < 1.3 and 0.4 < sizes[40] / 40 < 1.3
    assert sizes[40] > 1.4 * sizes[20]


# -- what cannot be pasted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ImageError("broken"), OSError("gone")])
def test_images_that_cannot_be_read_are_left_out(error):
    def read(source, pair):
        raise error

    for seed in range(10):
        before, after, pasted = compose(seed, ONE, made=composer(read=read))
        assert pasted == {}
        np.testing.assert_array_equal(after.image, before.image)
        np.testing.assert_array_equal(after.labels, before.labels)


def test_other_errors_are_not_swallowed():
    def read(source, pair):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        compose(0, ONE, made=composer(read=read))


def test_a_member_of_a_crowd_comes_without_its_neighbours():
    y, x = np.indices((60, 60))
    mask = np.full((60, 60), -1, np.int32)
    for middle in (20, 36):  # apart, but each in a corner of the other's box
        mask[(y - middle) ** 2 + (x - middle) ** 2 <= 10**2] = 4
    item = LoneObject(0, 0, 4, (10, 10, 21, 21), 317)
    made = Composer(bank_of(item), lambda source, pair: (np.full((60, 60, 3), 200, np.uint8), objects_of(mask)))
    seen = 0
    for seed in range(60):
        _, after, pasted = compose(seed, made=made)
        if len(pasted) == 1:
            seen += 1
            assert ndimage.label(after.labels == next(iter(pasted)), np.ones((3, 3)))[1] == 1
    assert seen > 5


# -- how much to enlarge -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "areas, factor",
    [
        ([], None),
        ([36**2], None),
        ([100**2, 90**2], None),
        ([35.9**2], 1.0),  # to one decimal
        ([18**2], 2.0),
        ([12**2, 18**2, 200**2], 2.0),  # the median
        ([24**2] * 9, 1.5),
        ([2**2], 4.0),
    ],
)
def test_images_of_small_objects_are_enlarged(areas, factor):
    bank = bank_of(*(LoneObject(0, n, 1, (0, 0, 1, 1), area) for n, area in enumerate(areas)))
    assert bank.magnification() == factor


@pytest.mark.parametrize(
    "area, side, factor", [(80**2, 384, None), (80**2, 768, None), (40**2, 2000, 1.0), (18**2, 2000, 2.0)]
)
def test_objects_that_shrinking_would_make_small_keep_their_size(area, side, factor):
    bank = bank_of(LoneObject(0, 0, 1, (0, 0, 1, 1), area, side))
    assert bank.magnification(384) == factor
