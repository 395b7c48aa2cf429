"""What a conversion is asked to do, checked before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from sisegcli.data.mask_values import AUTO, Value
from sisegcli.errors import OptionError
from sisegcli.formats import FORMATS
from sisegcli.running.shards import Shard

MAX_PIXELS = 2**30
"""Largest image or mask that is converted by default, in pixels, in tiles or not: 32,768 × 32,768."""
LEAST_TILE = 64
"""Least side of a tile, in pixels."""


def _few_threads() -> int:
    return min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class ConvertOptions:
    """Options of a conversion; the defaults are those of the command line.

    Attributes
    ----------
    root : Path, optional
        The folder of images and masks, or an archive, or a folder of archives; needed unless `images` and `masks` are
        both given.
    images, masks : Path, optional
        Folders of images and masks where they are not to be found by looking at `root`.
    split : str, optional
        Name of a list in ``ImageSets/Segmentation``.
    background, ignore : int, None or "auto"
        Mask values of the background and of ignored pixels; None if no value means it, "auto" for what the layout says.
    colours : Path, optional
        A table of what the colours of RGB masks stand for.
    categories : str, optional
        ``voc``, ``coco``, ``ade20k``, ``cityscapes`` or a file; by default what the layout tells.
    to : tuple of str
        Formats to write, of `sisegcli.formats.FORMATS`.
    polygons : bool
        Polygons instead of run-length codes in COCO files.
    overlay : bool
        Also draw pictures of the instances into ``OUT/overlay``.
    legend : bool
        Whether these pictures list their categories.
    method : str
        ``siseg``, ``components`` or ``watershed``.
    device, weights, refine, edges
        Passed to the network's method; see `sisegcli.segmenter.Segmenter`.
    min_area : int
        Instances with fewer pixels are removed, and counted.
    min_score : float
        Instances with a lower score are removed, and counted.
    tile : int or str
        ``auto``: images are tiled that are too large for one pass. ``off``: none is. A number: images are tiled that
        are larger along a side, in tiles of this side, in pixels.
    max_pixels : int
        Images and masks with more pixels are refused by what their header says.
    batch_size : int
        Images that the method gets at once.
    workers : int
        Threads that read ahead.
    out : Path, optional
        The output folder; by default ``NAME-instances`` in the current folder, NAME being the input folder's name (or
        beside the input folder, where the current folder lies in it).
    profile : bool
        Whether the time of each stage is measured.
    overwrite : bool
        Whether outputs that exist already may be replaced.
    resume : bool
        Go on with the run that the output folder holds, or start it.
    timeout : float
        Seconds after which a pair that is not read yet is given up; 0: never.
    shard : Shard, optional
        Which part of the pairs to convert; all by default.
    engine : str
        ``local``: this machine. ``ray``: a Ray cluster.
    ray_address : str, optional
        The cluster; by default the one that this machine is part of, or one that is started on it for the run.
    processes : int
        Processes of this machine that do the work, each with threads and a method of its own.
    """

    root: Path | None = None
    images: Path | None = None
    masks: Path | None = None
    split: str | None = None
    background: Value = AUTO
    ignore: Value = AUTO
    categories: str | None = None
    colours: Path | None = None
    to: tuple[str, ...] = ("coco",)
    polygons: bool = False
    overlay: bool = False
    legend: bool = True
    method: str = "siseg"
    device: str = "auto"
    weights: str = "default"
    refine: bool = True
    edges: str = "auto"
    min_area: int = 0
    min_score: float = 0.0
    tile: int | str = "auto"
    max_pixels: int = MAX_PIXELS
    batch_size: int = 8
    workers: int = field(default_factory=_few_threads)
    out: Path | None = None
    profile: bool = False
    overwrite: bool = False
    resume: bool = False
    timeout: float = 300.0
    shard: Shard | None = None
    engine: str = "local"
    ray_address: str | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        if self.tile not in ("auto", "off") and not (isinstance(self.tile, int) and self.tile >= LEAST_TILE):
            raise OptionError(f"--tile {self.tile} is neither auto, off nor a number of pixels from {LEAST_TILE} on.")
        for name in self.to:
            if name not in FORMATS:
                raise OptionError(f"There is no format {name!r}; choose from {', '.join(FORMATS)}.")
        if self.polygons and "coco" not in self.to:
            raise OptionError("--polygons is about COCO files; add --to coco.")
        if not (self.to or self.overlay):
            raise OptionError("Nothing would be written; choose a format with --to, or --overlay.")
        if self.resume and self.overwrite:
            raise OptionError("--resume goes on with what is there, --overwrite replaces it; choose one of them.")
        if self.ray_address is not None and self.engine != "ray":
            raise OptionError("--ray-address is about a Ray cluster; add --engine ray.")
        if self.processes > 1 and self.engine == "ray":
            raise OptionError("--processes is about this machine, --engine ray about a cluster; choose one of them.")
        if self.method != "siseg":
            network_only = {
                "--weights": self.weights != "default",
                "--edges refine": self.edges == "refine",
                "--no-refine": not self.refine,
            }
            for option, given in network_only.items():
                if given:
                    raise OptionError(f"{option} needs the network; leave it out or use --method siseg.")

    @property
    def output(self) -> Path:
        """The output folder, chosen from the input's name where none is given, and never inside the input."""
        if self.out is not None:
            return self.out
        root = (self.root or self.images or Path()).resolve()
        name = f"{root.name.removesuffix('.tar') or 'images'}-instances"
        return root.parent / name if Path.cwd().is_relative_to(root) else Path(name)
