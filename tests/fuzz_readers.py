"""Readers fed with random bytes and with damaged copies of good files: only errors that a user can cause may come out.

``python tests/fuzz_readers.py --minutes N`` does so for longer than the test, and says how much it has read.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from bad_commands import outputs
from bad_files import checkpoint
from bad_inputs import IDS, NOISE, encoded
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.images import image_size, read_image
from sisegcli.data.layouts import find_pairs, pair_archives
from sisegcli.data.layouts.voc import read_split
from sisegcli.data.masks import MaskReader
from sisegcli.data.rasters import open_image, open_mask
from sisegcli.errors import CheckpointError, SisegError
from sisegcli.evaluation import GroundTruth, TruthImage, load_predictions, load_truth
from sisegcli.evaluation.label_truth import read_ids
from sisegcli.formats.coco_panoptic import segment_colours
from sisegcli.formats.voc import read_voc_instances
from sisegcli.network.config import NetworkConfig
from sisegcli.network.exported.files import describe_exported
from sisegcli.network.exported.graphs import Description, graphs_of
from sisegcli.network.exported.openvino_file import SUM
from sisegcli.running.shards import read_record

COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "segmentation": {"size": [4, 6], "counts": [4, 8, 12]}},
            {"id": 2, "image_id": 1, "category_id": 3, "segmentation": {"size": [4, 6], "counts": "48<"}, "area": 8},
            {"id": 3, "image_id": 1, "category_id": 4, "segmentation": [[1, 1, 4, 1, 4, 3]], "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog", "isthing": 0}],
    }
)
PANOPTIC = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 24, "width": 32}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "a.png",
                "segments_info": [
                    {"id": 12, "category_id": 3, "score": 0.5},
                    {"id": 15, "category_id": 4, "iscrowd": 1},
                    {"id": 255, "category_id": 5},
                ],
            }
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}, {"id": 5, "name": "sky", "isthing": 0}],
    }
)
WORDS = [
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b'"',
    b"\0",
    b"\xff",
    b"9" * 30,
    b"[" * 3000,
    b"../",
    b"\n",
]
"""What is put into files more often than chance would."""


@dataclass(frozen=True)
class Reader:
    """A reader under test: the name of its file, good contents, and what reads the file."""

    name: str
    good: tuple[bytes, ...]
    read: Callable[[Path], object]


def _rows(path: Path, mask: bool) -> None:
    opened = open_mask(path, MaskReader()) if mask else open_image(path)
    with opened as raster:
        if raster.size[0] * raster.size[1] < 2**20:
            raster.rows(0, raster.size[0])


def _split(path: Path) -> None:
    target = path.parent / "SegmentationClass"
    target.mkdir(exist_ok=True)
    place = path.parent / "ImageSets/Segmentation/val.txt"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(path.read_bytes())
    read_split(path.parent, "val")


def _metadata(path: Path) -> None:
    for name in ("a.png", "a_mask.png"):
        (path.parent / name).write_bytes(b"")
    find_pairs(path.parent)


def _coco(path: Path) -> None:
    truth = load_truth(path)
    load_predictions(path, truth)


def _panoptic(path: Path) -> None:
    (path.parent / "panoptic").mkdir()
    (path.parent / "panoptic/a.png").write_bytes(encoded(segment_colours(IDS.astype(np.int32)), "PNG"))
    _coco(path)


def _config(path: Path) -> None:
    from sisegcli.network.checkpoint import read_config  # imports torch

    read_config(path)


def _exported(path: Path) -> None:
    path.with_suffix(".bin").write_bytes(b"numbers")
    describe_exported(path)


def _facts() -> dict[str, str]:
    config = NetworkConfig(guided=True, membership=True)
    sizes = {graph.name: 8 for graph in graphs_of(config)}
    return Description(config, 32, sizes, {"seed": "7", SUM: sha256(b"numbers").hexdigest()}).to_metadata()


def _openvino() -> bytes:
    net = ElementTree.Element("net", name="sisegcli", version="11")
    ElementTree.SubElement(ElementTree.SubElement(net, "layers"), "layer", id="0", type="Parameter")
    ElementTree.SubElement(ElementTree.SubElement(net, "rt_info"), "sisegcli", value=json.dumps(_facts()))
    return ElementTree.tostring(net)


def _onnx() -> bytes:
    from onnx import ModelProto, TensorProto

    model = ModelProto(ir_version=8)
    model.graph.node.add(op_type="Relu", input=["network/a"], output=["network/b"])
    model.graph.initializer.append(TensorProto(name="network/a", dims=[2], data_type=1, raw_data=bytes(8)))
    for key, value in _facts().items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def _torch(path: Path) -> None:
    from sisegcli.network.torch_files import read_torch_file

    try:
        read_torch_file(path)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _torch_files() -> tuple[bytes, ...]:
    import io

    import torch

    files = []
    for archive in (True, False):
        file = io.BytesIO()
        torch.save({"a": torch.ones(2, 3), "b": [1.5, "x", None]}, file, _use_new_zipfile_serialization=archive)
        files.append(file.getvalue())
    return tuple(files)


def _run_state(path: Path) -> None:
    from sisegcli.training.state import read_state

    read_state(path)


def _state() -> bytes:
    import torch

    from sisegcli.training.state import save_state

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, {"network": {"a": torch.ones(2)}, "step": 3, "optimizer": {"state": {0: {"step": 1.0}}}})
        return path.read_bytes()


def _join(path: Path) -> None:
    from sisegcli.formats import joiner

    known = {"default.json": "datumaro/annotations/default.json"}
    joiner(known.get(path.name, path.name))([path], path.with_name("joined"))


def _predicted(name: str, place: str, *beside: str) -> Reader:
    """Return the reader of predictions in one of our formats, whose other files are whole."""
    truth = GroundTruth({"a": TruthImage((IDS.shape[0], IDS.shape[1]), [])})

    def read(path: Path) -> None:
        files = {place: path.read_bytes(), **{one: outputs()[f"o1/{one}"] for one in beside}}
        for one, content in files.items():
            target = path.parent / "out" / one
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        load_predictions(path.parent / "out", truth)

    return Reader(name, (outputs()[f"o1/{place}"],), read)


def _toml(path: Path) -> None:
    import typer.main

    from sisegcli.cli import app
    from sisegcli.cli.settings import read_tables

    read_tables(path, typer.main.get_command(app).commands)


def _tar() -> bytes:
    import io
    import tarfile

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in {"a.jpg": encoded(NOISE, "JPEG"), "a.mask.png": encoded(IDS, "PNG")}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


_WIDE = NOISE[..., 0].astype(np.uint16) * 257
_CITY = np.where(IDS == 12, 24000, np.where(IDS == 15, 26001, 7)).astype(np.uint16)
_ROWS = b'{"file_name": "a.png", "mask_file_name": "a_mask.png"}\n'
PICTURES = tuple(encoded(array, kind) for kind in ("PNG", "TIFF", "BMP", "GIF", "WEBP") for array in (IDS, NOISE))

READERS = (
    Reader("mask.png", (*PICTURES, encoded(_WIDE, "PNG")), lambda path: MaskReader().read(path)),
    Reader("image.png", (*PICTURES, encoded(NOISE, "JPEG")), lambda path: (read_image(path), image_size(path))),
    Reader("label.png", PICTURES, lambda path: read_voc_instances(path, path)),
    Reader("rows.tif", tuple(p for p in PICTURES if p[:2] == b"II"), lambda path: _rows(path, mask=False)),
    Reader("mask_rows.tif", (encoded(IDS, "TIFF"), encoded(_WIDE, "TIFF")), lambda path: _rows(path, mask=True)),
    Reader("coco.json", (COCO.encode(),), _coco),
    Reader("panoptic.json", (PANOPTIC.encode(),), _panoptic),
    Reader(
        "ids.tif", (encoded(IDS, "TIFF"), encoded(_WIDE, "TIFF"), encoded(_WIDE.astype(np.int32), "TIFF")), read_ids
    ),
    Reader("a_instanceIds.png", (encoded(_CITY, "PNG"),), lambda path: load_truth(path.parent)),
    Reader("ADE_val_00000001_seg.png", (encoded(NOISE, "PNG"),), lambda path: load_truth(path.parent)),
    Reader("categories.json", (b'[{"id": 1, "name": "a"}]', b'{"id2label": {"0": "a"}}'), load_categories),
    Reader("categories.csv", (b"id,name,isthing\n1,cat,1\n2,sky,0\n",), load_categories),
    Reader("categories.txt", (b"__ignore__\ncat\ndog\n",), load_categories),
    Reader("colours.csv", (b"id,red,green,blue\n0,0,0,0\n9,10,20,30\n",), read_colour_table),
    Reader("val.txt", (b"a\nb/c\n",), _split),
    Reader("metadata.jsonl", (_ROWS,), _metadata),
    Reader("metadata.csv", (b"file_name,mask_file_name\na.png,a_mask.png\n",), _metadata),
    Reader("set.tar", (_tar(),), lambda path: pair_archives([path])),
    Reader("w.safetensors", (checkpoint(width=8, grouping={"cut": 0.5}),), _config),
    Reader("w.xml", (_openvino(),), _exported),
    *((Reader("w.onnx", (_onnx(),), _exported),) if find_spec("onnx") else ()),
    Reader("w.pth", _torch_files(), _torch),
    Reader("state.safetensors", (_state(),), _run_state),
    Reader("instances.json", (outputs()["o1/instances.json"],), _join),
    Reader("coco_results.csv", (outputs()["o1/coco_results.csv"],), _join),
    Reader("default.json", (outputs()["o1/datumaro/annotations/default.json"],), _join),
    Reader("instances.tar", (outputs()["o1/instances.tar"],), _join),
    _predicted("found.csv", "labels.csv", "labels/a.tif"),
    _predicted("found.npz", "npz/a.npz"),
    _predicted("found.datumaro.json", "datumaro/annotations/default.json"),
    _predicted("found.tar", "instances.tar"),
    _predicted("found.ade20k.json", "ade20k/a.json", "ade20k/a_seg.png"),
    _predicted("found.labelme.json", "labelme/a.json"),
    _predicted("found.geojson", "geojson/a.geojson"),
    _predicted("found.yolo.txt", "yolo/labels/a.txt", "yolo/data.yaml"),
    _predicted("found.yolo.yaml", "yolo/data.yaml", "yolo/labels/a.txt"),
    Reader("shard.json", (outputs()["o1/shard.json"],), lambda path: read_record(path.parent)),
    Reader("sisegcli.toml", (b"# options\n[convert]\nto = ['coco']\nmin-area = 3\n[train]\nepochs = 2.5\n",), _toml),
)
"""Every reader of files that come from elsewhere."""


@st.composite
def contents(draw: Any, reader: Reader) -> bytes:
    """Draw random bytes, or a good file with some places changed, cut out or filled in."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    whole = draw(st.sampled_from(reader.good))
    if whole[:1] in (b"{", b"[") and draw(st.booleans()):
        return json.dumps(_changed(draw, json.loads(whole))).encode()
    content = bytearray(whole)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 4)))):
        place = draw(st.integers(0, len(content)))
        # Headers, in which most of the meaning is, are hit as often as all the rest.
        place = min(place, draw(st.sampled_from((len(content), 64, 300))))
        match draw(st.sampled_from(("byte", "word", "cut", "double", "end"))):
            case "byte":
                content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "word":
                content[place:place] = draw(st.sampled_from(WORDS))
            case "cut":
                del content[place : place + draw(st.integers(1, 40))]
            case "double":
                content[place:place] = content[place : place + draw(st.integers(1, 80))]
            case "end":
                del content[place:]
    return bytes(content)


