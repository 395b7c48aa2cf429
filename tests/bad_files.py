"""Bad inputs of other commands and containers: archives, metadata, COCO files, checkpoints; see `bad_inputs`."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from bad_inputs import CONVERT, DEEP, IDS, LONG, NOISE, Case, Write, encoded, good, put

IMAGE, MASK = encoded(NOISE, "PNG"), encoded(IDS, "PNG")


class Trap:
    """What a pickle would run if anybody loaded it: it makes a file that the test finds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("pickle-was-run"),)


def archives() -> Iterator[Case]:
    """Tar files."""

    def tar(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content in members:
                info = tarfile.TarInfo(name) if isinstance(name, str) else name
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return file.getvalue()

    def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    def write(content: bytes) -> Write:
        def place(folder: Path) -> list[str]:
            put(folder / "set.tar", content)
            return ["convert", "set.tar", *CONVERT[2:]]

        return place

    fine = (("good.jpg", encoded(NOISE, "JPEG")), ("good.mask.png", MASK))
    whole = tar(*fine)
    for size in (0, 100, 511, 512, 700, 1024, len(whole) // 4):
        yield Case(f"tar-cut-at-{size}", write(whole[:size]), "refused", "set.tar")
    for what, name in {"above": "../../bad.png", "absolute": "/tmp/bad.png", "inside": "a/../../bad.png"}.items():
        content = tar(*fine, (name, IMAGE), (name.replace(".png", ".mask.png"), MASK))
        yield Case(f"tar-name-{what}", write(content), "listed", "leads out of the archive")
    for what, kind in {"link": tarfile.SYMTYPE, "hard-link": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE}.items():
        content = tar(*fine, (link("bad.png", "/etc/passwd", kind), b""), ("bad.mask.png", MASK))
        yield Case(f"tar-{what}", write(content), "listed", "no plain file")
    yield Case("tar-twice", write(tar(*fine, fine[0])), "listed", "twice")
    yield Case("tar-image-alone", write(tar(*fine, ("bad.jpg", IMAGE))), "listed", "bad.jpg")
    yield Case("tar-bad-image", write(tar(*fine, ("bad.png", b"x"), ("bad.mask.png", b"x"))), "listed", "bad.mask.png")
    yield Case("tar-bomb", write(tar(*fine, ("bad.png", IMAGE), ("bad.mask.png", _bomb()))), "listed", "bad.mask.png")
    yield Case("tar-of-nothing", write(tar()), "refused", "set.tar")
    yield Case("tar-zeros", write(bytes(10240)), "refused", "set.tar")
    yield Case("tar-noise", write(NOISE.tobytes()), "refused", "set.tar")
    yield Case("tar-pickle", write(pickle.dumps(Trap())), "refused", "set.tar")
    lying = bytearray(whole)
    lying[124:136] = b"77777777777\0"
    yield Case("tar-size-that-lies", write(bytes(lying)), "refused", "set.tar")


def _bomb() -> bytes:
    from bad_inputs import SIDE, png

    return png(SIDE, SIDE, 8, 0)


def metadata() -> Iterator[Case]:
    """Hugging Face's metadata and other files that are read beside images."""

    def beside(name: str, text: str | bytes) -> Write:
        def write(folder: Path) -> None:
            put(folder / "outside.png", IMAGE)
            put(folder / "set/a.png", IMAGE)
            put(folder / "set/a_mask.png", MASK)
            put(folder / "set" / name, text)

        return write

    fine = '{"file_name": "a.png", "mask_file_name": "a_mask.png"}\n'
    for what, name in {
        "above": "../outside.png",
        "absolute": "/etc/hostname.png",
        "nowhere": "b.png",
        "newline": "b\\n.png",
        "empty": "",
        "dot": ".",
        "dots": "..",
        "nul": "a\\u0000.png",
        "long": "n" * 5000 + ".png",
        "surrogate": "\\ud800.png",
    }.items():
        row = f'{{"file_name": "{name}", "mask_file_name": "a_mask.png"}}\n'
        yield Case(f"metadata-image-{what}", beside("metadata.jsonl", fine + row), "listed", "metadata.jsonl")
        row = f'{{"file_name": "a.png", "mask_file_name": "{name}"}}\n'
        yield Case(f"metadata-mask-{what}", beside("metadata.jsonl", fine + row), "listed", "metadata.jsonl")
    for what, text in {
        "nested": DEEP,
        "half": '{"file_name": "a',
        "number": "3",
        "long-number": f'{{"file_name": {LONG}}}',
        "missing-column": fine + '{"file_name": "a.png"}\n',
        "latin": b"\xff\xfe",
    }.items():
        yield Case(f"metadata-json-{what}", beside("metadata.jsonl", text), "refused", "metadata.jsonl")
    long = "file_name,mask_file_name\na.png,a_mask.png\n" + "a" * 200_000 + ",b.png\n"
    yield Case("metadata-of-no-objects", beside("metadata.jsonl", "[]\n3"), "converted")
    yield Case("metadata-csv-long-field", beside("metadata.csv", long), "refused", "metadata.csv")

    def mapillary(text: str) -> Write:
        def write(folder: Path) -> None:
            good(folder)
            put(folder / "set/config.json", text)

        return write

    # a file of this name that is no list of labels is somebody else's
    for what, text in {"nested": DEEP, "half": "{", "other": '{"labels": [{"readable": {}}, {"readable": 3}]}'}.items():
        yield Case(f"config-{what}", mapillary(text), "converted")
    for what, text in {
        "nested": DEEP,
        "list": "[]",
        "infinite": '{"annotation": {"object": [{"name_ndx": Infinity}]}}',
    }.items():

        def ade(folder: Path, text: str = text) -> None:
            put(folder / "set/ADE_train_00000001.jpg", encoded(NOISE, "JPEG"))
            put(folder / "set/ADE_train_00000001_seg.png", encoded(np.stack([IDS * 0 + 10] * 3, -1), "PNG"))
            put(folder / "set/ADE_train_00000001.json", text)

        yield Case(f"ade20k-json-{what}", ade, "converted")


# ---------------------------------------------------------------------------------------------------- evaluate


def _coco(**changes: Any) -> dict[str, Any]:
    """Return a COCO file of one image; changes of the image, the annotation and the whole by their names."""
    image = {"id": 1, "file_name": "a.png", "height": 4, "width": 6}
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 3,
        "segmentation": {"size": [4, 6], "counts": [4, 8, 12]},
        "area": 8,
        "bbox": [1, 0, 2, 4],
        "iscrowd": 0,
        "score": 0.5,
    }
    image.update(changes.pop("image", {}))
    annotation.update(changes.pop("annotation", {}))
    whole = {"images": [image], "annotations": [annotation], "categories": [{"id": 3, "name": "cat"}]}
    return {**whole, **changes}


def _evaluate(truth: str | bytes, found: str | bytes, *more: str) -> Write:
    def write(folder: Path) -> list[str]:
        put(folder / "gt.json", truth)
        put(folder / "found.json", found)
        return ["evaluate", "found.json", "--gt", "gt.json", *more]

    return write


def evaluations() -> Iterator[Case]:
    """COCO files, as truth and as predictions."""
    fine = json.dumps(_coco())
    yield Case("coco-fine", _evaluate(fine, fine), "told")
    texts: dict[str, str | bytes] = {
        "empty": "",
        "null": "null",
        "number": "3",
        "nested": DEEP,
        "nested-object": '{"a":' * 100_000,
        "no-annotations": '{"images": []}',
        "images-no-list": '{"images": 3, "annotations": []}',
        "annotations-no-list": '{"images": [], "annotations": 3}',
        "latin": b"\xff\xfe{}",
        "long-number": fine.replace('"height": 4', f'"height": {LONG}'),
        "duplicate-key": fine.replace('"height": 4', '"height": 4, "height": 5'),
        "duplicate-annotations": fine.replace('"categories"', '"annotations": [], "categories"'),
    }
    for share in (10, 25, 50, 75, 99):
        texts[f"cut-at-{share}%"] = fine[: len(fine) * share // 100]
    for image in (
        {"id": []},
        {"id": None},
        {"height": 0},
        {"height": -4},
        {"height": "x"},
        {"height": None},
        {"height": 1e400},
        {"height": 10**9, "width": 10**9},
        {"height": 10**30},
        {"width": float("nan")},
        {"height": 4.5},
    ):
        texts[f"image-{_told(image)}"] = json.dumps(_coco(image=image))
    texts["two-images-of-one-id"] = json.dumps(_coco(images=_coco()["images"] * 2))
    for rle in (
        {"size": [4, 6], "counts": [4, 8, 13]},
        {"size": [4, 6], "counts": [4, 8]},
        {"size": [4, 6], "counts": []},
        {"size": [4, 6], "counts": [-4, 8, 20]},
        {"size": [4, 6], "counts": [4.5, 8, 11.5]},
        {"size": [4, 6], "counts": [10**30]},
        {"size": [4, 6], "counts": ["4", 8, 12]},
        {"size": [4, 6], "counts": "48<z"},
        {"size": [4, 6], "counts": "\x00"},
        {"size": [4, 6], "counts": "oooooooooooooooooooooooooo"},
        {"size": [4, 6], "counts": "äö"},
        {"size": [4, 6], "counts": None},
        {"size": [4], "counts": [4]},
        {"size": [4, 6, 1], "counts": [24]},
        {"size": [6, 4], "counts": [24]},
        {"size": [-4, -6], "counts": [24]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [2**16, 2**16], "counts": [2**32]},
        {"size": [1e400, 1], "counts": [24]},
        {"size": "46", "counts": [24]},
        {"size": None},
        {},
        3,
        "x",
        None,
        [[]],
        [[1, 1, 2, 2]],
        [[1, 1, 2, 2, 3]],
        [[1, 1, 2, 2, "x", 3]],
        [[1, 1, 2, 2, float("nan"), 3]],
        [[1e300, 0, 0, 0, 0, 1]],
        [[1, 1, 2, 2, 3, 1], 5],
    ):
        texts[f"segmentation-{_told(rle)}"] = json.dumps(_coco(annotation={"segmentation": rle}))
    for annotation in (
        {"image_id": 2},
        {"image_id": []},
        {"category_id": "x"},
        {"category_id": None},
        {"category_id": 1e400},
        {"category_id": -1},
        {"category_id": 10**30},
        {"score": "x"},
        {"score": float("nan")},
        {"area": "x"},
        {"area": float("inf")},
    ):
        texts[f"annotation-{_told(annotation)}"] = json.dumps(_coco(annotation=annotation))
    for categories in ("x", [3], [{"id": 1}], [{"id": 1e400, "name": "a"}], [{"id": "x", "name": "a"}], 3):
        texts[f"categories-{_told(categories)}"] = json.dumps(_coco(categories=categories))
    for name, text in texts.items():
        yield Case(f"truth-{name}", _evaluate(text, fine), "refused", "gt.json")
        yield Case(f"predictions-{name}", _evaluate(fine, text), "refused", "found.json")
    for rle in ({"size": [10**9, 10**9], "counts": [10**18]}, {"size": [2**16, 2**16], "counts": [2**32 - 5, 5]}):
        results = json.dumps([{"image_id": 1, "category_id": 3, "score": 1, "segmentation": rle}])
        yield Case(f"results-{_told(rle)}", _evaluate(fine, results), "refused", "found.json")
    zigzag = [coordinate for n in range(20_000) for coordinate in (0 if n % 2 else 60_000, n % 60_000)]
    large = _coco(image={"height": 60_000, "width": 60_000}, annotation={"segmentation": [zigzag]})
    yield Case("truth-polygon-without-end", _evaluate(json.dumps(large), fine), "refused", "gt.json")
    for what, name in {"root": "/", "dot": ".", "dots": "..", "empty": "", "above": "../../a.png"}.items():
        text = json.dumps(_coco(image={"file_name": name}))
        yield Case(f"truth-called-{what}", _evaluate(text, text), "told")
    for what, split in {"zeros": "/dev/zero", "folder": ".", "nothing": "none.txt"}.items():
        yield Case(f"split-{what}", _evaluate(fine, fine, "--split", split), "refused", split)
    for what, lines in {"foreign": "b\n", "root": "/\n", "dot": ".\n", "latin": b"\xff\xfe"}.items():

        def write(folder: Path, lines: str | bytes = lines) -> list[str]:
            put(folder / "split.txt", lines)
            return _evaluate(fine, fine, "--split", "split.txt")(folder) or []

        yield Case(f"split-{what}-inside", write, "refused", "split.txt")
    for what, arguments in {
        "gt-zeros": ["evaluate", "/dev/zero", "--gt", "/dev/zero"],
        "gt-missing": ["evaluate", "a.json", "--gt", "b.json"],
        "gt-empty-folder": ["evaluate", ".", "--gt", "."],
    }.items():
        yield Case(what, lambda folder, arguments=arguments: arguments, "refused", arguments[-1])
    yield Case("truth-too-large", _evaluate(fine, fine, "--max-bytes", "100"), "refused", "gt.json")
    yield Case("predictions-too-large", _evaluate(fine, f"{fine:9999}", "--max-bytes", "999"), "refused", "found.json")
    yield Case("predictions-just-so", _evaluate(fine, fine, "--max-bytes", str(len(fine))), "told")

    def endless(folder: Path) -> list[str]:
        put(folder / "gt.json", fine)
        return ["evaluate", "/dev/zero", "--gt", "gt.json"]

    yield Case("predictions-zeros", endless, "refused", "/dev/zero")
    yield from _label_files()


def _label_files() -> Iterator[Case]:
    """PNGs in VOC's folders, and the table beside them."""

    def voc(folder: Path, **files: bytes) -> list[str]:
        for root in ("gt", "found"):
            for name in ("SegmentationObject", "SegmentationClass"):
                put(folder / root / name / "a.png", MASK)
        for name, content in files.items():
            put(folder / name.replace("__", "/"), content)
        return ["evaluate", "found", "--gt", "gt"]

    from bad_inputs import SIDE, png, tiff

    bads = {
        "empty": b"",
        "text": b"x",
        "cut": MASK[: len(MASK) // 2],
        "colours": IMAGE,
        "floats": encoded(np.full(IDS.shape, np.nan, np.float32), "TIFF"),
        "bomb": png(SIDE, SIDE, 8, 0),
        "large": png(10_000, 10_000, 8, 0),
        "tiff-bomb": tiff(SIDE, SIDE),
        "other-size": encoded(IDS[:-1], "PNG"),
        "jpeg-cut": encoded(NOISE[..., 0], "JPEG")[:300],
    }
    for what, content in bads.items():
        for root in ("gt", "found"):
            for name in ("SegmentationObject", "SegmentationClass"):

                def write(folder: Path, place: str = f"{root}__{name}__", content: bytes = content) -> list[str]:
                    voc(folder)
                    put(folder / place.replace("__", "/") / "a.png", content)
                    return ["evaluate", "found", "--gt", "gt"]

                yield Case(f"label-{what}-{root}-{name}", write, "refused", f"{root}/{name}/a.png")
    for what, text in {
        "empty": b"",
        "words": b"stem,instance,category_id,score\na,x,1,1\n",
        "long": b"stem,instance,category_id,score\na,1," + LONG.encode() + b",1\n",
        "long-field": b"stem,instance,category_id,score\n" + b"a" * 200_000 + b",1,1,1\n",
        "latin": b"stem,instance,category_id,score\n\xff,1,1,1\n",
        "few": b"stem,instance,category_id,score\na\n",
    }.items():

        def table(folder: Path, text: bytes = text) -> list[str]:
            return voc(folder, found__instances__csv=b"") and (
                put(folder / "found/instances.csv", text) and ["evaluate", "found", "--gt", "gt"]
            )

        come = "told" if what == "empty" else "refused"
        yield Case(f"table-{what}", table, come, "" if come == "told" else "instances.csv")
    for what, line in {"above": "../../outside", "absolute": "/etc/hostname", "nul": "a\0b", "nowhere": "b"}.items():

        def split(folder: Path, line: str = line) -> list[str]:
            put(folder / "gt/ImageSets/Segmentation/val.txt", f"a\n{line}\n")
            put(folder / "outside.png", MASK)
            return [*voc(folder), "--split", "val"]

        yield Case(f"voc-split-{what}", split, "refused", "b.png" if what == "nowhere" else "val.txt names")


def _told(content: Any) -> str:
    return json.dumps(content, ensure_ascii=True)[:44].replace("/", "|")


# ---------------------------------------------------------------------------------------------------- checkpoints


def safetensors(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file whose header says whatever it should."""
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def _weights(content: bytes, name: str = "w.safetensors") -> Write:
    def write(folder: Path) -> list[str]:
        good(folder)
        put(folder / name, content)
        return ["convert", "set", "--out", "out", "--device", "cpu", "--weights", name]

    return write


def checkpoint(**config: Any) -> bytes:
    """Return a checkpoint of one small tensor with a configuration."""
    header = {
        "__metadata__": {"format": "sisegcli-1", "config": json.dumps(config)},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    return safetensors(json.dumps(header).encode(), bytes(4))


def checkpoints() -> Iterator[Case]:
    """Files as --weights."""
    whole = checkpoint(width=8)
    for share in (0, 1, 3, 10, 25, 50, 75, 90, 99):
        yield Case(f"weights-cut-at-{share}%", _weights(whole[: len(whole) * share // 100]), "refused", "w.safetensors")
    from zipfile import ZipFile

    archive = io.BytesIO()
    with ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Trap()))
        file.writestr("archive/version", "3\n")
    for what, content in {
        "pickle": pickle.dumps(Trap()),
        "pickle-0": pickle.dumps(Trap(), protocol=0),
        "torch": archive.getvalue(),
        "text": b"weights",
        "zeros": bytes(4096),
        "noise": NOISE.tobytes(),
        "png": IMAGE,
        "header-of-exabytes": safetensors(b"{}", length=2**63 - 1),
        "header-of-all": safetensors(b"{}", length=2**64 - 1),
        "header-of-99-megabytes": safetensors(b"{}", length=99_000_000),
        "header-of-nothing": safetensors(b""),
        "header-nested": safetensors(DEEP.encode()),
        "header-list": safetensors(b"[]"),
        "header-empty": safetensors(b"{}"),
        "tensor-beyond": safetensors(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
        "tensor-vast": safetensors(b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
        "tensor-backwards": safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', bytes(4)),
        "tensor-of-no-kind": safetensors(b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "metadata-number": safetensors(b'{"__metadata__":{"format":3}}'),
        "metadata-foreign": safetensors(b'{"__metadata__":{"format":"pt"}}'),
        "metadata-later": safetensors(b'{"__metadata__":{"format":"sisegcli-9","config":"{}"}}'),
        "no-config": safetensors(b'{"__metadata__":{"format":"sisegcli-1"}}'),
    }.items():
        yield Case(f"weights-{what}", _weights(content), "refused", "w.safetensors")
        if what in ("pickle", "pickle-0", "torch"):
            yield Case(f"weights-{what}-called-pt", _weights(content, "w.pt"), "refused", "w.pt")
        if what in ("pickle", "torch", "text", "zeros", "noise", "no-config"):
            for name in ("w.onnx", "w.xml"):
                yield Case(f"weights-{what}-called-{name[2:]}", _weights(content, name), "refused", name)
    doubled = "".join(
        f'<!ENTITY {b} "&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};">' for a, b in pairwise("abcdefghijk")
    )
    billion = f'<!DOCTYPE net [<!ENTITY a "ha">{doubled}]><net><rt_info><sisegcli value="&k;"/></rt_info></net>'
    nested = "<net>" * 100_000
    for what, text in {"billion": billion, "nested": nested, "no-xml": "<net><rt_info>", "no-facts": "<net/>"}.items():
        yield Case(f"weights-openvino-{what}", _weights(text.encode(), "w.xml"), "refused", "w.xml")
    for code in ("utf-16", "utf-16-le", "utf-32"):
        yield Case(f"weights-openvino-billion-{code}", _weights(billion.encode(code), "w.xml"), "refused", "w.xml")
    for config in (DEEP, "[]", "null", "3", "{", '"x"', "{}" * 2, '{"width": ' + LONG + "}"):
        header = json.dumps({"__metadata__": {"format": "sisegcli-1", "config": config}})
        yield Case(
            f"weights-config-text-{config[:9]}", _weights(safetensors(header.encode())), "refused", "w.safetensors"
        )
    for fields in (
        {},
        {"backbone": "resnet9000"},
        {"backbone": []},
        {"backbone": "../../resnet50"},
        {"width": 0},
        {"width": -1},
        {"width": 1.5},
        {"width": "64"},
        {"width": 10**6},
        {"width": 10**12},
        {"width": True},
        {"guided": "yes"},
        {"long_side": -1},
        {"long_side": "x"},
        {"long_side": 10**9},
        {"magnify": 0},
        {"magnify": -1},
        {"magnify": 1e9},
        {"magnify": float("nan")},
        {"magnify": float("inf")},
        {"mean_displacement": 3},
        {"mean_displacement": [1]},
        {"mean_displacement": ["a", "b"]},
        {"mean_displacement": [float("nan"), 0]},
        {"grouping": 3},
        {"grouping": {"nothing": 1}},
        {"grouping": {"way": []}},
        {"unknown": 1},
    ):
        yield Case(f"weights-config-{_told(fields)}", _weights(checkpoint(**fields)), "refused", "w.safetensors")
    for what, path in {"zeros": "/dev/zero", "folder": "set", "nothing": "none.safetensors"}.items():

        def write(folder: Path, path: str = path) -> list[str]:
            good(folder)
            return ["convert", "set", "--out", "out", "--device", "cpu", "--weights", path]

        yield Case(f"weights-{what}-as-file", write, "refused", path)
