import itertools
import pickle
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from small_sets import write_png

from sisegcli.categories import Categories, Category
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError, SisegError
from sisegcli.grouping.components import label_components
from sisegcli.training.guides import roughen
from sisegcli.training.loader import batches
from sisegcli.training.objects import ObjectBank, Source, collect_objects, find_clumps
from sisegcli.training.options import RECIPES
from sisegcli.training.pasting import Canvas, cut_out, match_colours
from sisegcli.training.samples import SampleMaker

torch.set_num_threads(1)

SMALL = {"crop": 64, "batch_size": 2}
DEFAULT, PAPER = (replace(RECIPES[name], **SMALL) for name in ("default", "paper"))
STILL = replace(DEFAULT, scales=(1.0, 1.0), long_side=0, pasted=0.0)
"""Crops of 64 × 64 pictures that are the pictures themselves, save for flips and colours."""


def write_source(root, masks, categories=()):
    """Write masks with pictures in which category c has the grey 60 + 20 c and the rest is black."""
    pairs = []
    for number, mask in enumerate(masks):
        pair = Pair(f"{number}", root / f"{number}.png", root / "masks" / f"{number}.png")
        grey = np.where((mask > 0) & (mask < 255), 60 + 20 * mask.astype(int), 0).astype(np.uint8)
        write_png(pair.image, np.repeat(grey[..., None], 3, 2))
        write_png(pair.mask, mask.astype(np.uint8))
        pairs.append(pair)
    return Source(tuple(pairs), MaskReader(), Categories(categories))


def blank(height=64, width=64):
    return np.zeros((height, width), np.uint8)


def two_objects():
    mask = blank()
    mask[8:28, 8:40], mask[36:60, 20:56] = 3, 5
    return mask


def lone_objects(count=6):
    masks = []
    for number in range(count):
        mask = blank()
        mask[16:44, 12 + number : 40 + number] = 1 + number % 2
        masks.append(mask)
    return masks


