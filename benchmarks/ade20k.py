"""ADE20K from its archives to the table: convert its validation images, compare them with its instances.

    python benchmarks/ade20k.py ADEChallengeData2016.zip annotations_instance.tar --out OUT [OPTION ...]
    python benchmarks/ade20k.py ADE20K_2021_17_01.zip --out OUT [OPTION ...]

Takes the archives as they are downloaded, or one folder that holds what they hold: the challenge's images, semantic
masks and instances, or the full data set. Further options go to `sisegcli convert`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from archives import is_archive, unpack
from end_to_end import DataSet, Published, parser_for, run

from sisegcli.data.layouts.known import is_full_ade20k
from sisegcli.errors import InputError
from sisegcli.evaluation import load_truth
from sisegcli.evaluation.ade20k_truth import FOLDER, challenge_folder

LISTS = ("objectInfo150.txt", "sceneCategories.txt")
PUBLISHED = (
    Published("SISeg", "ground truth", {"AP": 32.59}, "arXiv:2308.00949"),
    Published("Mask2Former-R50, full supervision", "", {"AP": 26.4}, "CVPR 2022"),
)


def wanted_of(split: str) -> Callable[[str], bool]:
    """Return what says of a name whether this split, or the lists beside it, needs it.

    >>> [wanted_of("validation")(name) for name in ("a/images/validation/x.jpg", "a/images/training/y.jpg")]
    [True, False]
    """
    return lambda name: split in name.split("/")[:-1] or name.rsplit("/", 1)[-1] in LISTS


def prepare(options: argparse.Namespace) -> DataSet:
    """Unpack, and find out which ADE20K it is."""
    root = options.data[0]
    if any(is_archive(path) for path in options.data):
        root = options.out / "data"
        for path in options.data:
            if not is_archive(path):
                raise InputError(f"{path} is no archive; give archives, or one folder that holds it all.")
            unpack(path, root / path.name.split(".")[0], wanted_of(options.split))
    elif len(options.data) > 1:
        raise InputError(f"{options.data[1]} is a second folder; put all that belongs together into one.")
    full = next((path for path in sorted(root.rglob("ADE_*_seg.png")) if is_full_ade20k(path.stem)), None)
    if full is not None:
        return _full(root, options.split)
    return _challenge(root, options.split, ours=root == options.out / "data")


def _full(root: Path, split: str) -> DataSet:
    folders = [path for path in sorted(root.rglob(split)) if path.is_dir() and any(path.rglob("ADE_*_seg.png"))]
    if not folders:
        raise InputError(f"{root} has no folder {split} with ADE_*_seg.png; see --split.")
    return DataSet([str(folders[0])], "ground truth", lambda: load_truth(folders[0]))


def _challenge(root: Path, split: str, *, ours: bool) -> DataSet:
    images = next((path for path in sorted(root.rglob(f"images/{split}")) if path.is_dir()), None)
    if images is None:
        raise InputError(f"{root} has neither images/{split} nor ADE_*_seg.png; give ADEChallengeData2016.zip.")
    base = images.parent.parent
    instances = next((path for path in sorted(root.rglob(FOLDER)) if path.is_dir()), None)
    if instances is None or (challenge_folder(base) is None and not ours):
        raise InputError(f"{base} has no {FOLDER}; add what annotations_instance.tar of the Places Challenge holds.")
    if challenge_folder(base) is None:  # from an archive of its own: stuff is looked for beside it
        instances.rename(base / FOLDER)
    masks = base / "annotations" / split
    arguments = ["--images", str(images), "--masks", str(masks), "--categories", "ade20k"]
    return DataSet(arguments, "ground truth", lambda: load_truth(base, split))


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, compare, print."""
    options, more = parser_for(__doc__, "validation", "ARCHIVE|DIR").parse_known_args(arguments)
    return run(options, more, lambda: prepare(options), PUBLISHED)


if __name__ == "__main__":
    sys.exit(main())
