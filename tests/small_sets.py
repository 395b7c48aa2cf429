"""Tiny data sets on disk for the tests of runs and commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sisegcli.instances import Instance

TWO_DOGS = np.array(
    [
        [12, 12, 0, 0, 12, 0],
        [12, 12, 0, 0, 12, 0],
        [0, 0, 0, 0, 12, 0],
        [15, 15, 15, 255, 12, 0],
    ],
    np.uint8,
)
"""Two dogs (4 pixels each), a person (3 pixels) and a void pixel; as VOC has it."""

ONE_CAT = np.array([[0, 8, 8], [0, 8, 8]], np.uint8)


def write_png(path: Path, values: np.ndarray) -> None:
    """Write an array as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_pairs(
    masks: Mapping[str, np.ndarray], images: Path, mask_folder: Path, suffix: str = "", extension: str = ".png"
) -> None:
    """Write a mask, and a grey picture of its size, for each name."""
    for name, mask in masks.items():
        write_png(images / f"{name}{extension}", np.full((*mask.shape, 3), 128, np.uint8))
        write_png(mask_folder / f"{name}{suffix}.png", mask)


def write_voc(root: Path, masks: Mapping[str, np.ndarray], splits: Mapping[str, list[str]] | None = None) -> Path:
    """Write a VOC devkit."""
    write_pairs(masks, root / "JPEGImages", root / "SegmentationClass", extension=".jpg")
    for split, names in (splits or {}).items():
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names))
    return root


def write_folders(root: Path, masks: Mapping[str, np.ndarray]) -> Path:
    """Write ``images/`` and ``masks/``."""
    write_pairs(masks, root / "images", root / "masks")
    return root


def read_instances(path: str | Path) -> tuple[dict[str, list[Instance]], dict[int, str]]:
    """Read our COCO file: the instances of each image by its file name, and the names of categories."""
    content: Any = json.loads(Path(path).read_text())
    found: dict[str, list[Instance]] = {}
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for image_id, name in names.items():
        found[name] = [
            Instance.from_rle(a["segmentation"]["counts"].encode(), tuple(a["segmentation"]["size"]), a["category_id"])
            for a in content["annotations"]
            if a["image_id"] == image_id
        ]
    return found, {category["id"]: category["name"] for category in content["categories"]}
