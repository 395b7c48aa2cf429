"""Archives of data sets as they are downloaded, unpacked without trust in what they say.

No name may lead out of the folder, links and devices are left out, a file may not come twice, and numbers and sizes
have limits. An archive is unpacked beside its place and put there when it is whole, so a folder that is there is whole.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from sisegcli.data.layouts.records import leads_out
from sisegcli.errors import InputError
from sisegcli.formats.files import output_errors

MAX_FILES = 2**21
"""Files in an archive; the full ADE20K has some 700,000."""
MAX_FILE = 2**30
"""Bytes of one file."""
MAX_TOTAL = 2**36
"""Bytes of all files that are unpacked: 64 GiB."""

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")

_BLOCK = 2**20
_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError)

Opened = tuple[str, int, Callable[[], IO[bytes]]]
"""Name of a file in an archive, its size in bytes, and how to open it."""


def is_archive(path: Path) -> bool:
    """Return whether a path is called like an archive, and is a file.

    >>> is_archive(Path("benchmarks"))
    False
    """
    return path.name.lower().endswith(ENDINGS) and path.is_file()


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> int:
    """Unpack an archive into a folder that does not exist yet; do nothing where it exists.

    Parameters
    ----------
    archive : Path
        A tar file, compressed or not, or a zip file.
    folder : Path
        Where its files go.
    wanted : callable
        Says of a name, with forward slashes, whether it is needed.

    Returns
    -------
    int
        How many files were unpacked.

    Raises
    ------
    InputError
        If the archive is damaged or hostile, or holds nothing that is wanted.
    """
    if folder.exists():
        return 0
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with _errors(archive):
            count = _copy_all(archive, unfinished, wanted)
        if not count:
            raise InputError(f"{archive} holds no file that is needed here; is it the right archive?")
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return count


@contextmanager
def _errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*_DAMAGE, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive} cannot be unpacked ({error}); download it again.") from error


def _copy_all(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> int:
    entries = _zip_entries(archive) if archive.suffix.lower() == ".zip" else _tar_entries(archive, folder)
    total = count = 0
    for number, (name, size, opening) in enumerate(entries, start=1):
        if leads_out(name) or "\\" in name or ":" in name:
            raise InputError(f"{archive} holds {name[:99]!r}, which leads out of its folder; don't use it.")
        if number > MAX_FILES:
            raise InputError(f"{archive} holds more than {MAX_FILES:,} files; don't use it.")
        total += size
        if size > MAX_FILE or total > MAX_TOTAL:
            raise InputError(f"{archive} holds more than is allowed, at {name[:99]!r} ({size:,} bytes); don't use it.")
        if not wanted(name):
            continue
        target = folder / name
        if target.exists():
            raise InputError(f"{archive} holds {name[:99]!r} twice; download it again.")
        with opening() as source:
            _copy(source, target, size)
        count += 1
    return count


def _copy(source: IO[bytes], target: Path, size: int) -> None:
    """Copy as many bytes as were announced; more or fewer are an error."""
    left = size
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    with file:
        while block := source.read(min(_BLOCK, left + 1)):
            left -= len(block)
            with output_errors(target):
                file.write(block)
            if left < 0:
                break
    if left:
        raise ValueError("a file has another size than the archive says")


def _tar_entries(archive: Path, folder: Path) -> Iterator[Opened]:
    if not hasattr(tarfile, "data_filter"):
        raise InputError(f"{archive} is a tar file, which needs Python 3.10.12, 3.11.4 or a later one; update Python.")
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile():  # folders are made as they are needed; links and devices are not
                continue
            tarfile.data_filter(member, str(folder))
            yield member.name.removeprefix("./"), member.size, partial(_opened, tar, member)


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    if found is None:
        raise ValueError(f"{member.name} has no content")
    return found


def _zip_entries(archive: Path) -> Iterator[Opened]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            yield entry.filename, entry.file_size, partial(packed.open, entry)
