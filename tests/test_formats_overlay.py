"""Overlays: colours that tell neighbours apart, lines where instances end, names that can be read."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sisegcli.categories import Categories, Category
from sisegcli.formats import FORMATS
from sisegcli.formats.colour_wheel import WHEEL, flow_colours
from sisegcli.formats.fonts import NOBODY
from sisegcli.formats.legend import add_legend
from sisegcli.formats.outlining import FILL, label_edges, smooth_labels
from sisegcli.formats.overlay import draw_overlay, readable_scale
from sisegcli.formats.palette import PALETTE, choose_colours
from sisegcli.instances import instances_from_labels


def grey(size, value=100):
    return np.full((*size, 3), value, np.uint8)


def instances_of(labels):
    return instances_from_labels(labels, {int(n): 15 for n in np.unique(labels) if n})


def brute_edges(labels, near):
    """Pixels with another label at one of the steps `near`."""
    edge = np.zeros(labels.shape, bool)
    for y, x in np.ndindex(labels.shape):
        for dy, dx in near:
            if 0 <= y + dy < labels.shape[0] and 0 <= x + dx < labels.shape[1]:
                edge[y, x] |= labels[y, x] != labels[y + dy, x + dx]
    return edge


CROSS = [(0, 1), (0, -1), (1, 0), (-1, 0)]
small = arrays.arrays(np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 5))


@settings(max_examples=40, deadline=None)
@given(small)
def test_edges_of_one_pixel(labels):
    np.testing.assert_array_equal(label_edges(labels, 1), brute_edges(labels, CROSS))


def test_edges_grow_in_octagons():
    labels = np.zeros((11, 11), np.int32)
    labels[5, 5] = 1
    assert [np.count_nonzero(label_edges(labels, width)) for width in (1, 2, 3)] == [5, 13, 37]
    np.testing.assert_array_equal(label_edges(labels, 3), label_edges(labels, 3).T)


def test_an_instance_is_filled_and_outlined():
    labels = np.zeros((40, 60), int)
    labels[10:30, 10:50] = 1
    instances = instances_of(labels)
    before = grey(labels.shape)
    picture = draw_overlay(before, instances)
    assert picture.shape == (40, 60, 3) and picture.dtype == np.uint8
    assert (before == 100).all()
    # The name stands above or below, so look at the middle rows: image, halo, outline, filling.
    fill = (100 * (1 - FILL) + PALETTE[0] * FILL).astype(np.uint8)
    expected = [(100,) * 3] * 2 + [(50,) * 3] + [tuple(PALETTE[0])] * 2 + [tuple(fill)] * 3
    assert (picture[17:25, 7:15] == np.array(expected)).all()


def test_names_are_written_with_scores():
    labels = np.ones((200, 300), int)
    instances = instances_of(labels)
    names = Categories([Category(15, "person")])
    plain, named, other = (
        draw_overlay(grey(labels.shape), instances, categories=c)
        for c in (None, names, Categories([Category(15, "parson")]))
    )
    assert (plain != named).any() and (named != other).any()
    tag = (named == PALETTE[0]).all(axis=2)
    assert tag.sum() > 300  # the tag is a plain area of the instance's colour, in its middle
    y, x = np.nonzero(tag)
    assert abs(y.mean() - 100) < 20 and abs(x.mean() - 150) < 20


def test_tiny_images_and_nothing_to_draw():
    assert draw_overlay(grey((1, 1)), instances_of(np.ones((1, 1), int))).shape == (1, 1, 3)
    picture = draw_overlay(grey((30, 20)), [], np.zeros((8, 5, 2), np.float32))
    assert (picture[:, :20] == 100).all()
    assert picture.shape == (30, 44, 3)


def test_the_field_is_shown_inside_instances_only():
    labels = np.zeros((33, 42), int)
    labels[8:24, 8:32] = 1
    field = np.zeros((9, 11, 2), np.float32)
    field[..., 1] = 3  # to the right: red
    picture = draw_overlay(grey(labels.shape), instances_of(labels), field)
    panel = picture[:, -42:]
    red = (panel == (255, 0, 0)).all(axis=2)
    np.testing.assert_array_equal(red, (labels == 1) & ~brute_edges(labels, CROSS))
    assert panel[~red].max() < 60
    np.testing.assert_array_equal(picture[:, :42], draw_overlay(grey(labels.shape), instances_of(labels)))


def test_neighbours_differ_and_the_choice_is_steady():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.permutation(64).reshape(8, 8) + 1, np.ones((6, 6), int)).astype(np.int32)
    colours = choose_colours(labels, 64, reach=3)
    np.testing.assert_array_equal(colours, choose_colours(labels, 64, reach=3))
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touching = a != b
        difference = abs(colours[a[touching] - 1].astype(int) - colours[b[touching] - 1])
        assert difference.sum(axis=1).min() > 60
    assert len(np.unique(colours, axis=0)) > 6


def test_instances_apart_take_turns():
    labels = np.zeros((3, 40), np.int32)
    labels[1, ::4] = np.arange(1, 11)
    np.testing.assert_array_equal(choose_colours(labels, 10), PALETTE[:10])


def wheel_colour(y, x):
    """The original's computeColor for a vector of full length, in plain loops."""
    angle = np.arctan2(y, x) / (2 * np.pi) % 1 * 55
    low, part = int(angle) % 55, angle % 1
    return [round(255 * ((1 - part) * WHEEL[low][c] + part * WHEEL[(low + 1) % 55][c])) for c in range(3)]


