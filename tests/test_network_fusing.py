"""Networks whose convolutions are done together with what follows them."""

from __future__ import annotations

import platform

import pytest
import torch
from torch import nn

import sisegcli.network.fusing as module
from sisegcli.network.checkpoint import NetworkConfig, build_network
from sisegcli.network.efficientnet_lite import SamePadConv2d
from sisegcli.network.fusing import FusedConv, fused, infers_in_bfloat16
from sisegcli.network.model import SisegNetwork

CPU = torch.device("cpu")
needs_x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="fused on x86 alone")


def lively(config: NetworkConfig) -> SisegNetwork:
    """Return a network in which every parameter and every running statistic matters."""
    torch.manual_seed(0)
    network = build_network(config).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.8, 1.2)
            nn.init.normal_(part.bias, std=0.2)
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
        elif isinstance(part, nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight, std=0.1)
    return network


def answers(network: SisegNetwork) -> list[torch.Tensor]:
    torch.manual_seed(1)
    given = [torch.rand(2, 1, 64, 96).round() for _ in range(2)]
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        return [*network(images, given[0]), network.membership(images, *given), *network.edges(images, *given)]


@needs_x86
def test_a_fused_network_answers_as_the_one_it_was_made_from():
    network = lively(NetworkConfig(guided=True, membership=True, edges=True))
    made = fused(network, CPU)
    assert type(made) is SisegNetwork
    assert not any(isinstance(part, nn.BatchNorm2d) for part in made.modules())
    for found, wanted in zip(answers(made), answers(network), strict=True):
        assert found.shape == wanted.shape and (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


@needs_x86
@pytest.mark.parametrize("fast", [True, False])
def test_a_fused_network_computes_in_float32(fast, monkeypatch):
    monkeypatch.setattr(module, "computes_in_bfloat16", lambda device: fast)
    network = build_network(NetworkConfig(membership=True)).eval()
    made = fused(network, CPU)
    assert infers_in_bfloat16(network, CPU) == fast
    assert not infers_in_bfloat16(made, CPU) and not infers_in_bfloat16(made.membership, CPU)


@needs_x86
def test_the_network_itself_stays_as_it_is():
    network = lively(NetworkConfig(guided=True, membership=True))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fused(network, CPU)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


@needs_x86
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 12), (9, 13), (8, 13), (1, 1), (2, 1)])
def test_fused_convolutions_pad_as_tensorflow_does(kernel, stride, size):
    torch.manual_seed(0)
    conv = SamePadConv2d(6, 6, kernel, stride, groups=6, bias=False)
    x = torch.randn(2, 6, *size)
    with torch.inference_mode():
        found, expected = FusedConv(conv, None, "relu6")(x), nn.functional.relu6(conv(x))
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)


@needs_x86
@pytest.mark.parametrize("activation", ["", "relu"])
def test_a_summand_is_added_before_the_activation(activation):
    torch.manual_seed(0)
    conv, x, summand = nn.Conv2d(4, 6, 1), torch.randn(1, 4, 5, 7), torch.randn(1, 6, 5, 7)
    with torch.inference_mode():
        expected = conv(x) + summand
        found = FusedConv(conv, None, activation)(x, summand.clone())
    assert torch.allclose(found, expected.relu() if activation else expected, atol=1e-5)


def test_a_resnet_is_left_alone():
    network = build_network(NetworkConfig(backbone="resnet50")).eval()
    assert fused(network, CPU) is network


@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_elsewhere_the_network_is_left_alone(machine, monkeypatch):
    network = build_network(NetworkConfig()).eval()
    assert fused(network, torch.device("cuda")) is network
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert fused(network, CPU) is network
