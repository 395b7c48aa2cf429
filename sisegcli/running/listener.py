"""What a run tells while it goes on."""

from __future__ import annotations

from pathlib import Path

from sisegcli.data.layouts import Layout


class Listener:
    """Hears how a conversion goes, and does nothing about it; the command line's console draws a progress bar."""

    def found(self, layout: Layout, out: Path) -> None:
        """Hear how the input folder was understood and where the results will go, before any work."""

    def noticed(self, sentence: str) -> None:
        """Hear of something that is no problem, but that a person would want to know."""

    def detailed(self, sentence: str) -> None:
        """Hear what only somebody who wants to know all would want to know: with what, and what came of each image."""

    def resumed(self, images: int) -> None:
        """Hear that so many images had been converted before, by the run that this one goes on with."""

    def advanced(self, images: int) -> None:
        """Hear that so many more images are done, converted or not."""

    def tiled(self, done: int, count: int) -> None:
        """Hear that so many of the tiles of a large image are done."""

    def stopping(self) -> None:
        """Hear that an interrupt was noted: the image at hand will be finished, then the run ends."""
