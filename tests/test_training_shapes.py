"""Shapes with known answers, on pictures whose colours tell where each pixel comes from."""

import itertools
from dataclasses import fields, replace
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from small_sets import write_png

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.training import shapes as module
from sisegcli.training.loader import batches
from sisegcli.training.losses import shape_loss
from sisegcli.training.objects import Source, collect_objects
from sisegcli.training.options import RECIPES
from sisegcli.training.samples import SampleMaker
from sisegcli.training.shapes import KINDS, LEAST, MISSING, STRANGERS, Shapes, ask_shapes
from sisegcli.windows import WINDOW

torch.set_num_threads(1)
seeds = st.integers(0, 2**32 - 1)

PASTED = 100
CATEGORIES = {1: 7, 2: 7, 3: 8, 4: 7, PASTED: 7}
BLUE = {1: 0, 2: 90, 3: 0, 4: 45, PASTED: 90}


def scene():
    """Two of category 7 that touch, a third beyond a gap, one of category 8, one pasted on it, an ignored strip."""
    labels = np.zeros((200, 232), np.int32)
    y, x = np.indices(labels.shape)
    labels[20:90, 30:130] = np.where(x > 80 + (y - 55) / 2, 2, 1)[20:90, 30:130]
    labels[20:90, 144:190] = 4
    labels[110:170, 40:110], labels[120:160, 90:170] = 3, PASTED
    labels[188:] = -1
    return labels


def atlas(labels):
    """Return a picture in which red is the row, green the column, and blue, at most 90, shows borders."""
    y, x = np.indices(labels.shape)
    blue = np.zeros(labels.shape, int)
    for label, value in BLUE.items():
        blue[labels == label] = value
    return np.stack((y, x, blue), 2).astype(np.uint8)


def ask(labels, seed, count=4, pasted=(PASTED,), categories=CATEGORIES, **more):
    rng = np.random.default_rng(seed)
    return ask_shapes(atlas(labels), labels, categories, list(pasted), count, rng, **more)


def ask_and_watch(labels, seed, count=4, **more):
    """Ask for shapes; return them, and the cells of each."""
    shown, show = [], module.show

    def watched(cells, surroundings):
        shown.append(cells.copy())
        return show(cells, surroundings)

    with mock.patch.object(module, "show", watched):
        made = ask(labels, seed, count, **more)
    assert len(shown) <= count and (made.weights.any(1) == (np.arange(count) < len(shown))).all()
    return made, shown


def only(kind):
    """Let all shapes be of one kind."""
    return mock.patch.object(module, "KINDS", {kind: 1.0})


def recount(cells, labels, clumps=()):
    """Count by hand: return the main object, its share of the shape, and the share of it that the shape has."""
    height, width = cells.shape
    inside, everywhere = {}, {}
    for y, x in itertools.product(range(height), range(width)):
        label = int(labels[4 * y + 2, 4 * x + 2])
        if label > 0:
            everywhere[label] = everywhere.get(label, 0) + 1
            if cells[y, x]:
                inside[label] = inside.get(label, 0) + 1
    main = max(inside, key=lambda label: (inside[label], -label))
    assert main not in clumps
    return main, inside[main] / sum(inside.values()), inside[main] / everywhere[main], set(inside)


# -- one shape ---------------------------------------------------------------------------------------------------------


def test_shapes_and_types():
    made = ask(scene(), 0, count=3)
    side = (3, WINDOW, WINDOW)
    expected = {
        "windows": ((*side, 3), np.uint8),
        "things": (side, np.uint8),
        "shapes": (side, np.uint8),
        "answers": ((3, 2), np.float32),
        "weights": ((3, 2), np.float32),
        "doubtful": ((3,), np.bool_),
    }
    assert {f.name for f in fields(made)} == expected.keys()
    for name, (shape, dtype) in expected.items():
        found = getattr(made, name)
        assert (found.shape, found.dtype) == (shape, dtype), name
    assert sum(KINDS.values()) == pytest.approx(1)


@given(seeds)
def test_answers_and_doubts_are_what_a_recount_says(seed):
    labels = scene()
    made, shown = ask_and_watch(labels, seed)
    for number, cells in enumerate(shown):
        main, one, whole, _ = recount(cells, labels)
        assert np.count_nonzero(cells) >= LEAST
        expected = [max(0, 1 - (1 - one) / STRANGERS), max(0, 1 - (1 - whole) / MISSING)]
        np.testing.assert_allclose(made.answers[number], expected, atol=1e-6)
        assert made.doubtful[number] == (main != PASTED and one > 0.9)
        # What fills gaps is background.
        assert not set(np.unique(labels[2::4, 2::4][cells]).tolist()) - {-1, 0, *CATEGORIES}


