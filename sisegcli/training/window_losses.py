"""Losses of the networks that look at windows: membership, the edge refiner, and wholeness."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sisegcli.network.model import SisegNetwork
from sisegcli.training.loader import (
    Batch,
    OutlineBatch,
    QuestionBatch,
    ShapeBatch,
    no_outlines,
    no_questions,
    no_shapes,
)
from sisegcli.training.losses import membership_loss, outline_loss, shape_loss
from sisegcli.training.processes import Processes


def window_losses(
    network: SisegNetwork, batch: Batch, processes: Processes, device: torch.device, *, half: bool
) -> dict[str, Tensor]:
    """Show the windows of a batch to the networks that learn from them; return the loss of each by its name.

    Parameters
    ----------
    network : SisegNetwork
        Holds them; those that it lacks, or that no process has windows for, have no loss.
    batch : Batch
        This process's part of a step.
    processes : Processes
        Those that train together; the losses are this one's part of the mean over the windows of all.
    device : torch.device
        Where the network is.
    half : bool
        Compute in bfloat16.
    """
    teacher = _Teacher(network, processes, device, half)
    found = {
        "membership": teacher.ask(batch.questions),
        "edges": teacher.draw(batch.outlines),
        "wholeness": teacher.judge(batch.shapes),
    }
    return {name: loss for name, loss in found.items() if loss is not None}


class _Teacher(NamedTuple):
    network: SisegNetwork
    processes: Processes
    device: torch.device
    half: bool

    def ask(self, asked: QuestionBatch | None) -> Tensor | None:
        """Return the loss of the membership network; None if nobody has a question."""
        network = self.network.membership
        if network is None or not (share := self._share(asked)).everybody:
            return None
        asked = asked or no_questions(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            answers = network(asked.windows, asked.things, asked.prompts)
        if not share.mine:
            return _nothing(answers)
        return share.of(membership_loss(answers, asked.members, asked.weights, asked.doubtful))

    def draw(self, rough: OutlineBatch | None) -> Tensor | None:
        """Return the loss of the edge refiner; None if nobody has a rough instance."""
        network = self.network.edges
        if network is None or not (share := self._share(rough)).everybody:
            return None
        rough = rough or no_outlines(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            drawn, judged = network(rough.windows, rough.things, rough.instances)
        if not share.mine:
            return _nothing(drawn) + _nothing(judged)
        return share.of(outline_loss(drawn, judged, rough.inside, rough.importance, rough.rough))

    def judge(self, shown: ShapeBatch | None) -> Tensor | None:
        """Return the loss of the wholeness network; None if nobody has a shape."""
        network = self.network.wholeness
        if network is None or not (share := self._share(shown)).everybody:
            return None
        shown = shown or no_shapes(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            verdicts = network(shown.windows, shown.things, shown.shapes)
        if not share.mine:
            return _nothing(verdicts)
        return share.of(shape_loss(verdicts, shown.answers, shown.weights, shown.doubtful))

    def _share(self, windows: QuestionBatch | OutlineBatch | ShapeBatch | None) -> _Share:
        mine = 0 if windows is None else len(windows.windows)
        return _Share(mine, int(self.processes.sum(torch.tensor(mine, device=self.device))))


class _Share(NamedTuple):
    """How many windows of a step this process has, and all together."""

    mine: int
    everybody: int

    def of(self, mean: Tensor) -> Tensor:
        """Return this process's part of the mean over all windows, from the mean over its own."""
        return mean * (self.mine / self.everybody)


def _nothing(answers: Tensor) -> Tensor:
    """Return 0 that depends on all parameters that answers came from."""
    zero: Tensor = answers.float().sum()
    return zero
