"""``sisegcli train``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.options import INPUT, METHOD, OUTPUT, RUNNING, mask_options
from sisegcli.errors import INTERRUPTED, SisegError

TRAINING = "Training"


class RecipeName(str, Enum):
    """Names of recipes on the command line."""

    default = "default"
    unpasted = "unpasted"
    paper = "paper"
    edges = "edges"
    wholes = "wholes"


class BackboneName(str, Enum):
    """Names of backbones on the command line."""

    efficientnet_lite0 = "efficientnet_lite0"
    resnet50 = "resnet50"
    resnet101 = "resnet101"


def train(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DIR", help="Folders of images and semantic masks.", show_default=False),
    ],
    split: shared.Split = None,
    images: shared.Images = None,
    masks: shared.Masks = None,
    background: shared.Background = "auto",
    ignore: shared.Ignore = "auto",
    categories: shared.CategoryList = None,
    colours: shared.Colours = None,
    val: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="VOC devkit with instance ground truth: AP is measured on the way, and the best weights are kept.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    val_split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only images of this list of --val.", rich_help_panel=INPUT)
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Corrected instances of some of the images (a COCO file, or what --to voc wrote): instance labels, as "
            "hints.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the run: weights.safetensors, state.safetensors, log.jsonl; by default ./runs/NAME for a "
            "DIR NAME.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: shared.Overwrite = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also log for TensorBoard.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: shared.Json = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
    recipe: Annotated[
        RecipeName,
        typer.Option(
            help="paper: the published losses. default: ours. unpasted: ours without pasted objects, to compare. "
            "edges, wholes: the edge refiner or the wholeness network alone, for weights given by --start.",
            rich_help_panel=TRAINING,
        ),
    ] = RecipeName.default,
    epochs: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="Stop after so many passes over the images.", rich_help_panel=TRAINING),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Stop after so much time.", rich_help_panel=TRAINING)
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=32, metavar="PIXELS", help="Side of the square crops.", rich_help_panel=TRAINING),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Crops in a step.", rich_help_panel=TRAINING)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=0, metavar="RATE", help="Peak learning rate.", rich_help_panel=TRAINING)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of all chance.", rich_help_panel=TRAINING)] = 0,
    backbone: Annotated[
        BackboneName, typer.Option(help="The network's backbone.", rich_help_panel=METHOD)
    ] = BackboneName.efficientnet_lite0,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="ImageNet weights of the backbone.", rich_help_panel=METHOD),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME|FILE", help="Our weights to start from, instead of ImageNet's.", rich_help_panel=METHOD
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out.", rich_help_panel=RUNNING)
    ] = False,
    device: shared.Device = "auto",
    workers: Annotated[
        int, typer.Option(min=0, metavar="N", help="Processes that prepare crops.", rich_help_panel=RUNNING)
    ] = 1,
    val_every: Annotated[
        int, typer.Option(min=1, metavar="STEPS", help="Measure AP this often.", rich_help_panel=RUNNING)
    ] = 1000,
    save_every: Annotated[
        int, typer.Option(min=1, metavar="STEPS", help="Save state and weights this often.", rich_help_panel=RUNNING)
    ] = 500,
) -> None:
    """Train the network on images and semantic masks alone.

    Images that can't be used are listed (exit code 1). Ctrl-C saves the run, and --resume goes on with it.
    Options left out are up to the recipe.
    torchrun --nproc-per-node N -m -- sisegcli train … trains on N processes, each with its part of every batch.
    """
    from sisegcli.cli.console import Console
    from sisegcli.cli.train_progress import TrainProgress, show_training
    from sisegcli.training.options import TrainOptions
    from sisegcli.training.processes import Processes
    from sisegcli.training.run import train as run

    chosen = TrainOptions(
        data=tuple(data),
        out=out or Path("runs") / (data[0].resolve().name or "images"),
        recipe=recipe.value,
        epochs=epochs,
        minutes=minutes,
        resume=resume,
        start=start,
        backbone=backbone.value,
        backbone_weights=backbone_weights,
        crop=crop,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        val=val,
        val_split=val_split,
        val_every=val_every,
        device=device,
        workers=workers,
        images=images,
        masks=masks,
        split=split,
        corrections=corrections,
        tensorboard=tensorboard,
        overwrite=overwrite,
        save_every=save_every,
        **mask_options(background, ignore, categories, colours),
    )
    if not Processes.started().first:
        run(chosen)  # the first process does the talking
        return
    console = Console(as_json, verbose=verbose, quiet=quiet)
    with TrainProgress(console) as progress:
        summary = run(chosen, progress)
    show_training(console, summary)
    if summary.interrupted:
        raise typer.Exit(INTERRUPTED)
    if summary.problems:
        raise typer.Exit(SisegError.exit_code)
