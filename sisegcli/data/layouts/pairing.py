"""Pair images with masks by their names, in two folders or in one."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sisegcli.data.layouts.records import Pair, Problem
from sisegcli.errors import LayoutError

LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif")
"""Extensions that masks should have, in order of preference."""

LOSSY = (".webp", ".jpg", ".jpeg")
"""Extensions that masks may have too, if only to be refused with a reason when they are read."""

# x_mask.png is the mask of x.jpg.
_SUFFIX = re.compile(r"(?P<stem>.+)[-_](masks?|seg|labels?|semantic)", re.IGNORECASE)

# Cityscapes: a_gtFine_labelIds.png is the mask of a_leftImg8bit.png, among other renderings of the same labels.
_CITYSCAPES = re.compile(r"(?P<stem>.+)_gt(Fine|Coarse)_labelIds")
_CITYSCAPES_OTHER = re.compile(r".+_gt(Fine|Coarse)_(color|instanceIds|labelTrainIds|instanceTrainIds)")

# Train ids are masks where there is nothing better: Cityscapes' a_gtFine_labelTrainIds.png, and what mmsegmentation
# makes of COCO-Stuff, a_labelTrainIds.png.
_TRAIN_IDS = re.compile(r"(?P<stem>.+?)(?P<city>_gt(Fine|Coarse))?_labelTrainIds")

Stems = dict[str, list[Path]]


class Match(NamedTuple):
    """What came of pairing.

    Attributes
    ----------
    pairs : list of Pair
        In order of stem.
    doubles : list of Problem
        Second files for one image or one mask.
    images_alone, masks_alone : list of Path
        Files without a partner, which are a problem in some layouts and not in others.
    """

    pairs: list[Pair]
    doubles: list[Problem]
    images_alone: list[Path]
    masks_alone: list[Path]


def list_stems(folder: Path, extensions: Sequence[str], *, without: Iterable[Path] = (), deep: bool = True) -> Stems:
    """List the files of a folder by stem.

    Parameters
    ----------
    folder : Path
        Where to look; hidden files and folders are passed over, links to folders followed.
    extensions : sequence of str
        Extensions in lower case, in order of preference.
    without : iterable of Path
        Folders to leave out.
    deep : bool
        Whether to look in the folders inside too.

    Returns
    -------
    dict
        Files of each stem, best extension first; the stem is the path within `folder` without extension, with forward
        slashes. In order of stem.
    """
    seen = {path.resolve() for path in without} - {folder.resolve()}
    found: defaultdict[str, list[Path]] = defaultdict(list)
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        if current.resolve() in seen:
            continue
        seen.add(current.resolve())
        for name, is_folder in _entries(current):
            if not name.startswith("."):
                path = current / name
                if is_folder:
                    if deep:
                        waiting.append(path)
                elif path.suffix.lower() in extensions:
                    found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return {
        stem: sorted(found[stem], key=lambda path: (extensions.index(path.suffix.lower()), path.name))
        for stem in sorted(found)
    }


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, and which of them are folders, or links to folders."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, _is_folder(entry)) for entry in entries]
    except OSError as error:
        raise LayoutError(f"{folder} cannot be listed ({error.strerror or error}); see to its permissions.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: taken for a file, of which is told why it cannot be read
        return False


def pair_folders(images: Stems, masks: Stems) -> Match:
    """Pair the images of one folder with the masks of another.

    Parameters
    ----------
    images, masks : dict
        Files by stem. A mask is called as its image is, or has ``_mask``, ``-mask``, ``_seg``, ``_label`` or
        ``_semantic`` at its end; Cityscapes' names are known.
    """
    masks_of: defaultdict[str, list[Path]] = defaultdict(list)
    masks_alone: list[Path] = []
    # Names that are the same come before names with something at the end.
    for stem in sorted(masks, key=lambda stem: (stem not in images, stem)):
        owner = stem if stem in images else _image_stem(stem, images)
        if owner is not None:
            masks_of[owner] += masks[stem]
        elif not (_CITYSCAPES_OTHER.fullmatch(stem) or _TRAIN_IDS.fullmatch(stem)):
            masks_alone += masks[stem]
    if not masks_of:
        for stem in masks:
            if (match := _TRAIN_IDS.fullmatch(stem)) is not None:
                owner = f"{match['stem']}_leftImg8bit" if match["city"] else match["stem"]
                if owner in images:
                    masks_of[owner] += masks[stem]
                else:
                    masks_alone += masks[stem]
    return _match(images, masks_of, masks_alone)


def pair_flat(files: Stems) -> Match:
    """Pair images and masks that lie in one folder.

    Parameters
    ----------
    files : dict
        Files by stem. The mask of ``x.jpg`` is ``x_mask.png`` (or ``-mask``, ``_seg``, ``_label``, ``_semantic``), or
        else ``x.png``.

    Examples
    --------
    >>> files = {name: [Path(f"{name}{suffix}")] for name, suffix in (("a", ".jpg"), ("a_mask", ".png"), ("b", ".jpg"))}
    >>> found = pair_flat(files)
    >>> [(pair.stem, pair.mask.name) for pair in found.pairs], [path.name for path in found.images_alone]
    ([('a', 'a_mask.png')], ['b.jpg'])
    """
    images: Stems = {}
    masks_of: defaultdict[str, list[Path]] = defaultdict(list)
    masks_alone: list[Path] = []
    for stem, paths in files.items():
        match = _SUFFIX.fullmatch(stem)
        if match is None:
            images[stem] = paths
        elif match["stem"] in files:
            masks_of[match["stem"]] += paths
        else:
            masks_alone += paths
    for stem, paths in images.items():
        pngs = [path for path in paths if path.suffix.lower() == ".png"]
        if stem not in masks_of and len(pngs) == 1 < len(paths):
            masks_of[stem] = pngs
            images[stem] = [path for path in paths if path not in pngs]
    return _match(images, masks_of, masks_alone)


def _image_stem(stem: str, images: Stems) -> str | None:
    """Find the image whose stem differs from a mask's by what masks have at their end."""
    if (match := _SUFFIX.fullmatch(stem)) and match["stem"] in images:
        return match["stem"]
    if (match := _CITYSCAPES.fullmatch(stem)) and f"{match['stem']}_leftImg8bit" in images:
        return f"{match['stem']}_leftImg8bit"
    return None


def _match(images: Stems, masks_of: Mapping[str, list[Path]], masks_alone: list[Path]) -> Match:
    """Take the best image and the best mask of each stem."""
    pairs, doubles, images_alone = [], [], []
    for stem, (image, *more_images) in images.items():
        if stem in masks_of:
            mask, *more_masks = masks_of[stem]
            pairs.append(Pair(stem, image, mask))
            doubles += [Problem(path, f"{path} is a second image beside {image}; remove one.") for path in more_images]
            doubles += [Problem(path, f"{path} is a second mask beside {mask}; remove one.") for path in more_masks]
        else:
            images_alone += [image, *more_images]
    return Match(pairs, doubles, images_alone, masks_alone)
