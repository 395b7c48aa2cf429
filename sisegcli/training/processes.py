"""One training run on several processes: each takes its part of every batch, and together they do what one would do.

``torchrun`` starts the processes and tells each its number. Losses, counts that losses are divided by, statistics of
batch norm and gradients are summed over all processes, so a step is the step of one process on the whole batch, up to
rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from sisegcli.errors import OptionError, SisegError
from sisegcli.training.loader import Batch

PATIENCE = timedelta(hours=12)
"""How long processes wait for each other: the first one validates and saves while the others do nothing."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes
    ----------
    rank : int
        Number of this process, from 0; process 0 alone writes and prints.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def started(cls) -> Processes:
        """Return the processes that ``torchrun`` started; this one alone if it did not."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def check(self, batch_size: int) -> None:
        """Refuse batches that cannot be dealt out evenly.

        Raises
        ------
        OptionError
            If the processes are no divisor of `batch_size`.
        """
        if batch_size % self.size:
            raise OptionError(
                f"A batch of {batch_size} can't be dealt evenly to {self.size} processes; choose another --batch-size."
            )

    def device(self, device: torch.device) -> torch.device:
        """Return this process's own device where each machine has several."""
        if self.size > 1 and device.type == "cuda" and device.index is None:
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return device

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the processes while the context lasts."""
        if self.size == 1:
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        try:
            yield
        finally:
            dist.destroy_process_group()

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all processes; gradients flow through, as parts of the sum of all losses."""
        if self.size == 1:
            return values
        total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
        return total

    def of_first(self, number: float, device: torch.device) -> float:
        """Return a number as the first process has it."""
        if self.size == 1:
            return number
        values = torch.tensor([number if self.first else 0.0], dtype=torch.float64, device=device)
        return float(self.sum(values))

    def any(self, true: bool, device: torch.device) -> bool:
        """Return whether something is true in any process."""
        if self.size == 1:
            return true
        return bool(self.sum(torch.tensor([float(true)], device=device)) > 0)

    def sum_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Sum the gradients of parameters over all processes."""
        if self.size == 1:
            return
        there = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in there])
        dist.all_reduce(flat)
        sizes = [gradient.numel() for gradient in there]
        for gradient, part in zip(there, torch.split(flat, sizes), strict=True):
            gradient.copy_(part.view(gradient.shape))

    def share(self, network: nn.Module) -> None:
        """Give all processes the first one's parameters, and make batch norm count all processes' samples."""
        if self.size == 1:
            return
        _share_batch_norm(network, self)
        for tensor in network.state_dict().values():
            theirs = tensor.contiguous()  # which channels-last parameters are not
            dist.broadcast(theirs, 0)
            tensor.copy_(theirs)

    def together(self, stream: Iterator[Batch], images: int, device: torch.device) -> Iterator[Batch]:
        """Pass on batches of which any process has a sample, with the problems of all processes.

        Parameters
        ----------
        stream : iterator of Batch
            This process's parts of all batches, empty ones included.
        images : int
            Images of the data set.
        device : torch.device
            Where the process computes.

        Raises
        ------
        SisegError
            If no image could be used in two passes over the data set.
        """
        if self.size == 1:
            yield from stream
            return
        waiting: list[str] = []
        failed = 0
        for batch in stream:
            counts = self.sum(torch.tensor([len(batch.images), len(batch.problems)], device=device)).tolist()
            if counts[1]:
                heard: list[Any] = [None] * self.size
                dist.all_gather_object(heard, batch.problems)
                waiting += [sentence for sentences in heard for sentence in sentences]
            if counts[0]:
                yield replace(batch, problems=waiting)
                waiting, failed = [], 0
                continue
            failed += counts[1]
            if failed > 2 * images:
                raise SisegError(f"No image could be used for training; the first reason: {waiting[0]}")


ALONE = Processes()


class _Sum(torch.autograd.Function):
    """Sum over processes; the gradient of the sum of all losses is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are those of all processes' samples (torch's own does this on GPUs alone)."""

    processes = ALONE

    @classmethod
    def of(cls, norm: nn.BatchNorm2d, processes: Processes) -> SharedBatchNorm:
        """Return one that has the parameters and buffers of a plain batch norm."""
        shared = cls(norm.num_features, norm.eps, norm.momentum)
        shared.weight, shared.bias = norm.weight, norm.bias
        shared.running_mean, shared.running_var = norm.running_mean, norm.running_var
        shared.num_batches_tracked = norm.num_batches_tracked
        shared.train(norm.training)
        shared.processes = processes
        return shared

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W); N may be 0 here, but not in all processes."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        channels = (1, -1, 1, 1)
        count = self.processes.sum(x.new_tensor([x.numel() / x.shape[1]]))
        mean = self.processes.sum(x.sum((0, 2, 3))) / count
        centred = x - mean.view(channels)
        variance = self.processes.sum(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = (self.weight * (variance + self.eps).rsqrt()).view(channels)
        return (centred * scale + self.bias.view(channels)).to(input.dtype)


def _share_batch_norm(module: nn.Module, processes: Processes) -> None:
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, SharedBatchNorm.of(child, processes))
        else:
            _share_batch_norm(child, processes)
