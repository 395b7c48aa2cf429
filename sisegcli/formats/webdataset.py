"""An archive in the form of WebDataset: two files for each image, one behind the other, as they come.

``instances.tar`` holds ``KEY.instances.png``, instance numbers from 1 as in VOC's ``SegmentationObject``, and
``KEY.json``, which lists the instances in that order; masks are COCO's run-length codes.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path, PurePosixPath

from sisegcli.categories import Categories
from sisegcli.errors import OutputError
from sisegcli.formats.files import below, output_errors, refuse_existing, temporary_name
from sisegcli.formats.records import ImageResult
from sisegcli.formats.voc import indexed_picture
from sisegcli.instances import labels_from_instances


class WebDatasetWriter:
    """Write ``instances.tar`` into a folder; nothing of an image stays in memory.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Names of categories.
    polygons : bool
        Without meaning here; taken so that all writers are made alike.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, if it cannot be written, or if a stem can be no key: it leads out of
        the archive, or its name has a dot.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.path = Path(out) / "instances.tar"
        self.paths = [self.path]
        refuse_existing(self.path, overwrite=overwrite)
        self._categories = categories
        self._temporary = temporary_name(self.path)
        with output_errors(self.path):
            self._tar: tarfile.TarFile | None = tarfile.open(self._temporary, "w")  # noqa: SIM115

    def add(self, result: ImageResult) -> None:
        """Append the two files of an image."""
        below(self.path, result.stem, "")
        if "." in PurePosixPath(result.stem).name:
            raise OutputError(
                f"'{result.stem}' has a dot, where WebDataset ends the key of an image; rename it or write another "
                "format."
            )
        picture = indexed_picture(self.path / result.stem, labels_from_instances(result.instances, result.size))
        png = io.BytesIO()
        picture.save(png, format="PNG")
        self._append(f"{result.stem}.instances.png", png.getvalue())
        self._append(f"{result.stem}.json", (json.dumps(self._record(result), ensure_ascii=False) + "\n").encode())

    def _record(self, result: ImageResult) -> dict[str, object]:
        height, width = result.size
        found = [
            {
                "category_id": instance.category,
                "category": self._categories.name(instance.category),
                "score": round(instance.score, 6),
                "area": instance.area,
                "bbox": [instance.box[1], instance.box[0], instance.box[3], instance.box[2]],
                "segmentation": {"size": [height, width], "counts": instance.counts.decode("ascii")},
            }
            for instance in result.instances
        ]
        return {"file_name": result.file_name, "height": height, "width": width, "instances": found}

    def _append(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o644
        assert self._tar is not None
        with output_errors(self.path):
            self._tar.addfile(member, io.BytesIO(content))
        self._tar.members = []  # type: ignore[attr-defined]  # or all of them are kept

    def close(self) -> None:
        """Give the archive its name; a second call does nothing."""
        if self._tar is None:
            return
        with output_errors(self.path):
            self._tar.close()
            self._temporary.replace(self.path)
        self._tar = None

    def abort(self) -> None:
        """Remove the unfinished archive."""
        if self._tar is None:
            return
        self._tar.close()
        self._tar = None
        self._temporary.unlink(missing_ok=True)
