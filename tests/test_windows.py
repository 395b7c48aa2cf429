"""Windows: where they lie, and what is cut out of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.windows import CELLS, WINDOW, Window, cut_window, window_around

places = st.integers(-400, 400).map(lambda quarter: quarter / 4)
sides = st.integers(40, 400).map(lambda quarter: quarter / 4)
windows = st.builds(Window, places, places, sides)


def nearest_pixels(pixels: np.ndarray, window: Window, fill: int, size: int) -> np.ndarray:
    """Look up the pixel under the middle of each pixel of the result."""
    out = np.full((size, size, *pixels.shape[2:]), fill, pixels.dtype)
    for i in range(size):
        for j in range(size):
            y = int(np.floor(window.top + (i + 0.5) * window.side / size))
            x = int(np.floor(window.left + (j + 0.5) * window.side / size))
            if 0 <= y < pixels.shape[0] and 0 <= x < pixels.shape[1]:
                out[i, j] = pixels[y, x]
    return out


# -- where they lie ----------------------------------------------------------------------------------------------------


def test_windows_are_scaled_and_moved() -> None:
    window = Window(8.0, -4.0, 20.0)
    assert window.scaled(0.25) == Window(2.0, -1.0, 5.0)
    assert window.moved(3, -2) == Window(5.0, -2.0, 20.0)
    assert window == Window(8.0, -4.0, 20.0)


@given(windows, st.sampled_from([0.25, 0.5, 2.0]), places, places)
def test_a_pixel_keeps_its_place_in_a_window(window: Window, factor: float, y: float, x: float) -> None:
    # Pixel (10, 30), on a picture `factor` times as large whose corner is cut off at (y, x).
    other = window.scaled(factor).moved(y, x)
    assert (10 * factor - y - other.top) / other.side == pytest.approx((10 - window.top) / window.side)
    assert (30 * factor - x - other.left) / other.side == pytest.approx((30 - window.left) / window.side)


def test_the_answer_has_a_cell_for_every_four_pixels() -> None:
    assert CELLS * 4 == WINDOW


@given(places, places, sides, sides, st.sampled_from([1.0, 2.2, 3.0]))
def test_a_window_lies_around_a_box(top: float, left: float, height: float, width: float, factor: float) -> None:
    window = window_around((top, left, height, width), factor, smallest=40.0)
    assert window.top + window.side / 2 == pytest.approx(top + height / 2)
    assert window.left + window.side / 2 == pytest.approx(left + width / 2)
    assert window.side == pytest.approx(max(factor * height, factor * width, 40.0))


# -- what is cut out ---------------------------------------------------------------------------------------------------


def test_a_part_is_cut_out_as_it_is() -> None:
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    for smooth in (True, False):
        cut = cut_window(pixels, Window(1, 2, 3), fill=255, smooth=smooth, size=3)
        assert cut.tolist() == [[8, 9, 10], [14, 15, 16], [20, 21, 22]]


@pytest.mark.parametrize("smooth", [True, False])
def test_beyond_the_picture_is_the_filling(smooth: bool) -> None:
    pixels = np.full((2, 3), 7, np.uint8)
    cut = cut_window(pixels, Window(-1, -1, 5), fill=9, smooth=smooth, size=5)
    assert cut.tolist() == [[9] * 5, [9, 7, 7, 7, 9], [9, 7, 7, 7, 9], [9] * 5, [9] * 5]


@pytest.mark.parametrize(
    "window",
    [Window(-8, 0, 8), Window(4, 0, 8), Window(0, -9, 8), Window(0, 6, 8), Window(3.99, 0, 8)],
    ids=["above", "below", "left", "right", "a hundredth of a pixel inside"],
)
def test_windows_beside_the_picture_are_all_filling(window: Window) -> None:
    cut = cut_window(np.ones((4, 6), np.uint8), window, fill=3, smooth=True, size=8)
    assert cut.shape == (8, 8) and (cut == 3).all()


def test_colours_labels_and_the_size_that_the_network_sees() -> None:
    image = np.zeros((30, 20, 3), np.uint8)
    image[:] = (10, 20, 30)
    cut = cut_window(image, Window(-10, 0, 20), fill=124, smooth=True)
    assert cut.shape == (WINDOW, WINDOW, 3) and cut.dtype == np.uint8
    assert (cut[: WINDOW // 2] == 124).all()
    assert (cut[WINDOW // 2 :] == (10, 20, 30)).all()
    labels = np.array([[70_000, -2], [5, 0]], np.int32)
    found = cut_window(labels, Window(0, 0, 2), fill=-1, smooth=False, size=4)
    assert found.dtype == np.int32
    assert found.tolist() == np.kron(labels, np.ones((2, 2), int)).tolist()


def test_smooth_windows_mix_pixels_and_others_do_not() -> None:
    pixels = np.repeat(np.array([[0, 200]], np.uint8), 8, axis=0).repeat(4, axis=1)
    assert set(np.unique(cut_window(pixels, Window(0, 1, 5), fill=0, smooth=False, size=20)).tolist()) == {0, 200}
    mixed = cut_window(pixels, Window(0, 1, 5), fill=0, smooth=True, size=20)
    assert (np.diff(mixed.astype(int), axis=1) >= 0).all()
    assert len(np.unique(mixed)) > 3


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 12), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_nearest_pixels_equal_a_plain_look_up(top: int, left: int, side: int, zoom: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(1, 99, (7, 10)).astype(np.int32)
    window = Window(float(top), float(left), float(side))
    found = cut_window(pixels, window, fill=-1, smooth=False, size=side * zoom)
    np.testing.assert_array_equal(found, nearest_pixels(pixels, window, -1, side * zoom))


@given(windows, st.sampled_from([20, 40]))
def test_any_window_shows_each_pixel_where_it_is(window: Window, size: int) -> None:
    # A ramp says where each pixel of the cut comes from; sides may be rounded to a pixel of the cut.
    height, width = 60, 90
    rows, columns = (ramp.astype(np.int32) * 100 + 50 for ramp in np.indices((height, width)))
    scale = window.side / size
    middle = (np.arange(size) + 0.5) * scale
    away = 100 * (scale + 1)  # a pixel of the cut, and one of the picture
    for ramp, start, axis, length in ((rows, window.top, 0, height), (columns, window.left, 1, width)):
        cut = cut_window(ramp, window, fill=-1, smooth=True, size=size)
        shown = cut >= 0
        expected = np.expand_dims(100 * (start + middle), 1 - axis) * np.ones((size, size))
        assert (np.abs(cut - expected)[shown] <= away).all()
        if shown.any():
            inside = (start + middle > scale) & (start + middle < length - scale)
            assert shown.any(1 - axis)[inside].all()


@given(windows)
def test_the_picture_reaches_the_rim_of_a_window_inside_it(window: Window) -> None:
    # Beyond the picture on one side at most, so that the other rim must show it.
    pixels = np.ones((300, 300), np.uint8)
    cut = cut_window(pixels, window, fill=0, smooth=False, size=40)
    above, left = max(0.0, -window.top), max(0.0, -window.left)
    if window.side - max(above, left) > window.side / 40:
        assert cut[-1, -1] == 1
    if above == left == 0:
        assert (cut == 1).all()


@given(windows)
def test_the_picture_stays_as_it_is(window: Window) -> None:
    pixels = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9)
    kept = pixels.copy()
    pixels.flags.writeable = False
    cut_window(pixels, window, fill=0, smooth=True, size=16)
    np.testing.assert_array_equal(pixels, kept)
