"""COCO's ``instances.json``: writer and reader.

The format is described at https://cocodataset.org/#format-data and #format-results; pycocotools reads what is written
here. ``score`` is our addition to the annotations of a data set, ``isthing`` (0 or 1) is the panoptic format's addition
to the categories.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sisegcli import __version__
from sisegcli.categories import Categories, Category
from sisegcli.errors import InputError
from sisegcli.formats.files import flush_to_disk, output_errors, refuse_existing, temporary_name
from sisegcli.formats.polygons import instance_polygons
from sisegcli.formats.records import ImageResult
from sisegcli.formats.run_lengths import image_size, run_lengths
from sisegcli.instances import Instance

_CATEGORY = '"category_id": '


class CocoWriter:
    """Write ``instances.json`` into a folder, streaming: memory stays flat however many images come.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Categories to list; ids that only occur in instances are added to them.
    polygons : bool
        Write polygons on exact pixel edges instead of run-length codes.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.path = Path(out) / "instances.json"
        self.paths = [self.path]
        refuse_existing(self.path, overwrite=overwrite)
        self._categories = categories
        self._polygons = polygons
        self._seen: set[int] = set(categories)
        self._images = self._annotations = 0
        self._temporary = temporary_name(self.path)
        self._opened: tuple[IO[str], IO[str]] | None = None
        self._closed = False

    def files(self, stem: str) -> list[Path]:
        """Return nothing: all images are in one file."""
        return []

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image: a line of it, then one of each instance, without the numbers they will get."""
        height, width = result.size
        image = {"file_name": result.file_name, "width": width, "height": height}
        lines = [image, *(self._annotation(instance) for instance in result.instances)]
        return "\n".join(_line(line)[1:] for line in lines)

    def append(self, entry: str) -> None:
        """Append an image and its instances; both are numbered from 1 in order of arrival."""
        image, *annotations = entry.split("\n")
        with output_errors(self.path):
            file, waiting = self._temporaries()
            file.write(",\n" if self._images else "\n")
            self._images += 1
            file.write(f'{{"id": {self._images}, {image}')
            for annotation in annotations:
                waiting.write(",\n" if self._annotations else "\n")
                self._annotations += 1
                self._seen.add(int(annotation[len(_CATEGORY) : annotation.index(",")]))
                waiting.write(f'{{"id": {self._annotations}, "image_id": {self._images}, {annotation}')

    def add(self, result: ImageResult) -> None:
        """Append an image and its instances."""
        self.append(self.write(result))

    def _temporaries(self) -> tuple[IO[str], IO[str]]:
        """Return the file, and one for annotations until all images are written; both are opened when needed."""
        if self._opened is None:
            file = self._temporary.open("w", encoding="utf-8")
            try:
                # It has no name, so no crash can leave it behind.
                waiting = tempfile.TemporaryFile("w+", encoding="utf-8", dir=self.path.parent)  # noqa: SIM115
            except BaseException:
                file.close()
                raise
            self._opened = file, waiting
            file.write('{"info": ' + _line({"description": "Instances from sisegcli", "version": __version__}))
            file.write(',\n"licenses": [],\n"images": [')
        return self._opened

    def _annotation(self, instance: Instance) -> dict[str, Any]:
        top, left, height, width = instance.box
        segmentation: Any = {"size": list(instance.size), "counts": instance.counts.decode("ascii")}
        return {
            "category_id": instance.category,
            "segmentation": instance_polygons(instance) if self._polygons else segmentation,
            "area": instance.area,
            "bbox": [left, top, width, height],
            "iscrowd": 0,
            "score": round(instance.score, 6),
        }

    def close(self) -> None:
        """Join images, annotations and categories under the final name; a second call does nothing."""
        if self._closed:
            return
        categories = [self._categories.find(category_id) for category_id in sorted(self._seen)]
        with output_errors(self.path):
            file, waiting = self._temporaries()
            file.write('\n],\n"annotations": [')
            waiting.seek(0)
            shutil.copyfileobj(waiting, file, 1 << 20)
            file.write('\n],\n"categories": [\n' + ",\n".join(_line(_category(c)) for c in categories) + "\n]}\n")
            waiting.close()
            file.close()
            flush_to_disk(self._temporary)
            self._temporary.replace(self.path)
        self._closed = True

    def abort(self) -> None:
        """Remove the temporary files."""
        self._closed = True
        for file in self._opened or ():
            with suppress(OSError):  # a full disk, again
                file.close()
        self._temporary.unlink(missing_ok=True)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _category(category: Category) -> dict[str, Any]:
    return {
        "id": category.id,
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.isthing),
    }


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image of a COCO file: its id, its file name (empty in results files) and its size (height, width)."""

    id: int
    file_name: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """An annotated instance; its score is 1 where the file has none.

    Attributes
    ----------
    instance : Instance
        Its mask, category and score.
    area : float
        The area that the file states, which may differ from the mask's by rounding; the mask's where it states none.
    crowd : bool
        Whether it is a group of objects (``iscrowd``), which evaluation ignores.
    """

    instance: Instance
    area: float
    crowd: bool


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What a COCO file holds.

    Attributes
    ----------
    images : dict
        Images by id; of a results file, those that have annotations.
    categories : Categories
        Empty for a results file.
    annotations : dict
        Annotations of each image id, in the file's order.
    is_results : bool
        Whether it was a results file: a list of scored annotations that has no images and no categories.
    """

    images: dict[int, CocoImage] = field(default_factory=dict)
    categories: Categories = field(default_factory=Categories)
    annotations: dict[int, list[CocoAnnotation]] = field(default_factory=dict)
    is_results: bool = False


def read_coco(path: Path | str) -> CocoFile:
    """Read a COCO data set with instances (ground truth, or our own output), or a COCO results file.

    Polygons and uncompressed run-length codes become run-length masks; annotations with an empty segmentation are left
    out.

    Raises
    ------
    InputError
        If the file cannot be read, is not COCO's JSON, or holds an annotation that makes no sense.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); give a COCO file of instances.") from error
    is_results = isinstance(content, list)
    if not is_results and not (isinstance(content, dict) and {"images", "annotations"} <= content.keys()):
        raise InputError(f"{path} is not a COCO file: it has neither images and annotations nor a list of results.")
    try:
        coco = CocoFile(is_results=True) if is_results else _header(content)
    except _MALFORMED as error:
        raise InputError(f"{path} is not a COCO file as it should be ({_reason(error)}); export it again.") from error
    number = 0
    try:
        for number, annotation in enumerate(content if is_results else content["annotations"], 1):  # noqa: B007
            _append(coco, annotation)
    except _MALFORMED as error:
        raise InputError(
            f"{path} cannot be used: its annotation number {number} is wrong ({_reason(error)}); export it again."
        ) from error
    return coco