@pytest.mark.parametrize("kind", [*KINDS])
def test_weights_by_kind(kind):
    labels, found = scene(), set()
    with only(kind):
        for seed in range(6):
            made, shown = ask_and_watch(labels, seed)
            for cells, weights in zip(shown, made.weights.tolist(), strict=False):
                main, one, whole, members = recount(cells, labels)
                natural = main != PASTED
                first = 0.6 if natural and one > 0.9 else 1.0
                if kind == "apart" and PASTED not in members:
                    first = 0.5
                assert weights[0] == pytest.approx(first)
                if natural and whole > 0.9:
                    assert weights[1] in (pytest.approx(0.4), pytest.approx(0.7))
                else:
                    assert weights[1] == 1
                found.add((main, round(one, 1), round(whole, 1)))
    assert len(found) > 1
    if kind == "whole":
        # Half of them are exact; the others are made of pieces, as grouping would have them.
        assert len({main for main, one, whole in found if one == whole == 1}) > 2
    elif kind == "part":
        assert any(whole < 0.6 for _, _, whole in found)
    else:
        assert any(one < 0.8 for _, one, _ in found)


def test_alone_in_its_category_an_object_is_surer_to_be_all_of_it():
    labels = np.zeros((120, 200), np.int32)
    labels[20:60, 20:60] = 1
    with only("whole"):
        alone = ask(labels, 0, pasted=())
        labels[20:60, 80:120] = 2
        near = ask(labels, 0, pasted=())
    np.testing.assert_allclose(alone.weights[:, 1], 0.7, rtol=1e-6)
    np.testing.assert_allclose(near.weights[:, 1], 0.4, rtol=1e-6)
    np.testing.assert_allclose(alone.weights[:, 0], 0.6, rtol=1e-6)
    with only("whole"):
        pasted = ask(labels, 0, pasted=(1, 2))
    assert (pasted.weights == 1).all() and not pasted.doubtful.any()


def affine(values, inside):
    """Return how a colour runs along an axis of a window: its value at pixel 0, and its slope."""
    place = np.flatnonzero(inside.any(1))
    mean = np.array([values[row][inside[row]].mean() for row in place])
    slope, start = np.polyfit(place[2:-2], mean[2:-2], 1)
    return start, slope


def seen_cells(made, number, height, width):
    """Find the cells that a drawn shape covers, by the colours of the picture beneath it, and where that is sure."""
    window = made.windows[number].astype(float)
    inside = window[..., 2] < 110  # grey beyond the picture
    row, per_row = affine(window[..., 0], inside)
    column, per_column = affine(window[..., 1].T, inside.T)
    cells, sure = np.zeros((height, width), bool), np.zeros((height, width), bool)
    for y, x in itertools.product(range(height), range(width)):
        v, u = round((4 * y + 1.5 - row) / per_row), round((4 * x + 1.5 - column) / per_column)
        if 1 <= v < WINDOW - 1 and 1 <= u < WINDOW - 1:
            near = made.shapes[number][v - 1 : v + 2, u - 1 : u + 2]
            cells[y, x] = near[1, 1] > 127
            sure[y, x] = near.min() > 200 or near.max() < 55
    return cells, sure, per_column < 0


def test_mirrored_or_not_picture_things_and_shape_lie_on_top_of_each_other():
    labels, mirrored, compared = scene(), [], 0
    for seed in range(6):
        made, shown = ask_and_watch(labels, seed)
        for number, cells in enumerate(shown):
            found, sure, flipped = seen_cells(made, number, *cells.shape)
            mirrored.append(flipped)
            np.testing.assert_array_equal(found[sure], cells[sure])
            compared += np.count_nonzero(found & sure)
            window = made.windows[number].astype(int)
            there = window[..., 2] < 110
            things = labels > 0
            deep, away = (ndimage.binary_erosion(part, np.ones((25, 25))) for part in (things, labels == 0))
            y, x = window[..., 0] * there, window[..., 1] * there
            assert (made.things[number][deep[y, x] & there] == 255).all()
            # Filled gaps, of a few cells, are shown as things.
            assert not made.things[number][away[y, x] & there & (made.shapes[number] == 0)].any()
            assert not made.things[number][~there].any()
    assert 6 < sum(mirrored) < len(mirrored) - 6
    assert compared > 500


def test_the_same_chance_makes_the_same():
    one, two, other = (ask(scene(), seed) for seed in (3, 3, 4))
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
    assert not np.array_equal(one.windows, other.windows)


def test_picture_and_labels_stay_as_they_were():
    labels = scene()
    image, kept = atlas(labels), labels.copy()
    before = image.copy()
    categories = dict(CATEGORIES)
    ask_shapes(image, labels, categories, [PASTED], 12, np.random.default_rng(0), clumps={3})
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(labels, kept)
    assert categories == CATEGORIES


# -- what is asked about -----------------------------------------------------------------------------------------------


def test_all_objects_come_up_and_clumps_never():
    labels = scene()
    mains = {recount(cells, labels)[0] for seed in range(8) for cells in ask_and_watch(labels, seed)[1]}
    assert mains == {1, 2, 3, 4, PASTED}
    mains = set()
    for seed in range(8):
        _, shown = ask_and_watch(labels, seed, clumps={1, 3})
        mains |= {recount(cells, labels, clumps={1, 3})[0] for cells in shown}
    assert mains == {2, 4, PASTED}


