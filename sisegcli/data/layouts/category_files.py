"""Lists of categories that lie beside images, and the data sets whose lists are built in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.layouts.hugging_face import METADATA
from sisegcli.data.layouts.known import CONFIGS

CATEGORY_FILES = (
    "categories.json",
    "categories.csv",
    "categories.txt",
    "classes.txt",
    "class_names.txt",
    "id2label.json",
)

READ = (*CATEGORY_FILES, *CONFIGS, *METADATA)
"""What is read to find pairs; of all other files, only names matter."""

# What lies beside the images of a data set whose categories are built in.
_MARKS = {
    "objectInfo150.txt": "ade20k",
    "objectInfo150.csv": "ade20k",
    "gtFine": "cityscapes",
    "gtCoarse": "cityscapes",
}


def find_categories(places: Iterable[Path], voc: Path | None = None) -> Categories | None:
    """Load the list of categories that lies beside the images, or the one of the data set whose layout this is."""
    places = list(dict.fromkeys(places))
    return listed_categories(places) or marked_categories(places, voc)


def listed_categories(places: Iterable[Path]) -> Categories | None:
    """Load the list of categories that lies beside the images."""
    paths = (place / name for place in places for name in CATEGORY_FILES)
    return next((load_categories(path) for path in paths if path.is_file()), None)


def marked_categories(places: Iterable[Path], voc: Path | None) -> Categories | None:
    """Load the list of the data set whose layout this is."""
    for place in places:
        for mark, known in _MARKS.items():
            if (place / mark).exists():
                return load_categories(known)
    return None if voc is None else load_categories("voc")
