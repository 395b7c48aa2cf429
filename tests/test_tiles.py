from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from sisegcli.categories import Categories, Category
from sisegcli.data.images import MAX_PIXELS
from sisegcli.errors import ImageError
from sisegcli.grouping.scores import score_instances, size_score
from sisegcli.instances import Instance, Segmentation, instances_from_labels, labels_from_instances
from sisegcli.methods import ComponentsMethod, WatershedMethod
from sisegcli.network.checkpoint import NetworkConfig, build_network
from sisegcli.segmenter import Segmenter
from sisegcli.tiles import margin_of, plan_tiles, segment_in_tiles
from sisegcli.tiles.joining import matching_parts
from sisegcli.tiles.plan import align_to_network, side_on_grid
from sisegcli.tiling import Tiling

MASKS = hnp.arrays(np.int32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(-2, 2))
GRASS = Categories([Category(2, "grass", isthing=False)])


class Rows:
    """An array, a band at a time."""

    def __init__(self, pixels):
        self.size, self._pixels = pixels.shape[:2], pixels

    def rows(self, top, bottom):
        return self._pixels[top:bottom]


class Painted:
    """A method whose instances are painted into the image's first channel; sure of them by their number in percent."""

    def __init__(self):
        self.seen = []

    def segment(self, images, masks):
        self.seen += [mask.shape for mask in masks]
        found = []
        for image, mask in zip(images, masks, strict=True):
            labels = image[..., 0] * (mask >= 0)
            numbers = [int(n) for n in np.unique(labels) if n]
            scores = {n: n / 100 for n in numbers}
            found.append(Segmentation(instances_from_labels(labels, dict.fromkeys(numbers, 1), scores)))
        return found


def sized(category, sureness, area, total, pixels):
    return sureness * area / total


def tile(method, mask, tmp_path, side, image=None, **options):
    image = np.zeros((*mask.shape, 3), np.uint8) if image is None else image
    tiling = method if isinstance(method, Tiling) else method.tiling()
    return segment_in_tiles(Rows(image), Rows(mask), tiling, folder=tmp_path, side=side, **options)


