"""Batches of samples, made in worker processes while the network learns."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from sisegcli.errors import SisegError
from sisegcli.grid import STRIDE
from sisegcli.training.outlines import Outlines
from sisegcli.training.questions import Questions
from sisegcli.training.samples import Sample, SampleMaker
from sisegcli.training.shapes import Shapes
from sisegcli.windows import CELLS, WINDOW

NOTICED = 10.0
"""Seconds within which torch hears that a worker process died."""


@dataclass(frozen=True)
class QuestionBatch:
    """Questions of all samples of a step, as tensors; see `Questions` for shapes."""

    windows: Tensor
    things: Tensor
    prompts: Tensor
    members: Tensor
    weights: Tensor
    doubtful: Tensor


@dataclass(frozen=True)
class OutlineBatch:
    """Rough instances of all samples of a step, as tensors; see `Outlines` for shapes."""

    windows: Tensor
    things: Tensor
    instances: Tensor
    inside: Tensor
    importance: Tensor
    rough: Tensor


@dataclass(frozen=True)
class ShapeBatch:
    """Shapes of all samples of a step, as tensors; see `Shapes` for shapes."""

    windows: Tensor
    things: Tensor
    shapes: Tensor
    answers: Tensor
    weights: Tensor
    doubtful: Tensor


@dataclass(frozen=True)
class Batch:
    """Samples of a step, as tensors; see `Sample` for shapes.

    `problems` says which images could not be used, `following` is the number of the sample after these.
    """

    images: Tensor
    guides: Tensor
    labels: Tensor
    centres: Tensor
    size: Tensor
    doubtful: Tensor
    problems: list[str]
    questions: QuestionBatch | None = None
    outlines: OutlineBatch | None = None
    shapes: ShapeBatch | None = None
    following: int = 0

    def to(self, device: torch.device) -> Batch:
        """Move to a device; guides become 0, 0.5 and 1."""
        moved = self._each(lambda x: x.to(device, non_blocking=True))
        questions, outlines, shapes = moved.questions, moved.outlines, moved.shapes
        if questions is not None:
            questions = replace(questions, things=_shown(questions.things), prompts=_shown(questions.prompts))
        if outlines is not None:
            outlines = replace(outlines, things=_shown(outlines.things), instances=_shown(outlines.instances))
        if shapes is not None:
            shapes = replace(shapes, things=_shown(shapes.things), shapes=_shown(shapes.shapes))
        guides = moved.guides.float()[:, None] / 2
        return replace(moved, guides=guides, questions=questions, outlines=outlines, shapes=shapes)

    def pin_memory(self) -> Batch:
        """Move to memory from which a GPU copies by itself; the loader calls it."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                changed[name] = change(value)
            elif isinstance(value, QuestionBatch | OutlineBatch | ShapeBatch):
                parts: dict[str, Any] = {key: change(tensor) for key, tensor in vars(value).items()}
                changed[name] = replace(value, **parts)
        return replace(self, **changed)


def _shown(drawn: Tensor) -> Tensor:
    return drawn.float()[:, None] / 255


class _Samples(Dataset[Sample | str]):
    def __init__(self, maker: SampleMaker) -> None:
        self.maker = maker

    def __getitem__(self, number: int) -> Sample | str:
        try:
            return self.maker.make(number)
        except (SisegError, OSError) as error:
            return str(error)


class _From(Sampler[int]):
    """Numbers from `start` on, without end; of every batch only one of several parts."""

    def __init__(self, start: int, batch_size: int, part: int, parts: int) -> None:
        self.start, self.batch_size, self.part, self.parts = start, batch_size, part, parts

    def __iter__(self) -> Iterator[int]:
        share = self.batch_size // self.parts
        first = self.start + self.part * share
        while True:
            yield from range(first, first + share)
            first += self.batch_size


def _ignore_interrupts(_worker: int) -> None:
    # Ctrl-C reaches all processes of a terminal; the main one decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collate(samples: list[Sample | str]) -> Batch | list[str]:
    problems = [s for s in samples if isinstance(s, str)]
    good = [s for s in samples if not isinstance(s, str)]
    if not good:
        return problems

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(s, name) for s in good]))

    asked = _joined([s.questions for s in good if s.questions is not None], Questions)
    rough = _joined([s.outlines for s in good if s.outlines is not None], Outlines)
    judged = _joined([s.shapes for s in good if s.shapes is not None], Shapes)
    return Batch(
        images=stack("image").permute(0, 3, 1, 2),
        guides=stack("guide"),
        labels=stack("labels"),
        centres=stack("centres"),
        size=stack("size"),
        doubtful=stack("doubtful"),
        problems=problems,
        questions=QuestionBatch(**asked) if asked else None,
        outlines=OutlineBatch(**rough) if rough else None,
        shapes=ShapeBatch(**judged) if judged else None,
    )


