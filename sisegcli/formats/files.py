"""Files that appear whole or not at all: written to a temporary name in the same folder, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path, PurePath

from sisegcli.errors import OutputError, StorageError

SUFFIX = ".part"
"""How the names of unfinished files end; they begin with a dot."""

LONGEST = 255
"""Bytes of a name, at most, on the file systems that matter."""
ROOM = 40
"""Of these, for what is added to a name while the file is unfinished."""

_NO_MORE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "ETIMEDOUT")
    if hasattr(errno, name)
}
"""What the system says where no other file could be written, either."""


def refuse_existing(*paths: Path, overwrite: bool) -> None:
    """Raise `OutputError` for the first path that exists, unless it may be replaced."""
    for path in paths:
        if path.is_dir() or (not overwrite and path.exists()):
            raise OutputError(f"{path} exists already; choose another folder with --out, or pass --overwrite.")


def refuse_links(out: Path, paths: Iterable[Path]) -> None:
    """Refuse folders of an output folder, at any depth, that are links to somewhere outside.

    The output folder itself may be a link, as the user named it.

    Raises
    ------
    OutputError
        If there is such a link; it is named.
    """
    root = out.resolve()

    def check(place: Path) -> None:
        if place.is_symlink() and not place.resolve().is_relative_to(root):
            raise OutputError(f"{place} is a link that leads out of {out}; remove it, or choose another --out.")

    for path in paths:
        for folder in (*reversed([p for p in path.parents if p.is_relative_to(out) and p != out]), path):
            check(folder)
        for place, folders, _ in os.walk(path):
            for name in folders:
                check(Path(place, name))


def temporary_name(path: Path) -> Path:
    """Return the name under which `path` is written until it is whole; its folder is made."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{_hidden(path)}{os.getpid()}{SUFFIX}")


def _hidden(path: Path) -> str:
    """Return how temporary names of a file begin: with its name, or what there is room for, and a checksum."""
    raw = os.fsencode(path.name)
    if len(raw) > LONGEST - ROOM:
        raw = raw[: LONGEST - ROOM - 9].decode("utf-8", "ignore").encode() + b"-%08x" % zlib.crc32(raw)
    return f".{os.fsdecode(raw)}."


def remove_unfinished(*folders: Path) -> None:
    """Remove what a run that was killed left under temporary names in folders, at any depth."""
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                if name.startswith(".") and name.endswith(SUFFIX):
                    Path(place, name).unlink(missing_ok=True)


def remove_abandoned(path: Path) -> None:
    """Remove what processes that are gone left of `path` under temporary names, beside it.

    Those of processes that run stay, also where another machine has such a process by chance.
    """
    head = _hidden(path)
    for unfinished in path.parent.glob(f"{escape(head)}*{SUFFIX}"):
        number = unfinished.name[len(head) :].split(".", 1)[0]
        if not number.isdecimal() or _runs(int(number)):
            continue
        if unfinished.is_dir() and not unfinished.is_symlink():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            with suppress(OSError):
                unfinished.unlink()


def _runs(process: int) -> bool:
    """Return whether there may be a process of this number."""
    if os.name == "nt":  # asking would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    return True


@contextmanager
def hidden_folder(path: Path) -> Iterator[Path]:
    """Yield a folder for work on `path`, beside it under a temporary name, and remove it at the end.

    What processes that are gone left there before is removed, too.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        folder = Path(tempfile.mkdtemp(prefix=f"{_hidden(path)}{os.getpid()}.", suffix=SUFFIX, dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def flush_to_disk(path: Path) -> None:
    """Return when a file's content would survive a loss of power."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors (no space, no permission) into an `OutputError` that names `path`.

    It is a `StorageError` where the next file would fare no better.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        sentence = f"{path} cannot be written ({reason}); choose another folder with --out."
        if error.errno in _NO_MORE:
            raise StorageError(sentence, reason) from error
        raise OutputError(sentence) from error


@contextmanager
def replacing(path: Path, *, tidy: bool = False) -> Iterator[Path]:
    """Yield a temporary name beside `path`: renamed to it at the end, removed after an error.

    `tidy` first removes what killed processes left of it. That lists the folder, so it is not for folders of many.
    """
    temporary = temporary_name(path)
    if tidy:
        remove_abandoned(path)
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
    path = folder / f"{stem}{suffix}"
    if (length := len(os.fsencode(path.name))) > LONGEST:
        raise OutputError(f"'{path.name}' is a name of {length} bytes, and {LONGEST} are the most; rename the image.")
    return path