def test_the_colour_wheel():
    assert WHEEL.shape == (55, 3)
    np.testing.assert_array_equal(
        WHEEL[[0, 15, 21, 25, 36, 49]],
        np.eye(6, 3)[[0, 3, 1, 3, 2, 3]] + [(0, 0, 0), (1, 1, 0), (0, 0, 0), (0, 1, 1), (0, 0, 0), (1, 0, 1)],
    )
    angles = np.linspace(0, 6.2, 23)
    field = np.stack([np.sin(angles), np.cos(angles)], axis=1)[None]
    assert flow_colours(field)[0].tolist() == [wheel_colour(y, x) for y, x in field[0]]


def test_saturation_is_the_length_up_to_the_99th_percentile():
    field = np.zeros((1, 1001, 2), np.float32)
    field[0, :, 1] = np.arange(1001)
    colours = flow_colours(field)
    assert colours[0, [0, 495, 990, 1000]].tolist() == [[255, 255, 255], [255, 128, 128], [255, 0, 0], [255, 0, 0]]
    inside = np.arange(1001)[None] <= 100
    assert flow_colours(field, inside)[0, 100].tolist() == [255, 0, 0]


@pytest.mark.parametrize("inside", [None, np.zeros((2, 3), bool)])
def test_a_field_of_nothing_is_white(inside):
    assert (flow_colours(np.zeros((2, 3, 2), np.float32), inside) == 255).all()


def test_the_table_of_writers(tmp_path: Path):
    for known in FORMATS.values():
        writer = known.writer(tmp_path, Categories(), polygons=True, overwrite=False)
        writer.close()
        assert all(path.parent == tmp_path for path in writer.paths)


def test_pictures_for_print_are_the_same_enlarged():
    labels = np.zeros((40, 60), int)
    labels[10:30, 5:30] = 1
    labels[10:30, 30:55] = 2
    before = grey(labels.shape)
    picture = draw_overlay(before, instances_of(labels), scale=3)
    assert picture.shape == (120, 180, 3)
    fills = [(100 * (1 - FILL) + PALETTE[n] * FILL).astype(int) for n in (0, 1)]
    for x, fill in ((35, fills[0]), (150, fills[1])):
        assert abs(picture[85, x].astype(int) - fill).max() <= 3  # below the names
    assert (picture[2, 2] == 100).all() and (picture[118, 178] == 100).all()


@pytest.mark.parametrize("scale", [2, 3])
def test_smooth_labels_keep_lines_of_one_pixel_and_neighbours(scale):
    labels = np.zeros((20, 20), np.int32)
    labels[3:17, 4] = 1
    labels[3:17, 8:12] = 2
    labels[3:17, 12:16] = 3
    smooth = smooth_labels(labels, scale)
    assert smooth.shape == (20 * scale, 20 * scale)
    middle = smooth[10 * scale]
    assert set(middle.tolist()) == {0, 1, 2, 3}
    assert abs(np.count_nonzero(middle == 1) - scale) <= 1
    assert abs(int(np.flatnonzero(middle == 3)[0]) - 12 * scale) <= 1
    assert not (middle[9 * scale : 15 * scale] == 0).any()  # no gap between neighbours