def _changed(draw: Any, value: Any) -> Any:
    """Return JSON with one of its values replaced by another kind of value, or taken out."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 9)) == 0:
            return {name: one for name, one in value.items() if name != key}
        return {**value, key: _changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], _changed(draw, value[place]), *value[place + draw(st.integers(0, 1)) :]]
    numbers = st.one_of(st.integers(-9, 99), st.integers(), st.floats(), st.sampled_from((2**31, 2**32, 2**63, 10**30)))
    leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=9), st.sampled_from(("/", "..", "\ud800")))
    return draw(
        st.one_of(leaves, st.lists(leaves, max_size=8), st.dictionaries(st.text(max_size=3), leaves, max_size=3))
    )


def feed(reader: Reader, content: bytes) -> bool:
    """Have a reader read a file; return whether it was refused, which must be by a sentence that names the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.name
        path.write_bytes(content)
        try:
            reader.read(path)
        except SisegError as error:
            assert str(folder) in str(error), error
            assert "\n" not in str(error).strip(), error
            return True
    return False


def check(reader: Reader, examples: int, start: int | None = None) -> tuple[int, int]:
    """Feed a reader; return how many files it was given, and how many it refused."""
    fed = [0, 0]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(contents(reader))
    def run(content: bytes) -> None:
        fed[0] += 1
        fed[1] += feed(reader, content)

    (run if start is None else seed(start)(run))()
    return fed[0], fed[1]


def main() -> int:
    """Feed all readers in turn for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--reader", choices=[reader.name for reader in READERS], help="this one alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    readers = [reader for reader in READERS if options.reader in (None, reader.name)]
    end = time.monotonic() + 60 * options.minutes
    totals = {reader.name: [0, 0] for reader in readers}
    failed = turn = 0
    while time.monotonic() < end and not failed:
        for reader in readers:
            try:
                fed, refused = check(reader, 200, options.seed + turn)
            except Exception as error:  # whatever it is, it is what we look for
                import traceback

                traceback.print_exc()
                print(f"{reader.name}, seed {options.seed + turn}: {type(error).__name__}", flush=True)  # noqa: T201
                failed += 1
                continue
            totals[reader.name][0] += fed
            totals[reader.name][1] += refused
        turn += 1
    for name, (fed, refused) in totals.items():
        print(f"{name}: {fed:,} files, {refused:,} refused")  # noqa: T201
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
