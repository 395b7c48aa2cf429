"""What a training run tells while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class TrainListener:
    """Hears how a training run goes, and does nothing about it; the command line's console draws a progress bar."""

    def preparing(self, what: str, total: int) -> None:
        """Hear that a preparation of `total` parts begins."""

    def prepared(self, parts: int) -> None:
        """Hear that so many more parts of the preparation are done."""

    def started(self, images: int, parameters: int, device: str, out: Path) -> None:
        """Hear what will be trained, on what."""

    def corrected(self, images: int) -> None:
        """Hear that in so many images instances were told apart by hand."""

    def detailed(self, sentence: str) -> None:
        """Hear what only somebody who wants to know all would want to know."""

    def stepped(self, step: int, progress: float, record: Mapping[str, float]) -> None:
        """Hear of a finished step; `progress` runs from 0 to 1, `record` holds recent mean losses."""

    def validated(self, step: int, ap: float, best: bool) -> None:
        """Hear the AP (percent) on the validation set."""

    def problem(self, sentence: str) -> None:
        """Hear of an image that could not be used."""
