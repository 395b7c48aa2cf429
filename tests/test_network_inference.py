import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.devices import layout
from sisegcli.grid import resample
from sisegcli.network.checkpoint import NetworkConfig, build_network
from sisegcli.network.inference import Predictor, thing_map

torch.set_num_threads(1)
CPU = torch.device("cpu")


class Fake(nn.Module):
    """Answers with a constant field, and with the image's red as boundary logits; remembers what it was asked."""

    guided, alignment = True, 32

    def __init__(self, field=(0.0, 0.0)):
        super().__init__()
        self.field, self.asked = field, []

    def forward(self, images, guide=None):
        self.asked.append((images, guide))
        grid = torch.tensor(self.field).view(1, 2, 1, 1)
        red = nn.functional.avg_pool2d(images[:, :1].float(), 4)
        return grid.expand(len(images), 2, *red.shape[-2:]), red / 100


def grey(height, width, value=100):
    return np.full((height, width, 3), value, np.uint8)


def things(height, width, value=1):
    return np.full((height, width), value, np.int8)


def scene(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), rng.integers(-1, 2, (height, width), np.int8)


def trained(**options):
    """A small network with lively outputs, computing in float32."""
    torch.manual_seed(0)
    config = NetworkConfig(width=8, **options)
    network = build_network(config)
    for layer in (network.dfm.field, network.cbr.logit):
        nn.init.normal_(layer.weight)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():  # take the statistics of random weights, so that values neither vanish nor explode
        network.train()(torch.from_numpy(scene(64, 64)[0]).permute(2, 0, 1)[None])
    return network.eval(), config