_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What foreign JSON raises where it is not as expected."""


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _header(content: dict[str, Any]) -> CocoFile:
    """Return images and categories of a data set."""
    images = {
        image["id"]: CocoImage(
            image["id"], str(image.get("file_name", "")), image_size(image["height"], image["width"])
        )
        for image in content["images"]
    }
    categories = Categories(
        Category(int(c["id"]), str(c["name"]), bool(c.get("isthing", 1)), str(c.get("supercategory") or ""))
        for c in content.get("categories", [])
    )
    return CocoFile(images, categories, {image_id: [] for image_id in images})


def _append(coco: CocoFile, annotation: dict[str, Any]) -> None:
    """Add one annotation to its image, which a results file names here for the first time."""
    image_id = annotation["image_id"]
    image = coco.images.get(image_id)
    if image is None and not coco.is_results:
        raise ValueError(f"image {image_id} is not in the file")
    rle = run_lengths(annotation["segmentation"], image.size if image else None)
    if rle is None:
        return
    size = image_size(*rle["size"])
    if image is None:
        image = coco.images[image_id] = CocoImage(image_id, "", size)
        coco.annotations[image_id] = []
    if size != image.size:
        raise ValueError(f"its mask has the size {size}, its image {image.size}")
    score = float(annotation.get("score", 1.0))
    instance = Instance.from_rle(rle["counts"], size, int(annotation["category_id"]), score)
    area = float(annotation.get("area", instance.area))
    coco.annotations[image_id].append(CocoAnnotation(instance, area, bool(annotation.get("iscrowd", 0))))