def equal(one, other):
    """Compare samples, with their questions, array by array."""
    if not is_dataclass(one):
        return np.array_equal(one, other)
    return all(equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


@pytest.fixture
def pasting(tmp_path):
    """A maker that pastes onto every crop."""
    source = write_source(tmp_path, lone_objects())
    return SampleMaker((source,), collect_objects([source]), replace(DEFAULT, pasted=1.0), seed=1)


# -- one sample --------------------------------------------------------------------------------------------------------


def test_a_sample_depends_on_seed_and_number_alone(pasting):
    backward = {number: pasting.make(number) for number in reversed(range(9))}
    again = SampleMaker(pasting.sources, pasting.bank, pasting.recipe, seed=1)
    assert all(equal(again.make(number), backward[number]) for number in range(9))
    other = SampleMaker(pasting.sources, pasting.bank, pasting.recipe, seed=2)
    assert not any(equal(other.make(number), backward[number]) for number in range(9))
    assert not any(equal(backward[a], backward[b]) for a, b in itertools.combinations(range(9), 2))


def test_makers_travel_to_worker_processes(pasting):
    copy = pickle.loads(pickle.dumps(pasting))
    assert equal(copy.make(3), pasting.make(3))


def test_each_image_comes_once_an_epoch(tmp_path):
    one = write_source(tmp_path / "one", [np.full((64, 64), value, np.uint8) for value in range(1, 6)])
    two = write_source(tmp_path / "two", [np.full((64, 64), value, np.uint8) for value in range(6, 9)])
    maker = SampleMaker((one, two), None, replace(PAPER, long_side=0, scales=(1.0, 1.0)), seed=0)
    assert len(maker) == 8
    seen = [int(maker.make(number).labels.max()) - 1 for number in range(24)]
    epochs = [seen[:8], seen[8:16], seen[16:]]
    assert all(sorted(epoch) == list(range(1, 9)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("recipe", [DEFAULT, PAPER], ids=["default", "paper"])
def test_shapes_types_and_values(tmp_path, recipe):
    masks = [two_objects(), np.resize(two_objects(), (40, 130)), np.full((100, 90), 255), blank(8, 8)]
    masks[0][:, 60:] = 255
    source = write_source(tmp_path, masks + lone_objects())
    maker = SampleMaker((source,), collect_objects([source]), recipe, seed=0)
    for number in range(30):
        sample = maker.make(number)
        assert sample.image.shape == (64, 64, 3) and sample.image.dtype == np.uint8
        assert sample.guide.shape == (64, 64) and sample.guide.dtype == np.uint8
        assert sample.labels.shape == (16, 16) and sample.labels.dtype == np.int32
        assert sample.centres.shape == (2, 16, 16) and sample.centres.dtype == np.float32
        assert sample.size.shape == (16, 16) and sample.size.dtype == np.float32
        assert sample.doubtful.shape == (16, 16) and sample.doubtful.dtype == np.bool_
        assert set(np.unique(sample.guide)) <= {0, 1, 2}
        assert sample.labels.min() >= -1
        assert np.isfinite(sample.centres).all() and (sample.size >= 1).all()
        assert not sample.doubtful[sample.labels <= 0].any()


def test_objects_point_to_their_centroids(tmp_path):
    maker = SampleMaker((write_source(tmp_path, [two_objects()]),), None, STILL, seed=0)
    for number in range(8):
        sample = maker.make(number)
        found = {int(label) for label in np.unique(sample.labels)} - {0}
        assert len(found) == 2
        for label in found:
            ys, xs = np.nonzero(sample.labels == label)
            dy, dx = sample.centres[:, ys, xs]
            np.testing.assert_allclose(ys + dy, ys.mean(), atol=1e-4)
            np.testing.assert_allclose(xs + dx, xs.mean(), atol=1e-4)
            np.testing.assert_allclose(sample.size[ys, xs], np.sqrt(len(ys)), rtol=1e-5)
        assert sorted(np.bincount(sample.labels.ravel())[1:]) == [5 * 8, 6 * 9]  # in cells of 4 × 4 pixels
        assert (sample.centres[:, sample.labels == 0] == 0).all()
        assert np.array_equal(sample.doubtful, sample.labels > 0)  # a region of a mask may hold several objects


@pytest.mark.parametrize("recipe", [DEFAULT, PAPER], ids=["default", "paper"])
def test_labels_lie_where_the_objects_are(tmp_path, recipe):
    source = write_source(tmp_path, [two_objects()])
    maker = SampleMaker((source,), None, replace(recipe, pasted=0.0), seed=0)
    agreeing = []
    for number in range(20):
        sample = maker.make(number)
        assert (sample.labels > 0).any()
        grey = sample.image[2::4, 2::4].mean(-1)
        things, background = sample.labels > 0, sample.labels == 0
        if things.any() and background.any():
            middle = (np.median(grey[things]) + np.median(grey[background])) / 2
            agreeing += [grey[things] > middle, grey[background] <= middle]
    assert np.concatenate(agreeing).mean() > 0.97


def test_guides_follow_the_things(tmp_path):
    mask = two_objects()
    mask[:, 58:] = 255
    maker = SampleMaker((write_source(tmp_path, [mask]),), None, STILL, seed=0)
    blind, agreeing = 0, []
    for number in range(40):
        sample = maker.make(number)
        cells = sample.guide[2::4, 2::4]
        assert (cells[sample.labels == -1] == 1).all()
        if (sample.guide == 1).all():
            blind += 1
            continue
        agreeing.append((cells == np.array([0, 2, 1])[np.clip(sample.labels, -1, 1)]).mean())
    assert 2 <= blind <= 16  # now and then the network learns to do without
    assert np.mean(agreeing) > 0.9


def test_what_lies_outside_the_picture_is_ignored(tmp_path):
    maker = SampleMaker((write_source(tmp_path, [np.full((20, 30), 4, np.uint8)]),), None, STILL, seed=0)
    for number in range(6):
        sample = maker.make(number)
        inside = sample.labels >= 0
        assert 0.5 * 600 < 16 * np.count_nonzero(inside) < 1.7 * 600
        assert (sample.labels[inside] == 1).all()
        assert len(np.unique(sample.image[2::4, 2::4][~inside], axis=0)) == 1


def test_long_sides_are_shrunk_first(tmp_path):
    mask = blank(300, 400)
    mask[100:200, 100:300] = 2
    recipe = replace(STILL, long_side=64)
    sample = SampleMaker((write_source(tmp_path, [mask]),), None, recipe, seed=0).make(0)
    assert 12 * 15 <= np.count_nonzero(sample.labels >= 0) <= 12 * 17
    assert 4 * 7 <= np.count_nonzero(sample.labels > 0) <= 5 * 9


def test_stuff_is_no_object(tmp_path):
    categories = [Category(3, "grass", isthing=False), Category(5, "sheep")]
    source = write_source(tmp_path, [two_objects()], categories)
    natural = SampleMaker((source,), None, STILL, seed=0).make(0)
    assert np.count_nonzero(natural.labels > 0) == 6 * 9
    paper = SampleMaker((source,), None, replace(PAPER, scales=(1.0, 1.0), long_side=0), seed=0).make(0)
    assert set(np.unique(paper.labels)) == {0, 6}


def test_the_paper_knows_categories_alone(tmp_path):
    mask = two_objects()
    mask[mask == 5] = 3
    maker = SampleMaker((write_source(tmp_path, [mask]),), None, replace(PAPER, scales=(1.0, 1.0), long_side=0), seed=0)
    sample = maker.make(0)
    assert np.count_nonzero(sample.labels == 4) == 5 * 8 + 6 * 9
    assert set(np.unique(sample.labels)) == {0, 4}


def test_sizes_must_agree(tmp_path):
    source = write_source(tmp_path, [two_objects()])
    write_png(source.pairs[0].mask, blank(32, 48))
    with pytest.raises(ImageError, match=r"0.png is 48 × 32 pixels but its image 0.png is 64 × 64; give them one size"):
        SampleMaker((source,), None, STILL, seed=0).make(0)


# -- pasting -----------------------------------------------------------------------------------------------------------


def test_pasted_objects_are_known(pasting):
    numbers, kinds = 0, set()
    for number in range(30):
        sample = pasting.make(number)
        pasted = {int(label) for label in np.unique(sample.labels) if label >= 10_000}
        numbers += bool(pasted)
        kinds.add(len(pasted))
        assert not sample.doubtful[sample.labels >= 10_000].any()
        assert sample.doubtful[(sample.labels > 0) & (sample.labels < 10_000)].all()
        for label in pasted:
            ys, xs = np.nonzero(sample.labels == label)
            if len(ys) > 1:
                np.testing.assert_allclose(ys + sample.centres[0, ys, xs], ys.mean(), atol=1e-4)
    assert numbers > 20
    assert len(kinds) > 2


def test_some_crops_get_nothing_pasted(pasting):
    maker = SampleMaker(pasting.sources, pasting.bank, replace(DEFAULT, pasted=0.5), seed=1)
    share = np.mean([(maker.make(number).labels >= 10_000).any() for number in range(40)])
    assert 0.2 < share < 0.75


def test_an_empty_bank_is_no_obstacle(tmp_path):
    source = write_source(tmp_path, [blank()])
    bank = collect_objects([source])
    assert len(bank) == 0
    assert not (SampleMaker((source,), bank, DEFAULT, seed=0).make(0).labels > 0).any()


def test_a_hidden_object_keeps_the_centre_of_all_of_it(pasting):
    moved = 0
    for number in range(60):
        sample = pasting.make(number)
        for label in np.unique(sample.labels[sample.doubtful]):
            ys, xs = np.nonzero(sample.labels == label)
            votes = np.stack((ys, xs)) + sample.centres[:, ys, xs]
            assert np.ptp(votes, axis=1).max() < 1e-3  # all fragments vote for one place
            moved += np.abs(votes[:, 0] - (ys.mean(), xs.mean())).max() > 0.5
    assert moved > 5


def test_a_canvas_takes_a_cutout():
    picture = np.full((6, 6, 3), 200, np.uint8)
    cutout = cut_out(picture, np.ones((6, 6), bool), scale=1.0, flip=False, inset=0.6)
    canvas = Canvas(np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.int32))
    count = canvas.paste(cutout, 2, 3, label=7)
    assert count == np.count_nonzero(canvas.labels == 7) >= 16
    assert (canvas.image[4:6, 5:7] == 200).all()  # whole inside
    box = np.zeros((10, 10), bool)
    box[2:8, 3:9] = True
    assert (canvas.image[~box] == 0).all() and not canvas.labels[~box].any()
    covered = canvas.labels == 7
    assert (canvas.image[covered] >= 99).all() and (canvas.image[~covered] <= 101).all()


def test_a_cutout_may_hang_over_the_edge_or_miss():
    cutout = cut_out(np.full((6, 6, 3), 200, np.uint8), np.ones((6, 6), bool), scale=1.0, flip=False, inset=0.6)
    for corner in ((-3, -3), (7, 7), (-3, 7)):
        canvas = Canvas(np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.int32))
        assert 0 < canvas.paste(cutout, *corner, label=1) <= 9
    for corner in ((-6, 0), (10, 0), (0, 30)):
        canvas = Canvas(np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.int32))
        assert canvas.paste(cutout, *corner, label=1) == 0
        assert not canvas.labels.any() and not canvas.image.any()