def _joined(
    parts: Sequence[Questions | Outlines | Shapes], kind: type[Questions | Outlines | Shapes]
) -> dict[str, Tensor]:
    """Join what several samples have for a network that looks at windows."""
    if not parts:
        return {}
    values = {f.name: torch.from_numpy(np.concatenate([getattr(part, f.name) for part in parts])) for f in fields(kind)}
    values["windows"] = values["windows"].permute(0, 3, 1, 2)
    return values


def _empty(crop: int, problems: list[str]) -> Batch:
    """Return a batch without samples."""
    cells = (0, crop // STRIDE, crop // STRIDE)
    return Batch(
        images=torch.zeros(0, 3, crop, crop, dtype=torch.uint8),
        guides=torch.zeros(0, crop, crop, dtype=torch.uint8),
        labels=torch.zeros(cells, dtype=torch.int32),
        centres=torch.zeros(0, 2, *cells[1:]),
        size=torch.zeros(cells),
        doubtful=torch.zeros(cells, dtype=torch.bool),
        problems=problems,
    )


def no_questions(device: torch.device) -> QuestionBatch:
    """Return questions of no sample, as `Batch.to` leaves them."""
    cells = torch.zeros(0, CELLS, CELLS, device=device)
    seen = torch.zeros(0, 1, WINDOW, WINDOW, device=device)
    return QuestionBatch(
        windows=torch.zeros(0, 3, WINDOW, WINDOW, dtype=torch.uint8, device=device),
        things=seen,
        prompts=seen,
        members=cells.bool(),
        weights=cells,
        doubtful=cells.bool(),
    )


def no_outlines(device: torch.device) -> OutlineBatch:
    """Return rough instances of no sample, as `Batch.to` leaves them."""
    cells = torch.zeros(0, WINDOW // 2, WINDOW // 2, device=device)
    seen = torch.zeros(0, 1, WINDOW, WINDOW, device=device)
    windows = torch.zeros(0, 3, WINDOW, WINDOW, dtype=torch.uint8, device=device)
    return OutlineBatch(windows, seen, seen, cells, cells, torch.zeros(0, device=device))


def no_shapes(device: torch.device) -> ShapeBatch:
    """Return shapes of no sample, as `Batch.to` leaves them."""
    seen = torch.zeros(0, 1, WINDOW, WINDOW, device=device)
    windows = torch.zeros(0, 3, WINDOW, WINDOW, dtype=torch.uint8, device=device)
    pairs = torch.zeros(0, 2, device=device)
    return ShapeBatch(windows, seen, seen, pairs, pairs, torch.zeros(0, dtype=torch.bool, device=device))


def _received(stream: Iterator[Any]) -> Iterator[Any]:
    """Yield what worker processes send.

    Raises
    ------
    RuntimeError
        torch's own, which names the worker that was killed.
    ConnectionError, EOFError
        If one broke off in the middle of sending and yet did not die.
    """
    while True:
        try:
            sent = next(stream)
        except StopIteration:
            return
        except (ConnectionError, EOFError):
            time.sleep(NOTICED)  # the worker was killed while it sent: the signal that tells torch may still be coming
            raise
        yield sent


def batches(
    maker: SampleMaker,
    *,
    start: int,
    batch_size: int,
    workers: int,
    pin: bool = False,
    part: int = 0,
    parts: int = 1,
) -> Iterator[Batch]:
    """Yield batches of samples `start`, `start` + 1, … without end.

    Parameters
    ----------
    maker : SampleMaker
        Makes the samples.
    start : int
        Number of the first sample.
    batch_size : int
        Samples in a batch; fewer where some could not be made.
    workers : int
        Worker processes; 0 makes samples in this process.
    pin : bool
        Put batches into pinned memory, for a GPU.
    part, parts : int
        Make one of so many equal parts of each batch, of which `batch_size` is a multiple; a part in which no sample
        could be made is yielded all the same, as the other parts may have some.
    """
    loader: DataLoader[Any] = DataLoader(
        _Samples(maker),
        batch_size=batch_size // parts,
        sampler=_From(start, batch_size, part, parts),
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_ignore_interrupts,
    )
    failures, waiting = 0, list[str]()
    for number, batch in enumerate(_received(iter(loader)), start=1):
        if not isinstance(batch, Batch) and parts > 1:
            batch = _empty(maker.recipe.crop, batch)
        if isinstance(batch, Batch):
            yield replace(batch, problems=waiting + batch.problems, following=start + number * batch_size)
            failures, waiting = 0, []
        else:
            failures, waiting = failures + 1, waiting + batch
            if failures * batch_size > 2 * len(maker):
                raise SisegError(f"No image could be used for training; the first reason: {batch[0]}")