# -- whole images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 9), (31, 33), (64, 64), (100, 7), (150, 60)])
def test_shapes(size):
    predictor = Predictor(Fake(), NetworkConfig(long_side=80), CPU)
    [(field, edges)] = predictor.predict([grey(*size)], [things(*size)])
    cells = (-(-size[0] // 4), -(-size[1] // 4))
    assert field.shape == (*cells, 2) and field.dtype == np.float32 and field.flags.c_contiguous
    assert edges.shape == cells and edges.dtype == np.float32 and edges.flags.c_contiguous


def test_no_images():
    assert Predictor(Fake(), NetworkConfig(), CPU).predict([], []) == []


def test_a_batch_answers_as_one_by_one():
    network, config = trained(guided=True, long_side=64)
    predictor = Predictor(network, config, CPU)
    predictor.half = False
    sizes = [(40, 50), (64, 64), (50, 40), (41, 49), (64, 64), (90, 120), (64, 33)]
    images, guides = zip(*(scene(*size, seed) for seed, size in enumerate(sizes)), strict=True)
    together = predictor.predict(images, guides)
    for image, guide, (field, edges) in zip(images, guides, together, strict=True):
        [(alone, alone_edges)] = predictor.predict([image], [guide])
        assert np.ptp(field) > 0.1 and np.ptp(edges) > 0.01
        np.testing.assert_allclose(field, alone, atol=1e-4)
        np.testing.assert_allclose(edges, alone_edges, atol=1e-5)


def test_images_of_one_padded_size_share_a_pass():
    network = Fake()
    sizes = [(64, 64), (40, 64), (20, 30), (33, 33), (32, 32)]
    found = Predictor(network, NetworkConfig(), CPU).predict(
        [grey(*s, value=10 * n) for n, s in enumerate(sizes)], [things(*s) for s in sizes]
    )
    assert [tuple(images.shape) for images, _ in network.asked] == [(3, 3, 64, 64), (2, 3, 32, 32)]
    for number, (_, edges) in enumerate(found):  # the answers are in the order of the questions
        np.testing.assert_allclose(edges, 1 / (1 + np.exp(-number / 10)), rtol=1e-6)


def test_displacement_grows_with_the_image():
    predictor = Predictor(Fake((2.0, -3.0)), NetworkConfig(long_side=64), CPU)
    [(field, _)] = predictor.predict([grey(128, 256)], [things(128, 256)])
    np.testing.assert_allclose(field, np.broadcast_to([8, -12], (32, 64, 2)))
    [(field, _)] = predictor.predict([grey(30, 40)], [things(30, 40)])  # never enlarged
    np.testing.assert_allclose(field, np.broadcast_to([2, -3], (8, 10, 2)))
    [(field, _)] = Predictor(Fake((2.0, -3.0)), NetworkConfig(long_side=0), CPU).predict(
        [grey(128, 256)], [things(128, 256)]
    )
    np.testing.assert_allclose(field, np.broadcast_to([2, -3], (32, 64, 2)))


def test_sides_that_shrink_unequally_are_rescaled_each_by_its_own():
    # 65 × 129 becomes 32 × 64: rounding gives the rows another ratio than the columns.
    predictor = Predictor(Fake((1.0, 1.0)), NetworkConfig(long_side=64), CPU)
    [(field, _)] = predictor.predict([grey(65, 129)], [things(65, 129)])
    np.testing.assert_allclose(field[..., 0], 65 / 32, rtol=1e-6)
    np.testing.assert_allclose(field[..., 1], 129 / 64, rtol=1e-6)


def test_the_mean_displacement_is_taken_off_before_rescaling():
    config = NetworkConfig(long_side=64, mean_displacement=(0.5, -1.0))
    [(field, _)] = Predictor(Fake((2.0, -3.0)), config, CPU).predict([grey(128, 128)], [things(128, 128)])
    np.testing.assert_allclose(field, np.broadcast_to([3, -4], (32, 32, 2)))


def test_boundaries_keep_their_place():
    image = grey(64, 128, 0)
    image[:, 64:] = 250
    for config in (NetworkConfig(), NetworkConfig(long_side=64)):
        [(_, edges)] = Predictor(Fake(), config, CPU).predict([image], [things(64, 128)])
        assert edges[:, :14].max() < 0.51 and edges[:, 18:].min() > 0.92


def test_guides():
    network = Fake()
    guide = np.array([[1, 0, -1, -1]], np.int8).repeat(32, 0).repeat(8, 1)
    Predictor(network, NetworkConfig(), CPU).predict([grey(32, 32)], [guide])
    [(images, seen)] = network.asked
    assert images.dtype == torch.uint8
    assert seen.shape == (1, 1, 32, 32)
    np.testing.assert_allclose(seen[0, 0, :, ::8], np.tile([1, 0, 0.5, 0.5], (32, 1)), atol=0.003)


def test_an_unguided_network_gets_no_guide():
    network = Fake()
    network.guided = False
    Predictor(network, NetworkConfig(), CPU).predict([grey(8, 8)], [things(8, 8)])
    assert network.asked[0][1] is None


def test_shrunk_guides_are_shares():
    network = Fake()
    guide = things(64, 64, 0)
    guide[::2] = 1
    Predictor(network, NetworkConfig(long_side=32), CPU).predict([grey(64, 64)], [guide])
    np.testing.assert_allclose(network.asked[0][1], 0.5, atol=0.003)


def test_thing_map():
    mask = np.array([[3, 5, BACKGROUND, IGNORE, 0]], np.int32)
    assert thing_map(mask, {5, 9}).tolist() == [[1, 0, 0, -1, 1]]
    assert thing_map(mask, set()).dtype == np.int8


@pytest.mark.gpu
def test_the_gpu_predicts_as_the_cpu():
    network, config = trained(guided=True, long_side=64)
    images, guides = zip(*(scene(60, 80, seed) for seed in range(3)), strict=True)
    found = []
    for device in (CPU, torch.device("cuda")):
        predictor = Predictor(network.to(device, memory_format=layout(device)), config, device)
        predictor.half = False
        with torch.backends.cudnn.flags(allow_tf32=False):  # ten bits of a factor
            found.append(predictor.predict(images, guides))
    for (field, edges), (cuda_field, cuda_edges) in zip(*found, strict=True):
        np.testing.assert_allclose(field, cuda_field, atol=2e-2 * np.abs(field).max())
        np.testing.assert_allclose(edges, cuda_edges, atol=2e-2)


# -- grids -------------------------------------------------------------------------------------------------------------


def resampled(field: np.ndarray, shape: tuple[int, int], ratio: tuple[float, float]) -> np.ndarray:
    """Bilinear sampling in the middles of cells, cell by cell."""
    out = np.zeros((*shape, *field.shape[2:]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            y = min(max((i + 0.5) * ratio[0] - 0.5, 0), field.shape[0] - 1)
            x = min(max((j + 0.5) * ratio[1] - 0.5, 0), field.shape[1] - 1)
            for a in (int(y), int(y) + 1):
                for b in (int(x), int(x) + 1):
                    weight = (1 - abs(y - a)) * (1 - abs(x - b))
                    if weight > 0:
                        out[i, j] += weight * field[a, b]
    return out


sides = st.integers(1, 6)
ratios = st.floats(0.1, 3)


@given(sides, sides, sides, sides, ratios, ratios, st.integers(0, 99))
def test_resample_equals_its_twin(h, w, new_h, new_w, ratio_y, ratio_x, seed):
    field = np.random.default_rng(seed).normal(size=(h, w, 2)).astype(np.float32)
    found = resample(field, (new_h, new_w), (ratio_y, ratio_x))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, resampled(field, (new_h, new_w), (ratio_y, ratio_x)), atol=1e-5)


@given(sides, sides, ratios, ratios, st.floats(-50, 50, width=32))
def test_constants_stay(h, w, ratio_y, ratio_x, value):
    field = np.full((3, 4), value, np.float32)
    assert (resample(field, (h, w), (ratio_y, ratio_x)) == np.float32(value)).all()


@given(st.floats(0.2, 1), st.floats(-3, 3), st.floats(-3, 3))
def test_ramps_stay_ramps_inside(ratio, slope_y, slope_x):
    y, x = np.mgrid[:8, :8]
    field = (slope_y * y + slope_x * x).astype(np.float32)
    shape = (int(8 / ratio), int(8 / ratio))
    found = resample(field, shape, (ratio, ratio))
    at = (np.arange(shape[0]) + 0.5) * ratio - 0.5
    inside = (at >= 0) & (at <= 7)
    expected = slope_y * at[:, None] + slope_x * at
    np.testing.assert_allclose(found[np.ix_(inside, inside)], expected[np.ix_(inside, inside)], atol=1e-4)


def test_the_same_grid_is_left_as_it_is():
    field = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    np.testing.assert_array_equal(resample(field, (3, 4), (1.0, 1.0)), field)
