"""Rough outlines with known answers, on pictures whose colours tell where each pixel comes from."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, spatial
from small_sets import write_png

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.network.asking import GREY
from sisegcli.training.loader import batches
from sisegcli.training.losses import outline_loss
from sisegcli.training.objects import Source, collect_objects
from sisegcli.training.options import RECIPES
from sisegcli.training.outlines import EXACT, MOST, REACH, SMALLEST, Outlines, ask_outlines, coarsen
from sisegcli.training.samples import SampleMaker
from sisegcli.windows import WINDOW

torch.set_num_threads(1)
seeds = st.integers(0, 2**32 - 1)
SIDE = WINDOW // 2


def scene():
    """Two that touch, one alone, one in the corner, and an ignored strip."""
    labels = np.zeros((200, 230), np.int32)
    y, x = np.indices(labels.shape)
    labels[20:90, 30:150] = np.where(x > 100 + (y - 55) / 2, 2, 1)[20:90, 30:150]
    labels[110:170, 40:110], labels[:40, 190:] = 3, 4
    labels[165:] = -1
    return labels


def atlas(labels):
    """Return a picture in which red is the row, green the column, and blue 0."""
    y, x = np.indices(labels.shape)
    return np.stack((y, x, 0 * y), 2).astype(np.uint8)


def ask(labels, seed, count=4):
    return ask_outlines(atlas(labels), labels, count, np.random.default_rng(seed))


def halve(values):
    """Average squares of two by two pixels, one after the other."""
    found = np.zeros((SIDE, SIDE))
    for dy, dx in np.ndindex(2, 2):
        found += values[dy::2, dx::2] / 4
    return found


class Seen:
    """A rough instance, and what the picture says of its pixels: which labels they have, and where that is sure."""

    def __init__(self, outlines, number, labels):
        for field in fields(Outlines):
            setattr(self, field.name, getattr(outlines, field.name)[number])
        window = self.windows.astype(int)
        self.there = window[..., 2] == 0
        y, x = np.where(self.there, window[..., 0], 0), np.where(self.there, window[..., 1], 0)
        self.labels = np.where(self.there, labels[y, x], -1)
        alike = ndimage.minimum_filter(labels, 5) == ndimage.maximum_filter(labels, 5)
        self.certain = np.where(self.there, alike[y, x], True)
        self.sure = halve(self.certain) == 1
        inner = (self.inside == 1) & self.sure
        [self.asked] = np.unique(self.labels[::2, ::2][inner])
        self.mirrored = bool(np.diff(window[WINDOW // 2, self.there[WINDOW // 2], 1]).sum() < 0)


def seen_in(outlines, labels):
    return [Seen(outlines, n, labels) for n in range(len(outlines.windows)) if outlines.importance[n].any()]


# -- rough instances ---------------------------------------------------------------------------------------------------


def test_shapes_and_types():
    outlines = ask(scene(), 0, count=3)
    side, cells = (3, WINDOW, WINDOW), (3, SIDE, SIDE)
    expected = {
        "windows": ((*side, 3), np.uint8),
        "things": (side, np.uint8),
        "instances": (side, np.uint8),
        "inside": (cells, np.float32),
        "importance": (cells, np.float32),
        "rough": ((3,), np.float32),
    }
    assert {f.name for f in fields(outlines)} == expected.keys()
    for name, (shape, dtype) in expected.items():
        found = getattr(outlines, name)
        assert (found.shape, found.dtype) == (shape, dtype), name
    for name in ("things", "instances"):
        assert set(np.unique(getattr(outlines, name))) == {0, 255}
    assert set(np.unique(outlines.inside)) <= {0, 0.25, 0.5, 0.75, 1}


@given(seeds)
def test_answers_are_what_the_picture_shows(seed):
    labels = scene()
    for seen in seen_in(ask(labels, seed), labels):
        np.testing.assert_array_equal(seen.inside[seen.sure], halve(seen.labels == seen.asked)[seen.sure])
        assert (seen.windows[~seen.there] == GREY).all()
        assert seen.rough in (0, 1)


@given(seeds)
def test_what_is_unknown_or_beyond_the_picture_does_not_count(seed):
    labels = scene()
    for seen in seen_in(ask(labels, seed), labels):
        unknown = halve(seen.labels < 0)
        assert not seen.importance[(unknown == 1) & seen.sure].any()
        known = (unknown == 0) & seen.sure
        assert seen.importance[known].min() >= 0.15 * 0.999 and seen.importance.max() <= 1
        # All of it counts near both outlines.
        shown = halve(seen.instances > 0)
        near = ((shown > 0) & (shown < 1)) | ((seen.inside > 0) & (seen.inside < 1))
        assert (seen.importance[near & known] > 0.999).all()


@given(seeds)
def test_exact_ones_are_as_they_were_drawn(seed):
    labels = scene()
    labels[labels < 0] = 0  # so that what is beyond the picture is all that is unknown
    for seen in seen_in(ask(labels, seed), labels):
        if seen.rough:
            continue
        shown = seen.instances > 0
        np.testing.assert_array_equal(halve(shown), seen.inside)
        np.testing.assert_array_equal((seen.things > 0)[seen.certain], (seen.labels > 0)[seen.certain])
        edge = np.zeros(shown.shape, bool)
        edge[1:] |= shown[1:] != shown[:-1]
        step = -1 if seen.mirrored else 1
        edge[:, ::step][:, 1:] |= np.diff(shown[:, ::step], axis=1)
        away, _ = spatial.KDTree(np.argwhere(edge)).query(np.argwhere(shown | True))
        near = away.reshape(shown.shape) <= REACH
        np.testing.assert_allclose(seen.importance, halve(np.where(near, 1.0, 0.15) * seen.there), rtol=1e-5)


def test_all_that_may_happen_comes_up():
    labels = scene()
    seen = seen_in(ask(labels, 0, count=80), labels)
    assert len(seen) > 75
    assert {s.asked for s in seen} == {1, 2, 3, 4}
    assert 25 < sum(s.mirrored for s in seen) < 55
    exact = [s for s in seen if not s.rough]
    assert len(exact) == pytest.approx(EXACT * 80, abs=14)
    wrong = [np.abs(halve(s.instances > 0) - s.inside).sum() / s.inside.sum() for s in seen if s.rough]
    assert min(wrong) > 0 and 0.03 < np.median(wrong) < 0.3
    assert len({round(s.windows[80, 80, 0] / 4) for s in exact}) > 5  # windows move


def test_the_same_chance_asks_the_same():
    one, two, other = (ask(scene(), seed) for seed in (3, 3, 4))
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
    assert not np.array_equal(one.windows, other.windows)


def test_picture_and_labels_stay_as_they_were():
    labels = scene()
    image, kept = atlas(labels), labels.copy()
    before = image.copy()
    ask_outlines(image, labels, 6, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(labels, kept)


NOTHING = {
    "background": np.zeros((64, 64), np.int32),
    "ignored": np.full((64, 64), -1, np.int32),
    "small": np.pad(np.ones((1, SMALLEST - 1), np.int32), 20),
}


@pytest.mark.parametrize("labels", NOTHING.values(), ids=NOTHING)
def test_where_there_is_nothing_to_draw_nothing_is_learned(labels):
    outlines = ask(labels, 0)
    for name, value in (("windows", GREY), ("things", 0), ("instances", 0), ("inside", 0), ("importance", 0)):
        assert (getattr(outlines, name) == value).all(), name
    noise = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 1, SIDE, SIDE, generator=noise).requires_grad_()
    judged = torch.randn(4, generator=noise).requires_grad_()
    known = (torch.from_numpy(getattr(outlines, name)) for name in ("inside", "importance", "rough"))
    loss = outline_loss(logits, judged, *known)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any() and not judged.grad.any()


def test_the_smallest_object_that_is_drawn():
    labels = np.pad(np.ones((10, 15), np.int32), 20)
    assert labels.sum() == SMALLEST
    assert ask(labels, 0).importance.any()
    labels[20, 20] = 0
    assert not ask(labels, 0).importance.any()


# -- coarse labels -----------------------------------------------------------------------------------------------------


def blobs(seed, count=4):
    """Return labels of a window: discs over each other, and ignored pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((WINDOW, WINDOW))
    labels = np.zeros((WINDOW, WINDOW), np.int32)
    for number in range(count):
        row, column, radius = rng.uniform((20, 20, 12), (140, 140, 40))
        labels[(y - row) ** 2 + (x - column) ** 2 < radius**2] = 3 * number + 2
    labels[rng.random(labels.shape) < 0.02] = -1
    labels[: rng.integers(0, 20)] = -1
    return labels


