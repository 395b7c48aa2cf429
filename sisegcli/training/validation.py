"""AP on images with instance ground truth, while training goes on."""

from __future__ import annotations

from pathlib import Path

import torch

from sisegcli.data.layouts import Pair, Problem, find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError, LayoutError
from sisegcli.evaluation import evaluate, load_voc_truth
from sisegcli.network.config import NetworkConfig
from sisegcli.network.model import SisegNetwork
from sisegcli.running.reading import Sample, read_sample
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
    ImageError
        If an image or a mask cannot be read: better now than in the midst of the training.
    """

    def __init__(self, folder: Path, split: str | None, device: torch.device, *, limit: int = 200) -> None:
        layout = find_pairs(folder, split=split)
        truth = load_voc_truth(folder, split)
        pairs = [pair for pair in layout.pairs if pair.stem in truth.images]
        if not pairs:
            raise LayoutError(f"{folder} holds no image with both a semantic mask and instances; --val needs both.")
        self.pairs = pairs[:: max(1, len(pairs) // limit)][:limit]
        for pair in self.pairs:
            self._read(pair)
        self.truth = truth.subset([pair.stem for pair in self.pairs])
        self.categories = layout.categories
        self.device = device

    def measure(self, network: SisegNetwork, config: NetworkConfig) -> float:
        """Return COCO AP in percent.

        Raises
        ------
        ImageError
            If an image or a mask can no longer be read.
        """
        segmenter = Segmenter.from_network(network, config, device=self.device, categories=self.categories)
        predictions = {}
        for pair in self.pairs:
            sample = self._read(pair)
            [found] = segmenter.segment([sample.image], [sample.mask])
            predictions[pair.stem] = found.instances
        return 100 * evaluate(predictions, self.truth).ap

    @staticmethod
    def _read(pair: Pair) -> Sample:
        sample = read_sample(pair, MaskReader())
        if isinstance(sample, Problem):
            raise ImageError(sample.sentence)
        return sample
