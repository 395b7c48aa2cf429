"""What a conversion cannot do without, and nothing else: decoding, the networks' forward passes, encoding."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from sisegcli.grouping.group import Grouping, group
from sisegcli.grouping.options import GroupingOptions
from sisegcli.instances import Segmentation, instances_from_labels
from sisegcli.network.checkpoint import load_checkpoint
from sisegcli.network.exported.files import load_exported
from sisegcli.network.exported.graphs import KINDS
from sisegcli.running.export import export
from sisegcli.segmenter import Segmenter
from sisegcli.shipped import weights_path

Image8 = NDArray[np.uint8]
Masks = Sequence[NDArray[np.int32]]
Call = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass
class Scene:
    """What grouping gets of an image, and what it makes of it."""

    mask: NDArray[np.int32]
    displacement: NDArray[np.float32]
    boundary: NDArray[np.float32]
    options: GroupingOptions
    answers: list[Any]
    judged: list[Any]
    drawn: list[Any]
    stuff: set[int]

    def group(self) -> Grouping:
        """Group it, with what the other networks said before, and encode the instances."""
        answers, judged, drawn = iter(self.answers), iter(self.judged), iter(self.drawn)
        found = group(
            self.mask,
            self.displacement,
            self.boundary,
            self.options,
            ask=(lambda _: next(answers)) if self.answers else None,
            judge=(lambda _: next(judged)) if self.judged else None,
            draw=(lambda _: next(drawn)) if self.drawn else None,
            stuff=self.stuff,
        )
        instances_from_labels(found.labels, found.categories, found.scores)
        return found


@dataclass
class Batch:
    """What a batch asks of the networks, and what comes of it."""

    calls: list[Call] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)
    found: list[Segmentation] = field(default_factory=list)

    def forward(self, networks: dict[int, Callable[..., Any]] | None = None, half: bool = False) -> list[Any]:
        """Run the forward passes alone, through other networks where they are given."""
        made = []
        for network, given in self.calls:
            run = networks[id(network)] if networks else network
            device = given[0].device
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
                made.append(run(*given))
        return made


class Recorder:
    """A segmenter whose questions to the networks are kept."""

    def __init__(self, device: str = "cpu") -> None:
        self.segmenter = Segmenter(device=device)
        self.batches: dict[bytes, Batch] = {}
        self.half = self.segmenter.predictor.half
        self._now = Batch()
        self.networks = [self.segmenter.predictor.network]
        self.segmenter.predictor.network = self._watched(self.networks[0])
        if self.segmenter.asker is not None:
            self.networks.append(self.segmenter.asker.network)  # type: ignore[arg-type]
            self.segmenter.asker.network = self._watched(self.networks[-1])
        if self.segmenter.jury is not None:
            self.networks.append(self.segmenter.jury.network)  # type: ignore[arg-type]
            self.segmenter.jury.network = self._watched(self.networks[-1])
        if self.segmenter.drawer is not None:
            self.networks.append(self.segmenter.drawer.network)  # type: ignore[arg-type]
            self.segmenter.drawer.network = self._watched(self.networks[-1])

    def _watched(self, network: Any) -> Any:
        recorder = self

        class Watched:
            def __call__(self, *given: Any) -> Any:
                recorder._now.calls.append((network, given))
                return network(*given)

            def __getattr__(self, name: str) -> Any:
                return getattr(network, name)

        return Watched()

    def segment(self, images: Sequence[Image8], masks: Masks) -> list[Segmentation]:
        """Segment a batch, and keep what went on."""
        self._now = now = Batch()
        real = group

        def watch(mask: Any, displacement: Any, boundary: Any, options: Any, **given: Any) -> Grouping:
            said: dict[str, list[Any]] = {"ask": [], "judge": [], "draw": []}

            def noting(name: str) -> Any:
                def noted(question: Any) -> Any:
                    said[name].append(given[name](question))
                    return said[name][-1]

                return noted if given[name] else None

            kept = said["ask"], said["judge"], said["draw"]
            now.scenes.append(Scene(mask, displacement, boundary, options, *kept, set(given["stuff"])))
            return real(mask, displacement, boundary, options, **{**given, **{name: noting(name) for name in said}})

        with mock.patch("sisegcli.segmenter.group", watch):
            now.found = self.segmenter.segment(images, masks)
        self.batches[name_of(images)] = now
        return now.found


class Floor:
    """A method that runs the forward passes of batches that were recorded, and knows the instances already.

    It runs in as many lanes as the segmenter, so that a conversion with it overlaps what can overlap, too.
    """

    lanes = Segmenter.lanes

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def segment(self, images: Sequence[Image8], masks: Masks) -> list[Segmentation]:
        """Run the forward passes of a batch; return what was found when it was recorded."""
        batch = self._recorder.batches[name_of(images)]
        for made in batch.forward(half=self._recorder.half):
            for answer in made if isinstance(made, tuple) else (made,):
                answer.float().cpu()
        return batch.found


def name_of(images: Sequence[Image8]) -> bytes:
    """Tell a batch from others by a few of its pixels."""
    return b"".join(image[::61, ::61].tobytes() for image in images)


def variants(recorder: Recorder) -> dict[str, tuple[dict[int, Any], bool]]:
    """Return ways to run the same weights: networks for those of the recorder, and whether in bfloat16."""
    network, _ = load_checkpoint(weights_path("default"))
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return {
        "eager, contiguous": (_parts(recorder, plain), False),
        "channels-last": (_parts(recorder, network), False),
        "channels-last, bfloat16": (_parts(recorder, network), True),
    }


def exported(recorder: Recorder, kind: str) -> dict[int, Any]:
    """Return the same weights, exported, for the networks of the recorder.

    Raises
    ------
    OptionError
        If a package is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"default{KINDS[kind]}"
        export("default", kind, path)
        return _parts(recorder, load_exported(path)[0])


def _parts(recorder: Recorder, whole: Any) -> dict[int, Any]:
    others = [one for one in (whole.membership, whole.wholeness, whole.edges) if one is not None]
    return dict(zip((id(one) for one in recorder.networks), (whole, *others), strict=True))


@contextmanager
def contiguous() -> Iterator[None]:
    """Leave images in the layout that they have; networks turn them to channels-last otherwise."""

    def normalise(images: Any, mean: Any, std: Any) -> Any:
        return ((images.to(mean.dtype) - mean) / std).contiguous()

    with (
        mock.patch("sisegcli.network.model.normalise", normalise),
        mock.patch("sisegcli.network.membership.normalise", normalise),
        mock.patch("sisegcli.network.edge_refiner.normalise", normalise),
        mock.patch("sisegcli.network.wholeness.normalise", normalise),
    ):
        yield
