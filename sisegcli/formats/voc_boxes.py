"""VOC's boxes: ``Annotations/NAME.xml``, as in the VOC 2012 development kit, section 4.3.

Pixels count from 1, and ``xmax`` and ``ymax`` are inside the box. ``score`` is our addition; what the kit's annotators
judged by eye (pose, truncated, difficult) is unspecified or 0.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from sisegcli.formats.files import replacing
from sisegcli.formats.image_files import ImageFilesWriter
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Instance


class VocBoxesWriter(ImageFilesWriter):
    """Write ``Annotations/`` into a folder."""

    name, suffixes = "Annotations", (".xml",)

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the boxes of an image."""
        [path] = paths
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

    def _object(self, root: ElementTree.Element, instance: Instance) -> None:
        found = ElementTree.SubElement(root, "object")
        name = self.categories.name(instance.category)
        _texts(found, name=name, pose="Unspecified", truncated=0, difficult=0, score=round(instance.score, 6))
        top, left, height, width = instance.box
        box = ElementTree.SubElement(found, "bndbox")
        _texts(box, xmin=left + 1, ymin=top + 1, xmax=left + width, ymax=top + height)


def _texts(element: ElementTree.Element, **values: object) -> None:
    for name, value in values.items():
        ElementTree.SubElement(element, name).text = str(value)
