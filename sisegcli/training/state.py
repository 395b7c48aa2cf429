"""The state of a training run: averaged weights, and what a resumed run needs to go on as if it had not stopped."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sisegcli.data.texts import parse_json
from sisegcli.errors import CheckpointError, OutputError
from sisegcli.formats.files import flush_to_disk, output_errors, replacing
from sisegcli.network.model import SisegNetwork
from sisegcli.network.torch_files import read_torch_file

STATE = "state.safetensors"
"""Name of a run's state in its folder."""
BEFORE = "last.pt"
"""Name that it had in earlier versions, when torch wrote it; it is read once more, and gone with the next state."""

FORMAT = "sisegcli-state-1"


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


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a run's state in one step: tensors as safetensors, numbers and texts as JSON in its metadata.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    metadata = {"format": FORMAT, "state": json.dumps(_parted(state, tensors))}
    temporary = path.with_name(path.name + ".partial")
    try:
        with output_errors(path):
            save_file(tensors, temporary, metadata)
            flush_to_disk(temporary)
            temporary.replace(path)
        path.with_name(BEFORE).unlink(missing_ok=True)
    except SafetensorError as error:  # so it says that a disk is full
        raise OutputError(f"{path} cannot be written ({error}); make room, and go on with --resume.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _parted(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return plain data, with the names of tensors in their places; dictionaries as pairs, as keys may be numbers."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous()
        return {"tensor": name, "last": _channels_last(value)}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _parted(one, tensors)] for key, one in value.items()]}
    return [_parted(one, tensors) for one in value] if isinstance(value, list | tuple) else value


def _joined(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return what `_parted` took apart; sequences are lists."""
    if isinstance(value, list):
        return [_joined(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if "pairs" in value:
        return {key: _joined(one, tensors) for key, one in value["pairs"]}
    tensor = tensors[value["tensor"]]
    # The order of numbers in memory decides how they are computed with, and so their last bits.
    return tensor.contiguous(memory_format=torch.channels_last) if value["last"] else tensor


def _channels_last(value: Tensor) -> bool:
    return value.dim() == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last)


def trim_log(path: Path, step: int) -> bool:
    """Remove the lines of later steps, and half a line, from the log of a run that was killed.

    Returns
    -------
    bool
        Whether the step itself was measured on the validation set.
    """
    lines, measured = [], False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            record = parse_json(line)
            done = record["step"] <= step
        except (KeyError, TypeError, ValueError):
            break
        if done:
            lines.append(line + "\n")
            measured = record["step"] == step and ("val_ap" in record or measured)
    with replacing(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return measured


def find_state(out: Path) -> Path:
    """Return where the state of a run is: under its old name where that is there alone."""
    path, before = out / STATE, out / BEFORE
    return before if before.is_file() and not path.is_file() else path


def read_state(path: Path) -> dict[str, Any]:
    """Read a run's state, also as earlier versions wrote it.

    Raises
    ------
    CheckpointError
        If there is none, or it is damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"No run to resume at {path}; leave out --resume to start one.")
    try:
        if path.name == BEFORE:
            return dict(read_torch_file(path))
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError("it is another kind of file")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return dict(_joined(parse_json(metadata["state"]), tensors))
    except (AttributeError, OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged and cannot be resumed; start a new run with --overwrite.") from error
