"""A training run from options to weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.layouts import find_pairs
from sisegcli.devices import pick_device
from sisegcli.errors import CheckpointError, ImageError, InputError, LayoutError, OptionError, OutputError, SisegError
from sisegcli.network.checkpoint import save_checkpoint
from sisegcli.network.config import read_metadata
from sisegcli.running.interrupts import Interrupts
from sisegcli.training.corrections import Corrections, load_corrections
from sisegcli.training.listener import TrainListener
from sisegcli.training.loop import Trainer, log_line
from sisegcli.training.objects import ObjectBank, Source, collect_objects
from sisegcli.training.options import RECIPES, Recipe, TrainOptions
from sisegcli.training.processes import Processes
from sisegcli.training.samples import SampleMaker
from sisegcli.training.starting import first_network
from sisegcli.training.state import BEFORE, STATE, trim_log
from sisegcli.training.validation import Validation

LOG_EVERY = 50
SMALL_OBJECTS = {"sigma": 1.0, "basins": 0.7, "cut": 0.25}
"""Parameters for small objects: their centres are close, and they come in crowds, where touching is common."""


@dataclass(frozen=True)
class TrainSummary:
    """What a training run did.

    Attributes
    ----------
    weights : Path
        The weights to use: the best on the validation set, or the last ones.
    steps : int
        Steps done, over all resumptions.
    seconds : float
        Time spent, over all resumptions.
    losses : dict
        Recent mean losses.
    best_ap : float or None
        Best AP on the validation set, percent.
    interrupted : bool
        Whether Ctrl-C ended the run early.
    problems : list of str
        Images that could not be used.
    """

    weights: Path
    steps: int
    seconds: float
    losses: dict[str, float]
    best_ap: float | None
    interrupted: bool
    problems: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return {**self.__dict__, "weights": str(self.weights)}


def train(options: TrainOptions, listener: TrainListener | None = None) -> TrainSummary:
    """Train a network on images with semantic masks.

    Raises
    ------
    SisegError
        If data, options or outputs do not allow it, or the loss is no longer a number.
    """
    processes = Processes.started()
    recipe = _recipe(options)
    processes.check(recipe.batch_size)
    device = processes.device(pick_device(options.device))
    if processes.first:
        _guard(options)
    with processes.joined(device):
        heard = listener if listener is not None and processes.first else TrainListener()
        return _train(options, recipe, device, heard, processes)


def _train(
    options: TrainOptions, recipe: Recipe, device: torch.device, listener: TrainListener, processes: Processes
) -> TrainSummary:
    problems: list[str] = []
    sources = _sources(options, problems)
    for sentence in problems:
        listener.problem(sentence)
    # Before all that takes long, as its images are looked at.
    validation = Validation(options.val, options.val_split, device) if options.val and processes.first else None
    network, config = first_network(options, recipe)
    images = sum(len(source.pairs) for source in sources)
    bank: ObjectBank | None = None
    if recipe.pasted:
        listener.preparing("Looking for lone objects", images)
        bank = collect_objects(sources, advance=listener.prepared)
        factor = bank.magnification(recipe.long_side)
        if factor is not None:  # small objects are lost on a grid of stride 4
            low, high = recipe.scales
            recipe = replace(recipe, scales=(low * factor, high * factor), long_side=0)
        if factor is not None and recipe.fields:
            config = replace(config, magnify=factor, long_side=0, grouping={**config.grouping, **SMALL_OBJECTS})
    maker = SampleMaker(sources, bank, recipe, options.seed)
    trainer = Trainer(network, config, maker, recipe, options, device, listener, processes)
    if options.resume:
        trainer.resume()
    elif processes.first:
        (options.out / "best.safetensors").unlink(missing_ok=True)  # of a run that is being replaced
    options.out.mkdir(parents=True, exist_ok=True)
    if maker.corrected:
        listener.corrected(maker.corrected)
    for detail in _details(options, recipe):
        listener.detailed(detail)
    listener.started(images, sum(p.numel() for p in network.parameters()), str(device), options.out)
    return _run(trainer, validation, listener, problems)


def _run(trainer: Trainer, validation: Validation | None, listener: TrainListener, problems: list[str]) -> TrainSummary:
    options, out, processes = trainer.options, trainer.options.out, trainer.processes
    heard = listener.problem

    def remember(sentence: str) -> None:
        if sentence not in problems:
            problems.append(sentence)
            heard(sentence)

    listener.problem = remember  # type: ignore[method-assign]
    interrupted, best = False, _best_so_far(out) if options.resume else None
    with _killed_workers_told(trainer), ExitStack() as stack:
        place = out / "log.jsonl" if processes.first else Path(os.devnull)
        measured = trim_log(place, trainer.step) if options.resume and processes.first else True
        log = stack.enter_context(place.open("a" if options.resume else "w", encoding="utf-8"))
        board = _tensorboard(out, stack) if options.tensorboard and processes.first else None

        def note(record: dict[str, Any]) -> None:
            log.write(log_line(record) + "\n")
            log.flush()
            for name, value in record.items():
                if board and name not in ("step", "seconds"):
                    board(name, value, record["step"])

        def validate() -> None:
            nonlocal best
            if validation is None:
                return
            try:
                ap = validation.measure(trainer.average.network, trainer.tuned_config())
            except ImageError as error:  # a file that was fine before
                remember(f"{error} AP was not measured at step {trainer.step}.")
                return
            better = best is None or ap > best
            if better:
                best = ap
                path = out / "best.safetensors"
                save_checkpoint(
                    path,
                    trainer.average.network,
                    trainer.tuned_config(),
                    notes={**trainer.notes(), "val_ap": str(ap)},
                )
            note({"step": trainer.step, "seconds": trainer.elapsed, "val_ap": ap})
            listener.validated(trainer.step, ap, better)

        def save() -> None:
            if processes.first:
                trainer.save()

        noted = trainer.step
        if not measured and trainer.step and trainer.step % options.val_every == 0:
            validate()  # the run was killed just before
        try:
            # Ctrl-C waits for the end of a step: half of one could not be continued exactly.
            with Interrupts() as interrupts:
                for means in trainer.steps():
                    listener.stepped(trainer.step, trainer.progress(), means)
                    if trainer.step % LOG_EVERY == 0:
                        note({"step": trainer.step, "seconds": trainer.elapsed, **means})
                        noted = trainer.step
                    if trainer.step % options.save_every == 0:
                        save()
                    if trainer.step % options.val_every == 0:
                        validate()
                    if processes.any(interrupts.noted, trainer.device):
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            interrupted = True
        save()
        if trainer.step > noted:
            note({"step": trainer.step, "seconds": trainer.elapsed, **trainer.means})
        if not interrupted and trainer.step % options.val_every:
            validate()
    name = "best.safetensors" if best is not None else "weights.safetensors"
    return TrainSummary(out / name, trainer.step, trainer.elapsed, dict(trainer.means), best, interrupted, problems)


@contextmanager
def _killed_workers_told(trainer: Trainer) -> Iterator[None]:
    """Say in a sentence that a process that prepares crops was killed.

    torch notices it in the middle of whatever is being done, so the step at hand cannot be saved.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        way = "start again" if trainer.saved is None else f"go on from step {trainer.saved} with --resume,"
        what = "A process that prepares crops was killed, as happens where memory runs out"
        raise SisegError(f"{what}; {way} and fewer --workers.") from error


