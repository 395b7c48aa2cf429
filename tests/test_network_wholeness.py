"""The wholeness network, the jury that has it judge, half a backbone, and checkpoints that bring it along."""

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
from sisegcli.network.asking import GREY, Jury, Sight
from sisegcli.network.checkpoint import (
    BACKBONES,
    NetworkConfig,
    build_network,
    load_checkpoint,
    read_config,
    save_checkpoint,
)
from sisegcli.network.efficientnet_lite import HALF_LITE0, LITE0, EfficientNetLite
from sisegcli.network.fusing import fused
from sisegcli.network.wholeness import Wholeness
from sisegcli.training.freezing import BEFORE_PROMPT, freeze
from sisegcli.training.loader import no_shapes
from sisegcli.windows import WINDOW, Window

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "small", Small)


def small_lite() -> EfficientNetLite:
    return EfficientNetLite(stages=tuple(stage._replace(repeats=1) for stage in HALF_LITE0))


backbones = pytest.mark.parametrize("backbone", [Small, small_lite])


# -- the network -------------------------------------------------------------------------------------------------------


@backbones
@pytest.mark.parametrize("side", [32, 64, WINDOW])
def test_two_logits_for_each_window(backbone: type[nn.Module], side: int) -> None:
    torch.manual_seed(0)
    network = Wholeness(backbone=backbone(), width=8).eval()
    with torch.inference_mode():
        verdicts = network(*looks(3, side))
    assert verdicts.shape == (3, 2) and bool(torch.isfinite(verdicts).all())
    assert float(verdicts[:, 0].sub(verdicts[:, 1]).abs().max()) > 0


