"""An archive in the form of WebDataset: two files for each image, one behind the other, as they come.

``instances.tar`` holds ``KEY.instances.png``, instance numbers from 1 as in VOC's ``SegmentationObject``, and
``KEY.json``, which lists the instances in that order; masks are COCO's run-length codes.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from contextlib import suppress
from pathlib import PurePosixPath

from sisegcli.errors import OutputError
from sisegcli.formats.coco_stream import line
from sisegcli.formats.files import below, flush_to_disk, output_errors, refuse_existing, temporary_name
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.voc import indexed_picture
from sisegcli.instances import labels_from_instances


class WebDatasetWriter(Writer):
    """Write ``instances.tar`` into a folder; nothing of an image stays in memory."""

    def begin(self) -> None:
        """Name the archive."""
        self.path = self.out / "instances.tar"
        self.paths = [self.path]
        refuse_existing(self.path, overwrite=self.overwrite)
        self._temporary = temporary_name(self.path)
        self._tar: tarfile.TarFile | None = None
        self._closed = False

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image: its key, and the content of its two files."""
        below(self.path, result.stem, "")
        if "." in PurePosixPath(result.stem).name:
            raise OutputError(
                f"'{result.stem}' has a dot, where WebDataset ends the key of an image; rename it or write another "
                "format."
            )
        picture = indexed_picture(self.path / result.stem, labels_from_instances(result.instances, result.size))
        png = io.BytesIO()
        picture.save(png, format="PNG")
        return "\n".join([line(result.stem), base64.b64encode(png.getvalue()).decode(), line(self._record(result))])

    def append(self, entry: str) -> None:
        """Append the two files of an image."""
        key, png, record = entry.split("\n")
        self._append(f"{json.loads(key)}.instances.png", base64.b64decode(png))
        self._append(f"{json.loads(key)}.json", (record + "\n").encode())

    def _record(self, result: ImageResult) -> dict[str, object]:
        height, width = result.size
        found = [
            {
                "category_id": instance.category,
                "category": self.categories.name(instance.category),
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
        with output_errors(self.path):
            tar = self._opened()
            tar.addfile(member, io.BytesIO(content))
            tar.members = []  # type: ignore[attr-defined]  # or all of them are kept

    def _opened(self) -> tarfile.TarFile:
        if self._tar is None:
            self._tar = tarfile.open(self._temporary, "w")  # noqa: SIM115
        return self._tar

    def close(self) -> None:
        """Give the archive its name; a second call does nothing."""
        if self._closed:
            return
        with output_errors(self.path):
            self._opened().close()
            flush_to_disk(self._temporary)
            self._temporary.replace(self.path)
        self._closed = True

    def abort(self) -> None:
        """Remove the unfinished archive."""
        if self._closed:
            return
        if self._tar is not None:
            with suppress(OSError):  # a full disk, again
                self._tar.close()
        self._tar = None
        self._temporary.unlink(missing_ok=True)
