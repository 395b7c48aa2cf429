"""Join several outputs of our writers into the one that a single run would have written, byte for byte.

Everything is streamed: memory stays flat however large the files are.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

from sisegcli.data.layouts.records import leads_out
from sisegcli.errors import InputError
from sisegcli.formats.files import output_errors, replacing
from sisegcli.formats.names import Names, names_beside
from sisegcli.formats.own_files import foreign, lines, records, value

_START = (',\n"licenses": [],\n"images": [', '\n],\n"annotations": [', '\n],\n"categories": [')


def join_coco(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join files of a `CocoStream`; images and annotations are numbered through, categories united.

    Parameters
    ----------
    paths : sequence of Path
        Files such as `CocoWriter` writes, in the order of their images.
    target : Path
        The file to write; an existing one is replaced.
    disjoint : bool
        The files are known to have no image in common; else this is checked.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    InputError
        If a file has another form or version, an image is in two of them, or a category has two names.
    OutputError
        If `target` cannot be written.
    """
    with replacing(target) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write(_common_start(paths))
        with nullcontext() if disjoint else names_beside(target, paths) as names:
            counts = _join_images(paths, out, names)
        out.write(_START[1])
        _join_annotations(paths, counts, out)
        out.write(_START[2])
        _join_categories(paths, out)
        out.write("\n]}\n")
    return sum(counts)


def _common_start(paths: Sequence[Path]) -> str:
    """Return the beginning, which is the same in all files of one version."""
    starts = []
    for path in paths:
        starts.append(next(lines(path), ""))
        if not starts[-1].startswith('{"info": {"description": "Instances from sisegcli"'):
            raise foreign(path)
        if starts[-1] != starts[0]:
            raise InputError(
                f"{path} and {paths[0]} are from different versions of sisegcli; convert one of them again."
            )
    return starts[0].rstrip(",\n") + _START[0]


def _join_images(paths: Sequence[Path], out: TextIO, names: Names | None) -> list[int]:
    counts, total = [], 0
    for number, path in enumerate(paths):
        before = total
        for image in _records(path, "images"):
            name = value(image, "file_name", str, path)
            if names is not None:
                names.add(name, number)
            out.write(",\n" if total else "\n")
            total += 1
            if value(image, "id", int, path) != total - before:
                raise foreign(path)
            out.write(_line({**image, "id": total}))
        counts.append(total - before)
    return counts


def _join_annotations(paths: Sequence[Path], counts: Sequence[int], out: TextIO) -> None:
    images = number = 0
    for path, count in zip(paths, counts, strict=True):
        for annotation in _records(path, "annotations"):
            out.write(",\n" if number else "\n")
            number += 1
            own = {"id": number} if "id" in annotation else {}  # those of panoptic files have none
            image = value(annotation, "image_id", int, path)
            if not 1 <= image <= count:
                raise foreign(path)
            out.write(_line({**annotation, **own, "image_id": image + images}))
        images += count


def _join_categories(paths: Sequence[Path], out: TextIO) -> None:
    found: dict[int, tuple[dict[str, Any], Path]] = {}
    for path in paths:
        for category in _records(path, "categories"):
            number, name = value(category, "id", int, path), value(category, "name", str, path)
            known, where = found.setdefault(number, (category, path))
            if known != category:
                raise InputError(
                    f"Category {number} is {known['name']!r} in {where} and {name!r} in {path}, or differs in its "
                    "kind; convert both with the same --categories."
                )
    out.write("".join(f"{',' if n else ''}\n{_line(found[key][0])}" for n, key in enumerate(sorted(found))))


def _records(path: Path, section: str) -> Iterator[dict[str, Any]]:
    return records(path, f'"{section}": [')


def join_tables(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join the ``instances.csv`` files of `VocWriter`, or other tables; no images are counted.

    Raises
    ------
    InputError
        If a file cannot be read or has other columns.
    OutputError
        If `target` cannot be written.
    """
    with replacing(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        first = ""
        for path in paths:
            rows = lines(path)
            header = next(rows, "")
            if not first:
                out.write(header)
            first = first or header
            if header != first:
                raise InputError(f"{path} and {paths[0]} have different columns; convert one of them again.")
            out.writelines(rows)
    return 0


def join_folders(folders: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Copy the files of several folders, and of the folders inside, into one that does not exist yet.

    Hidden files stay where they are.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    InputError
        If a file is in two of them.
    OutputError
        If a file cannot be copied.
    """
    number = 0
    with output_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                source = Path(place) / name
                if name.startswith("."):
                    continue
                path = target / source.relative_to(folder)
                if path.exists():
                    inside = source.relative_to(folder)
                    raise InputError(
                        f"{inside} is in {folder} and elsewhere too; join only outputs of different images."
                    )
                _copy(source, path)
                number += 1
    return number


def _copy(source: Path, path: Path) -> None:
    if not source.is_file():
        raise InputError(f"{source} is no file, or a link to none; remove it, or convert its image again.")
    try:
        file = source.open("rb")
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror or error}); check its permissions.") from error
    with file, output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)


def join_archives(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join the ``instances.tar`` files of `WebDatasetWriter`; for the parameters, see `join_coco`.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    InputError
        If a file cannot be read, or an image is in two of them.
    OutputError
        If `target` cannot be written.
    """
    with (
        replacing(target) as temporary,
        tarfile.open(temporary, "w") as out,
        nullcontext() if disjoint else names_beside(target, paths) as names,
    ):
        return sum(_join_members(path, out, names, number) for number, path in enumerate(paths))


def _join_members(path: Path, out: tarfile.TarFile, names: Names | None, place: int) -> int:
    number = 0
    if not path.is_file():
        raise foreign(path)
    end = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                plain = member.isfile() and not member.issparse() and not leads_out(member.name)
                if not plain or member.offset_data + member.size > end:
                    raise foreign(path)
                if names is not None:
                    names.add(member.name, place)
                out.addfile(member, tar.extractfile(member))
                number += member.name.endswith(".json")
                tar.members = out.members = []  # type: ignore[attr-defined]  # or all of them are kept
            end_of_archive = tar.offset
        with path.open("rb") as file:
            file.seek(end_of_archive)
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:  # cut short, or damaged on the way
                raise foreign(path)
    except (tarfile.TarError, UnicodeError, ValueError) as error:
        raise foreign(path) from error
    return number


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
