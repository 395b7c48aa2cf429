"""What a conversion left on disk. No other module of the report opens an output folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.errors import InputError
from sisegcli.evaluation import load_predictions
from sisegcli.instances import Instance
from sisegcli.running.timings import read_seconds


@dataclass(frozen=True, slots=True)
class ImageOutput:
    """The instances of an image, best first, and the seconds that it took where that is known."""

    instances: list[Instance]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a conversion.

    Attributes
    ----------
    images : dict
        What became of each image, by stem.
    categories : Categories
        Names, where the outputs tell them.
    notes : list of str
        What a reader of the report must know.
    """

    images: dict[str, ImageOutput]
    categories: Categories = field(default_factory=Categories)
    notes: list[str] = field(default_factory=list)


def read_outputs(path: Path) -> Outputs:
    """Read the output folder of a conversion, or one ``instances.json``.

    Raises
    ------
    InputError
        If there is neither ``instances.json`` nor VOC's folders, or they cannot be read, or hold no image.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give an output folder of sisegcli convert.")
    # COCO's file has the sizes and names of all images and categories, VOC's folders do not.
    coco = path / "instances.json"
    found = load_predictions(coco if coco.is_file() else path)
    if not found.images:
        raise InputError(f"{path} holds no images, so there is nothing to report; convert some first.")
    seconds = read_seconds(path)
    images = {
        stem: ImageOutput(sorted(instances, key=lambda i: -i.score), seconds.get(stem))
        for stem, instances in found.images.items()
    }
    return Outputs(images, found.categories, found.notes)
