"""AP on images with instance ground truth, while training goes on."""

from __future__ import annotations

from pathlib import Path

import torch

from sisegcli.data.images import read_image
from sisegcli.data.layouts import find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import LayoutError
from sisegcli.evaluation import evaluate, load_voc_truth
from sisegcli.network.config import NetworkConfig
from sisegcli.network.model import SisegNetwork
from sisegcli.segmenter import Segmenter


class Validation:
    """Measures a network on a VOC devkit folder.

    Parameters
    ----------
    folder : Path
        The devkit folder, with ``SegmentationObject``.
    split : str or None
        A list in ``ImageSets/Segmentation``; None: all images with a mask.
    device : torch.device
        Where the network runs.
    limit : int
        At most so many images, evenly spread.

    Raises
    ------
    LayoutError
        If no image of the folder has both a semantic mask and instances.
    """

    def __init__(self, folder: Path, split: str | None, device: torch.device, *, limit: int = 200) -> None:
        layout = find_pairs(folder, split=split)
        truth = load_voc_truth(folder, split)
        pairs = [pair for pair in layout.pairs if pair.stem in truth.images]
        if not pairs:
            raise LayoutError(f"{folder} holds no image with both a semantic mask and instances; --val needs both.")
        self.pairs = pairs[:: max(1, len(pairs) // limit)][:limit]
        self.truth = truth.subset([pair.stem for pair in self.pairs])
        self.categories = layout.categories
        self.device = device

    def measure(self, network: SisegNetwork, config: NetworkConfig) -> float:
        """Return COCO AP in percent."""
        segmenter = Segmenter.from_network(network, config, device=self.device, categories=self.categories)
        reader = MaskReader()
        predictions = {}
        for pair in self.pairs:
            [found] = segmenter.segment([read_image(pair.image)], [reader.read(pair.mask)])
            predictions[pair.stem] = found.instances
        return 100 * evaluate(predictions, self.truth).ap
