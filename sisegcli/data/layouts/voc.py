"""The layout of the PASCAL VOC development kit."""

from __future__ import annotations

from pathlib import Path

from sisegcli.data.layouts.pairing import LOSSLESS
from sisegcli.data.layouts.records import leads_out
from sisegcli.data.texts import read_text
from sisegcli.errors import LayoutError

_PREFERRED = ("SegmentationClassFilled", "SegmentationClass", "SegmentationClassPNG")


def voc_folder(root: Path | str) -> Path | None:
    """Return the folder that holds a VOC data set's `JPEGImages` and `SegmentationClass`, or None.

    Parameters
    ----------
    root : Path or str
        That folder itself, or one that contains it as ``VOC2012`` or ``VOCdevkit/VOC2012`` (the latest year, where
        there are several). Results without images, `SegmentationObject` alone say, are VOC folders too.
    """
    root = Path(root)
    years = [*sorted(root.glob("VOC20*"), reverse=True), *sorted(root.glob("VOCdevkit/VOC20*"), reverse=True)]
    for folder in (root, *years):
        if (folder / "SegmentationObject").is_dir() or any(path.is_dir() for path in folder.glob("SegmentationClass*")):
            return folder
    return None


def class_folders(folder: Path) -> list[Path]:
    """Return the folders of semantic masks in a VOC folder, best first: filled masks have no void lines."""
    found = [path for path in folder.glob("SegmentationClass*") if path.is_dir() and _has_masks(path)]
    return sorted(found, key=lambda path: (_rank(path.name), path.name))


def read_split(root: Path | str, name: str) -> list[str]:
    """Read the names of ``ImageSets/Segmentation/NAME.txt``, in its order, each once.

    Raises
    ------
    LayoutError
        If `root` is no VOC folder or has no such list, or the list names what lies elsewhere.
    """
    folder = voc_folder(root)
    sets = (folder or Path(root)) / "ImageSets" / "Segmentation"
    path = sets / f"{name.removesuffix('.txt')}.txt"
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        there = ", ".join(sorted(path.stem for path in sets.glob("*.txt"))) or "none at all"
        raise LayoutError(f"{path} cannot be read, so there is no split {name!r}; splits there: {there}.") from error
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    wrong = next((name for name in names if leads_out(name)), None)
    if wrong is not None:
        raise LayoutError(f"{path} names {wrong[:99]!r}, which is no image below its folder; take it out.")
    return names


def _has_masks(folder: Path) -> bool:
    return any(path.suffix.lower() in LOSSLESS for path in folder.iterdir())


def _rank(name: str) -> int:
    return _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
