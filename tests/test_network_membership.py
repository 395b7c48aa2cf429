"""The membership network, the one who asks it, and checkpoints that bring it along."""

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

from sisegcli.errors import CheckpointError
from sisegcli.network import asking
from sisegcli.network.asking import GREY, Asker, Sight
from sisegcli.network.checkpoint import (
    BACKBONES,
    NetworkConfig,
    build_network,
    load_backbone_weights,
    load_checkpoint,
    read_config,
    save_checkpoint,
)
from sisegcli.network.efficientnet_lite import LITE0, EfficientNetLite
from sisegcli.network.membership import Membership
from sisegcli.network.resnet import ResNet
from sisegcli.windows import CELLS, WINDOW, Window, cut_window

torch.set_num_threads(1)
CPU = torch.device("cpu")


class Small(nn.Module):
    """A backbone of three layers, with a batch norm."""

    channels, strides, mean, std = (3, 4, 5), (2, 4, 8), (0.5,) * 3, (0.25,) * 3

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 3, 3, 2, 1), nn.BatchNorm2d(3)
        self.second, self.third = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 2, 1)

    def forward(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        x = self.norm(self.first(x))
        y = self.second(x).relu()
        y = y if extra is None else y + extra
        return [x, y, self.third(y)]

    def load_pretrained(self, state: dict[str, Tensor]) -> None:
        self.load_state_dict(state)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "small", Small)


def small_lite() -> EfficientNetLite:
    return EfficientNetLite(stages=[stage._replace(repeats=1) for stage in LITE0])


def small_resnet() -> ResNet:
    return ResNet(blocks=(1, 1, 1, 1))


backbones = pytest.mark.parametrize("backbone", [Small, small_lite, small_resnet])