@given(size=st.tuples(st.integers(1, 300), st.integers(1, 300)), side=st.integers(4, 120), data=st.data())
def test_cores_cover_each_pixel_once_and_windows_show_a_margin_around_them(size, side, data):
    margin = data.draw(st.integers(0, (side - 1) // 2))
    covered = np.zeros(size, int)
    for number, row in enumerate(plan_tiles(size, side, margin)):
        for place, one in enumerate(row):
            assert (one.row, one.column) == (number, place)
            covered[one.core] += 1
            for window, core, length in zip(one.window, one.core, size, strict=True):
                assert window.stop == min(window.start + side, length)
                assert core.start - window.start >= min(margin, core.start)
                assert window.stop - core.stop >= min(margin, length - core.stop)
    assert (covered == 1).all()


def test_margins_follow_the_reach_and_leave_a_core():
    tiling = Tiling(Painted(), sized, reach=50, side=0, limit=0, share=0.125)
    assert [margin_of(tiling, side) for side in (100, 300, 800)] == [25, 50, 100]


@given(MASKS, st.integers(8, 24))
def test_components_are_the_same_in_tiles(tmp_path_factory, mask, side):
    method = ComponentsMethod(GRASS)
    found = tile(method, mask, tmp_path_factory.mktemp("tiles"), side)
    [whole] = method.segment([], [mask])
    assert found == whole


@given(MASKS)
def test_what_is_removed_is_counted_over_the_whole_image(tmp_path_factory, mask):
    method = ComponentsMethod(min_area=5, min_score=0.02)
    found = tile(method, mask, tmp_path_factory.mktemp("tiles"), 10, min_area=5, min_score=0.02)
    [whole] = method.segment([], [mask])
    assert found == whole


def test_a_region_through_many_tiles_stays_one(tmp_path):
    mask = np.full((90, 90), -1, np.int32)
    mask[::8, :] = 1  # a comb: its teeth meet at the left side alone
    mask[:, 0] = 1
    [comb] = tile(ComponentsMethod(), mask, tmp_path, 20).instances
    assert (comb.mask() == (mask == 1)).all()


def test_watershed_keeps_objects_on_seams_whole(tmp_path):
    y, x = np.mgrid[:300, :300]
    mask = np.where((y % 60 - 30) ** 2 + (x % 60 - 30) ** 2 < 32**2, 1, -1).astype(np.int32)
    found = tile(WatershedMethod(), mask, tmp_path, 256).instances
    [whole] = WatershedMethod().segment([], [mask])
    assert len(found) == len(whole.instances) == 25
    assert sorted(i.counts for i in found) == sorted(i.counts for i in whole.instances)


def test_nothing_is_left_in_the_folder_and_tiles_without_a_category_are_skipped(tmp_path):
    mask = np.full((64, 64), -1, np.int32)
    mask[:4, :4] = 1
    image = np.full((64, 64, 3), 7, np.uint8)
    method, heard = Painted(), []
    tiling = Tiling(method, sized, reach=1, side=32, limit=0)
    found = tile(tiling, mask, tmp_path, None, image, advanced=lambda done, count: heard.append((done, count)))
    assert method.seen == [(32, 32)]
    assert heard == [(n, 9) for n in range(1, 10)]
    assert [(i.category, i.score, i.box) for i in found.instances] == [(1, 0.07, (0, 0, 4, 4))]
    assert list(tmp_path.iterdir()) == []


def test_scores_are_means_over_parts_with_sizes_of_the_whole_image(tmp_path):
    mask = np.ones((10, 100), np.int32)
    image = np.zeros((10, 100, 3), np.uint8)
    image[:, :80, 0], image[:, 80:, 0] = 40, 80
    tiling = Tiling(Painted(), sized, reach=4, side=40, limit=0)
    found = tile(tiling, mask, tmp_path, None, image).instances
    assert [(i.area, pytest.approx(i.score)) for i in found] == [(800, 0.4 * 0.8), (200, 0.8 * 0.2)]


def test_parts_of_different_sureness_weigh_by_their_pixels(tmp_path):
    mask = np.ones((4, 12), np.int32)

    class Fading:
        def segment(self, images, masks):
            return [
                Segmentation([Instance.from_mask(mask == 1, 1, float(image[0, 0, 0]) / 10)])
                for image, mask in zip(images, masks, strict=True)
            ]

    image = np.zeros((4, 12, 3), np.uint8)
    image[:, :4], image[:, 4:] = 10, 5  # the window at column 0 is sure, the one at column 4 is half sure
    tiling = Tiling(Fading(), sized, reach=2, side=8, limit=0)
    [found] = tile(tiling, mask, tmp_path, None, image).instances
    assert found.area == 48
    assert found.score == pytest.approx((1.0 * 6 + 0.5 * 6) / 12)


@given(hnp.arrays(np.int32, (6, 9), elements=st.integers(0, 4)), st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_a_score_without_sizes_times_that_of_sizes_is_the_score(labels, values):
    categories = {1: 5, 2: 5, 3: 6, 4: 7}
    evidence, agreement = (
        dict(zip(range(1, 5), values[:4], strict=True)),
        dict(zip(range(1, 5), values[4:], strict=True)),
    )
    whole = score_instances(labels, categories, evidence, agreement=agreement, stuff=[7])
    sure = score_instances(labels, categories, evidence, agreement=agreement, stuff=[7], sized=False)
    area = np.bincount(labels.ravel(), minlength=5)
    total = {5: int(area[1] + area[2]), 6: int(area[3])}
    for label in (1, 2, 3):
        size = size_score(int(area[label]), total[categories[label]], labels.size)
        assert sure[label] * size == pytest.approx(whole[label])
    assert sure[4] == whole[4] == 1


def seam(one, other):
    """Join two tiles of 8 columns each, cores of 6, that share 4 columns."""
    [[left, right]] = plan_tiles((1, 12), 8, 2)
    categories = [-1, 1, 1, 1, 1, 1]
    return matching_parts(
        (left, np.array([one], np.int32)), (right, np.array([other], np.int32)), categories, 0.5
    ).tolist()


def test_parts_that_agree_are_one():
    assert seam([0, 0, 1, 1, 1, 1, 1, 0], [4, 4, 4, 0, 0, 0, 5, 5]) == [[1, 4]]


def test_what_one_tile_cuts_at_the_seam_is_joined_by_the_other():
    assert seam([1, 1, 1, 1, 1, 1, 2, 2], [4, 4, 4, 4, 4, 4, 4, 4]) == [[1, 4]]
    assert seam([1, 1, 1, 1, 1, 1, 1, 1], [4, 4, 5, 5, 5, 5, 5, 5]) == [[1, 5]]


def test_parts_that_disagree_stay_apart():
    assert seam([1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 5, 5, 5, 5, 5]) == []


def test_parts_of_other_categories_stay_apart():
    [[left, right]] = plan_tiles((1, 12), 8, 2)
    labels = np.ones((1, 8), np.int32)
    assert matching_parts((left, labels), (right, 2 * labels), [-1, 1, 2], 0.5).tolist() == []


def test_an_image_with_more_pixels_than_run_lengths_count_is_refused(tmp_path):
    class Huge:
        size = (70_000, 70_000)

    with pytest.raises(ImageError, match="70000 x 70000 pixels are more than run-length codes can count"):
        segment_in_tiles(Huge(), Huge(), ComponentsMethod().tiling(), folder=tmp_path)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.data())
def test_crops_are_parts_of_masks(mask, data):
    instance = Instance.from_mask(mask, 1)
    top, left, height, width = instance.box
    assert instance.crop().tolist() == mask[top : top + height, left : left + width].tolist()
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, mask.shape[0])] * 2)))
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, mask.shape[1])] * 2)))
    crop = instance.crop((top, left, bottom - top, right - left))
    assert crop.tolist() == mask[top:bottom, left:right].tolist()


