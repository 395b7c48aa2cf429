"""Convolutions with the batch norm behind them inside: what every network for inference alone is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sisegcli.network.efficientnet_lite import SamePadConv2d, same_padding
from sisegcli.network.heads import is_traced


class FoldedConv(nn.Module):
    """A convolution, batch norm, and an activation or a sum, in operators that every engine knows.

    Parameters
    ----------
    conv : nn.Conv2d
        The convolution, without dilation.
    norm : nn.BatchNorm2d, optional
        What follows.
    activation : str
        ``relu``, ``relu6`` or nothing.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, activation: str = "") -> None:
        super().__init__()
        weight, bias = conv.weight, conv.bias
        if norm is not None:
            mean, var = norm.running_mean, norm.running_var
            assert mean is not None and var is not None
            weight, bias = fuse_conv_bn_weights(weight, bias, mean, var, norm.eps, norm.weight, norm.bias)
        weight = weight.detach().contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)
        self.stride, self.groups, self.kernel = conv.stride[0], conv.groups, conv.kernel_size[0]
        self.padding = [int(side) for side in conv.padding]
        self.same, self.activation = isinstance(conv, SamePadConv2d), activation

    def forward(self, x: Tensor, summand: Tensor | None = None) -> Tensor:
        """Convolve (N, C, H, W), and add a summand of the result's shape before the activation."""
        x, padding = self._pad(x) if self.same else (x, self.padding)
        y = F.conv2d(x, self.weight, self.bias, self.stride, padding, 1, self.groups)
        y = y if summand is None else y + summand
        if self.activation == "relu6":
            return F.relu6(y)
        return F.relu(y) if self.activation else y

    def _pad(self, x: Tensor) -> tuple[Tensor, list[int]]:
        """Pad as `SamePadConv2d` does, and say what padding is left to the convolution."""
        if self.stride == 1:
            return x, [self.kernel // 2] * 2
        if is_traced():  # a graph is for sides that are multiples of the network's alignment: even, here
            rows = columns = self.kernel - 2
        else:
            rows, columns = same_padding(x, self.kernel, self.stride)
        if rows % 2 == columns % 2 == 0:
            return x, [rows // 2, columns // 2]
        return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)), [0, 0]
