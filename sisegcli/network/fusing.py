"""Networks for inference alone, on processors that oneDNN knows well: convolutions in one pass with what follows them.

In evaluation mode batch norm is a factor and a summand for each channel, which go into the convolution before it. What
is left of a block, an activation or a shortcut, is done while the convolution's results are still in the cache. Results
differ from the network's by the last bits of float32. (In bfloat16 the same takes two thirds of the time, but its
rounding decides borderline cases otherwise: on VOC val it lost 0.2 to 0.8 AP.)
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sisegcli.devices import computes_in_bfloat16
from sisegcli.network.efficientnet_lite import EfficientNetLite, InvertedResidual, same_padding
from sisegcli.network.exported.engines import Engine, ExportedNetwork
from sisegcli.network.folding import FoldedConv
from sisegcli.network.heads import Join, Separable, TopDown, halve, pool_guide

Network = TypeVar("Network", bound=nn.Module)

ACTIVATIONS: dict[str, tuple[str, list[float]]] = {
    "": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0, 6]),
}
"""What oneDNN calls them, and their parameters."""


def fused(network: Network, device: torch.device) -> Network:
    """Return a network that computes the same, faster, and cannot be trained; else the network itself.

    Parameters
    ----------
    network : nn.Module
        A network in evaluation mode. It stays as it is. ResNets are left alone: they spend their time in large
        convolutions, in bfloat16.
    device : torch.device
        Where it runs; only x86 processors are served.

    Returns
    -------
    nn.Module
        Of the same class, for float32.
    """
    known = any(isinstance(part, EfficientNetLite) for part in network.modules())
    if not known or lacks_for_fusing(device) is not None:
        return network
    made = copy.deepcopy(network).requires_grad_(False)
    replace_convolutions(made, FusedConv)
    return made


def infers_in_bfloat16(network: nn.Module, device: torch.device) -> bool:
    """Return whether a network that is not to be trained should compute in bfloat16: where it pays.

    Fused and exported ones never do.
    """
    return computes_in_bfloat16(device) and not is_fused(network) and not isinstance(network, Engine | ExportedNetwork)


def is_fused(network: nn.Module) -> bool:
    """Return whether a network is one that `fused` made."""
    return any(isinstance(part, FusedConv) for part in network.modules())


def lacks_for_fusing(device: torch.device) -> str | None:
    """Return why networks are not fused for a device, in a sentence; None where they are."""
    if device.type != "cpu":
        return "Only networks on processors are fused."
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"The processor is no x86 but {platform.machine()}."
    if not torch._C._has_mkldnn:
        return "This build of PyTorch has no oneDNN."
    if not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return "This version of PyTorch lacks an operator of oneDNN."
    return None


@torch.no_grad()
def replace_convolutions(module: nn.Module, kind: type[FoldedConv]) -> None:
    """Replace what can be fused below a module by convolutions of a kind."""
    for name, child in module.named_children():
        if isinstance(child, EfficientNetLite):
            setattr(module, name, FusedLite(child, kind))
        elif isinstance(child, Separable):
            setattr(module, name, _separable(child, kind))
        elif isinstance(child, TopDown):
            setattr(module, name, FusedTopDown(child, kind))
        elif isinstance(child, Join):
            setattr(module, name, FusedJoin(child))
        elif isinstance(child, nn.Conv2d):
            setattr(module, name, kind(child, None))
        else:
            replace_convolutions(child, kind)


def _conv(kind: type[FoldedConv], conv: nn.Module, norm: nn.Module | None, activation: str = "") -> FoldedConv:
    return kind(cast(nn.Conv2d, conv), cast("nn.BatchNorm2d | None", norm), activation)


def _separable(module: Separable, kind: type[FoldedConv]) -> nn.Sequential:
    depthwise, pointwise, norm, _ = module
    return nn.Sequential(_conv(kind, depthwise, None), _conv(kind, pointwise, norm, "relu"))


class FusedConv(FoldedConv):
    """A convolution, batch norm, and an activation or a sum, in one operator of oneDNN.

    The parameters are those of `FoldedConv`.
    """

    shifted: Tensor

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, activation: str = "") -> None:
        super().__init__(conv, norm, activation)
        # Equal padding all around and a kernel with a row and a column of zeros before its own come to the same as one
        # more row and column of padding behind the image, and nothing has to be copied.
        shifted = F.pad(self.weight, (1, 0, 1, 0)) if self.same and self.stride == 2 else self.weight
        self.register_buffer("shifted", shifted.contiguous(memory_format=torch.channels_last), persistent=False)

    def forward(self, x: Tensor, summand: Tensor | None = None) -> Tensor:
        """Convolve (N, C, H, W), and add a summand of the result's shape, which is lost, before the activation."""
        x, weight, padding = x.to(self.weight.dtype), self.weight, self.padding
        if self.same:
            x, weight, padding = self._shift(x)
        given = (weight, self.bias, padding, [self.stride] * 2, [1, 1], self.groups)
        mkldnn: Any = torch.ops.mkldnn
        if summand is None:
            return cast(Tensor, mkldnn._convolution_pointwise(x, *given, *ACTIVATIONS[self.activation], ""))
        name, bounds = ACTIVATIONS[self.activation] if self.activation else (None, [])
        summand = summand.to(weight.dtype).contiguous(memory_format=torch.channels_last)
        # In place, because a sum that is written elsewhere takes half as long again.
        return cast(Tensor, mkldnn._convolution_pointwise_.binary(summand, x, *given, "add", 1.0, name, bounds, None))

    def _shift(self, x: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """Pad as `SamePadConv2d` does, or say with which weights and padding the convolution does it."""
        if self.stride == 2:
            rows, columns = same_padding(x, self.kernel, self.stride)
            if rows == columns == self.kernel - 2 and rows % 2 and self.groups > 1:
                return x, self.shifted, [self.kernel // 2] * 2
        padded, padding = self._pad(x)
        return padded, self.weight, padding


class FusedResidual(nn.Module):
    """An `InvertedResidual` of fused convolutions."""

    def __init__(self, block: InvertedResidual, kind: type[FoldedConv]) -> None:
        super().__init__()
        self.shortcut = block.shortcut
        self.expand = _conv(kind, block._expand_conv, block._bn0, "relu6") if block.expands else nn.Identity()
        self.depthwise = _conv(kind, block._depthwise_conv, block._bn1, "relu6")
        self.project = _conv(kind, block._project_conv, block._bn2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)), x if self.shortcut else None)
        return y


