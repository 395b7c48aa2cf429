"""VOC's boxes: ``Annotations/NAME.xml``, as in the VOC 2012 development kit, section 4.3.

Pixels count from 1, and ``xmax`` and ``ymax`` are inside the box. ``score`` is our addition; what the kit's annotators
judged by eye (pose, truncated, difficult) is unspecified or 0.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from sisegcli.categories import Categories
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.instances import Instance


class VocBoxesWriter(Writer):
    """Write ``Annotations/`` into a folder.

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
        self.folder = Path(out) / "Annotations"
        self.paths = [self.folder]
        self._categories = categories
        self._overwrite = overwrite

    def files(self, stem: str) -> list[Path]:
        """Return the XML of an image."""
        return [below(self.folder, stem, ".xml")]

    def write(self, result: ImageResult) -> str:
        """Write the boxes of an image."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self._overwrite)
        root = ElementTree.Element("annotation")
        inside = str(PurePosixPath(result.file_name).parent)
        _texts(root, folder="JPEGImages" if inside == "." else f"JPEGImages/{inside}", filename=result.image.name)
        _texts(ElementTree.SubElement(root, "source"), database="sisegcli")
        height, width = result.size
        _texts(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
        _texts(root, segmented=1)
        for instance in result.instances:
            self._object(root, instance)
        ElementTree.indent(root, "\t")
        with replacing(path) as temporary:
            ElementTree.ElementTree(root).write(temporary, encoding="utf-8")
        return ""

    def _object(self, root: ElementTree.Element, instance: Instance) -> None:
        found = ElementTree.SubElement(root, "object")
        name = self._categories.name(instance.category)
        _texts(found, name=name, pose="Unspecified", truncated=0, difficult=0, score=round(instance.score, 6))
        top, left, height, width = instance.box
        box = ElementTree.SubElement(found, "bndbox")
        _texts(box, xmin=left + 1, ymin=top + 1, xmax=left + width, ymax=top + height)


def _texts(element: ElementTree.Element, **values: object) -> None:
    for name, value in values.items():
        ElementTree.SubElement(element, name).text = str(value)
