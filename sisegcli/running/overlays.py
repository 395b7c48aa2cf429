"""Pictures of the instances, drawn by threads while the method goes on."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path

from PIL import Image

from sisegcli.categories import Categories
from sisegcli.data.layouts import Problem
from sisegcli.errors import OutputError, StorageError
from sisegcli.formats.files import replacing
from sisegcli.formats.overlay import draw_overlay, readable_scale
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
    legend : bool
        Whether categories are listed below or beside each image.
    """

    def __init__(self, out: Path, categories: Categories, pool: Executor, *, legend: bool = True) -> None:
        self.folder = out / FOLDER
        self._categories = categories
        self._pool = pool
        self._legend = legend

    def files(self, stem: str) -> list[Path]:
        """Return the picture of an image."""
        return [self.folder / f"{stem}.png"]

    def add(self, sample: Sample, segmentation: Segmentation) -> Future[Problem | None]:
        """Draw one image, now or soon; what comes then is why it could not be drawn.

        A `StorageError` is raised there, as other pictures could not be written, either.
        """
        return self._pool.submit(self._draw, sample, segmentation)

    def _draw(self, sample: Sample, segmentation: Segmentation) -> Problem | None:
        picture = draw_overlay(
            sample.image,
            segmentation.instances,
            segmentation.displacement,
            categories=self._categories,
            scale=readable_scale(sample.size),
            legend=self._legend,
        )
        [path] = self.files(sample.pair.stem)
        try:
            with replacing(path) as temporary:
                Image.fromarray(picture).save(temporary, "PNG", compress_level=1)
        except StorageError:
            raise
        except OutputError as error:
            return Problem(sample.pair.image, str(error))
        return None
