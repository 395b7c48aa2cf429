"""What tests of networks that look at windows share: a tiny backbone, and windows to look at."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """A backbone of four layers, with a batch norm."""

    channels, strides, mean, std = (3, 4, 5, 6), (2, 4, 8, 16), (0.5,) * 3, (0.25,) * 3

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 3, 3, 2, 1), nn.BatchNorm2d(3)
        self.second, self.third = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 2, 1)
        self.fourth = nn.Conv2d(5, 6, 3, 2, 1)

    def forward(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        x = self.norm(self.first(x))
        y = self.second(x)
        y = y if extra is None else y + extra
        z = self.third(y)
        return [x, y, z, self.fourth(z)]

    def load_pretrained(self, state: dict[str, Tensor]) -> None:
        self.load_state_dict(state)


def lively(network: nn.Module) -> nn.Module:
    """Take batch norms' statistics of random windows, so that values neither vanish nor explode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(*looks(4))
    return network.eval()


def looks(count: int, side: int = 64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return noisy windows with things and an instance somewhere on them."""
    noise = torch.Generator().manual_seed(seed)
    windows = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=noise)
    things, instances = torch.zeros(2, count, 1, side, side)
    for number in range(count):
        corner = 4 * number % (side // 4)
        things[number, :, corner : corner + side // 2, 8:-8] = 1
        instances[number, :, corner + 4 : corner + side // 3, 12 : side // 2] = 1
    return windows, things, instances
