"""The edge refiner, the one who has it draw, its shorter backbone, and checkpoints that bring it along."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from window_networks import Small, lively, looks

from sisegcli.errors import CheckpointError
from sisegcli.network import asking
from sisegcli.network.asking import GREY, Drawer, Sight
from sisegcli.network.checkpoint import (
    BACKBONES,
    NetworkConfig,
    build_network,
    load_checkpoint,
    read_config,
    save_checkpoint,
)
from sisegcli.network.edge_refiner import EdgeRefiner
from sisegcli.network.efficientnet_lite import LITE0, EfficientNetLite
from sisegcli.training.freezing import BEFORE_PROMPT, freeze
from sisegcli.windows import WINDOW, Window

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "small", Small)


ONE_EACH = tuple(stage._replace(repeats=1) for stage in LITE0)


def small_lite() -> EfficientNetLite:
    return EfficientNetLite(stages=ONE_EACH[:5])


backbones = pytest.mark.parametrize("backbone", [Small, small_lite])


# -- the network -------------------------------------------------------------------------------------------------------


@backbones
@pytest.mark.parametrize("side", [32, 64, WINDOW])
def test_a_logit_for_every_two_pixels_and_one_for_each_window(backbone: type[nn.Module], side: int) -> None:
    torch.manual_seed(0)
    network = EdgeRefiner(backbone=backbone(), width=8).eval()
    with torch.inference_mode():
        logits, rough = network(*looks(3, side))
    assert logits.shape == (3, 1, side // 2, side // 2) and rough.shape == (3,)
    assert bool(torch.isfinite(logits).all()) and bool(torch.isfinite(rough).all())
    assert float(logits.std()) > 0


@backbones
def test_slopes_reach_every_part_that_is_not_frozen(backbone: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = lively(EdgeRefiner(backbone=backbone(), width=8))
    nn.init.normal_(network.judge[0].weight)
    if backbone is small_lite:
        freeze(network.backbone, BEFORE_PROMPT)
    logits, rough = network(*looks(3))
    (nn.functional.softplus(logits).sum() + nn.functional.softplus(rough).sum()).backward()
    still = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    frozen = {name.split(".")[1] for name, p in network.named_parameters() if not p.requires_grad}
    assert still == [] and frozen == ({"_conv_stem", "_bn0", "_blocks"} if backbone is small_lite else set())
    for name, part in network.named_children():
        slopes = [float(p.grad.abs().max()) for p in part.parameters() if p.requires_grad]
        assert name == "join" or max(slopes) > 0, name
    assert float(network.inject[0].weight.grad.abs().max()) > 0


def test_judging_and_drawing_have_layers_of_their_own() -> None:
    torch.manual_seed(0)
    network = lively(EdgeRefiner(backbone=Small(), width=8))
    logits, rough = network(*looks(2))
    drawing = torch.autograd.grad(logits.sum(), list(network.judge.parameters()), allow_unused=True, retain_graph=True)
    judging = torch.autograd.grad(rough.sum(), list(network.logit.parameters()), allow_unused=True)
    assert all(slope is None for slope in (*drawing, *judging))


def test_windows_of_bytes_and_of_floats_are_the_same() -> None:
    network = EdgeRefiner(backbone=Small(), width=8).eval()
    windows, things, instances = looks(2)
    with torch.inference_mode():
        for one, other in zip(
            network(windows, things, instances), network(windows.float(), things, instances), strict=True
        ):
            assert torch.equal(one, other)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["windows", "things", "instances"])
def test_each_window_has_its_own_answer(which: int) -> None:
    torch.manual_seed(0)
    network = lively(EdgeRefiner(backbone=Small(), width=8))
    shown = looks(2)
    other = [values.clone() for values in shown]
    other[which][1] = other[which][1].flip(-1, -2)
    with torch.inference_mode():
        (drawn, rough), (drawn_too, rough_too) = network(*shown), network(*other)
    torch.testing.assert_close(drawn[0], drawn_too[0])
    torch.testing.assert_close(rough[0], rough_too[0])
    assert not torch.allclose(drawn[1], drawn_too[1], atol=1e-3)
    assert not torch.allclose(rough[1], rough_too[1], atol=1e-4)


def test_nothing_and_everything_are_answered_too() -> None:
    network = EdgeRefiner(backbone=Small(), width=8).eval()
    windows, things, instances = looks(2)
    with torch.inference_mode():
        for shape in (torch.zeros_like(instances), torch.ones_like(instances)):  # neither has an outline
            assert all(bool(torch.isfinite(answer).all()) for answer in network(windows, things, shape))


# -- the shorter backbone ----------------------------------------------------------------------------------------------


def test_strides_and_channels_of_a_shorter_backbone() -> None:
    whole, part = EfficientNetLite(), EfficientNetLite(stages=LITE0[:5])
    assert whole.strides == (2, 4, 8, 16, 32) and part.strides == (2, 4, 8, 16)
    assert part.channels == whole.channels[:4] == (16, 24, 40, 112)
    assert len(part.depths()) == 1 + 11
    assert EfficientNetLite(stages=LITE0[:2]).strides == (2, 4)


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_a_shorter_backbone_is_the_beginning_of_the_whole_one(count: int) -> None:
    torch.manual_seed(0)
    whole, part = EfficientNetLite(stages=ONE_EACH).eval(), EfficientNetLite(stages=ONE_EACH[:count]).eval()
    head = {"_conv_head.weight": torch.zeros(3), "_bn1.weight": torch.zeros(3), "_fc.bias": torch.zeros(3)}
    part.load_pretrained({**whole.state_dict(), **head})
    x, extra = torch.rand(1, 3, 64, 64), torch.rand(1, 24, 16, 16)
    with torch.inference_mode():
        for added in (None, extra):
            levels = part(x, added)
            assert len(levels) == len(part.strides) == len(part.channels)
            for level, expected in zip(levels, whole(x, added), strict=False):
                assert torch.equal(level, expected)
        assert [level.shape[-1] for level in levels] == [64 // stride for stride in part.strides]


def test_what_is_lacking_or_foreign_is_not_passed_over() -> None:
    state = EfficientNetLite(stages=ONE_EACH[:3]).state_dict()
    with pytest.raises(RuntimeError, match="Missing"):
        EfficientNetLite(stages=ONE_EACH[:4]).load_pretrained(state)
    with pytest.raises(RuntimeError, match="Unexpected"):
        EfficientNetLite(stages=ONE_EACH[:2]).load_pretrained({**state, "conv1.weight": torch.zeros(1)})


# -- drawing -----------------------------------------------------------------------------------------------------------


class Echo(nn.Module):
    """Answers with the instances and how much they cover, and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, windows: Tensor, things: Tensor, instances: Tensor) -> tuple[Tensor, Tensor]:
        self.shown.append((windows, things, instances))
        return nn.functional.avg_pool2d(instances, 2), instances.mean((1, 2, 3))


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return an image of 90 × 120 pixels that says where each of its pixels is, and a thing in it."""
    y, x = np.indices((90, 120))
    things = np.zeros((90, 120), np.uint8)
    things[20:60, 30:90] = 255
    return np.stack((y, x, np.full_like(y, 200)), axis=2).astype(np.uint8), things


WINDOWS = [Window(10.0, 20.0, 80.0), Window(-20.0, -10.0, 60.0), Window(30.0, 40.0, 40.0), Window(0.0, 0.0, 200.0)]


def instances_in(windows: Sequence[Window]) -> list[tuple[np.ndarray, Window]]:
    """Return the pixels from (36, 44) to (48, 60) as an instance, in its box."""
    return [(np.full((12, 16), 255, np.uint8), window.moved(36, 44)) for window in windows]


def test_nothing_to_draw() -> None:
    network = Echo()
    logits, rough = Drawer(network, CPU).draw(Sight(*scene()), [], [])
    assert logits.shape == (0, WINDOW // 2, WINDOW // 2) and rough.shape == (0,)
    assert logits.dtype == rough.dtype == np.float32
    assert network.shown == []


@pytest.mark.parametrize("batch_size, batches", [(1, [1] * 4), (3, [3, 1]), (4, [4]), (16, [4])])
def test_windows_go_in_batches_and_answers_keep_their_order(batch_size: int, batches: list[int]) -> None:
    network = Echo()
    logits, rough = Drawer(network, CPU, batch_size=batch_size).draw(Sight(*scene()), WINDOWS, instances_in(WINDOWS))
    assert [len(windows) for windows, _, _ in network.shown] == batches
    assert logits.shape == (4, WINDOW // 2, WINDOW // 2) and rough.shape == (4,)
    assert logits.dtype == rough.dtype == np.float32
    shown = torch.cat([instances for _, _, instances in network.shown])
    torch.testing.assert_close(torch.from_numpy(logits), nn.functional.avg_pool2d(shown, 2)[:, 0], atol=0.01, rtol=0)
    np.testing.assert_allclose(rough, shown.mean((1, 2, 3)).numpy(), atol=0.01)
    # The third window is the smallest, so that the instance fills most of it; the second shows a corner of it alone.
    assert rough.argmax() == 2


def test_shapes_keep_their_hard_edges_and_lie_on_the_picture() -> None:
    network = Echo()
    Drawer(network, CPU).draw(Sight(*scene()), WINDOWS, instances_in(WINDOWS))
    [(windows, things, instances)] = network.shown
    for shapes in (things, instances):
        assert set(shapes.unique().tolist()) == {0, 1}
    for number in (0, 2, 3):
        red, green, _ = (windows[number].float() * instances[number]).sum((1, 2)) / instances[number].sum()
        assert (float(red), float(green)) == (pytest.approx(41.5, abs=0.6), pytest.approx(51.5, abs=0.6))
        red, green, blue = windows[number].float()
        inside = (red >= 21) & (red <= 58) & (green >= 31) & (green <= 88) & (blue == 200)
        assert bool(inside.any()) and bool((things[number, 0][inside] == 1).all())
        assert not things[number, 0][(red < 19) | (red > 61) | (blue != 200)].any()
    beyond = round(90 * WINDOW / 200)
    assert bool((windows[3, :, beyond:] == GREY).all())


@backbones
def test_batches_do_not_change_answers(backbone: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "infers_in_bfloat16", lambda network, device: False)
    torch.manual_seed(0)
    network = lively(EdgeRefiner(backbone=backbone(), width=8))
    given = scene()
    kept = [values.copy() for values in given]
    drawn = [
        Drawer(network, CPU, batch_size=size).draw(Sight(*given), WINDOWS, instances_in(WINDOWS)) for size in (1, 3)
    ]
    assert np.std(drawn[0][0]) > 0.01 and np.std(drawn[0][1]) > 1e-4
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    assert all(np.array_equal(values, before) for values, before in zip(given, kept, strict=True))


# -- checkpoints -------------------------------------------------------------------------------------------------------

CONFIG = NetworkConfig("small", width=5, guided=True, edges=True)


def saved(path: Path, config: NetworkConfig = CONFIG) -> Path:
    torch.manual_seed(0)
    save_checkpoint(path, build_network(config), config)
    return path


def rewrite(path: Path, *, leave: str = "", **changes: bool) -> None:
    """Leave a field out of a checkpoint's configuration, and change others."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    config = {**json.loads(metadata["config"]), **changes}
    config.pop(leave, None)
    save_file(load_file(path), path, {**metadata, "config": json.dumps(config)})


