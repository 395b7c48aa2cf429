"""The state of a training run: averaged weights, and what a resumed run needs to go on as if it had not stopped."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch

from sisegcli.errors import CheckpointError, OutputError
from sisegcli.formats.files import flush_to_disk, output_errors, replacing
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
    try:
        with output_errors(path):
            torch.save(state, temporary)
            flush_to_disk(temporary)
            temporary.replace(path)
    except RuntimeError as error:  # so torch says that a disk is full
        if not any(word in str(error) for word in ("PytorchStreamWriter", "inline_container")):
            raise
        reason = str(error).splitlines()[0]
        raise OutputError(f"{path} cannot be written ({reason}); make room, and go on with --resume.") from error
    finally:
        temporary.unlink(missing_ok=True)


def trim_log(path: Path, step: int) -> bool:
    """Remove the lines of later steps, and half a line, from the log of a run that was killed.

    Returns
    -------
    bool
        Whether the step itself was measured on the validation set.
    """
    lines, measured = [], False
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if record["step"] <= step:
            lines.append(line + "\n")
            measured = record["step"] == step and ("val_ap" in record or measured)
    with replacing(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return measured


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
