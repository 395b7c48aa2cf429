"""Files that appear whole or not at all: written to a temporary name in the same folder, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from sisegcli.errors import OutputError


def refuse_existing(*paths: Path, overwrite: bool) -> None:
    """Raise `OutputError` for the first path that exists, unless it may be replaced."""
    for path in paths:
        if path.is_dir() or (not overwrite and path.exists()):
            raise OutputError(f"{path} exists already; choose another folder with --out, or pass --overwrite.")


def temporary_name(path: Path) -> Path:
    """Return the name under which `path` is written until it is whole; its folder is made."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors (no space, no permission) into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written ({reason}); choose another folder with --out.") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`: renamed to it at the end, removed after an error."""
    temporary = temporary_name(path)
    try:
        with output_errors(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def below(folder: Path, stem: str, suffix: str) -> Path:
    """Return the file of a stem, which must stay below the output folder.

    >>> below(Path("out"), "street/0001", ".png").as_posix()
    'out/street/0001.png'
    """
    parts = PurePath(stem).parts
    if not parts or ".." in parts or PurePath(stem).anchor:
        raise OutputError(f"'{stem}' leads out of {folder}; give names below the image folder.")
    return folder / f"{stem}{suffix}"
