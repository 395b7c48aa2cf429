"""The state of a training run: averaged weights, and what a resumed run needs to go on as if it had not stopped."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from sisegcli.errors import CheckpointError
from sisegcli.network.model import SisegNetwork


class Average:
    """Exponential moving average of a network's parameters and running statistics."""

    def __init__(self, network: SisegNetwork, decay: float = 0.998) -> None:
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: SisegNetwork) -> None:
        """Move toward the network's present values; faster in the beginning."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, theirs in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a run's state in one step; tensors, numbers and strings only, so that it loads without pickle's risks."""
    temporary = path.with_name(path.name + ".partial")
    torch.save(state, temporary)
    temporary.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read a run's state.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"No run to resume at {path}; leave out --resume to start one.")
    try:
        state: dict[str, Any] = dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever a damaged file provokes
        raise CheckpointError(f"{path} is damaged and cannot be resumed; start a new run with --overwrite.") from error
    return state
