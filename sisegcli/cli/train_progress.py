"""What a training run shows: a bar with losses on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sisegcli.cli.console import LINE_SECONDS, SHOWN_PROBLEMS, Console, count
from sisegcli.training.listener import TrainListener
from sisegcli.training.run import TrainSummary


class TrainProgress(TrainListener):
    """Draws how a training run goes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}", markup=False),
            console=console.err,
            transient=True,
            disable=not console.has_bars,
        )
        self._task = self._bar.add_task("", total=None, losses="")
        self._said = time.monotonic()
        self._problems = 0

    def __enter__(self) -> TrainProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def preparing(self, what: str, total: int) -> None:
        """Show a bar for the preparation."""
        self._console.say(f"{what} in {count(total, 'image')}.")
        self._bar.reset(self._task, total=total, description=what, losses="")

    def prepared(self, parts: int) -> None:
        """Move the bar of the preparation."""
        self._bar.advance(self._task, parts)

    def started(self, images: int, parameters: int, device: str, out: Path) -> None:
        """Say what is trained, and show a bar for it."""
        self._console.say(
            f"Training {parameters / 1e6:.1f} million parameters on {count(images, 'image')}, on {device}; "
            f"the run is in {out}."
        )
        self._bar.reset(self._task, total=1.0, description="Training", losses="")

    def corrected(self, images: int) -> None:
        """Say that instance labels are used."""
        self._console.say(
            f"{count(images, 'image')} with corrections: instance labels as hints, so these weights will not be of "
            "semantic masks alone."
        )

    def stepped(self, step: int, progress: float, record: Mapping[str, float]) -> None:
        """Move the bar and show the losses."""
        losses = "  ".join(f"{name} {value:.3f}" for name, value in record.items())
        self._console.detail(f"step {step}  {losses}")
        self._bar.update(self._task, completed=progress, description=f"Step {step}", losses=losses)
        now = time.monotonic()
        if self._bar.disable and not self._console.verbose and now - self._said >= LINE_SECONDS:
            self._said = now
            self._console.say(f"step {step} ({progress:.0%})  {losses}")

    def validated(self, step: int, ap: float, best: bool) -> None:
        """Say the AP."""
        self._console.say(f"Step {step}: AP {ap:.2f}{', the best so far' if best else ''}.")

    def detailed(self, sentence: str) -> None:
        """Say it to whoever wants to know all."""
        self._console.detail(sentence)

    def problem(self, sentence: str) -> None:
        """Say what could not be used, up to a number of sentences."""
        self._problems += 1
        if self._problems <= SHOWN_PROBLEMS or self._console.verbose:
            self._console.warn(sentence)


def show_training(console: Console, summary: TrainSummary) -> None:
    """Print what a training run did."""
    if console.as_json:
        console.print_json(summary.to_json())
        return
    if len(summary.problems) > SHOWN_PROBLEMS and not console.verbose:
        console.warn(f"{count(len(summary.problems), 'problem')}; --verbose or --json lists them all.")
    minutes = summary.seconds / 60
    if summary.interrupted:
        sentence = f"Interrupted after {count(summary.steps, 'step')}; --resume goes on from there."
        (console.warn if console.quiet else console.tell)(sentence)
    else:
        console.tell(f"{count(summary.steps, 'step')} in {minutes:.1f} minutes.")
    if summary.best_ap is not None:
        console.tell(f"Best AP: {summary.best_ap:.2f}")
    console.tell(f"Weights: {summary.weights}")
    console.tell(f"Use them: sisegcli convert DIR --weights {summary.weights}")
