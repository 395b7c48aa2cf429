"""ResNet-50 and ResNet-101 without their classification head.

He et al., *Deep residual learning for image recognition*, CVPR 2016, with the stride in the 3 × 3 convolution.
Parameter names are torchvision's, so that its well-known files load; the last stage keeps the stride of the one
before (2, 2, 2, 1), as in IRNet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions beside a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 planes, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + self.downsample(x))


class ResNet(nn.Module):
    """Five feature levels: the stem and the four stages.

    Parameters
    ----------
    blocks : sequence of int
        Blocks of each of the four stages: 3, 4, 6, 3 for ResNet-50.
    stage_strides : sequence of int
        Stride of each stage; the default keeps the last stage at stride 16, without dilation, as IRNet does.
    """

    channels = (64, 256, 512, 1024, 2048)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(self, *, blocks: Sequence[int], stage_strides: Sequence[int] = (1, 2, 2, 1)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        strides, inputs = [2], 64
        stages: list[nn.Sequential] = []
        reached = 4
        for planes, count, stride in zip((64, 128, 256, 512), blocks, stage_strides, strict=True):
            stage = []
            for number in range(count):
                stage.append(Bottleneck(inputs, planes, stride if number == 0 else 1, 1))
                inputs = planes * Bottleneck.expansion
            stages.append(nn.Sequential(*stage))
            reached *= stride
            strides.append(reached)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.strides = tuple(strides)

    def forward(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        """Map normalised images (N, 3, H, W) to features, finest first; `extra` is added to the level of stride 4."""
        levels = [F.relu(self.bn1(self.conv1(x)))]
        x = F.max_pool2d(levels[0], 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            if extra is not None and len(levels) == 1:
                x = x + extra
            levels.append(x)
        return levels

    def depths(self) -> list[nn.Module]:
        """Parts in order of depth, for freezing the first ones."""
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        return [nn.ModuleList([self.conv1, self.bn1]), *(block for stage in stages for block in stage)]

    def load_pretrained(self, state: dict[str, Tensor]) -> None:
        """Load a torchvision classification file's parameters; its head is left out."""
        self.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})
