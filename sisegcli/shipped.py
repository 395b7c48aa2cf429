"""Weights that ship, by name."""

from __future__ import annotations

from pathlib import Path

from sisegcli.errors import CheckpointError


def weights_folder() -> Path:
    """Return the folder of shipped weights: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


def weights_path(name: str | Path) -> Path:
    """Find weights by name (``default``, ``paper``) or by file.

    Raises
    ------
    CheckpointError
        If neither is there.

    Examples
    --------
    >>> weights_path("default").name
    'default.safetensors'
    """
    shipped = weights_folder() / f"{name}.safetensors"
    if Path(name).name == str(name) and shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    names = ", ".join(sorted(path.stem for path in weights_folder().glob("*.safetensors"))) or "none"
    raise CheckpointError(f"No weights called '{name}', and no such file; shipped are: {names}.")