def test_pasting_under_leaves_the_front():
    labels = np.zeros((12, 12), np.int32)
    labels[:, 6:] = 1
    canvas = Canvas(np.zeros((12, 12, 3), np.uint8), labels)
    cutout = cut_out(np.full((10, 10, 3), 200, np.uint8), np.ones((10, 10), bool), scale=1.0, flip=False, inset=0.6)
    canvas.paste(cutout, 1, 1, label=2, under=1)
    assert (canvas.labels[:, 6:] == 1).all()
    assert (canvas.labels[3:9, 3:5] == 2).all()
    assert (canvas.image[:, 9:] == 0).all()


def test_cutting_out_scales_flips_and_pulls_in():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 15:] = 250
    mask = np.zeros((20, 30), bool)
    mask[4:16, 6:24] = True
    plain = cut_out(image, mask, scale=1.0, flip=False, inset=1.0)
    assert plain.image.shape == image.shape and plain.alpha.shape == mask.shape
    assert plain.alpha.dtype == np.float32 and plain.alpha.min() >= 0 and plain.alpha.max() <= 1
    assert not plain.alpha[~mask].any()  # no rim of background comes along
    assert (plain.alpha[8:12, 10:20] == 1).all()
    flipped = cut_out(image, mask, scale=1.0, flip=True, inset=1.0)
    np.testing.assert_array_equal(flipped.image, plain.image[:, ::-1])
    np.testing.assert_array_equal(flipped.alpha, plain.alpha[:, ::-1])
    half = cut_out(image, mask, scale=0.5, flip=False, inset=1.0)
    assert half.alpha.shape == (10, 15)