@given(seeds, st.integers(1, 12))
def test_coarse_labels_are_those_that_are_there(seed, count):
    labels = blobs(seed, count)
    label = int(np.random.default_rng(seed).choice(labels[labels > 0]))
    kept = labels.copy()
    rough = coarsen(labels, label, np.random.default_rng(seed))
    assert rough.shape == labels.shape and rough.dtype == np.int32
    np.testing.assert_array_equal(rough == -1, labels == -1)
    assert set(np.unique(rough)) <= set(np.unique(labels))
    assert len(np.unique(rough[rough >= 0])) <= MOST
    np.testing.assert_array_equal(labels, kept)
    np.testing.assert_array_equal(rough, coarsen(labels, label, np.random.default_rng(seed)))


def test_the_smallest_of_many_vanish_save_the_one_that_is_looked_at():
    labels = np.zeros((WINDOW, WINDOW), np.int32)
    for number in range(10):
        labels[8 * number : 8 * number + 8, : 150 - 8 * number] = number + 1
    found = [coarsen(labels, 10, np.random.default_rng(seed)) for seed in range(20)]
    there = np.array([[(rough == number).any() for number in range(11)] for rough in found])
    # Background, those of the first six, and the last one.
    assert not there[:, 7:10].any()
    assert there[:, [0, 1, 10]].mean(0).min() > 0.8


