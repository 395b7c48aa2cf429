"""Ground truth of Cityscapes: ``*_gtFine_instanceIds.png``.

A pixel of 16 bits is 1000 times the id of a thing plus a number, or the id alone: of stuff, or of a group of things
that nobody told apart. See cityscapesScripts, `json2instanceImg.py`, and `labels.py` for what its evaluation ignores.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.errors import ImageError
from sisegcli.evaluation.label_truth import read_ids
from sisegcli.evaluation.truth import GroundTruth, TruthImage, of_split
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.instances import Instance, instances_from_labels

SIGN = "_instanceIds.png"

IGNORED = frozenset({0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30})
"""Ids that Cityscapes' evaluation ignores (``ignoreInEval``): they are void."""

STEP = 1000


def load_cityscapes_truth(folder: Path, split: str | None = None, watch: Watch = unwatched) -> GroundTruth:
    """Read the instances, groups (as crowds) and stuff of all ``*_instanceIds.png`` below a folder.

    Parameters
    ----------
    folder : Path
        Cityscapes itself, its ``gtFine``, or a folder of that. A stem is the photograph's: ``val/city/x_leftImg8bit``.
    split : str, optional
        ``train``, ``val`` or the name of any folder: only what lies in it.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    ImageError
        If a file cannot be read or holds what is no id of Cityscapes.
    LayoutError
        If there is no such folder.
    """
    base = folder / "gtFine" if (folder / "gtFine").is_dir() else folder
    names = load_categories("cityscapes")
    paths = {photograph(path.relative_to(base).as_posix()): path for path in sorted(base.rglob(f"*{SIGN}"))}
    chosen = list(of_split(paths, split, folder).items())
    return GroundTruth({stem: _read(path, names) for stem, path in watch(chosen, "Reading ground truth")}, names)


def photograph(name: str) -> str:
    """Return the stem of the photograph to the name of an ``*_instanceIds.png``.

    >>> photograph("val/aachen_0_0_gtFine_instanceIds.png"), photograph("x_instanceIds.png")
    ('val/aachen_0_0_leftImg8bit', 'x')
    """
    bare = name.removesuffix(SIGN)
    fine = bare.removesuffix("_gtFine")
    return f"{fine}_leftImg8bit" if fine != bare else bare


def _read(path: Path, names: Categories) -> TruthImage:
    values, _ = read_ids(path)
    groups: dict[int, int] = {}
    objects: dict[int, int] = {}
    crowds: dict[int, int] = {}
    void: list[int] = []
    for value in np.unique(values).tolist():
        category = value // STEP if value >= STEP else value
        if category not in names or (value >= STEP and not names.isthing(category)):
            raise ImageError(f"{path} has the value {value}, which is no id of Cityscapes; give *_instanceIds.png.")
        if category in IGNORED:
            void.append(value)
        elif value >= STEP:
            objects[value] = category
        else:
            (crowds if names.isthing(category) else groups)[value] = category
    labels = values.astype(np.int32)
    nobody = np.isin(values, void)
    return TruthImage(
        (values.shape[0], values.shape[1]),
        instances_from_labels(labels, objects),
        instances_from_labels(labels, crowds),
        void=Instance.from_mask(nobody, 0) if void else None,
        stuff=instances_from_labels(labels, groups),
    )
