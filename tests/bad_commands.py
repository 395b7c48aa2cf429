"""Bad inputs of the commands beside convert and evaluate: merge, report, preview, train, weights, settings."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from bad_files import IMAGE, MASK, Trap, checkpoint
from bad_inputs import DEEP, LONG, NOISE, SIDE, Case, Write, good, png, put, tiff

from sisegcli.formats import FORMATS
from sisegcli.running.convert import convert
from sisegcli.running.options import ConvertOptions
from sisegcli.running.shards import Shard

MERGE = ["merge", "o1", "o2", "--out", "out"]

JSON = {
    "empty": "",
    "null": "null",
    "number": "3",
    "nested": DEEP,
    "nested-object": '{"a":' * 100_000,
    "long-number": '{"id": ' + LONG + "}",
    "half": '{"id": 1,',
    "latin": b'{"a": "\xff"}',
}


@cache
def outputs() -> dict[str, bytes]:
    """Return all files of two shards, ``o1`` and ``o2``, in all formats."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stem in ("a", "b"):
            good(folder, stem)
        shared = {"to": tuple(FORMATS), "method": "components", "batch_size": 1, "root": folder / "set"}
        for number in (1, 2):
            convert(ConvertOptions(out=folder / f"o{number}", shard=Shard(number, 2), **shared))
        files = [path for path in folder.rglob("*") if path.is_file() and ".sisegcli" not in path.parts]
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.parts[-2] != "set"}


def merging(place: str, content: bytes | str | Callable[[Path], object] | None, *only: str) -> Write:
    """Return what writes two shards with one file in another state; `only` these of their files, besides records."""

    def write(folder: Path) -> list[str]:
        for name, whole in outputs().items():
            inside = name.partition("/")[2]
            if name.startswith("o") and (not only or inside == "shard.json" or inside.startswith(only)):
                put(folder / name, whole)
        path = folder / place
        if path.is_file():
            path.unlink()
        if callable(content):
            content(path)
        elif content is not None:
            put(path, content)
        return MERGE

    return write


def link(target: str) -> Callable[[Path], object]:
    """Return what makes a link."""
    return lambda path: path.symlink_to(target)


PLACES: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "zeros": link("/dev/zero"),
    "link-to-itself": lambda path: path.symlink_to(path.name),
    "pipe": os.mkfifo,
}
"""What may be in the place of a file."""


def changed(name: str, old: str, new: str) -> str:
    """Return one of the shards' files with a part replaced, which must be there."""
    text = outputs()[name].decode()
    assert old in text, (name, old)
    return text.replace(old, new, 1)


def merges() -> Iterator[Case]:
    """Outputs that are not as they were written."""
    yield Case("merge-fine", merging("none", None), "merged")
    record = json.loads(outputs()["o2/shard.json"])
    for what, text in {**JSON, "list": "[]", "zeros": bytes(4096)}.items():
        yield Case(f"merge-record-{what}", merging("o2/shard.json", text, "coco"), "refused", "o2/shard.json")
    for what, change in {
        "shard": {"shard": 3},
        "shard-beyond": {"shard": "3/2"},
        "shard-of-none": {"shard": None},
        "pairs": {"pairs": []},
        "settings": {"settings": [["a", 1]]},
        "converted": {"converted": "1"},
        "converted-negative": {"converted": -1},
        "converted-infinite": {"converted": float("inf")},
        "converted-nan": {"converted": float("nan")},
        "interrupted": {"interrupted": 0},
        "problems": {"problems": 3},
        "problems-of-numbers": {"problems": [{"path": 3, "sentence": 4}]},
        "problems-of-nothing": {"problems": [{}]},
    }.items():
        text = json.dumps({**record, **change})
        yield Case(f"merge-record-wrong-{what}", merging("o2/shard.json", text, "coco"), "refused", "o2/shard.json")
    twice = changed("o2/shard.json", '"converted": 1', '"converted": 1, "converted": 1')
    yield Case("merge-record-duplicate-key", merging("o2/shard.json", twice, "coco"), "refused", "o2/shard.json")
    other = json.dumps({**record, "settings": {**record["settings"], "min_area": DEEP}})
    yield Case("merge-record-other", merging("o2/shard.json", other, "coco"), "refused", "o2 and o1 were converted")
    for what, place in PLACES.items():
        if what != "link-to-itself":
            yield Case(f"merge-record-is-{what}", merging("o2/shard.json", place, "coco"), "refused", "o2/shard.json")
    yield Case("merge-no-record", merging("o2/shard.json", None, "coco"), "refused", "o2 has no shard.json")
    yield Case("merge-no-folder", lambda folder: MERGE, "refused", "o1 is not a folder")
    yield Case("merge-file-as-folder", lambda folder: put(folder / "o1", b"") and MERGE, "refused", "o1 is not")
    yield Case("merge-empty", lambda folder: [(folder / n).mkdir() for n in ("o1", "o2")] and MERGE, "refused", "join")
    yield from _merged_files()
    yield from _merged_archives()


