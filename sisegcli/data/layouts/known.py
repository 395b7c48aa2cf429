"""Data sets that are known by their files: what their masks' values mean, and which categories they have.

cityscapes   ``*_gtFine_labelIds.png``: 0 is unlabeled; ``*_labelTrainIds.png``: 0 is road, and 255 void.
ade20k       SceneParse150 (the challenge, ``ADEChallengeData2016``): 0 is other, which is no category.
ade20k-full  ``*_seg.png`` in colours that hold a category each, R // 10 * 256 + G; names are in the JSON files. What is
             stuff in SceneParse150 is stuff here.
coco-stuff   Pixel maps of COCO-Stuff: ids from 0, one less than in its annotations, with gaps; 255 is unlabeled. Those
             that mmsegmentation makes of them, ``*_labelTrainIds.png``, have no gaps.
mapillary    Mapillary Vistas 1.1 to 2.0: categories and the value of unlabeled are in ``config*.json``.
mmsegmentation  ``img_dir/`` and ``ann_dir/``: 0 is background, as in its Potsdam, Vaihingen, LoveDA and iSAID.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories, Category
from sisegcli.data.category_lists import load_categories
from sisegcli.data.layouts.records import Pair
from sisegcli.data.mask_values import MaskValues
from sisegcli.data.texts import parse_json, read_text

CONFIGS = ("config_v2.0.json", "config_v1.2.json", "config.json")
"""What Mapillary's lists of labels are called."""

_CITYSCAPES = re.compile(r".+_gt(Fine|Coarse)_label(?P<train>Train)?Ids")
_ADE20K = re.compile(r"ADE_(train|val|test|frame)_\w+?(?P<full>_seg)?")
_COCO = re.compile(r"(COCO_(train|val|test)20\d\d_)?\d{12}(?P<train>_labelTrainIds)?")
_COCO_SPLIT = re.compile(r"(train|val|test|unlabeled)20\d\d")


@dataclass(frozen=True, slots=True)
class Known:
    """A data set that was recognised.

    Attributes
    ----------
    name : str
        As in `LAYOUTS`.
    title : str
        Its name for people.
    values : MaskValues
        What its masks' values mean.
    categories : Categories or None
        Its categories, where they can be told.
    """

    name: str
    title: str
    values: MaskValues = field(default_factory=MaskValues)
    categories: Categories | None = None


def recognise(pairs: Sequence[Pair], places: Sequence[Path]) -> Known | None:
    """Return the data set that pairs are from, by the names of the first one's files, or None.

    Parameters
    ----------
    pairs : sequence of Pair
        At least one.
    places : sequence of Path
        Folders beside and above the images, in which lists may lie.
    """
    return next((known for find in _FINDERS if (known := find(pairs, places)) is not None), None)


def is_full_ade20k(stem: str) -> bool:
    """Return whether a mask of the full ADE20K has this stem.

    >>> is_full_ade20k("ADE_train_00016964_seg"), is_full_ade20k("ADE_train_00016964")
    (True, False)
    """
    match = _ADE20K.fullmatch(stem)
    return match is not None and match["full"] is not None


def _cityscapes(pairs: Sequence[Pair], places: Sequence[Path]) -> Known | None:
    match = _CITYSCAPES.fullmatch(pairs[0].mask.stem)
    if match is None:
        return None
    if match["train"]:
        return Known(
            "cityscapes", "Cityscapes (train ids)", MaskValues(background=None), load_categories("cityscapes-train")
        )
    return Known("cityscapes", "Cityscapes", MaskValues(), load_categories("cityscapes"))


def _ade20k(pairs: Sequence[Pair], places: Sequence[Path]) -> Known | None:
    match = _ADE20K.fullmatch(pairs[0].mask.stem)
    if match is None:
        return None
    if match["full"]:
        values = MaskValues(background=0, ignore=None, encoded=True)
        return Known("ade20k-full", "The full ADE20K", values, _ade20k_names(pairs))
    return Known("ade20k", "ADE20K SceneParse150", MaskValues(), load_categories("ade20k"))


def _ade20k_names(pairs: Sequence[Pair]) -> Categories | None:
    """Read the names from the JSON beside each image; None where there is none, as in releases before 2021."""
    stuff = {category.name for category in load_categories("ade20k").values() if not category.isthing}
    names: dict[int, str] = {}
    for pair in pairs:
        content = _json(pair.image.with_suffix(".json"), "latin-1")
        try:
            names.update({int(one["name_ndx"]): str(one["name"]) for one in content["annotation"]["object"]})
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    found = (Category(number, name, name.split(",")[0] not in stuff) for number, name in names.items() if number > 0)
    return Categories(found) if names else None


def _coco_stuff(pairs: Sequence[Pair], places: Sequence[Path]) -> Known | None:
    mask = pairs[0].mask
    match = _COCO.fullmatch(mask.stem)
    maps = any(part.lower().startswith("stuffthingmaps") for part in mask.parts)
    inside = _COCO_SPLIT.fullmatch(mask.parent.name) and mask.parent.parent.name.lower() == "annotations"
    if match is None or not (maps or inside):
        return None
    categories = load_categories("coco-stuff")
    if match["train"]:
        categories = Categories(replace(category, id=n) for n, category in enumerate(categories.values()))
    return Known("coco-stuff", "COCO-Stuff", MaskValues(background=None), categories)


def _mapillary(pairs: Sequence[Pair], places: Sequence[Path]) -> Known | None:
    mask = pairs[0].mask
    version = mask.parent.parent.name
    names = sorted(CONFIGS, key=lambda name: version not in name)  # stable: the masks' own version comes first
    labels: Any = None
    above = list(mask.parents)[:5]  # the list lies above the splits, whichever folder is asked for
    for path in (place / name for place in dict.fromkeys([*places, *above]) for name in names):
        content = _json(path)
        labels = content.get("labels") if isinstance(content, dict) else None
        if isinstance(labels, list) and labels and all(isinstance(one, dict) and "readable" in one for one in labels):
            break
    else:
        return None
    categories = Categories(
        Category(number, str(one["readable"]), bool(one.get("instances")), str(one.get("name", "")).split("--")[0])
        for number, one in enumerate(labels)
    )
    void = [number for number, one in enumerate(labels) if str(one.get("name")).endswith("--unlabeled")]
    values = MaskValues(background=None, ignore=void[-1] if void else None)
    return Known("mapillary", "Mapillary Vistas", values, categories)


def _mmsegmentation(pairs: Sequence[Pair], places: Sequence[Path]) -> Known | None:
    if "ann_dir" not in (part.lower() for part in pairs[0].mask.parts):
        return None
    return Known("mmsegmentation", "mmsegmentation")


_FINDERS: tuple[Callable[[Sequence[Pair], Sequence[Path]], Known | None], ...] = (
    _cityscapes,
    _ade20k,
    _coco_stuff,
    _mapillary,
    _mmsegmentation,
)


def _json(path: Path, encoding: str = "utf-8") -> Any:
    """Read a JSON file; None if there is none."""
    try:
        return parse_json(read_text(path, encoding)) if path.is_file() else None
    except (OSError, ValueError):
        return None
