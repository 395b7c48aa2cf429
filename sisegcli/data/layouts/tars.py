"""Archives in the form of WebDataset: tar files in which ``x.jpg`` and ``x.mask.png`` are a pair.

A member's key is its path up to the first dot of its name, as in the webdataset package. An archive is walked once for
the places of its members; these are read from there when they are needed, and nothing is unpacked.
"""

from __future__ import annotations

import functools
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sisegcli.data.images import EXTENSIONS
from sisegcli.data.layouts.category_files import find_categories
from sisegcli.data.layouts.pairing import LOSSLESS, LOSSY
from sisegcli.data.layouts.records import Layout, Pair, Problem, counted
from sisegcli.errors import InputError, LayoutError

TAR = ".tar"

_MASKS = ("mask", "masks", "seg", "label", "labels", "semantic")
"""What the mask's extension may begin with: ``x.seg.png``."""

_OPENED = 64
"""Archives whose members' places are remembered; others are walked again."""


class Archive(NamedTuple):
    """Where an archive's files are.

    Attributes
    ----------
    members : dict
        Offset and size of each file, in bytes, in order of the archive.
    problems : tuple of str
        What is wrong with other members, without the archive's name.
    """

    members: dict[str, tuple[int, int]]
    problems: tuple[str, ...]


def find_archives(root: Path) -> list[Path]:
    """Return the archives that are meant: the file itself, or those of a folder that has neither images nor folders."""
    if root.suffix.lower() == TAR and root.is_file():
        return [root]
    if not root.is_dir():
        return []
    there = [path for path in sorted(root.iterdir()) if not path.name.startswith(".")]
    if any(path.is_dir() or path.suffix.lower() in EXTENSIONS for path in there):
        return []
    return [path for path in there if path.suffix.lower() == TAR]


def pair_archives(archives: Sequence[Path]) -> Layout:
    """Pair images and masks in archives.

    The image is ``x.jpg`` (or another format), its mask ``x.mask.png`` (or ``seg``, ``label``, ``semantic``), or
    ``x.png`` beside an image of another format. Other members (``x.json``, say) are passed over. Pairs have paths below
    their archive, ``000.tar/x.jpg``, from which `Archives` reads.

    Raises
    ------
    LayoutError
        If there is no pair at all.
    CategoryError
        If a list of categories beside the archives cannot be read.
    """
    pairs: dict[str, Pair] = {}
    problems: list[Problem] = []
    read_archive.cache_clear()  # an earlier run may have seen other archives in these places
    for path in archives:
        found = read_archive(path)
        problems += [Problem(path, f"{path} {sentence}") for sentence in found.problems]
        for pair in _pairs(path, found.members, problems):
            first = pairs.setdefault(pair.stem, pair)
            if first is not pair:
                sentence = f"{pair.image} has the same key as {first.image}; rename one."
                problems.append(Problem(pair.image, sentence))
    if not pairs:
        more = f" ({problems[0].sentence.rstrip('.')})" if problems else ""
        raise LayoutError(
            f"{archives[0]} has no images and masks that can be paired, such as x.jpg and x.mask.png{more}; pack them."
        )
    one = pairs[min(pairs)]
    count = f"{len(archives)} archive{'s' * (len(archives) > 1)}"
    return Layout(
        "webdataset",
        f"WebDataset: {counted(list(pairs.values()))} in {count}, such as {one.image} with {one.mask.name}.",
        [pairs[stem] for stem in sorted(pairs)],
        sorted(problems),
        find_categories([archives[0].parent]),
    )


