"""PASCAL VOC 2012 from the archive to the table: convert its val images, compare them with its instances.

    python benchmarks/voc.py VOCtrainval_11-May-2012.tar --out OUT [--masks DIR] [OPTION ...]

Takes the archive as it is downloaded, or a devkit folder. The devkit's own masks draw a void line between objects,
which would give the answer away: void within 5 pixels of a label gets the nearest one (in OUT/masks; a folder
SegmentationClassFilled is used as it is). --masks names masks that a network predicted, as in the paper. Further
options go to `sisegcli convert`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from archives import is_archive, unpack
from end_to_end import DataSet, Published, parser_for, run
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sisegcli.data.layouts import read_split, voc_folder
from sisegcli.errors import InputError
from sisegcli.evaluation import load_voc_truth
from sisegcli.evaluation.label_truth import read_ids
from sisegcli.formats.files import replacing

FILLED = "SegmentationClassFilled"
VOID = 255
REACH = 5
"""Void this near to a label, in pixels, is a drawn border; what lies further off is a thing that nobody could name."""

FOLDERS = ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation", FILLED)

SISEG = "arXiv:2308.00949"
QUOTED = "as later papers quote it"
PUBLISHED = (
    Published("SISeg, DFM", "OCRNet", {"AP": 27.09}, SISEG),
    Published("SISeg, DFM + CBR", "OCRNet", {"AP": 33.39}, SISEG),
    Published("SISeg", "DeepLabv3", {"AP": 34.42}, SISEG),
    Published("SISeg", "PSPNet", {"AP": 32.83}, SISEG),
    Published("IRNet, image labels", "", {"AP50": 46.7}, "CVPR 2019"),
    Published("LIID, image labels", "", {"AP50": 48.4}, QUOTED),
    Published("BESTIE, points", "", {"AP50": 56.1}, "CVPR 2022"),
    Published("Mask R-CNN, full supervision", "", {"AP50": 67.9}, QUOTED),
)


def fill_void(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give void near a label the nearest one.

    >>> fill_void(np.array([[1, 255, 255, 0, *[255] * 6]], np.uint8)).tolist()
    [[1, 1, 0, 0, 0, 0, 0, 0, 0, 255]]
    """
    void = mask == VOID
    if void.all():
        return mask
    distance, (rows, columns) = ndimage.distance_transform_edt(void, return_indices=True)
    filled: NDArray[np.uint8] = np.where(distance <= REACH, mask[rows, columns], mask)
    return filled


def prepare(options: argparse.Namespace) -> DataSet:
    """Unpack, find the devkit, and fill its masks."""
    [path] = options.data
    root = path
    if is_archive(path):
        root = options.out / "data"
        unpack(path, root, lambda name: any(f"/{folder}/" in f"/{name}" for folder in FOLDERS))
    devkit = voc_folder(root)
    if devkit is None or not (devkit / "SegmentationObject").is_dir():
        raise InputError(f"{path} holds no VOC devkit with SegmentationObject; give VOCtrainval_11-May-2012.tar.")
    if options.masks is not None:
        masks, title = options.masks, options.masks.name
    elif (devkit / FILLED).is_dir():
        masks, title = devkit / FILLED, "ground truth"
    else:
        masks, title = options.out / "masks", "ground truth"
        for name in read_split(devkit, options.split):
            _fill_file(devkit / "SegmentationClass" / f"{name}.png", masks / f"{name}.png")
    arguments = [str(devkit), "--masks", str(masks.resolve()), "--split", options.split]
    return DataSet(arguments, title, lambda: load_voc_truth(devkit, options.split))


def _fill_file(source: Path, target: Path) -> None:
    if target.exists() or not source.is_file():  # what is missing is listed by the conversion
        return
    filled = fill_void(read_ids(source)[0].astype(np.uint8))
    with replacing(target) as temporary:
        Image.fromarray(filled).save(temporary, format="PNG")


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, compare, print."""
    parser = parser_for(__doc__, "val", "ARCHIVE|DIR")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="predicted masks in place of the devkit's own")
    options, more = parser.parse_known_args(arguments)
    if len(options.data) > 1:
        parser.error("give one archive, or one folder")
    return run(options, more, lambda: prepare(options), PUBLISHED)


if __name__ == "__main__":
    sys.exit(main())
