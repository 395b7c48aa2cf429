"""Exported files by the ends of their names: which kind they are, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sisegcli.errors import CheckpointError
from sisegcli.network.config import NetworkConfig
from sisegcli.network.exported.graphs import KINDS, Description

if TYPE_CHECKING:
    from sisegcli.network.model import SisegNetwork


def exported_kind(path: Path) -> str | None:
    """Return the kind of an exported file, ``onnx`` or ``openvino``; None for what is none.

    Raises
    ------
    CheckpointError
        If it is TorchScript, which is never read.

    Examples
    --------
    >>> exported_kind(Path("a.onnx")), exported_kind(Path("default.safetensors"))
    ('onnx', None)
    """
    suffix = path.suffix.lower()
    if suffix == KINDS["torchscript"]:
        raise CheckpointError(
            f"{path} is not read, because a .pt file can hold any program; use the .safetensors file, or ONNX."
        )
    return {end: kind for kind, end in KINDS.items()}.get(suffix)


def companions(path: Path) -> list[Path]:
    """Return the files that belong to weights, with the file itself.

    >>> [path.name for path in companions(Path("a.xml"))]
    ['a.xml', 'a.bin']
    """
    return [path, path.with_suffix(".bin")] if exported_kind(path) == "openvino" else [path]


def describe_exported(path: Path) -> Description:
    """Read what an exported file says of itself, without running it.

    Raises
    ------
    CheckpointError
        If it is damaged or foreign.
    """
    return _read(path)[1]


def load_exported(path: Path) -> tuple[SisegNetwork, NetworkConfig]:
    """Read an exported file; what comes back is called like a `SisegNetwork`, and runs on the processor.

    Raises
    ------
    CheckpointError
        If it is damaged or foreign, or if its engine is missing.
    """
    from sisegcli.network.exported.engines import ExportedNetwork
    from sisegcli.network.exported.onnx_file import onnx_runs
    from sisegcli.network.exported.openvino_file import openvino_runs

    content, description = _read(path)
    runs = (onnx_runs if exported_kind(path) == "onnx" else openvino_runs)(path, content, description)
    network = ExportedNetwork(description, runs, path)
    network.try_out()
    return cast("SisegNetwork", network), description.config


def _read(path: Path) -> tuple[Any, Description]:
    from sisegcli.network.exported.onnx_file import read_onnx
    from sisegcli.network.exported.openvino_file import read_openvino

    try:
        return (read_onnx if exported_kind(path) == "onnx" else read_openvino)(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
