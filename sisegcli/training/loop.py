"""The training loop: steps, averages, checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sisegcli.devices import computes_in_bfloat16, layout
from sisegcli.errors import CheckpointError, SisegError
from sisegcli.network.checkpoint import save_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.network.model import SisegNetwork
from sisegcli.training.freezing import freeze, train_mode, window_groups
from sisegcli.training.listener import TrainListener
from sisegcli.training.loader import Batch, batches
from sisegcli.training.losses import centre_loss, pair_loss
from sisegcli.training.options import Recipe, TrainOptions
from sisegcli.training.pairs import Shift, pair_offsets
from sisegcli.training.processes import ALONE, Processes
from sisegcli.training.samples import SampleMaker
from sisegcli.training.state import STATE, Average, find_state, read_state, save_state
from sisegcli.training.window_losses import window_losses

WARM_UP = 200
SHIFTS_A_STEP = 16


class Trainer:
    """Trains a network until its epochs or minutes are over.

    Parameters
    ----------
    network : SisegNetwork
        What is trained; parts of the backbone are frozen and its batch norm keeps ImageNet's statistics.
    config : NetworkConfig
        What it was built from.
    maker : SampleMaker
        Makes the samples.
    recipe : Recipe
        How samples are made and what is learned.
    options : TrainOptions
        What the user asked for.
    device : torch.device
        Where to train.
    listener : TrainListener
        Hears how it goes.
    processes : Processes
        Those that train together; this one takes its part of every batch.
    """

    def __init__(
        self,
        network: SisegNetwork,
        config: NetworkConfig,
        maker: SampleMaker,
        recipe: Recipe,
        options: TrainOptions,
        device: torch.device,
        listener: TrainListener,
        processes: Processes = ALONE,
    ) -> None:
        self.processes = processes
        self.network: SisegNetwork = network.to(device, memory_format=layout(device))  # type: ignore[call-overload]
        self.config, self.maker, self.recipe, self.options = config, maker, recipe, options
        self.device, self.listener = device, listener
        processes.share(self.network)
        self.average = Average(self.network)
        groups = []
        if recipe.fields:
            freeze(network.backbone, recipe.frozen)
            backbone = [p for p in network.backbone.parameters() if p.requires_grad]  # type: ignore[attr-defined]
            heads = [p for part in (network.dfm, network.cbr) for p in part.parameters()]
            groups += [{"params": heads, "peak": recipe.lr}, {"params": backbone, "peak": recipe.lr / 10}]
        else:
            for name in ("backbone", "dfm", "cbr"):
                network.get_submodule(name).requires_grad_(False)
        taught = (recipe.asked, recipe.outlined, recipe.judged)
        for window_network, learns in zip((network.membership, network.edges, network.wholeness), taught, strict=True):
            if window_network is not None:
                groups += window_groups(window_network, recipe.lr / 2 if learns else 0.0)
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=1e-2)
        self.half = computes_in_bfloat16(device)
        self.step, self.following, self.elapsed = 0, 0, 0.0
        self.means: dict[str, float] = {}
        self.field_sum, self.field_count = torch.zeros(2, dtype=torch.float64), 0.0
        self.saved: int | None = None
        """Step of the weights on disk."""

    # -- going on ---------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on where the run in the options' folder stopped."""
        path = find_state(self.options.out)
        state = read_state(path)
        try:
            if state["recipe"] != json.dumps(asdict(self.recipe)):
                raise CheckpointError(f"The run in {self.options.out} used other settings; resume it with the same.")
            self.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average.updates, self.step, self.elapsed = state["updates"], state["step"], state["elapsed"]
            self.field_sum, self.field_count = state["field_sum"], state["field_count"]
            self.following, self.means = state["following"], state["means"]
            self.saved = self.step
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} does not fit this run; start a new one with --overwrite.") from error

    def save(self) -> None:
        """Write the averaged weights and the state to resume from."""
        out = self.options.out
        state = {
            "recipe": json.dumps(asdict(self.recipe)),
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "updates": self.average.updates,
            "step": self.step,
            "following": self.following,
            "elapsed": self.elapsed,
            "field_sum": self.field_sum,
            "field_count": self.field_count,
            "means": self.means,
        }
        save_state(out / STATE, state)
        save_checkpoint(out / "weights.safetensors", self.average.network, self.tuned_config(), notes=self.notes())
        self.saved = self.step

    def notes(self) -> dict[str, str]:
        """Metadata for people: recipe, seed, steps, and how many images showed instances as hints."""
        return {
            "recipe": self.options.recipe,
            "settings": json.dumps(asdict(self.recipe)),
            "seed": str(self.options.seed),
            "steps": str(self.step),
            "corrected_images": str(self.maker.corrected),
        }

    def tuned_config(self) -> NetworkConfig:
        """Return the configuration with the mean displacement over the objects seen, which IRNet subtracts."""
        mean = (self.field_sum / max(self.field_count, 1.0)).tolist()
        values = asdict(self.config)
        # Where centres are known the field has no free offset; the pair losses leave one.
        if self.recipe.fields:
            values["mean_displacement"] = (0.0, 0.0) if self.recipe.by_object else (mean[0], mean[1])
        return NetworkConfig(**values)

    # -- stepping ---------------------------------------------------------------------------------------------------

    def progress(self) -> float:
        """How much of the run is done, in [0, 1]."""
        if self.options.minutes is not None:
            done, total = self.elapsed, 60 * self.options.minutes
        else:
            epochs = self.recipe.epochs if self.options.epochs is None else self.options.epochs
            done, total = self.step * self.recipe.batch_size, epochs * len(self.maker)
        return min(1.0, done / total) if total > 0 else 1.0

    def steps(self) -> Iterator[Mapping[str, float]]:
        """Train; yield after every step its recent mean losses."""
        recipe = self.recipe
        stream = batches(
            self.maker,
            start=self.following,
            batch_size=recipe.batch_size,
            workers=self.options.workers,
            pin=self.device.type == "cuda",
            part=self.processes.rank,
            parts=self.processes.size,
        )
        stream = self.processes.together(stream, len(self.maker), self.device)
        train_mode(self.network, recipe)
        while self.progress() < 1.0:
            started = time.monotonic()
            batch = next(stream)
            for sentence in batch.problems:
                self.listener.problem(sentence)
            losses = self._learn(batch.to(self.device))
            self.step, self.following = self.step + 1, batch.following
            self.elapsed += self.processes.of_first(time.monotonic() - started, self.device)
            for name, value in losses.items():
                self.means[name] = value if name not in self.means else 0.98 * self.means[name] + 0.02 * value
            yield self.means

    def _learn(self, batch: Batch) -> dict[str, float]:
        rate = min(1.0, (self.step + 1) / WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.progress())))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        terms = self._learn_fields(batch) if self.recipe.fields else {}
        terms |= window_losses(self.network, batch, self.processes, self.device, half=self.half)
        loss = torch.stack(list(terms.values())).sum()
        told = self.processes.sum(torch.stack([loss, *terms.values()]).detach())
        if not bool(torch.isfinite(told[0])):
            raise self._diverged("loss")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.processes.sum_gradients(list(self.network.parameters()))
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        if not bool(torch.isfinite(norm)):  # before it reaches the weights
            raise self._diverged("gradient of the loss")
        self.optimizer.step()
        self.average.update(self.network)
        return dict(zip(("loss", *terms), told.tolist(), strict=True))

    def _diverged(self, what: str) -> SisegError:
        weights = self.options.out / "weights.safetensors"
        way = "start again"
        if self.saved is not None:
            way = f"go on from {weights}, the last good weights, of step {self.saved}, by --start,"
        return SisegError(f"The {what} is no longer a number at step {self.step}; {way} with a smaller --lr.")

    def _learn_fields(self, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            displacement, boundary = self.network(batch.images, batch.guides if self.network.guided else None)
        things = batch.labels > 0
        field = (displacement.detach().float() * things[:, None]).sum((0, 2, 3))
        self.field_sum += self.processes.sum(field).cpu().double()
        self.field_count += float(self.processes.sum(things.sum()))
        return self._losses(displacement, boundary, batch)

    def _losses(self, displacement: Tensor, boundary: Tensor, batch: Batch) -> dict[str, Tensor]:
        offsets = pair_offsets(self.recipe.radius)
        # A random part of the offsets at each step: the same loss in the mean, in a fraction of the time.
        chosen = np.random.default_rng((self.options.seed, self.step)).permutation(len(offsets))[:SHIFTS_A_STEP]
        shifts = [Shift(*offsets[number]) for number in chosen]
        doubtful = batch.doubtful if self.recipe.by_object else None
        pairs = pair_loss(
            displacement, boundary, batch.labels, shifts, doubtful=doubtful, everywhere=self.processes.sum
        )
        if not self.recipe.by_object:
            return {
                "object_displacement": pairs.object_displacement,
                "background_displacement": pairs.background_displacement,
                "boundary": pairs.boundary,
            }
        weight = (batch.labels > 0).float() * torch.where(batch.doubtful, 0.5, 1.0)
        centre = centre_loss(
            displacement, batch.centres, batch.size, weight, batch.doubtful, everywhere=self.processes.sum
        )
        return {"centre": centre, "object_displacement": 0.05 * pairs.object_displacement, "boundary": pairs.boundary}


def log_line(record: Mapping[str, Any]) -> str:
    """One line of the log, as JSON with five significant digits."""
    return json.dumps({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in record.items()})