def lively(network: nn.Module) -> nn.Module:
    """Take batch norms' statistics of random windows, so that values neither vanish nor explode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(*questions(4))
    return network.eval()


def questions(count: int, side: int = 64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return noisy windows with things and a prompt somewhere on them."""
    noise = torch.Generator().manual_seed(seed)
    windows = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=noise)
    things, prompts = torch.zeros(2, count, 1, side, side)
    for number in range(count):
        corner = 4 * number % (side // 4)
        things[number, :, corner : corner + side // 2, 8:-8] = 1
        prompts[number, :, corner + 4 : corner + side // 4, 12 : side // 2] = 1
    return windows, things, prompts


# -- what is added to backbones ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", [small_lite, small_resnet])
def test_what_is_added_goes_into_the_level_of_stride_4_and_on_from_there(backbone: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = backbone().eval()
    place = list(network.strides).index(4)
    x = torch.rand(1, 3, 64, 64)
    extra = torch.rand(1, network.channels[place], 16, 16)
    with torch.inference_mode():
        plain, same, more = network(x), network(x, torch.zeros_like(extra)), network(x, extra)
    for level, (one, other, changed) in enumerate(zip(plain, same, more, strict=True)):
        assert torch.equal(one, other)
        if level == place:
            torch.testing.assert_close(changed, one + extra)
        else:
            assert torch.equal(one, changed) == (level < place)


# -- the network -------------------------------------------------------------------------------------------------------


@backbones
@pytest.mark.parametrize("side", [32, 64, WINDOW])
def test_a_logit_for_every_four_pixels(backbone: type[nn.Module], side: int) -> None:
    network = Membership(backbone=backbone(), width=8).eval()
    with torch.inference_mode():
        logits = network(*questions(2, side))
    assert logits.shape == (2, 1, side // 4, side // 4)
    assert bool(torch.isfinite(logits).all()) and float(logits.std()) > 0


@backbones
def test_injection_begins_by_changing_nothing(backbone: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = lively(Membership(backbone=backbone(), width=8))
    asked, plain = questions(3), network.backbone.forward
    seen = []

    def without(x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        seen.append(extra)
        return plain(x)

    def twice() -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            network.backbone.forward = plain
            heard = network(*asked)
            network.backbone.forward = without
            return heard, network(*asked)

    assert torch.equal(*twice())
    assert seen[0].shape == (3, network.inject[2].out_channels, 16, 16)
    nn.init.normal_(network.inject[2].weight)
    heard, unheard = twice()
    assert not torch.allclose(heard, unheard, atol=1e-3)


def test_injection_learns_from_the_first_step() -> None:
    torch.manual_seed(0)
    network = lively(Membership(backbone=Small(), width=8))
    nn.functional.softplus(network(*questions(2))).sum().backward()
    assert float(network.inject[2].weight.grad.abs().max()) > 0
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_windows_of_bytes_and_of_floats_are_the_same() -> None:
    network = Membership(backbone=Small(), width=8).eval()
    windows, things, prompts = questions(2)
    with torch.inference_mode():
        assert torch.equal(network(windows, things, prompts), network(windows.float(), things, prompts))


def test_images_are_normalised_as_the_backbone_likes() -> None:
    network = Membership(backbone=Small(), width=8).eval()
    seen = []
    network.backbone.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    windows, things, prompts = questions(1)
    network(torch.full_like(windows, 255), things, prompts)
    assert torch.allclose(seen[0], torch.full((1, 3, 64, 64), 2.0))


@pytest.mark.parametrize("which", [1, 2], ids=["things", "prompts"])
def test_each_window_has_its_own_question(which: int) -> None:
    torch.manual_seed(0)
    network = lively(Membership(backbone=Small(), width=8))
    asked = questions(2)
    other = [values.clone() for values in asked]
    other[which][1] = other[which][1].flip(-1, -2)
    with torch.inference_mode():
        one, two = network(*asked), network(*other)
    torch.testing.assert_close(one[0], two[0])
    assert not torch.allclose(one[1], two[1], atol=1e-3)


def test_an_empty_prompt_is_answered_too() -> None:
    network = Membership(backbone=Small(), width=8).eval()
    windows, things, prompts = questions(2)
    with torch.inference_mode():
        assert bool(torch.isfinite(network(windows, things, torch.zeros_like(prompts))).all())


# -- asking ------------------------------------------------------------------------------------------------------------


class Echo(nn.Module):
    """Answers with the prompts, and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, windows: Tensor, things: Tensor, prompts: Tensor) -> Tensor:
        self.shown.append((windows, things, prompts))
        return nn.functional.avg_pool2d(prompts, 4)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 on every CPU."""
    monkeypatch.setattr(asking, "infers_in_bfloat16", lambda network, device: False)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return an image of 90 × 120 pixels that says where each of its pixels is, and a thing in it."""
    y, x = np.indices((90, 120))
    things = np.zeros((90, 120), np.uint8)
    things[20:60, 30:90] = 255
    return np.stack((y, x, np.full_like(y, 200)), axis=2).astype(np.uint8), things


WINDOWS = [Window(10.0, 20.0, 80.0), Window(-20.0, -10.0, 60.0), Window(30.0, 40.0, 40.0), Window(0.0, 0.0, 200.0)]


def prompts_on(windows: Sequence[Window]) -> list[tuple[np.ndarray, Window]]:
    """Return the pixels from (36, 44) to (48, 60) as a prompt: three rows and four columns of the grid."""
    return [(np.full((3, 4), 255, np.uint8), window.scaled(0.25).moved(9, 11)) for window in windows]


def test_no_question_gets_no_answer() -> None:
    network = Echo()
    answers = Asker(network, CPU).ask(Sight(*scene()), [], [])
    assert answers.shape == (0, CELLS, CELLS) and answers.dtype == np.float32
    assert network.shown == []


@pytest.mark.parametrize("batch_size, batches", [(1, [1] * 4), (3, [3, 1]), (4, [4]), (16, [4])])
def test_windows_go_in_batches_and_answers_keep_their_order(batch_size: int, batches: list[int]) -> None:
    network = Echo()
    answers = Asker(network, CPU, batch_size=batch_size).ask(Sight(*scene()), WINDOWS, prompts_on(WINDOWS))
    assert [len(windows) for windows, _, _ in network.shown] == batches
    assert answers.shape == (4, CELLS, CELLS) and answers.dtype == np.float32
    shown = torch.cat([prompts for _, _, prompts in network.shown])
    torch.testing.assert_close(torch.from_numpy(answers), nn.functional.avg_pool2d(shown, 4)[:, 0], atol=0.01, rtol=0)


@pytest.mark.parametrize("number", range(4))
def test_picture_things_and_prompt_lie_on_top_of_each_other(number: int) -> None:
    network = Echo()
    Asker(network, CPU).ask(Sight(*scene()), WINDOWS, prompts_on(WINDOWS))
    windows, things, prompts = (values[number].float() for values in network.shown[0])
    assert windows.shape == (3, WINDOW, WINDOW) and things.shape == prompts.shape == (1, WINDOW, WINDOW)
    assert things.max() == prompts.max() == 1 and things.min() == prompts.min() == 0
    if WINDOWS[number].top <= 36 and WINDOWS[number].top + WINDOWS[number].side >= 48:
        red, green, _ = (windows * prompts).sum((1, 2)) / prompts.sum()
        assert (float(red), float(green)) == (pytest.approx(41.5, abs=0.6), pytest.approx(51.5, abs=0.6))
    inside = (windows[0] >= 22) & (windows[0] <= 57) & (windows[1] >= 32) & (windows[1] <= 87) & (windows[2] == 200)
    beyond = (windows[0] < 18) | (windows[0] > 62) | (windows[1] < 28) | (windows[1] > 92)
    assert bool(inside.any()) and bool((things[0][inside] == 1).all())
    assert not things[0][beyond].any()


def test_beyond_the_image_are_grey_and_no_things() -> None:
    network = Echo()
    Asker(network, CPU).ask(Sight(*scene()), [Window(0.0, 0.0, 240.0)], prompts_on([Window(0.0, 0.0, 240.0)]))
    [(windows, things, prompts)] = network.shown
    right = round(120 * WINDOW / 240)
    assert bool((windows[..., right:] == GREY).all())
    assert not things[..., right:].any() and not prompts[..., right:].any()
    assert things[..., :right].any()


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("backbone", [Small, small_lite])
def test_batches_do_not_change_answers(backbone: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = lively(Membership(backbone=backbone(), width=8))
    nn.init.normal_(network.inject[2].weight)
    image, things = scene()
    asked = [
        Asker(network, CPU, batch_size=size).ask(Sight(image, things), WINDOWS, prompts_on(WINDOWS))
        for size in (1, 3, 9)
    ]
    alone = [Asker(network, CPU).ask(Sight(image, things), [w], prompts_on([w]))[0] for w in WINDOWS]
    assert np.std(asked[0]) > 0.01
    for answers in (*asked[1:], np.stack(alone)):
        np.testing.assert_allclose(answers, asked[0], rtol=1e-3, atol=1e-3)


def test_the_image_and_the_things_stay_as_they_are() -> None:
    given = scene()
    before = [values.copy() for values in given]
    Asker(Echo(), CPU).ask(Sight(*given), WINDOWS, prompts_on(WINDOWS))
    for values, kept in zip(given, before, strict=True):
        np.testing.assert_array_equal(values, kept)


# -- checkpoints -------------------------------------------------------------------------------------------------------

CONFIG = NetworkConfig("small", width=5, guided=True, membership=True)


def saved(path: Path, config: NetworkConfig = CONFIG) -> Path:
    torch.manual_seed(0)
    network = build_network(config)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    save_checkpoint(path, network, config)
    return path


def rewrite(path: Path, *, leave: str = "", **changes: bool) -> None:
    """Leave a field out of a checkpoint's configuration, and change others."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    config = {**json.loads(metadata["config"]), **changes}
    config.pop(leave, None)
    save_file(load_file(path), path, {**metadata, "config": json.dumps(config)})


def test_networks_have_a_membership_network_if_they_are_asked_to() -> None:
    assert build_network(NetworkConfig("small", width=5)).membership is None
    network = build_network(CONFIG)
    assert isinstance(network.membership, Membership)
    assert network.membership.backbone is not network.backbone
    assert network.membership.logit.in_channels == 5


def test_a_membership_network_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = saved(tmp_path / "small.safetensors")
    loaded, config = load_checkpoint(path)
    assert config == CONFIG == read_config(path)
    torch.manual_seed(0)
    network = build_network(CONFIG)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    membership = network.half().float().eval().membership
    assert not loaded.membership.training
    for name, value in membership.state_dict().items():
        assert torch.equal(loaded.membership.state_dict()[name], value), name
    with torch.inference_mode():
        asked = questions(2)
        expected = membership(*asked)
        found = loaded.membership(*asked)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max()))


def test_checkpoints_from_before_load_without_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.safetensors", NetworkConfig("small", width=5, guided=True))
    rewrite(path, leave="membership")
    loaded, config = load_checkpoint(path)
    assert loaded.membership is None
    assert config == NetworkConfig("small", width=5, guided=True, membership=False)


@pytest.mark.parametrize("there", [True, False])
def test_a_membership_network_that_lacks_or_exceeds(tmp_path: Path, there: bool) -> None:
    path = saved(tmp_path / "small.safetensors", NetworkConfig("small", width=5, guided=True, membership=there))
    rewrite(path, membership=not there)
    with pytest.raises(CheckpointError, match=r"does not fit the network that it names \(membership\."):
        load_checkpoint(path)


def test_published_weights_go_into_both_backbones(tmp_path: Path) -> None:
    network = build_network(CONFIG)
    state = {name: torch.rand(value.shape) for name, value in Small().state_dict().items()}
    state = {name: value for name, value in state.items() if not name.endswith("tracked")}
    torch.save(state, tmp_path / "small.pth")
    heads = {name: value.clone() for name, value in network.membership.hidden.state_dict().items()}
    load_backbone_weights(network, tmp_path / "small.pth")
    for backbone in (network.backbone, network.membership.backbone):
        assert all(torch.equal(backbone.state_dict()[name], value) for name, value in state.items())
    assert all(torch.equal(network.membership.hidden.state_dict()[name], value) for name, value in heads.items())


def test_a_checkpoint_with_one_gives_its_backbone_to_networks_without(tmp_path: Path) -> None:
    path = saved(tmp_path / "small.safetensors")
    loaded, _ = load_checkpoint(path)
    other = build_network(NetworkConfig("small", width=3))
    load_backbone_weights(other, path)
    assert torch.equal(other.backbone.first.weight, loaded.backbone.first.weight)


@pytest.mark.parametrize("smooth", [True, False])
def test_a_sight_cuts_photograph_and_things_as_if_alone(smooth: bool) -> None:
    rng = np.random.default_rng(7)
    image = rng.integers(0, 256, (61, 83, 3), np.uint8)
    things = np.where(rng.random((61, 83)) < 0.5, 255, 0).astype(np.uint8)
    beside = [Window(-30.5, -20.0, 70.25), Window(10.0, 60.0, 45.0), Window(20.0, 30.0, 8.0), Window(90.0, 90.0, 5.0)]
    pictures, known = Sight(image, things).cut(beside, smooth=smooth)
    for picture, thing, window in zip(pictures, known, beside, strict=True):
        np.testing.assert_array_equal(picture, cut_window(image, window, fill=GREY, smooth=True))
        np.testing.assert_array_equal(thing, cut_window(things, window, fill=0, smooth=smooth))
