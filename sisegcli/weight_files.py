"""What weights files hold, and whether they are as they were published."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sisegcli.data.texts import read_text
from sisegcli.errors import CheckpointError
from sisegcli.network.config import NetworkConfig, read_config, read_metadata
from sisegcli.network.exported.files import companions, describe_exported, exported_kind, load_exported
from sisegcli.shipped import weights_folder

SUMS = "SHA256SUMS"
"""The list of checksums beside weights, as ``sha256sum`` writes it."""

ABOUT = {
    "default": "Converting photographs; what 'sisegcli convert' uses.",
    "paper": "Comparing with the paper: its losses alone.",
}
"""What the weights that ship are for."""

PARTS = ("membership", "edges", "wholeness")
"""Networks that may come along; also how the names of their tensors begin."""

CHUNK = 1 << 20


def shipped_weights() -> list[Path]:
    """Return the files of the weights that ship, by name."""
    return sorted(weights_folder().glob("*.safetensors"))


def describe(path: Path) -> dict[str, Any]:
    """Return what a file says of itself: engine, configuration, parts with the numbers in each, and notes.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or not of sisegcli.
    """
    kind = exported_kind(path)
    config, notes, numbers = _read(path) if kind is None else _read_exported(path)
    fields = asdict(config)
    parts = {"network": True} | {part: fields.pop(part) for part in PARTS}
    return {
        "name": path.stem,
        "file": str(path),
        "bytes": sum(file.stat().st_size for file in companions(path)),
        "engine": kind or "torch",
        "notes": dict(sorted(notes.items())),
        "parts": {part: numbers[part] for part, there in parts.items() if there},
        "grouping": dict(fields.pop("grouping")),
        "config": fields,
    }


def _read(path: Path) -> tuple[NetworkConfig, dict[str, str], Mapping[str, int]]:
    metadata, sizes = read_metadata(path)
    config = read_config(path)
    numbers: Counter[str] = Counter()
    for name, size in sizes.items():
        first = name.split(".", 1)[0]
        numbers[first if first in PARTS else "network"] += size
    return config, {k: v for k, v in metadata.items() if k not in ("format", "config")}, numbers


def _read_exported(path: Path) -> tuple[NetworkConfig, dict[str, str], Mapping[str, int]]:
    told = describe_exported(path)
    return told.config, dict(told.notes), told.sizes


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def listed_sums(folder: Path) -> dict[str, str]:
    """Read the list of checksums of a folder, by file name; a folder without one lists none.

    Raises
    ------
    CheckpointError
        If it cannot be read, or a line is no checksum and name.
    """
    path = folder / SUMS
    if not path.is_file():
        return {}
    found = {}
    try:
        lines = read_text(path, limit=CHUNK).splitlines()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); fetch it again.") from error
    for line in lines:
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise CheckpointError(f"{path} has a line that is no checksum and file name; fetch it again.")
        found[name] = digest.lower()
    return found


def verify(path: Path) -> str | None:
    """Check a weights file: its checksum, where one is listed beside it, and that the network loads and is finite.

    Returns
    -------
    str or None
        The checksum that it was compared with; None if none is listed.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or another than the one that was listed.
    """
    kind = exported_kind(path)
    if kind is None:
        read_metadata(path)
    listed = listed_sums(path.parent).get(path.name)
    if listed is not None and checksum(path) != listed:
        raise CheckpointError(f"{path} is not the file whose checksum {SUMS} lists; fetch it again.")
    if kind is not None:
        load_exported(path)
        return listed
    from sisegcli.network.checkpoint import load_checkpoint

    network, _ = load_checkpoint(path)
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path} holds numbers that are not finite ({name}); fetch it again, or train anew.")
    return listed
