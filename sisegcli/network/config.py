"""What a checkpoint says of itself, read without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sisegcli.data.texts import parse_json
from sisegcli.errors import CheckpointError

FORMAT = "sisegcli-1"

# What a checkpoint may ask for: far more than is of use, and little enough for any machine.
MAX_WIDTH = 1024
MAX_LONG_SIDE = 2**15
MAX_MAGNIFY = 16.0


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build a network and to run it as it was trained.

    Attributes
    ----------
    backbone : str
        A name of `checkpoint.BACKBONES`.
    width : int
        Channels of the heads.
    guided : bool
        Whether the heads see which pixels belong to things.
    membership : bool
        Whether a membership network comes along.
    edges : bool
        Whether an edge refiner comes along; its backbone is the first five stages of EfficientNet-Lite0.
    wholeness : bool
        Whether a wholeness network comes along; its backbone is EfficientNet-Lite0 up to half of the sixth stage.
    long_side : int
        Images are shrunk to this longest side, in pixels, before they enter the network; 0: never.
    magnify : float
        Images are enlarged by this factor first, for small objects.
    mean_displacement : tuple of float
        The mean field (y, x) over the training data, subtracted at inference (IRNet).
    grouping : mapping
        Parameters of grouping that were fitted to this network; empty: the defaults.
    """

    backbone: str = "efficientnet_lite0"
    width: int = 64
    guided: bool = False
    membership: bool = False
    edges: bool = False
    wholeness: bool = False
    long_side: int = 512
    magnify: float = 1.0
    mean_displacement: tuple[float, float] = (0.0, 0.0)
    grouping: Mapping[str, float | str] = field(default_factory=dict)


def read_metadata(path: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Read a checkpoint's metadata and how large its tensors are.

    Returns
    -------
    metadata : dict
        What `save_checkpoint` wrote: format, configuration, notes.
    sizes : dict
        Numbers in each tensor, by name.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or not a checkpoint of sisegcli.
    """
    if not path.is_file():
        raise CheckpointError(f"No weights at {path}; give --weights a name or an existing .safetensors file.")
    try:
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
            sizes = {name: math.prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file, or it is damaged; fetch it again or train one with 'sisegcli train'."
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds no sisegcli network (format {metadata.get('format', 'unknown')!r}); "
            "use a file that 'sisegcli train' wrote."
        )
    return metadata, sizes


def read_config(path: Path) -> NetworkConfig:
    """Read a checkpoint's configuration without its tensors.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or not a checkpoint of sisegcli.
    """
    return parse_config(path, read_metadata(path)[0])


def parse_config(path: Path, metadata: Mapping[str, str]) -> NetworkConfig:
    """Read the configuration in a file's metadata.

    Raises
    ------
    CheckpointError
        If no network can be built of it, or only a vast one.
    """
    try:
        fields: dict[str, Any] = parse_json(metadata["config"])
        fields["mean_displacement"] = tuple(fields.get("mean_displacement", (0.0, 0.0)))
        config = NetworkConfig(**fields)
        _check(config)
        return config
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path} has a configuration that this version cannot read; update sisegcli.") from error


def _check(config: NetworkConfig) -> None:
    """Raise `TypeError` or `ValueError` for a configuration of which no network can be built, or only a vast one."""
    flags = (config.guided, config.membership, config.edges, config.wholeness)
    if type(config.backbone) is not str or not all(type(flag) is bool for flag in flags):
        raise TypeError
    for size, least, most in ((config.width, 1, MAX_WIDTH), (config.long_side, 0, MAX_LONG_SIDE)):
        if type(size) is not int or not least <= size <= most:
            raise ValueError
    if type(config.magnify) not in (int, float) or not 0 < config.magnify <= MAX_MAGNIFY:
        raise ValueError
    vertical, horizontal = config.mean_displacement
    if not (math.isfinite(vertical) and math.isfinite(horizontal)):
        raise ValueError
    if not all(math.isfinite(v) for v in dict(config.grouping).values() if not isinstance(v, str)):
        raise ValueError