class FusedLite(EfficientNetLite):
    """An `EfficientNetLite` of fused convolutions."""

    def __init__(self, backbone: EfficientNetLite, kind: type[FoldedConv]) -> None:
        nn.Module.__init__(self)
        self.channels, self.strides, self._level_ends = backbone.channels, backbone.strides, backbone._level_ends
        self._first = _conv(kind, backbone._conv_stem, backbone._bn0, "relu6")
        blocks = (cast(InvertedResidual, block) for block in backbone._blocks)
        self._blocks = nn.ModuleList(FusedResidual(block, kind) for block in blocks)

    def _stem(self, x: Tensor) -> Tensor:
        stem: Tensor = self._first(x)
        return stem


class FusedJoin(nn.Module):
    """A `Join` that puts the levels of stride 2 and 4 together, for a `FusedTopDown`; see there."""

    def __init__(self, join: Join) -> None:
        super().__init__()
        self.strides = join.strides[1:]

    def forward(self, levels: Sequence[Tensor], guide: Tensor | None) -> list[Tensor]:
        """Append a guide to levels, and bring the first to the stride of the second."""
        finest, fine, *rest = levels
        if guide is None:
            return [torch.cat((halve(finest), fine), 1), *rest]
        first, *others = pool_guide(guide, self.strides)
        joined = [torch.cat(pair, 1) for pair in zip(rest, others, strict=True)]
        return [torch.cat((halve(finest), first, fine, first), 1), *joined]


class FusedTopDown(nn.Module):
    """A `TopDown` of fused convolutions, for what a `FusedJoin` makes.

    Means go through a 1 × 1 convolution as well before as behind it, and before it there are fewer channels; two
    convolutions whose results are summed are one of more channels.
    """

    def __init__(self, merge: TopDown, kind: type[FoldedConv]) -> None:
        super().__init__()
        pairs = (cast(nn.Sequential, part) for part in merge.laterals)
        laterals = [_conv(kind, conv, norm, "relu") for conv, norm in pairs]
        finest, fine, *_ = laterals
        fine.weight = torch.cat((finest.weight, fine.weight), 1).contiguous(memory_format=torch.channels_last)
        fine.bias = finest.bias + fine.bias if finest.bias is not None and fine.bias is not None else None
        self.laterals = nn.ModuleList(laterals[1:])
        self.smooth = nn.ModuleList(_separable(cast(Separable, part), kind) for part in list(merge.smooth)[1:])

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map levels (N, C, H / stride, W / stride) to (N, width, H / 4, W / 4)."""
        merged: Tensor | None = None
        for level, lateral, smooth in reversed(list(zip(levels, self.laterals, self.smooth, strict=True))):
            if merged is not None:
                merged = F.interpolate(merged, size=level.shape[-2:], mode="bilinear", align_corners=False)
            merged = smooth(lateral(level, merged))
        assert merged is not None
        return merged