def test_a_legend_lists_categories_with_their_colours():
    labels = np.zeros((80, 200), int)
    labels[10:70, 10:60], labels[10:70, 80:120] = 1, 2
    instances = instances_from_labels(labels, {1: 15, 2: 8})
    names = Categories([Category(15, "person"), Category(8, "cat")])
    plain = draw_overlay(grey(labels.shape), instances, categories=names)
    picture = draw_overlay(grey(labels.shape), instances, categories=names, legend=True)
    np.testing.assert_array_equal(picture[:80], plain)
    strip = picture[80:]
    assert strip.shape[0] > 15
    first, second = (np.flatnonzero((strip == PALETTE[n]).all(axis=2).any(axis=0)) for n in (0, 1))
    assert 0 < first.max() < second.min()
    assert draw_overlay(grey(labels.shape), [], legend=True).shape == (80, 200, 3)


def lines_of(picture, paper=255):
    """Count the lines of a legend: runs of rows that are not blank."""
    inked = (picture != paper).any(axis=(1, 2))
    return int(np.count_nonzero(inked[1:] & ~inked[:-1])) + int(inked[0])


def legend_of(size, count, names=None):
    """Add a legend of `count` categories to a blank picture."""
    instances = instances_from_labels(
        np.arange(1, count + 1)[None].repeat(4, axis=0), {n: n for n in range(1, count + 1)}
    )
    colours = np.tile(PALETTE, (count // len(PALETTE) + 1, 1))[:count]
    return add_legend(np.full((*size, 3), 255, np.uint8), instances, colours, names or Categories(), 12)


@pytest.mark.parametrize(
    ("size", "count", "below", "lines"),
    [
        ((200, 300), 1, True, 1),
        ((200, 300), 3, True, 1),
        ((200, 300), 30, True, 14),
        ((375, 500), 80, True, 20),
        ((300, 100), 3, False, 3),
        ((300, 100), 80, False, 13),  # in columns
        ((20, 40), 1, False, 1),  # too narrow for a name
        ((1, 1), 2, False, 1),
    ],
)
def test_a_legend_is_below_or_beside_and_leaves_the_picture_alone(size, count, below, lines):
    picture = legend_of(size, count)
    height, width = size
    assert (picture[:height, :width] == 255).all()
    assert (picture.shape[1] == width) is below
    strip = picture[height:] if below else picture[:, width:]
    assert lines_of(strip) == lines
    # All of it is inside: the last rows and columns are blank.
    assert (strip[-2:] == 255).all() and (strip[:, -2:] == 255).all()
    assert sum((strip == colour).all(axis=2).sum() > 20 for colour in PALETTE) == min(count, len(PALETTE))


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("x" * 500, "x" * 37 + "..."),
        ("screen door, a door made of a screen, anything", "screen door"),
        (NOBODY, "class-1"),
        (f"Gr{NOBODY}n", "class-1"),
    ],
)
def test_names_that_are_long_or_that_no_font_can_write(name, same):
    expected = legend_of((60, 400), 1, Categories([Category(1, same)]))
    np.testing.assert_array_equal(legend_of((60, 400), 1, Categories([Category(1, name)])), expected)


def test_names_that_are_not_english_differ():
    pictures = [legend_of((60, 400), 1, Categories([Category(1, name)])) for name in ("Bär", "Bar", "Baum")]
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[2]).any()


def test_a_score_stands_alone_where_a_legend_tells_the_colour():
    labels = np.zeros((100, 300), int)
    labels[35:65, 100:150] = 1
    labels[:35], labels[65:], labels[35:65, :100], labels[35:65, 150:] = 2, 3, 4, 5
    instances = instances_from_labels(labels, dict.fromkeys(range(1, 6), 3), dict.fromkeys(range(1, 6), 0.5))
    names = Categories([Category(3, "sunflower")])
    plain = draw_overlay(grey(labels.shape), instances, categories=names)
    picture = draw_overlay(grey(labels.shape), instances, categories=names, legend=True)
    place = np.s_[37:63, 102:148]
    dark = [(p[place] < 60).all(axis=2).sum() for p in (plain, picture[:100])]
    assert dark[0] == 0 < dark[1]


@pytest.mark.parametrize("side", [1, 6, 20, 40, 100, 300, 319, 320, 321, 4000])
def test_small_pictures_are_enlarged_until_names_have_room(side):
    scale = readable_scale((side, side // 2 + 1))
    assert 1 <= scale <= 8
    assert scale == 8 or side * scale >= 320
    assert scale == 1 or side * (scale - 1) < 320