def _pairs(path: Path, members: Iterable[str], problems: list[Problem]) -> Iterable[Pair]:
    """Yield the pairs of an archive, and note what has no partner."""
    groups: dict[str, dict[str, str]] = {}
    for name in members:
        key, extension = split_key(name)
        groups.setdefault(key, {})[extension] = name
    for key, files in groups.items():
        masks = [extension for extension in files if _is_mask(extension)]
        images = sorted((e for e in files if f".{e}" in EXTENSIONS), key=lambda e: EXTENSIONS.index(f".{e}"))
        if not masks and "png" in images and len(images) > 1:
            masks = ["png"]
            images.remove("png")
        if images and masks:
            yield Pair(key, path / files[images[0]], path / files[masks[0]])
        for extension in images[1:]:
            one, other = path / files[extension], files[images[0]]
            problems.append(Problem(one, f"{one} is a second image beside {other}; remove one."))
        for extension in masks[1:]:
            one, other = path / files[extension], files[masks[0]]
            problems.append(Problem(one, f"{one} is a second mask beside {other}; remove one."))
        if images and not masks:
            one = path / files[images[0]]
            problems.append(Problem(one, f"{one} has no mask; add it or remove the image."))
        if masks and not images:
            one = path / files[masks[0]]
            problems.append(Problem(one, f"{one} has no image; add it or remove the mask."))


def split_key(name: str) -> tuple[str, str]:
    """Split a member's name into key and extension, as the webdataset package does.

    >>> split_key("street.1/0001.mask.PNG"), split_key("README")
    (('street.1/0001', 'mask.png'), ('README', ''))
    """
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return f"{folder}{slash}{stem}", extension.lower()


def _is_mask(extension: str) -> bool:
    kind, _, form = extension.partition(".")
    return kind in _MASKS and f".{form}" in (*LOSSLESS, *LOSSY)


@functools.lru_cache(maxsize=_OPENED)
def read_archive(path: Path) -> Archive:
    """Walk an archive for the places of its files; hidden ones are passed over, and damage ends the walk."""
    members: dict[str, tuple[int, int]] = {}
    problems: list[str] = []
    try:
        size = path.stat().st_size
        if not size:
            return Archive({}, ("is empty here; copy archives from a store to a disk first.",))
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # or all of them are kept
                name = member.name.removeprefix("./")
                parts = PurePosixPath(name).parts
                if member.isdir() or not parts or parts[-1].startswith("."):
                    continue
                if not member.isreg() or member.issparse():
                    problems.append(f"holds {name}, which is no plain file; pack the file itself.")
                elif ".." in parts or name.startswith("/"):
                    problems.append(f"holds {name}, which leads out of the archive; rename it.")
                elif member.offset_data + member.size > size:
                    problems.append(f"ends in the middle of {name}; fetch it again.")
                    return Archive(members, tuple(problems))
                elif name in members:
                    problems.append(f"holds {name} twice; the first one is used.")
                else:
                    members[name] = (member.offset_data, member.size)
            end = tar.offset
        with path.open("rb") as file:
            file.seek(end)
            if any(file.read(tarfile.BLOCKSIZE)):  # tarfile takes rubbish for the end
                problems.append(f"is damaged after {len(members)} files; fetch it again.")
    except (tarfile.TarError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.append(f"is damaged, or no tar file without compression ({reason}); fetch or pack it again.")
    return Archive(members, tuple(problems))


class Archives:
    """Reads members of archives by paths below them."""

    def holds(self, place: Path) -> bool:
        """Return whether a path lies in an archive."""
        return _archive_of(place) is not None

    def get(self, place: Path, target: Path) -> None:
        """Copy a member to a file.

        Raises
        ------
        InputError
            If it is not there, or cannot be read.
        """
        archive = _archive_of(place)
        name = "" if archive is None else place.relative_to(archive).as_posix()
        members = {} if archive is None else read_archive(archive).members
        if archive is None or name not in members:
            raise InputError(f"{place} is not there any more; leave archives alone while they are read.")
        offset, size = members[name]
        try:
            with archive.open("rb") as source, target.open("wb") as out:
                source.seek(offset)
                while size and (block := source.read(min(size, 1 << 20))):
                    out.write(block)
                    size -= len(block)
        except OSError as error:
            raise InputError(f"{place} cannot be read ({error.strerror or error}); check the disk.") from error
        if size:
            raise InputError(f"{place} ends too early; fetch {archive.name} again.")


def _archive_of(place: Path) -> Path | None:
    """Return the archive that a path lies in."""
    return next((path for path in place.parents if path.suffix.lower() == TAR and path.is_file()), None)
