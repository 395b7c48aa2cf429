"""Pictures of the instances, drawn by threads while the method goes on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future
from pathlib import Path

from PIL import Image

from sisegcli.categories import Categories
from sisegcli.data.layouts import Problem
from sisegcli.errors import OutputError
from sisegcli.formats.files import replacing
from sisegcli.formats.overlay import draw_overlay
from sisegcli.instances import Segmentation
from sisegcli.running.reading import Sample

FOLDER = "overlay"


class Overlays:
    """Draws each image with its instances, and the displacement field where a network saw one, to a PNG.

    Parameters
    ----------
    out : Path
        Output folder; pictures go to ``OUT/overlay/STEM.png``.
    categories : Categories
        Names to write on the instances.
    pool : Executor
        Draws and writes.
    ahead : int
        How many pictures may wait in memory.
    """

    def __init__(self, out: Path, categories: Categories, pool: Executor, *, ahead: int) -> None:
        self.folder = out / FOLDER
        self._categories = categories
        self._pool = pool
        self._ahead = ahead
        self._pending: deque[Future[Problem | None]] = deque()
        self._problems: list[Problem] = []

    def add(self, sample: Sample, segmentation: Segmentation) -> None:
        """Draw one image, now or soon."""
        self._pending.append(self._pool.submit(self._draw, sample, segmentation))
        while len(self._pending) > self._ahead:
            self._settle()

    def finish(self) -> list[Problem]:
        """Wait for all pictures and return what went wrong, in order."""
        while self._pending:
            self._settle()
        return self._problems

    def abort(self) -> None:
        """Draw nothing more."""
        while self._pending:
            self._pending.pop().cancel()

    def _settle(self) -> None:
        problem = self._pending.popleft().result()
        if problem:
            self._problems.append(problem)

    def _draw(self, sample: Sample, segmentation: Segmentation) -> Problem | None:
        picture = draw_overlay(
            sample.image, segmentation.instances, segmentation.displacement, categories=self._categories
        )
        path = self.folder / f"{sample.pair.stem}.png"
        try:
            with replacing(path) as temporary:
                Image.fromarray(picture).save(temporary, "PNG", compress_level=1)
        except OutputError as error:
            return Problem(sample.pair.image, str(error))
        return None
