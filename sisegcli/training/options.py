"""What a training run is asked to do, and the recipes that fill in the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sisegcli.data.mask_values import AUTO, Value


@dataclass(frozen=True)
class Recipe:
    """How samples are made and what is learned from them.

    Attributes
    ----------
    guided : bool
        The network also sees which pixels belong to things.
    pasted : float
        Share of crops on which lone objects are pasted as instances with known borders; 0: never.
    by_object : bool
        Displacement is trained to each known object's centre, and boundaries between known objects count beside those
        between categories; otherwise the paper's pair losses on categories alone.
    scales : tuple of float
        Random scale of the image, smallest and largest.
    long_side : int
        Images are shrunk to this longest side first, in training and in conversion, in pixels; 0: never.
    radius : int
        Pair radius of the losses, in stride-4 pixels.
    crop, batch_size : int
        Side of the square crops, in pixels, and crops in a step.
    lr : float
        Peak learning rate of AdamW; backbone parameters get a tenth.
    epochs : float
        Passes over the images where neither epochs nor minutes are asked for.
    frozen : int
        Parts of the backbone, from the first, that stay as they are.
    asked : int
        Questions from each crop to the membership network; 0: it does not learn.
    outlined : int
        Rough instances from each crop for the edge refiner; 0: it does not learn.
    judged : int
        Shapes from each crop for the wholeness network; 0: it does not learn.
    fields : bool
        Displacement field and boundary map learn. If not, `--start` has to bring them.
    """

    guided: bool
    pasted: float
    by_object: bool
    scales: tuple[float, float] = (0.5, 1.5)
    long_side: int = 384
    radius: int = 10
    crop: int = 256
    batch_size: int = 8
    lr: float = 2e-3
    epochs: float = 30.0
    frozen: int = 6
    asked: int = 0
    outlined: int = 0
    judged: int = 0
    fields: bool = True


RECIPES = {
    "default": Recipe(guided=True, pasted=0.8, by_object=True, scales=(0.7, 1.3), asked=2, outlined=1, judged=2),
    "unpasted": Recipe(guided=True, pasted=0.0, by_object=True, scales=(0.7, 1.3), asked=2, outlined=1, judged=2),
    "paper": Recipe(guided=False, pasted=0.0, by_object=False, epochs=10.0),
    "edges": Recipe(
        guided=True, pasted=0.25, by_object=True, scales=(0.9, 1.1), crop=384, outlined=3, fields=False, epochs=10.0
    ),
    "wholes": Recipe(
        guided=True,
        pasted=0.75,
        by_object=True,
        scales=(0.8, 1.4),
        crop=288,
        batch_size=4,
        judged=6,
        fields=False,
        epochs=6.0,
    ),
}


@dataclass(frozen=True)
class TrainOptions:
    """A training run as the user asked for it; ``None`` leaves a value to the recipe.

    Attributes
    ----------
    data : tuple of Path
        Folders with images and semantic masks.
    out : Path
        Folder for the run: ``weights.safetensors``, ``state.safetensors`` (to resume), ``log.jsonl``.
    recipe : str
        A name of `RECIPES`.
    epochs, minutes : float, optional
        When to stop: after so many passes over the images, or after so much time.
    resume : bool
        Go on with the run in `out`.
    start : Path, optional
        Weights to start from instead of ImageNet's.
    corrections : Path, optional
        Instances that a person told apart in some of the images: hints, the only instance labels that training may see.
    val : Path, optional
        A VOC devkit folder with instance ground truth; AP is measured on it and the best weights are kept.
    """

    data: tuple[Path, ...]
    out: Path
    recipe: str = "default"
    epochs: float | None = None
    minutes: float | None = None
    resume: bool = False
    start: Path | None = None
    backbone: str = "efficientnet_lite0"
    backbone_weights: Path | None = None
    crop: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int = 0
    val: Path | None = None
    val_split: str | None = None
    val_every: int = 1000
    device: str = "auto"
    workers: int = 1
    images: Path | None = None
    masks: Path | None = None
    split: str | None = None
    background: Value = AUTO
    ignore: Value = AUTO
    categories: str | None = None
    tensorboard: bool = False
    overwrite: bool = False
    save_every: int = 500
    colours: Path | None = None
    corrections: Path | None = None