def _merged_files() -> Iterator[Case]:
    """Files of the whole run, each in turn."""
    whole = sorted(name for known in FORMATS.values() for name in known.outputs if Path(name).suffix)
    for name in whole:
        needs = [name.partition(".")[0] if "results" in name else name]
        contents = {**JSON, "cut": outputs()[f"o2/{name}"][:-40], "noise": NOISE.tobytes()}
        for what, content in contents.items():
            if name not in ("instances.json", "coco_results.json") and what not in ("empty", "latin", "noise", "cut"):
                continue  # all are read in one way
            if what == "cut" and not name.startswith(("instances.json", "panoptic.json", "cvat", "coco_results.json")):
                continue  # what is left of it may be a file
            yield Case(f"merge-{name}-{what}", merging(f"o2/{name}", content, *needs), "refused", f"o2/{name}")
        for what, place in PLACES.items():
            yield Case(f"merge-{name}-is-{what}", merging(f"o2/{name}", place, *needs), "refused", "o2")
        yield Case(f"merge-{name}-missing", merging(f"o2/{name}", None, *needs), "refused", "o2 has no")
    coco = "o2/instances.json"
    for what, old, new in (
        ("image-id", '{"id": 1, "file_name"', '{"id": [], "file_name"'),
        ("image-id-true", '{"id": 1, "file_name"', '{"id": true, "file_name"'),
        ("image-without-name", '"file_name": "b.png"', '"name": "b.png"'),
        ("image-name", '"file_name": "b.png"', '"file_name": ["b.png"]'),
        ("image-name-half", '"file_name": "b.png"', '"file_name": "\\ud800"'),
        ("image-twice", '"file_name": "b.png"', '"file_name": "b.png", "file_name": "b.png"'),
        ("image-nested", '"file_name": "b.png"', f'"file_name": {DEEP}'),
        ("image-long", '"file_name": "b.png"', f'"file_name": {LONG}'),
        ("annotation-of-none", '"image_id": 1', '"image_id": 2'),
        ("annotation-of-text", '"image_id": 1', '"image_id": "1"'),
        ("annotation-of-vast", '"image_id": 1', f'"image_id": {10**30}'),
        ("annotation-list", '{"id": 1, "image_id": 1', '[{"id": 1, "image_id": 1'),
        ("category-id", '{"id": 12, "name"', '{"id": "12", "name"'),
        ("category-name", '"name": "class-12"', '"name": 12'),
        ("sections", '"annotations": [', '"others": ['),
    ):
        yield Case(f"merge-coco-{what}", merging(coco, changed(coco, old, new), "instances.json"), "refused", coco)
    for what, text in {
        "columns": "image_id\n1\n",
        "words": "image_id,file_name\nx,b.png\n",
        "long": f"image_id,file_name\n{LONG},b.png\n",
        "more": "image_id,file_name\n1,b.png,3\n",
        "long-field": "image_id,file_name\n1," + "a" * 200_000 + "\n",
        "latin": b"image_id,file_name\n1,\xff.png\n",
    }.items():
        name = "o2/coco_results.csv"
        yield Case(f"merge-numbers-{what}", merging(name, text, "coco_results"), "refused", name)
    for what, new in {"text": '"1"', "none": "7", "list": "[]"}.items():
        name = "o2/coco_results.json"
        text = changed(name, '"image_id": 1', f'"image_id": {new}')
        yield Case(f"merge-results-{what}", merging(name, text, "coco_results"), "refused", name)
    name = "o2/datumaro/annotations/default.json"
    text = changed(name, '"id": "b"', '"id": ["b"]')
    yield Case("merge-datumaro-id", merging(name, text, "datumaro"), "refused", name)
    for what, place in PLACES.items():
        if what != "folder":
            name = "o2/npz/c.npz"
            yield Case(f"merge-copied-{what}", merging(name, place, "npz"), "refused", name)
    yield Case("merge-file-for-folder", merging("o2/npz", b"x", "instances.json"), "refused", "o1 has no npz")

    def files(folder: Path) -> list[str]:
        merging("none", None, "instances.json")(folder)
        for part in ("o1", "o2"):
            put(folder / part / "npz", b"x")
        return MERGE

    yield Case("merge-files-for-folders", files, "refused", "o1/npz")