@backbones
def test_slopes_reach_every_part_that_is_not_frozen(backbone: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = lively(Wholeness(backbone=backbone(), width=8))
    if backbone is small_lite:
        freeze(network.backbone, BEFORE_PROMPT)
    nn.functional.softplus(network(*looks(3))).sum().backward()
    still = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    frozen = {name.split(".")[1] for name, p in network.named_parameters() if not p.requires_grad}
    assert still == [] and frozen == ({"_conv_stem", "_bn0", "_blocks"} if backbone is small_lite else set())
    for name, part in network.named_children():
        slopes = [float(p.grad.abs().max()) for p in part.parameters() if p.requires_grad]
        assert name == "join" or max(slopes) > 0, name
    assert float(network.inject[0].weight.grad.abs().max()) > 0


def test_windows_of_bytes_and_of_floats_are_the_same() -> None:
    network = Wholeness(backbone=Small(), width=8).eval()
    windows, things, shapes = looks(2)
    with torch.inference_mode():
        assert torch.equal(network(windows, things, shapes), network(windows.float(), things, shapes))


@pytest.mark.parametrize("which", [0, 1, 2], ids=["windows", "things", "shapes"])
def test_each_window_has_its_own_answer(which: int) -> None:
    torch.manual_seed(0)
    network = lively(Wholeness(backbone=Small(), width=8))
    shown = looks(2)
    other = [values.clone() for values in shown]
    other[which][1] = other[which][1].flip(-1, -2)
    with torch.inference_mode():
        before, after = network(*shown), network(*other)
        alone = network(*(values[:1] for values in shown))
    torch.testing.assert_close(before[0], after[0])
    torch.testing.assert_close(before[:1], alone)
    assert not torch.allclose(before[1], after[1], atol=1e-4)


def test_nothing_and_everything_are_judged_too() -> None:
    network = Wholeness(backbone=Small(), width=8).eval()
    windows, things, shapes = looks(2)
    with torch.inference_mode():
        for shape in (torch.zeros_like(shapes), torch.ones_like(shapes)):  # neither has a rim
            assert bool(torch.isfinite(network(windows, things, shape)).all())


def test_of_no_windows_nothing_is_said_and_slopes_are_zero() -> None:
    # A process whose images could not be read has no shapes, and takes part in a step all the same.
    network = Wholeness(backbone=small_lite(), width=8).train()
    network.backbone.eval()
    nothing = no_shapes(CPU)
    verdicts = network(nothing.windows, nothing.things, nothing.shapes)
    assert verdicts.shape == (0, 2)
    verdicts.sum().backward()
    assert all(not p.grad.any() for p in network.parameters() if p.grad is not None)


def test_fused_for_inference_it_says_the_same() -> None:
    torch.manual_seed(0)
    network = lively(Wholeness(backbone=small_lite(), width=8))
    with torch.inference_mode():
        expected = network(*looks(3))
        torch.testing.assert_close(fused(network, CPU)(*looks(3)), expected, rtol=1e-3, atol=1e-4)
    assert float(expected.std()) > 1e-3


# -- half a backbone ---------------------------------------------------------------------------------------------------


def test_half_a_backbone_has_all_strides_at_half_of_the_parameters() -> None:
    whole, half = EfficientNetLite(), EfficientNetLite(stages=HALF_LITE0)
    assert half.strides == whole.strides == (2, 4, 8, 16, 32)
    assert half.channels == (16, 24, 40, 112, 192) and half.channels[:4] == whole.channels[:4]
    assert [stage.repeats for stage in HALF_LITE0] == [1, 2, 2, 3, 3, 2] and HALF_LITE0[:5] == LITE0[:5]
    whole_count, half_count = (sum(p.numel() for p in part.parameters()) for part in (whole, half))
    assert 0.4 < half_count / whole_count < 0.55


def test_half_a_backbone_is_the_beginning_of_the_whole_one() -> None:
    torch.manual_seed(0)
    whole, half = EfficientNetLite().eval(), EfficientNetLite(stages=HALF_LITE0).eval()
    half.load_pretrained(whole.state_dict())
    deepest: list[Tensor] = []
    last = len(half._blocks) - 1
    whole._blocks[last].register_forward_hook(lambda _, inputs, output: deepest.append(output))
    with torch.inference_mode():
        x = torch.rand(1, 3, 64, 64)
        levels, expected = half(x), whole(x)
    assert all(torch.equal(one, other) for one, other in zip(levels[:4], expected[:4], strict=True))
    assert torch.equal(levels[4], deepest[0])


# -- the jury ----------------------------------------------------------------------------------------------------------


class Echo(nn.Module):
    """Answers with how much shapes and things cover, and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, windows: Tensor, things: Tensor, shapes: Tensor) -> Tensor:
        self.shown.append((windows, things, shapes))
        return torch.stack((shapes.mean((1, 2, 3)), things.mean((1, 2, 3))), 1)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return an image of 90 × 120 pixels that says where each of its pixels is, and a thing in it."""
    y, x = np.indices((90, 120))
    things = np.zeros((90, 120), np.uint8)
    things[20:60, 30:90] = 255
    return np.stack((y, x, np.full_like(y, 200)), axis=2).astype(np.uint8), things


WINDOWS = [Window(10.0, 20.0, 80.0), Window(-20.0, -10.0, 60.0), Window(30.0, 40.0, 40.0), Window(0.0, 0.0, 200.0)]


def shapes_in(windows: Sequence[Window]) -> list[tuple[np.ndarray, Window]]:
    """Return the pixels from (36, 44) to (48, 60) as a shape on the grid, in its box."""
    return [(np.full((3, 4), 255, np.uint8), window.scaled(0.25).moved(9, 11)) for window in windows]


def test_no_shapes_no_verdicts() -> None:
    network = Echo()
    verdicts = Jury(network, CPU).judge(Sight(*scene()), [], [])
    assert verdicts.shape == (0, 2) and verdicts.dtype == np.float32
    assert network.shown == []


@pytest.mark.parametrize("batch_size, batches", [(1, [1] * 4), (3, [3, 1]), (4, [4]), (16, [4])])
def test_shapes_go_in_batches_and_verdicts_keep_their_order(batch_size: int, batches: list[int]) -> None:
    network = Echo()
    verdicts = Jury(network, CPU, batch_size=batch_size).judge(Sight(*scene()), WINDOWS, shapes_in(WINDOWS))
    assert [len(windows) for windows, _, _ in network.shown] == batches
    assert verdicts.shape == (4, 2) and verdicts.dtype == np.float32
    # What a rectangle covers of a window is its area over the window's.
    np.testing.assert_allclose(verdicts[:, 0], [192 / 6400, 24 / 3600, 192 / 1600, 192 / 40000], rtol=0.1)
    np.testing.assert_allclose(verdicts[:, 1], [2400 / 6400, 400 / 3600, 1200 / 1600, 2400 / 40000], rtol=0.05)


def test_picture_things_and_shape_lie_on_top_of_each_other() -> None:
    network = Echo()
    Jury(network, CPU).judge(Sight(*scene()), WINDOWS, shapes_in(WINDOWS))
    [(windows, things, shapes)] = network.shown
    assert windows.dtype == torch.uint8 and things.shape == shapes.shape == (4, 1, WINDOW, WINDOW)
    for number in (0, 2, 3):
        red, green, _ = (windows[number].float() * shapes[number]).sum((1, 2)) / shapes[number].sum()
        assert (float(red), float(green)) == (pytest.approx(41.5, abs=0.6), pytest.approx(51.5, abs=0.6))
        red, green, blue = windows[number].float()
        inside = (red >= 22) & (red <= 57) & (green >= 32) & (green <= 87) & (blue == 200)
        assert bool(inside.any()) and bool((things[number, 0][inside] == 1).all())
        assert not things[number, 0][(red < 18) | (red > 62) | (blue != 200)].any()
    beyond = round(90 * WINDOW / 200)
    assert bool((windows[3, :, beyond:] == GREY).all())


@backbones
def test_batches_do_not_change_verdicts(backbone: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "infers_in_bfloat16", lambda network, device: False)
    torch.manual_seed(0)
    network = lively(Wholeness(backbone=backbone(), width=8))
    given = scene()
    kept = [values.copy() for values in given]
    one, three = (
        Jury(network, CPU, batch_size=size).judge(Sight(*given), WINDOWS, shapes_in(WINDOWS)) for size in (1, 3)
    )
    assert np.std(one[:, 0]) > 1e-4 and np.std(one[:, 1]) > 1e-4
    np.testing.assert_allclose(one, three, rtol=1e-3, atol=1e-4)
    assert all(np.array_equal(values, before) for values, before in zip(given, kept, strict=True))


# -- checkpoints -------------------------------------------------------------------------------------------------------

CONFIG = NetworkConfig("small", width=5, guided=True, wholeness=True)


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


def test_networks_have_a_wholeness_network_if_they_are_asked_to() -> None:
    assert build_network(NetworkConfig("small", width=5)).wholeness is None
    network = build_network(CONFIG)
    assert isinstance(network.wholeness, Wholeness) and network.membership is None and network.edges is None
    assert network.wholeness.backbone.strides == (2, 4, 8, 16, 32)  # whatever the network's own backbone is
    assert len(network.wholeness.backbone._blocks) == 13
    assert network.wholeness.judge[0].in_features == 2 * 96 + 3 * 5


def test_a_wholeness_network_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = saved(tmp_path / "small.safetensors")
    loaded, config = load_checkpoint(path)
    assert config == CONFIG == read_config(path)
    torch.manual_seed(0)
    wholeness = build_network(CONFIG).wholeness
    found = loaded.wholeness.state_dict()
    assert found.keys() == wholeness.state_dict().keys()
    for name, value in wholeness.state_dict().items():
        stored = value if "running_" in name or "batches" in name else value.half().float()
        assert torch.equal(found[name], stored), name
    assert not loaded.wholeness.training
    with torch.inference_mode():
        expected = wholeness.half().float().eval()(*looks(1))
        torch.testing.assert_close(loaded.wholeness(*looks(1)), expected, rtol=1e-3, atol=1e-3)


def test_checkpoints_from_before_load_without_one(tmp_path: Path) -> None:
    before = NetworkConfig("small", width=5, guided=True, membership=True)
    path = saved(tmp_path / "old.safetensors", before)
    rewrite(path, leave="wholeness")
    loaded, config = load_checkpoint(path)
    assert loaded.wholeness is None and loaded.membership is not None
    assert config == before and config.wholeness is False


@pytest.mark.parametrize("there", [True, False])
def test_a_wholeness_network_that_lacks_or_exceeds(tmp_path: Path, there: bool) -> None:
    path = saved(tmp_path / "small.safetensors", NetworkConfig("small", width=5, guided=True, wholeness=there))
    rewrite(path, wholeness=not there)
    with pytest.raises(CheckpointError, match=r"does not fit the network that it names \(wholeness\."):
        load_checkpoint(path)


def test_published_weights_go_into_a_backbone_of_the_same_kind() -> None:
    torch.manual_seed(0)
    state = EfficientNetLite().state_dict()
    network = build_network(NetworkConfig(width=5, wholeness=True))
    network.load_pretrained(state)
    for name, value in network.wholeness.backbone.state_dict().items():
        assert torch.equal(value, state[name]), name
    other = build_network(CONFIG)
    before = {name: value.clone() for name, value in other.wholeness.state_dict().items()}
    other.load_pretrained(Small().state_dict())
    assert all(torch.equal(value, before[name]) for name, value in other.wholeness.state_dict().items())