def test_networks_have_an_edge_refiner_if_they_are_asked_to() -> None:
    assert build_network(NetworkConfig("small", width=5)).edges is None
    network = build_network(CONFIG)
    assert isinstance(network.edges, EdgeRefiner) and network.membership is None
    assert network.edges.backbone.strides == (2, 4, 8, 16)  # whatever the network's own backbone is
    assert network.edges.mix.out_channels == 5
    whole = build_network(NetworkConfig(width=5, edges=True))
    assert len(whole.edges.backbone._blocks) == 11 < len(whole.backbone._blocks)


def test_an_edge_refiner_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = saved(tmp_path / "small.safetensors")
    loaded, config = load_checkpoint(path)
    assert config == CONFIG == read_config(path)
    torch.manual_seed(0)
    edges = build_network(CONFIG).edges
    for name, value in edges.state_dict().items():
        found = loaded.edges.state_dict()[name]
        assert torch.equal(found, value if "running_" in name or "batches" in name else value.half().float()), name
    assert not loaded.edges.training
    with torch.inference_mode():
        for one, other in zip(loaded.edges(*looks(1)), edges.half().float().eval()(*looks(1)), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_checkpoints_from_before_load_without_one(tmp_path: Path) -> None:
    before = NetworkConfig("small", width=5, guided=True, membership=True)
    path = saved(tmp_path / "old.safetensors", before)
    rewrite(path, leave="edges")
    loaded, config = load_checkpoint(path)
    assert loaded.edges is None and loaded.membership is not None
    assert config == before and config.edges is False


@pytest.mark.parametrize("there", [True, False])
def test_an_edge_refiner_that_lacks_or_exceeds(tmp_path: Path, there: bool) -> None:
    path = saved(tmp_path / "small.safetensors", NetworkConfig("small", width=5, guided=True, edges=there))
    rewrite(path, edges=not there)
    with pytest.raises(CheckpointError, match=r"does not fit the network that it names \(edges\."):
        load_checkpoint(path)


def test_published_weights_go_into_the_refiner_of_the_same_kind() -> None:
    torch.manual_seed(0)
    state = EfficientNetLite().state_dict()
    network = build_network(NetworkConfig(width=5, edges=True))
    network.load_pretrained(state)
    for name, value in network.edges.backbone.state_dict().items():
        assert torch.equal(value, state[name]), name
    other = build_network(CONFIG)
    before = {name: value.clone() for name, value in other.edges.state_dict().items()}
    other.load_pretrained(Small().state_dict())
    assert all(torch.equal(value, before[name]) for name, value in other.edges.state_dict().items())
