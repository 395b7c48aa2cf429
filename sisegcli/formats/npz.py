"""NumPy archives, a file an image: ``npz/NAME.npz``.

- ``labels``: (H, W) of int32, the number of each pixel's instance, from 1; 0 is nobody.
- ``categories``: (n,) of int32, the category id of the instances 1 to n; ``names``: (n,) strings, its name.
- ``scores``: (n,) of float32.

Nothing in it needs ``allow_pickle``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sisegcli.formats.files import replacing
from sisegcli.formats.image_files import ImageFilesWriter
from sisegcli.formats.records import ImageResult
from sisegcli.instances import labels_from_instances


class NpzWriter(ImageFilesWriter):
    """Write ``npz/`` into a folder."""

    name, suffixes = "npz", (".npz",)

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the arrays of an image."""
        [path] = paths
        found = result.instances
        with replacing(path) as temporary, temporary.open("wb") as file:  # NumPy would add .npz to a name
            np.savez_compressed(
                file,
                labels=labels_from_instances(found, result.size),
                categories=np.array([instance.category for instance in found], np.int32),
                names=np.array([self.categories.name(instance.category) for instance in found], np.str_),
                scores=np.array([instance.score for instance in found], np.float32),
            )
