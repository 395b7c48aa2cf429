"""NumPy archives, a file an image: ``npz/NAME.npz``.

- ``labels``: (H, W) of int32, the number of each pixel's instance, from 1; 0 is nobody.
- ``categories``: (n,) of int32, the category id of the instances 1 to n; ``names``: (n,) strings, its name.
- ``scores``: (n,) of float32.

Nothing in it needs ``allow_pickle``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sisegcli.categories import Categories
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.instances import labels_from_instances


class NpzWriter(Writer):
    """Write ``npz/`` into a folder.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Names of categories.
    polygons : bool
        Without meaning here; taken so that all writers are made alike.
    overwrite : bool
        Replace files that exist.

    Raises
    ------
    OutputError
        If a file exists and `overwrite` is off, if it cannot be written, or if a stem leads out of the folder.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.folder = Path(out) / "npz"
        self.paths = [self.folder]
        self._categories = categories
        self._overwrite = overwrite

    def files(self, stem: str) -> list[Path]:
        """Return the archive of an image."""
        return [below(self.folder, stem, ".npz")]

    def write(self, result: ImageResult) -> str:
        """Write the arrays of an image."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self._overwrite)
        found = result.instances
        with replacing(path) as temporary, temporary.open("wb") as file:  # NumPy would add .npz to a name
            np.savez_compressed(
                file,
                labels=labels_from_instances(found, result.size),
                categories=np.array([instance.category for instance in found], np.int32),
                names=np.array([self._categories.name(instance.category) for instance in found], np.str_),
                scores=np.array([instance.score for instance in found], np.float32),
            )
        return ""