def test_colours_are_drawn_towards_others():
    image = np.full((8, 8, 3), 40, np.uint8)
    image[::2] = 60
    cutout = cut_out(image, np.ones((8, 8), bool), scale=1.0, flip=False, inset=0.6)
    around = np.full((50, 3), 200, np.uint8)
    inside = cutout.alpha > 0.5
    means = [match_colours(cutout, around, strength).image[inside].mean() for strength in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(means, [50, 125, 200], atol=3)
    assert match_colours(cutout, around[:5], 1.0) is cutout  # too few pixels to tell


# -- lone objects ------------------------------------------------------------------------------------------------------


def bank_of(tmp_path, mask, categories=()):
    return collect_objects([write_source(tmp_path, [mask], categories)])


def test_a_lone_object_is_found(tmp_path):
    mask = blank()
    mask[10:30, 20:50] = 7
    mask[50:52, 2:12] = 7  # a crumb of its category
    mask[40:60, 30:60] = 9  # another category beside it
    mask[12, 22] = 255
    bank = bank_of(tmp_path, mask)
    assert [(o.category, o.box, o.area) for o in bank.objects] == [
        (7, (10, 20, 20, 30), 599),
        (9, (40, 30, 20, 30), 600),
    ]
    assert {key: list(value) for key, value in bank.by_category.items()} == {(0, 7): [0], (0, 9): [1]}


def test_crowds_small_cut_and_uncountable_ones_are_not(tmp_path):
    crowd = blank()
    crowd[4:24, 4:24], crowd[40:50, 40:50] = 7, 7
    small = blank()
    small[4:10, 4:10] = 7
    corner = blank()
    corner[:30, :30] = 7
    across = blank()
    across[20:40] = 7
    for number, mask in enumerate((crowd, small, corner, across)):
        assert len(bank_of(tmp_path / str(number), mask)) == 0
    at_one_side = blank()
    at_one_side[10:40, :30] = 7
    assert len(bank_of(tmp_path / "side", at_one_side)) == 1
    assert len(bank_of(tmp_path / "stuff", at_one_side, [Category(7, "sky", isthing=False)])) == 0


def discs(*places, radius=7.5, size=(96, 128), value=7):
    """Paint discs around these places."""
    mask = blank(*size)
    y, x = np.indices(size)
    for row, column in places:
        mask[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = value
    return mask


APART = [(16, 16), (16, 48), (16, 80), (48, 16), (48, 48), (48, 80)]
"""Places of a crowd."""
SINGLE = {(row - 7, column - 7, 15, 15) for row, column in APART}
"""The boxes of its members."""


def boxes(bank):
    return {o.box for o in bank.objects}


def test_single_ones_of_a_crowd_are_found_and_those_that_touch_are_not(tmp_path):
    bank = bank_of(tmp_path, discs(*APART, (80, 30), (80, 45)))  # two that touch
    assert boxes(bank) == SINGLE
    assert {(o.category, o.area) for o in bank.objects} == {(7, np.count_nonzero(discs((16, 16))))}


def test_two_that_touch_are_known_by_their_notches_too(tmp_path):
    # Two small ones have the area of one, but not its shape.
    mask = np.maximum(discs(*APART), discs((80, 30), (80, 41), radius=5.5))
    assert 0.5 < np.count_nonzero(mask[72:]) / np.count_nonzero(discs((16, 16))) < 1.5
    assert boxes(bank_of(tmp_path, mask)) == SINGLE


def test_members_of_a_crowd_that_a_side_cuts_are_not_found(tmp_path):
    cut = [(5, 112), (91, 16), (70, 4), (70, 124)]
    assert boxes(bank_of(tmp_path / "cut", discs(*APART, *cut))) == SINGLE
    whole = [(8, 112), (87, 16), (70, 8), (70, 119)]
    assert len(bank_of(tmp_path / "whole", discs(*APART, *whole))) == 10


@pytest.mark.parametrize(
    "side, found", [(9, False), (10, True), (16, True), (17, False)], ids=["half", "less", "more", "half as much again"]
)
def test_members_of_a_crowd_are_about_as_large_as_the_others(tmp_path, side, found):
    mask = discs(*APART)  # of 177 pixels
    mask[70 : 70 + side, 30 : 30 + side] = 7
    assert boxes(bank_of(tmp_path, mask)) - SINGLE == ({(70, 30, side, side)} if found else set())


def test_a_crowd_is_one_of_six_of_a_category(tmp_path):
    assert len(bank_of(tmp_path / "six", discs(*APART))) == 6
    assert len(bank_of(tmp_path / "five", discs(*APART[:5]))) == 0
    two = np.maximum(discs(*APART[:3]), discs(*APART[3:], value=9))
    assert len(bank_of(tmp_path / "two", two)) == 0
    assert len(bank_of(tmp_path / "stuff", discs(*APART), [Category(7, "sky", isthing=False)])) == 0


@pytest.mark.parametrize("height, width, found", [(6, 6, 6), (5, 7, 0), (1, 40, 6), (4, 8, 0)])
def test_members_of_a_crowd_need_some_pixels(tmp_path, height, width, found):
    mask = blank(96, 128)
    for row, column in itertools.product((8, 32, 56), (8, 68)):
        mask[row : row + height, column : column + width] = 7
    assert len(bank_of(tmp_path, mask)) == found


def test_members_of_a_crowd_may_have_pixels_at_their_poles(tmp_path):
    assert len(bank_of(tmp_path, discs(*APART, radius=7))) == 6


def test_a_crowd_of_crumbs_leaves_a_lone_object_alone(tmp_path):
    mask = discs(*((8, x) for x in range(8, 120, 16)), radius=3)
    mask[40:80, 20:90] = 7
    assert boxes(bank_of(tmp_path, mask)) == {(40, 20, 40, 70)}


def test_clumps_are_the_members_of_crowds_that_are_large_and_have_notches():
    mask = discs(*APART, (80, 30), (80, 45))
    mask[70:92, 80:100] = 7  # large, without notches
    labels, category_of = label_components(mask.astype(np.int32) - 1)
    clump = labels[80, 30]
    labels[0, 0] = -1  # ignored
    assert find_clumps(labels, category_of) == {clump}
    few = {label: label % 2 for label in category_of}
    assert find_clumps(labels, few) == set()
    assert find_clumps(np.zeros((3, 3), np.int32), {}) == set()


def test_all_sources_count_and_broken_masks_do_not(tmp_path):
    one, two = (write_source(tmp_path / name, lone_objects(3)) for name in ("one", "two"))
    one.pairs[1].mask.write_bytes(b"broken")
    two.pairs[0].mask.unlink()
    steps = []
    bank = collect_objects([one, two], advance=steps.append)
    assert [(o.source, o.pair) for o in bank.objects] == [(0, 0), (0, 2), (1, 1), (1, 2)]
    assert sum(steps) == 6


def test_objects_are_picked_alike_where_there_are_enough(tmp_path):
    source = write_source(tmp_path, lone_objects(8))
    bank = collect_objects([source])
    rng = np.random.default_rng(0)
    assert {bank.pick(rng, 0, 1).category for _ in range(30)} == {1}
    for unknown in (None, 99):
        assert {bank.pick(rng, 0, unknown).category for _ in range(30)} == {1, 2}
    few = ObjectBank(bank.objects, {(0, 1): np.array([0]), (0, 2): np.arange(1, 8)})
    picked = [few.objects.index(few.pick(rng, 0, None)) for _ in range(100)]
    assert 25 < picked.count(0) < 75  # categories are alike, however many objects they have


# -- guides ------------------------------------------------------------------------------------------------------------


def test_rough_guides_are_wrong_at_edges_alone():
    y, x = np.mgrid[:96, :80]
    things = (y - 45) ** 2 + (x - 30) ** 2 < 24**2
    far = (ndimage.distance_transform_edt(things) > 8) | (ndimage.distance_transform_edt(~things) > 8)
    changes = []
    for seed in range(60):
        guide = roughen(things, np.random.default_rng(seed))
        assert guide.shape == things.shape and guide.dtype == np.uint8
        assert set(np.unique(guide)) <= {0, 2}
        assert ((guide == 2) == things)[far].all()
        changes.append(np.count_nonzero((guide == 2) != things))
    assert 10 < sum(change == 0 for change in changes) < 40
    assert sum(change > 100 for change in changes) > 10


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (64, 64)])
def test_empty_and_full_guides(shape, value):
    for seed in range(20):
        guide = roughen(np.full(shape, value), np.random.default_rng(seed))
        assert guide.shape == shape
        middle = guide[8:-8, 8:-8]
        assert (middle == 2 * value).all()