def _details(options: TrainOptions, recipe: Recipe) -> Iterator[str]:
    """Yield what somebody who wants to know all would want to know."""
    start = options.start or options.backbone_weights or "ImageNet's weights"
    yield f"Recipe: {options.recipe}. Backbone: {options.backbone}, from {start}. Seed: {options.seed}."
    yield (
        f"Batches of {recipe.batch_size} crops of {recipe.crop} × {recipe.crop} pixels, by {options.workers} "
        f"processes; peak learning rate {recipe.lr:g}; saved every {options.save_every} steps."
    )


def _recipe(options: TrainOptions) -> Recipe:
    if options.recipe not in RECIPES:
        raise OptionError(f"No recipe is called '{options.recipe}'; choose one of {', '.join(RECIPES)}.")
    recipe = RECIPES[options.recipe]
    asked = {name: getattr(options, name) for name in ("crop", "batch_size", "lr")}
    recipe = replace(recipe, **{name: value for name, value in asked.items() if value is not None})
    if options.corrections and not recipe.by_object:
        raise OptionError(f"--recipe {options.recipe} learns from categories alone; leave out --corrections.")
    if recipe.crop % 32 or recipe.crop < 64:
        raise OptionError(
            f"--crop {recipe.crop} is no multiple of 32 from 64 on; try {max(64, recipe.crop // 32 * 32)}."
        )
    return recipe


def _guard(options: TrainOptions) -> None:
    held = any((options.out / name).exists() for name in (STATE, BEFORE, "weights.safetensors", "best.safetensors"))
    if held and not options.resume and not options.overwrite:
        raise OutputError(f"{options.out} holds a run already; go on with --resume or replace it with --overwrite.")


def _sources(options: TrainOptions, problems: list[str]) -> tuple[Source, ...]:
    colours = read_colour_table(options.colours) if options.colours else None
    named = load_categories(options.categories) if options.categories else None
    corrections = load_corrections(options.corrections) if options.corrections else None
    sources = []
    for folder in options.data:
        layout = find_pairs(folder, images=options.images, masks=options.masks, split=options.split)
        if not layout.pairs:
            raise LayoutError(f"{folder} holds no image with a mask; see 'sisegcli convert --help' for layouts.")
        problems += [problem.sentence for problem in layout.problems]
        reader = layout.values.reader(options.background, options.ignore, colours)
        known = named or layout.categories or Categories()
        sources.append(Source(tuple(layout.pairs), reader, known, corrections))
    if corrections is not None:
        _check_corrections(corrections, sources, problems)
    return tuple(sources)


def _check_corrections(corrections: Corrections, sources: Sequence[Source], problems: list[str]) -> None:
    stems = {pair.stem for source in sources for pair in source.pairs}
    strange = [stem for stem in corrections.images if stem not in stems]
    if len(strange) == len(corrections.images):
        raise InputError(f"{corrections.path} corrects none of the images; its files must be named like them.")
    problems += [f"{corrections.path} corrects {stem}, which is not among the images." for stem in strange]


def _best_so_far(out: Path) -> float | None:
    path = out / "best.safetensors"
    if not path.is_file():
        return None
    metadata, _ = read_metadata(path)
    try:
        return float(metadata.get("val_ap", 0.0))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged; remove it, and go on with --resume.") from error


def _tensorboard(out: Path, stack: ExitStack) -> Callable[[str, float, int], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise OptionError("--tensorboard needs 'pip install sisegcli[tensorboard]'.") from error
    writer = SummaryWriter(str(out / "tensorboard"))
    stack.callback(writer.close)
    return writer.add_scalar