def _merged_archives() -> Iterator[Case]:
    """Archives of `--to webdataset`."""

    def tar(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(content)
            archive.addfile(info, io.BytesIO(content))
        return file.getvalue()

    whole = outputs()["o2/instances.tar"]
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        second = archive.getmembers()[1].offset
    lying = bytearray(whole)
    lying[124:136] = b"77777777777\0"
    for what, content in {
        "above": tar("../../x.json"),
        "absolute": tar("/tmp/x.json"),
        "link": tar("x.json", b"", tarfile.SYMTYPE, "/etc/passwd"),
        "hard-link": tar("x.json", b"", tarfile.LNKTYPE, "/etc/passwd"),
        "device": tar("x.json", b"", tarfile.CHRTYPE),
        "pipe": tar("x.json", b"", tarfile.FIFOTYPE),
        "folder": tar("x", b"", tarfile.DIRTYPE),
        "size-that-lies": bytes(lying),
        "cut": whole[: second + 300],
        "cut-between": whole[:second],
        "cut-inside": whole[: second - 100],
    }.items():
        name = "o2/instances.tar"
        yield Case(f"merge-tar-{what}", merging(name, content, "instances.tar"), "refused", name)


# ---------------------------------------------------------------------------------------------------- report, preview


def reports() -> Iterator[Case]:
    """Outputs, photographs and journals that a report cannot read."""

    def write(content: bytes | str | Callable[[Path], object], name: str = "instances.json", *more: str) -> Write:
        def place(folder: Path) -> list[str]:
            for stem in ("a", "b"):
                good(folder, stem)
            put(folder / "found/instances.json", outputs()["o1/instances.json"])
            path = folder / name if "/" in name else folder / "found" / name
            path.unlink(missing_ok=True)
            if callable(content):
                path.parent.mkdir(parents=True, exist_ok=True)
                content(path)
            else:
                put(path, content)
            return ["report", "found", "--out", "out/report.html", *more]

        return place

    text = outputs()["o1/instances.json"]
    yield Case("report-fine", write(text), "reported")
    for what, content in {**JSON, "cut": text[:300], "pickle": b"\x80\x04N."}.items():
        yield Case(f"report-{what}", write(content), "refused", "found/instances.json")
    for what, place in PLACES.items():
        sentence = "found" if what in ("folder", "pipe", "link-to-itself", "zeros") else "found/instances.json"
        yield Case(f"report-is-{what}", write(place), "refused", sentence)
    for what, arguments in {"nothing": ["report", "none"], "empty": ["report", "."]}.items():
        yield Case(f"report-of-{what}", lambda folder, arguments=arguments: arguments, "refused", arguments[1])
    yield Case("report-no-images", write('{"images": [], "annotations": []}'), "refused", "found")
    for what, content in {"text": b"no picture", "empty": b"", "bomb": png(SIDE, SIDE, 8, 0)}.items():
        for role in ("images", "masks"):
            name = f"set/{role}/a.png"
            yield Case(f"report-{role}-{what}", write(content, name, "--input", "set"), "doubted", name)
    yield Case("report-input-nowhere", write(text, "instances.json", "--input", "none"), "refused", "none")
    yield Case("report-truth-nowhere", write(text, "instances.json", "--truth", "none"), "refused", "none")
    yield Case("report-colours", write(b"x", "c/colours.csv", "--colours", "c/colours.csv"), "refused", "colours.csv")

    def journal(statement: str) -> Callable[[Path], object]:
        def make(path: Path) -> None:
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA user_version = 1")
                database.execute("CREATE TABLE images (stem, seconds, state)")
                database.execute(statement)
            database.close()

        return make

    for what, made in {
        "text": b"no database",
        "words": journal("INSERT INTO images VALUES ('a', 'x', 'done')"),
        "none": journal("INSERT INTO images VALUES (NULL, NULL, 'done')"),
        "infinite": journal("INSERT INTO images VALUES ('a', 9e999, 'done')"),
        "folder": Path.mkdir,
    }.items():
        yield Case(f"report-journal-{what}", write(made, "found/.sisegcli/journal.sqlite"), "reported")


def previews() -> Iterator[Case]:
    """Two files that cannot be drawn."""

    def write(image: bytes | Callable[[Path], object], mask: bytes | Callable[[Path], object], *more: str) -> Write:
        def place(folder: Path) -> list[str]:
            for name, content in (("i.png", image), ("m.png", mask)):
                if callable(content):
                    content(folder / name)
                else:
                    put(folder / name, content)
            return ["preview", "i.png", "m.png", "--out", "out/p.png", "--method", "components", *more]

        return place

    yield Case("preview-fine", write(IMAGE, MASK), "drawn")
    for what, content in {
        "text": b"no picture",
        "empty": b"",
        "cut": IMAGE[: len(IMAGE) // 2],
        "bomb": png(SIDE, SIDE, 8, 0),
        "tiff-bomb": tiff(SIDE, SIDE),
        **PLACES,
        "missing": lambda path: None,
    }.items():
        yield Case(f"preview-image-{what}", write(content, MASK), "refused", "i.png")
        yield Case(f"preview-mask-{what}", write(IMAGE, content), "refused", "m.png")
    yield Case("preview-sizes", write(png(2, 2, 8, 0, bytes(6)), MASK), "refused", "m.png")
    yield Case("preview-categories", write(IMAGE, MASK, "--categories", "none.csv"), "refused", "none.csv")


# ---------------------------------------------------------------------------------------------------- weights, settings


def weights() -> Iterator[Case]:
    """Files to be shown and verified, and their lists of checksums."""

    def write(action: str, content: bytes | Callable[[Path], object], **beside: bytes) -> Write:
        def place(folder: Path) -> list[str]:
            if callable(content):
                content(folder / "w.safetensors")
            else:
                put(folder / "w.safetensors", content)
            for name, text in beside.items():
                put(folder / name, text)
            return ["weights", action, "w.safetensors"]

        return place

    for action in ("show", "verify"):
        for what, content in {
            "empty": b"",
            "text": b"weights",
            "noise": NOISE.tobytes(),
            "cut": checkpoint(width=8)[:40],
            **PLACES,
            "missing": lambda path: None,
        }.items():
            yield Case(f"weights-{action}-{what}", write(action, content), "refused", "w.safetensors")
    for what, sums in {
        "binary": b"\xff\0" * 40,
        "short": b"abc  w.safetensors\n",
        "other": b"0" * 64 + b"  w.safetensors\n",
    }.items():
        yield Case(f"weights-sums-{what}", write("verify", checkpoint(width=8), SHA256SUMS=sums), "refused", "SHA256")


def settings() -> Iterator[Case]:
    """Files of options."""

    def write(content: bytes | str | Callable[[Path], object], name: str = "sisegcli.toml", *before: str) -> Write:
        def place(folder: Path) -> list[str]:
            good(folder)
            if callable(content):
                content(folder / name)
            else:
                put(folder / name, content)
            return [*before, "convert", "set", "--out", "out", "--method", "components"]

        return place

    for what, text in {
        "half": "[convert",
        "latin": b"[convert]\nout = '\xff'\n",
        "utf-16": "[convert]\n".encode("utf-16"),
        "nul": b"\0",
        "nested": "a = " + DEEP,
        "nested-tables": "[convert" + ".a" * 2_000 + "]\n",
        "long-number": f"[convert]\nmin-area = {LONG}\n",
        "twice": "[convert]\nmin-area = 3\nmin-area = 4\n",
        "no-table": "convert = 3\n",
        "table-of-tables": "[[convert]]\nmin-area = 3\n",
        "table-as-value": "[convert]\nmin-area = {a = 1}\n",
        "date": "[convert]\nmin-area = 1979-05-27\n",
        "nan": "[convert]\nmin-score = nan\n",
        "infinite": "[convert]\nmin-score = inf\n",
        "unknown": "[convert]\nmin-are = 3\n",
        "large": "#" * 2_000_000,
    }.items():
        yield Case(f"settings-{what}", write(text), "usage", "sisegcli.toml")
    for what in ("folder", "zeros", "pipe", "link-to-itself"):
        yield Case(f"settings-named-{what}", write(PLACES[what], "s.toml", "--config", "s.toml"), "usage", "s.toml")


def trainings() -> Iterator[Case]:
    """What a training cannot begin with; all of it is found before the first step."""

    def write(*more: str, devkit: str = "", **files: bytes) -> Write:
        def place(folder: Path) -> list[str]:
            good(folder)
            if devkit:
                for name in ("JPEGImages", "SegmentationClass", "SegmentationObject"):
                    put(folder / devkit / name / "a.png", IMAGE if name == "JPEGImages" else MASK)
            for name, content in files.items():
                put(folder / name.replace("__", ".").replace("_0_", "/"), content)
            return ["train", "set", "--out", "out", "--device", "cpu", "--workers", "0", "--epochs", "1", *more]

        return place

    yield Case("train-no-folder", lambda folder: ["train", "none", "--out", "out"], "refused", "none is not a folder")
    yield Case("train-empty", lambda folder: ["train", ".", "--out", "out"], "refused", ".")
    for name in ("--categories", "--colours"):
        yield Case(f"train{name}", write(name, "c.csv", c__csv=b"\xff"), "refused", "c.csv")
    for name in ("--start", "--backbone-weights"):
        for what, content in {"text": b"x", "pickle": b"\x80\x04N.", "trap": _trap()}.items():
            yield Case(f"train{name}-{what}", write(name, "w.pth", w__pth=content), "refused", "w.pth")
        yield Case(f"train{name}-none", write(name, "none.safetensors"), "refused", "none.safetensors")
    for what, content in {"nested": DEEP.encode(), "half": b"{", "list": b"[]", "latin": b"\xff"}.items():
        yield Case(f"train-corrections-{what}", write("--corrections", "c.json", c__json=content), "refused", "c.json")
    yield Case("train-corrections-nowhere", write("--corrections", "none"), "refused", "none")
    val = ("--val", "val", "--backbone-weights", "none.safetensors")
    yield Case("train-val-nowhere", write(*val), "refused", "val")
    yield Case("train-val-no-truth", write("--val", "set", *val[2:]), "refused", "set has no SegmentationObject")
    for name in ("JPEGImages", "SegmentationClass", "SegmentationObject"):
        for what, content in {"text": b"no picture", "cut": IMAGE[:200], "other": png(2, 2, 8, 0, bytes(6))}.items():
            bad = write(*val, devkit="val", **{f"val_0_{name}_0_a__png": content})
            yield Case(f"train-val-{name}-{what}", bad, "refused", "val/")


def _trap() -> bytes:
    import pickle

    return pickle.dumps(Trap())