NOTHING = {
    "background": np.zeros((64, 64), np.int32),
    "ignored": np.full((64, 64), -1, np.int32),
    "small": np.pad(np.ones((12, 12), np.int32), 26),
    "clump": np.pad(np.ones((40, 40), np.int32), 12),
}


@pytest.mark.parametrize("labels", NOTHING.values(), ids=NOTHING)
def test_where_there_is_nothing_to_ask_nothing_is_learned(labels):
    made = ask(labels, 0, clumps={1} if (labels == 1).sum() > 1000 else ())
    assert made.windows.shape == (4, WINDOW, WINDOW, 3)
    assert not made.weights.any() and not made.answers.any() and not made.shapes.any() and not made.doubtful.any()
    verdicts = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = shape_loss(verdicts, *(torch.from_numpy(getattr(made, n)) for n in ("answers", "weights", "doubtful")))
    loss.backward()
    assert loss.item() == 0 and not verdicts.grad.any()


def test_one_object_alone_has_wholes_and_parts():
    labels = np.pad(np.ones((60, 60), np.int32), 30)
    made, shown = ask_and_watch(labels, 0, count=12, pasted=())
    assert 6 < len(shown) <= 12
    assert (made.answers[: len(shown), 0] == 1).all()
    assert set(made.answers[: len(shown), 1].tolist()) >= {0, 1}


def test_an_object_in_pieces_is_known_by_all_of_them():
    labels = np.zeros((120, 160), np.int32)
    labels[30:90, 20:60], labels[30:90, 100:140], labels[30:90, 60:100] = 1, 1, 2
    with only("part"):
        halves = [
            cells
            for seed in range(4)
            for cells in ask_and_watch(labels, seed, clumps={2}, pasted=())[1]
            if recount(cells, labels)[2] == 0.5
        ]
    assert halves
    for cells in halves:
        columns = np.flatnonzero(cells.any(0))
        assert columns[-1] < 15 or columns[0] >= 25


# -- samples and batches -----------------------------------------------------------------------------------------------

STILL = replace(RECIPES["wholes"], crop=128, scales=(1.0, 1.0), long_side=0, pasted=0.0, judged=2)


def write_source(root, masks):
    pairs = []
    for number, mask in enumerate(masks):
        pair = Pair(f"{number}", root / f"{number}.png", root / "masks" / f"{number}.png")
        write_png(pair.image, np.repeat((60 + 20 * mask)[..., None], 3, 2))
        write_png(pair.mask, mask)
        pairs.append(pair)
    return Source(tuple(pairs), MaskReader(), Categories())


def lone(count=3):
    y, x = np.indices((96, 128))
    return [((y - 48) ** 2 + (x - 40 - 20 * n) ** 2 <= 22**2).astype(np.uint8) for n in range(count)]


def test_shapes_of_a_batch_are_those_of_its_samples_in_order(tmp_path):
    source = write_source(tmp_path, lone())
    maker = SampleMaker((source,), collect_objects([source]), replace(STILL, pasted=1.0), seed=0)
    [batch] = itertools.islice(batches(maker, start=1, batch_size=3, workers=0), 1)
    made = [maker.make(number).shapes for number in (1, 2, 3)]
    assert all(len(shapes.windows) == STILL.judged for shapes in made)
    for field in fields(Shapes):
        found = getattr(batch.shapes, field.name)
        if field.name == "windows":
            assert found.shape == (3 * STILL.judged, 3, WINDOW, WINDOW)
            found = found.permute(0, 2, 3, 1)
        np.testing.assert_array_equal(found, np.concatenate([getattr(shapes, field.name) for shapes in made]))
    moved = batch.to(torch.device("cpu")).shapes
    for name in ("things", "shapes"):
        shown, raw = getattr(moved, name), getattr(batch.shapes, name)
        assert shown.dtype == torch.float32 and shown.shape == (3 * STILL.judged, 1, WINDOW, WINDOW)
        assert torch.equal((shown[:, 0] * 255).round().to(torch.uint8), raw)
    for name in ("windows", "answers", "weights", "doubtful"):
        assert torch.equal(getattr(moved, name), getattr(batch.shapes, name)), name


def test_broken_images_have_no_shapes_and_paper_makes_none(tmp_path):
    source = write_source(tmp_path, lone())
    source.pairs[1].image.write_bytes(b"broken")
    maker = SampleMaker((source,), None, STILL, seed=0)
    [batch] = itertools.islice(batches(maker, start=0, batch_size=3, workers=0), 1)
    assert len(batch.images) == 2 and len(batch.problems) == 1
    assert len(batch.shapes.windows) == 2 * STILL.judged and batch.questions is None
    silent = SampleMaker((source,), None, replace(STILL, judged=0), seed=0)
    [batch] = itertools.islice(batches(silent, start=0, batch_size=3, workers=0), 1)
    assert batch.shapes is None and batch.to(torch.device("cpu")).shapes is None