# -- batches -----------------------------------------------------------------------------------------------------------


def take(maker, count, *, start=0, workers=0):
    return list(itertools.islice(batches(maker, start=start, batch_size=2, workers=workers), count))


def test_batches_go_through_the_samples_in_order(pasting):
    found = take(pasting, 2, start=3)
    assert found[0].images.shape == (2, 3, 64, 64) and found[0].problems == []
    samples = [pasting.make(number) for number in range(3, 7)]
    for number, sample in enumerate(samples):
        batch, place = found[number // 2], number % 2
        assert np.array_equal(batch.images[place].permute(1, 2, 0), sample.image)
        assert np.array_equal(batch.centres[place], sample.centres)
        assert np.array_equal(batch.labels[place], sample.labels)
        moved = batch.to(torch.device("cpu"))
        assert np.array_equal(moved.guides[place, 0] * 2, sample.guide)
        assert np.array_equal(moved.size[place], sample.size)
        assert np.array_equal(moved.doubtful[place], sample.doubtful)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_make_the_same_batches(pasting):
    here, there = (take(pasting, 3, workers=workers) for workers in (0, 1))
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_batches_leave_threads_alone(pasting):
    torch.set_num_threads(2)
    try:
        take(pasting, 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_broken_images_are_named_and_the_rest_goes_on(tmp_path):
    source = write_source(tmp_path, lone_objects(5))
    for number in (0, 1, 2):
        content = source.pairs[number].image.read_bytes()
        source.pairs[number].image.write_bytes(content[: len(content) // 2])
    maker = SampleMaker((source,), None, STILL, seed=0)
    found = take(maker, 6)
    problems = [sentence for batch in found for sentence in batch.problems]
    named = {number for number in range(3) if any(str(source.pairs[number].image) in p for p in problems)}
    assert named == {0, 1, 2}  # also those of batches in which nothing is left
    assert all(1 <= len(batch.images) <= 2 for batch in found)
    alone = list(itertools.islice(batches(maker, start=0, batch_size=1, workers=0), 4))
    assert sum(len(batch.problems) for batch in alone[1:]) >= 3
    assert [batch.following for batch in alone] == sorted({batch.following for batch in alone})


def test_no_image_at_all_ends_the_run(tmp_path):
    source = write_source(tmp_path, lone_objects(3))
    for pair in source.pairs:
        pair.image.write_bytes(b"broken")
    with pytest.raises(SisegError, match=r"No image could be used for training; the first reason: .*\.png"):
        take(SampleMaker((source,), None, STILL, seed=0), 1)


@pytest.mark.gpu
def test_batches_are_pinned_for_a_gpu(pasting):
    batch = next(batches(pasting, start=0, batch_size=2, workers=0, pin=True))
    assert batch.images.is_pinned() and batch.labels.is_pinned()
    assert batch.to(torch.device("cuda")).guides.is_cuda