def test_coarse_labels_are_wrong_near_outlines_alone():
    y, x = np.indices((WINDOW, WINDOW))
    labels = ((y - 80) ** 2 + (x - 80) ** 2 < 50**2).astype(np.int32)
    away = np.abs(np.hypot(y - 80, x - 80) - 50)
    wrong = [coarsen(labels, 1, np.random.default_rng(seed)) != labels for seed in range(40)]
    share = np.mean(wrong, 0)
    assert all(part.any() for part in wrong)
    assert share[away < 1].mean() > 0.25
    assert share[away < 1].mean() > 2 * share[(away > 6) & (away < 8)].mean() > 0
    assert share[away > 30].mean() < 0.05


# -- samples and batches -----------------------------------------------------------------------------------------------

STILL = replace(RECIPES["edges"], crop=128, scales=(1.0, 1.0), long_side=0, pasted=0.0)


def write_source(root):
    """Three pictures with a disc each."""
    pairs, (y, x) = [], np.indices((96, 128))
    for number in range(3):
        mask = ((y - 48) ** 2 + (x - 40 - 20 * number) ** 2 <= 22**2).astype(np.uint8)
        pair = Pair(f"{number}", root / f"{number}.png", root / "masks" / f"{number}.png")
        write_png(pair.image, np.repeat((60 + 20 * mask)[..., None], 3, 2))
        write_png(pair.mask, mask)
        pairs.append(pair)
    return Source(tuple(pairs), MaskReader(), Categories())


@pytest.mark.parametrize("pasted", [0.0, 1.0])
def test_outlines_of_a_batch_are_those_of_its_samples_in_order(tmp_path, pasted):
    source = write_source(tmp_path)
    bank = collect_objects([source])
    maker = SampleMaker((source,), bank, replace(STILL, pasted=pasted), seed=0)
    [batch] = itertools.islice(batches(maker, start=1, batch_size=3, workers=0), 1)
    drawn = [maker.make(number).outlines for number in (1, 2, 3)]
    count = 3 * STILL.outlined
    assert batch.questions is None and batch.outlines.importance.any()
    for field in fields(Outlines):
        expected = np.concatenate([getattr(outlines, field.name) for outlines in drawn])
        found = getattr(batch.outlines, field.name)
        if field.name == "windows":
            assert found.shape == (count, 3, WINDOW, WINDOW)
            found = found.permute(0, 2, 3, 1)
        np.testing.assert_array_equal(found, expected)
    moved = batch.to(torch.device("cpu")).outlines
    for name in ("things", "instances"):
        shown = getattr(moved, name)
        assert shown.dtype == torch.float32 and shown.shape == (count, 1, WINDOW, WINDOW)
        assert set(shown.unique().tolist()) == {0, 1}
        assert torch.equal((shown[:, 0] * 255).to(torch.uint8), getattr(batch.outlines, name))
    for name in ("windows", "inside", "importance", "rough"):
        assert torch.equal(getattr(moved, name), getattr(batch.outlines, name)), name


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_have_what_they_teach(tmp_path, recipe):
    recipe = replace(RECIPES[recipe], crop=128, pasted=0.0)
    maker = SampleMaker((write_source(tmp_path),), None, recipe, seed=0)
    [batch] = itertools.islice(batches(maker, start=0, batch_size=2, workers=0), 1)
    for found, count in ((batch.questions, recipe.asked), (batch.outlines, recipe.outlined)):
        assert (0 if found is None else len(found.windows)) == 2 * count
    assert (batch.to(torch.device("cpu")).outlines is None) == (recipe.outlined == 0)


@pytest.mark.parametrize("more", [{}, {"asked": 0}])
def test_outlines_do_not_disturb_the_rest_of_a_sample(tmp_path, more):
    source = write_source(tmp_path)
    recipe = replace(STILL, **{"asked": 2, **more})
    with_them, without = (
        SampleMaker((source,), None, replace(recipe, outlined=count), seed=0).make(1) for count in (2, 0)
    )
    assert with_them.outlines is not None and without.outlines is None
    for name in ("image", "guide", "labels", "centres"):
        np.testing.assert_array_equal(getattr(with_them, name), getattr(without, name))
    if recipe.asked:
        np.testing.assert_array_equal(with_them.questions.windows, without.questions.windows)
