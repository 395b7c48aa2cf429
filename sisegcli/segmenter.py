"""The one object that does the whole job in memory: images and semantic masks in, instances out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import Categories
from sisegcli.data.masks import normalise
from sisegcli.devices import own_stream, pick_device
from sisegcli.enlarging import enlarge, in_pixels, shrink
from sisegcli.errors import CheckpointError, ImageError, OptionError
from sisegcli.eyes import Eyes, open_eyes
from sisegcli.grouping.components import Components, label_components
from sisegcli.grouping.group import Grouping, group
from sisegcli.grouping.on_device.batch import group_together
from sisegcli.grouping.options import Edges, GroupingOptions
from sisegcli.grouping.outlines import looks_rough
from sisegcli.grouping.scores import size_score
from sisegcli.instances import Instance, Segmentation, instances_from_labels
from sisegcli.network.asking import Asker, Drawer, Jury
from sisegcli.network.checkpoint import load_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.network.exported.files import exported_kind, load_exported
from sisegcli.network.fusing import fused
from sisegcli.network.inference import Predictor, thing_map
from sisegcli.network.model import SisegNetwork
from sisegcli.shipped import weights_path
from sisegcli.stages import stage
from sisegcli.tiles.seen import tiling_for_network
from sisegcli.tiling import Tiling

Images = Sequence[NDArray[np.uint8]]
Floats = NDArray[np.float32]
Masks = Sequence[NDArray[np.int32]]


class Segmenter:
    """Turns images with semantic masks into instances.

    Parameters
    ----------
    weights : str or Path
        Name of weights that ship, or a file that ``sisegcli train`` or ``sisegcli export`` wrote.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; exported networks run on the processor.
    categories : Categories, optional
        Tells which categories are stuff; all are things without it.
    refine : bool
        Move borders by the random walk.
    edges : str
        ``keep``: the mask is trusted, only borders between instances move. ``refine``: outer edges move as well.
        ``auto``: they move in images whose mask looks rough, as a network's does.
    min_area : int
        Instances with fewer pixels are removed.
    min_score : float
        Instances with a lower score are removed.
    background : int or None
        The value of `predict`'s masks that belongs to no category; None if every value is one.
    ignore : int or None
        The value of pixels that are unknown, which belong to no instance; None if there is none.

    Raises
    ------
    CheckpointError
        If the weights are missing, foreign or damaged.
    OptionError
        If there is no such device, or edges cannot be refined.

    Examples
    --------
    >>> image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    >>> mask[8:40, 8:40] = 15
    >>> [(found.category, found.box) for found in Segmenter().predict(image, mask)]
    [(15, (8, 8, 32, 32))]
    """

    lanes = 4
    """Batches that it has use for at a time, from as many threads; see `sisegcli.methods.lanes_of`."""

    def __init__(
        self,
        weights: str | Path = "default",
        *,
        device: str = "auto",
        categories: Categories | None = None,
        refine: bool = True,
        edges: Edges = "auto",
        min_area: int = 0,
        min_score: float = 0.0,
        background: int | None = 0,
        ignore: int | None = 255,
    ) -> None:
        place, path = pick_device(device), weights_path(weights)
        if exported_kind(path) is None:
            network, config = load_checkpoint(path, place)
        elif device in ("auto", "cpu"):
            place = torch.device("cpu")
            network, config = load_exported(path)
        else:
            raise OptionError(f"{path} runs on the processor alone; use --device cpu, or the .safetensors file.")
        self._set(fused(network, place), config, place, categories, refine=refine, edges=edges)
        self.min_area, self.min_score = min_area, min_score
        self.background, self.ignore = background, ignore

    @classmethod
    def from_network(
        cls,
        network: SisegNetwork,
        config: NetworkConfig,
        *,
        device: torch.device,
        categories: Categories | None = None,
    ) -> Segmenter:
        """Wrap a network that is in memory already."""
        segmenter = cls.__new__(cls)
        segmenter._set(network, config, device, categories)
        segmenter.min_area, segmenter.min_score = 0, 0.0
        segmenter.background, segmenter.ignore = 0, 255
        return segmenter

    def _set(
        self,
        network: SisegNetwork,
        config: NetworkConfig,
        device: torch.device,
        categories: Categories | None,
        **asked: Any,
    ) -> None:
        self._look_with(network, config, device)
        self.magnify = config.magnify
        try:
            self.options = replace(GroupingOptions(**config.grouping), **asked)  # type: ignore[arg-type]
        except TypeError as error:
            raise CheckpointError(
                "These weights ask for a grouping that this version lacks; update sisegcli."
            ) from error
        if self.options.edges == "refine" and self.drawer is None and not self.options.refine:
            raise OptionError(
                "Without an edge refiner, which these weights lack, edges are refined by the walk; drop --no-refine."
            )
        self.stuff = {category.id for category in (categories or Categories()).values() if not category.isthing}

    def _look_with(self, network: SisegNetwork, config: NetworkConfig, device: torch.device) -> None:
        self.predictor = Predictor(network, config, device)
        self.asker = Asker(network.membership, device) if network.membership is not None else None
        self.drawer = Drawer(network.edges, device) if network.edges is not None else None
        self.jury = Jury(network.wholeness, device) if network.wholeness is not None else None
        # Processors are faster with NumPy and SciPy, and MPS has no float64.
        self._groups_on = device if device.type == "cuda" else None

    def predict(self, image: NDArray[np.uint8], mask: NDArray[np.integer[Any]]) -> list[Instance]:
        """Find the instances of one image.

        Parameters
        ----------
        image : (H, W, 3) array of uint8
            RGB image.
        mask : (H, W) array of ints
            Semantic mask: category ids, and the values of `background` and `ignore`.

        Returns
        -------
        list of Instance
            Disjoint instances that cover the mask's categories, best score first.

        Raises
        ------
        ImageError
            If image and mask differ in size or shape, or have values of another type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.shape[:2] != mask.shape:
            raise ImageError(
                f"An image of shape {image.shape} and a mask of shape {mask.shape} do not fit; "
                "give (H, W, 3) and (H, W)."
            )
        if image.dtype != np.uint8:
            raise ImageError(f"An image holds uint8, 0 to 255, not {image.dtype}; convert it.")
        [found] = self.segment([image], [normalise(mask, self.background, self.ignore)])
        return found.instances

    @stage("grouping")
    def segment(self, images: Images, masks: Masks) -> list[Segmentation]:
        """Segment a batch.

        Parameters
        ----------
        images : sequence of (H, W, 3) arrays of uint8
            RGB images; sizes may differ.
        masks : sequence of (H, W) arrays of int32
            Semantic masks in memory: category ids, `BACKGROUND` and `IGNORE`.
        """
        with own_stream(self.predictor.device):
            return self._segment_batch(images, masks)

    def _segment_batch(self, images: Images, masks: Masks) -> list[Segmentation]:
        sizes = [(mask.shape[0], mask.shape[1]) for mask in masks]
        if self.magnify != 1:
            images = [enlarge(image, self.magnify, Image.Resampling.BILINEAR) for image in images]
            masks = [enlarge(mask, self.magnify, Image.Resampling.NEAREST) for mask in masks]
        things = [thing_map(mask, self.stuff) for mask in masks]
        components = [label_components(mask, stuff=self.stuff, connectivity=4) for mask in masks]
        eyes = [self._eyes(*seen) for seen in zip(images, masks, things, components, strict=True)]
        # Where the mask's edges are not to be trusted, only what the image alone shows counts.
        unknown = [np.full_like(thing, -1) for thing in things]
        shown = [blind if eye.draw else thing for eye, thing, blind in zip(eyes, things, unknown, strict=True)]
        fields = self.predictor.predict(images, shown)
        outer: list[Floats | None] = [None] * len(fields)
        if self.options.edges == "refine" and self.drawer is None:
            outer = [edges for _, edges in self.predictor.predict(images, unknown)]
        if self._groups_on is None:
            parts = zip(masks, components, fields, outer, eyes, sizes, strict=True)
            return [self._segment(mask, known, *field, *rest) for mask, known, field, *rest in parts]
        made = group_together(
            masks,
            fields,
            self.options,
            self._groups_on,
            outer=outer,
            looks=eyes,
            stuff=self.stuff,
            components=components,
        )
        return [self._encode(found, *field, size) for found, field, size in zip(made, fields, sizes, strict=True)]

    def on_processor(self) -> Segmenter | None:
        """Return the same on the processor; None if it is there already. See `sisegcli.methods.on_processor`."""
        if self.predictor.device.type == "cpu":
            return None
        place = torch.device("cpu")
        network = fused(copy.deepcopy(self.predictor.network).to(place), place)
        other = copy.copy(self)
        other._look_with(network, self.predictor.config, place)
        return other

    def tiling(self) -> Tiling:
        """Say how large images are cut into tiles for this network; see `sisegcli.tiles`."""
        unsized = copy.copy(self)
        # Whether a mask is rough is decided for whole images, so tiles keep its edges unless they are told not to.
        edges = "keep" if self.options.edges == "auto" else self.options.edges
        unsized.options = replace(self.options, sized=False, edges=edges)
        unsized.min_area, unsized.min_score = 0, 0.0
        return tiling_for_network(
            unsized,
            self._whole_score,
            long_side=self.predictor.config.long_side,
            scale=self.magnify,
            step=self.predictor.network.alignment,
            stuff=self.stuff,
        )

    def _whole_score(self, category: int, sureness: float, area: int, total: int, pixels: int) -> float:
        return 1.0 if category in self.stuff else sureness * size_score(area, total, pixels)

    def _eyes(
        self,
        image: NDArray[np.uint8],
        mask: NDArray[np.int32],
        things: NDArray[np.int8],
        components: Components | None = None,
    ) -> Eyes:
        """Return ways to look at an image again; with the edge refiner only if its mask's outlines are rough."""
        eyes = open_eyes(image, things, asker=self.asker, jury=self.jury, drawer=self.drawer)
        edges = self.options.edges
        if eyes.draw is not None and edges != "refine":
            rough = edges == "auto" and looks_rough(mask, eyes.draw, stuff=self.stuff, components=components)
            return eyes if rough else eyes._replace(draw=None)
        return eyes

    def _segment(
        self,
        mask: NDArray[np.int32],
        components: Components,
        displacement: Floats,
        boundary: Floats,
        outer: Floats | None,
        eyes: Eyes,
        size: tuple[int, int],
    ) -> Segmentation:
        found = group(
            mask,
            displacement,
            boundary,
            self.options,
            outer=outer,
            ask=eyes.ask,
            judge=eyes.judge,
            draw=eyes.draw,
            stuff=self.stuff,
            components=components,
        )
        return self._encode(found, displacement, boundary, size)

    def _encode(self, found: Grouping, displacement: Floats, boundary: Floats, size: tuple[int, int]) -> Segmentation:
        labels = found.labels
        decisions = in_pixels(found.decisions, labels.shape, size)
        if labels.shape != size:
            labels, displacement, boundary = shrink(labels, displacement, boundary, size)
        instances = instances_from_labels(labels, found.categories, found.scores)
        kept = [i for i in instances if i.area >= self.min_area and i.score >= self.min_score]
        kept.sort(key=lambda i: -i.score)
        gone = sum(i.area for i in instances) - sum(i.area for i in kept)
        return Segmentation(kept, len(instances) - len(kept), gone, displacement, boundary, decisions)