def test_bands_that_end_in_the_middle_of_an_instance_change_nothing(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    mask = np.repeat(np.repeat(rng.integers(-1, 3, (20, 25), np.int32), 3, 0), 3, 1)
    [whole] = ComponentsMethod().segment([], [mask])
    for pixels in (75, 4 * 75, 59 * 75):
        monkeypatch.setattr("sisegcli.tiles.gathering.BAND_PIXELS", pixels)
        assert tile(ComponentsMethod(), mask, tmp_path, 32) == whole
    painted = labels_from_instances(whole.instances, mask.shape)
    assert (painted > 0).sum() == (mask >= 0).sum()


def test_tiles_of_a_network_begin_on_its_grid_and_margins_hide_their_sides(tmp_path):
    torch.manual_seed(0)
    config = NetworkConfig(width=8, guided=True, long_side=0, magnify=2.0)
    network = build_network(config)
    for layer in (network.dfm.field, network.cbr.logit):
        nn.init.normal_(layer.weight, std=0.02)
    segmenter = Segmenter.from_network(network.eval(), config, device=torch.device("cpu"))
    tiling = segmenter.tiling()
    assert (tiling.side, tiling.reach, tiling.limit, tiling.aligned(100)) == (640, 48, 2**21, 96)
    y, x = np.mgrid[:150, :330]
    mask = np.where((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2 < 15**2, 1, -1).astype(np.int32)
    image = np.random.default_rng(0).integers(0, 256, (150, 330, 3), np.uint8)
    [whole] = segmenter.segment([image], [mask])
    found = tile(tiling, mask, tmp_path, 192, image)
    assert sum(i.area for i in found.instances) == (mask == 1).sum() == sum(i.area for i in whole.instances)
    assert segmenter.options.sized  # asking for tiles leaves the segmenter as it was
    one_tile = tile(tiling, mask, tmp_path, 512, image)
    assert [i.counts for i in sorted(one_tile.instances, key=str)] == [
        i.counts for i in sorted(whole.instances, key=str)
    ]
    scores = {i.counts: i.score for i in whole.instances}
    assert all(i.score == pytest.approx(scores[i.counts], rel=0.05) for i in one_tile.instances)


def test_networks_that_see_images_shrunk_are_tiled_where_memory_ends():
    config = NetworkConfig(width=8, long_side=384)
    segmenter = Segmenter.from_network(build_network(config).eval(), config, device=torch.device("cpu"))
    tiling = segmenter.tiling()
    assert (tiling.side, tiling.limit, margin_of(tiling, tiling.side)) == (4096, MAX_PIXELS, 1024)


@given(st.floats(1, 4).map(lambda scale: round(scale, 1)))
def test_steps_lie_on_the_grid_for_factors_of_tenths(scale):
    side = side_on_grid(1280 / scale, 96 / scale, scale=scale, step=32)
    assert side * scale == pytest.approx(round(side * scale))
    [row] = plan_tiles((1, 9000), side, round(96 / scale), partial(align_to_network, scale=scale, step=32))
    assert len(row) > 2
    for one in row:
        cells = one.window[1].start * scale / 32
        assert cells == pytest.approx(round(cells))
