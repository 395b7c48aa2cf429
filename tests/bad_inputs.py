"""Bad inputs, written by script: each case is a small tree of files, a command, and what must come of it.

A case's `come` is one of

- ``converted``: exit code 0, and every image of the set is in the output;
- ``listed``: exit code 1, the sentence names the file, and the good pair beside it is converted;
- ``nothing``: as ``listed``, but nothing can be converted, so that there is no output;
- ``refused``: exit code 1, one sentence, and no output at all;
- ``usage``: exit code 2, and no output at all;
- ``told``: exit code 0 of a command that prints something, as evaluate does;
- ``merged``, ``reported``, ``drawn``: exit code 0 of another command, which has written its file;
- ``doubted``: exit code 1 of a report that is written all the same.

Run as a program, this module runs the cases whose names hold one of its arguments with little memory; those of weights
and of training are left out.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32
SIDE = 40_000
NOISE = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
IDS = np.zeros((HEIGHT, WIDTH), np.uint8)
IDS[2:9, 3:12], IDS[12:20, 14:30], IDS[0, :] = 12, 15, 255

Write = Callable[[Path], "list[str] | None"]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    name : str
        What is bad.
    write : callable
        Writes files into a folder; returns the arguments of the command, if not ``convert set --out out``.
    come : str
        What must come of it.
    sentence : str
        Part of what is printed.
    """

    name: str
    write: Write
    come: str
    sentence: str = ""


CONVERT = ["convert", "set", "--out", "out", "--method", "components"]
LOOKING = [*CONVERT, "--overlay"]
"""Converts and draws, so that photographs are decoded too."""


# ---------------------------------------------------------------------------------------------------- files


def encoded(array: np.ndarray, kind: str, **options: Any) -> bytes:
    """Return an array as an image file."""
    return saved(Image.fromarray(array), kind, **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, colour: int, pixels: bytes = b"", *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG whose header says whatever it should."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    chunk = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk)


def bmp(width: int, height: int) -> bytes:
    """Return the header of a grey BMP without pixels."""
    palette = bytes(1024)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 2000, 0, 0, 14 + 40 + 1024) + info + palette


def gif(width: int, height: int) -> bytes:
    """Return a small GIF that says it is as large as it likes."""
    whole = bytearray(encoded(np.zeros((4, 4), np.uint8), "GIF"))
    whole[6:10] = struct.pack("<HH", width, height)
    return bytes(whole)


def tiff(width: int, height: int, *, bits: int = 8, strip: int = 16) -> bytes:
    """Return a grey TIFF whose one strip is far shorter than its size says."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 200)]
    tags += [(277, 3, 1), (278, 4, height), (279, 4, strip)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + bytes(strip)


def sparse_tiff(side: int, tile: int = 4096) -> bytes:
    """Return a grey TIFF of tiles none of which is stored: valid, blank, and small."""
    count = (side // tile + 1) ** 2
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, count, 200), (325, 4, count, 200 + 4 * count)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + bytes(8 * count)


def good(folder: Path, name: str = "good") -> None:
    """Write a pair that nothing is wrong with."""
    put(folder / "set/images" / f"{name}.png", encoded(NOISE, "PNG"))
    put(folder / "set/masks" / f"{name}.png", encoded(IDS, "PNG"))


def put(path: Path, content: bytes | str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pair(
    image: bytes | None = None, mask: bytes | None = None, *, image_as: str = "png", mask_as: str = "png"
) -> Write:
    """Return what writes a bad pair beside a good one; a part that is not given is good, too."""

    def write(folder: Path) -> list[str]:
        good(folder)
        put(folder / "set/images" / f"bad.{image_as}", encoded(NOISE, "PNG") if image is None else image)
        put(folder / "set/masks" / f"bad.{mask_as}", encoded(IDS, "PNG") if mask is None else mask)
        return CONVERT if image is None else LOOKING

    return write


def option(*arguments: str, **files: bytes | str) -> Write:
    """Return what writes a good set and files by name (``__`` for a dot), and adds arguments."""

    def write(folder: Path) -> list[str]:
        good(folder)
        for name, content in files.items():
            put(folder / name.replace("__", "."), content)
        return [*CONVERT, *arguments]

    return write


# ---------------------------------------------------------------------------------------------------- pictures


KINDS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}


def truncated() -> Iterator[Case]:
    """Files that end too early, at many places."""
    for name, kind in KINDS.items():
        whole = encoded(NOISE, kind)
        for share in (0, 1, 5, 20, 50, 70, 90):
            part = whole[: len(whole) * share // 100]
            yield Case(f"image-{name}-cut-at-{share}%", pair(part, image_as=name), "listed", f"bad.{name}")
    for name, kind in {"png": "PNG", "bmp": "BMP", "tif": "TIFF", "gif": "GIF"}.items():
        whole = encoded(NOISE[..., 0] % 8, kind)
        for share in (0, 1, 5, 20, 50, 70, 90):
            part = whole[: len(whole) * share // 100]
            yield Case(f"mask-{name}-cut-at-{share}%", pair(mask=part, mask_as=name), "listed", f"bad.{name}")


def foreign() -> Iterator[Case]:
    """Files that are no pictures, and pictures that are called as if they were others."""
    contents = {
        "text": b"no picture",
        "html": b"<!doctype html><title>404</title>",
        "zip": b"PK\x03\x04" + bytes(60),
        "pdf": b"%PDF-1.7\n",
        "zeros": bytes(4096),
        "pickle": pickle.dumps({"a": 1}),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "noise": NOISE.tobytes(),
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(r) run\n",
    }
    for name, content in contents.items():
        for suffix in ("png", "tif"):
            yield Case(f"image-{suffix}-of-{name}", pair(content, image_as=suffix), "listed", f"bad.{suffix}")
            yield Case(f"mask-{suffix}-of-{name}", pair(mask=content, mask_as=suffix), "listed", f"bad.{suffix}")
    for name, kind in KINDS.items():
        for suffix in KINDS:
            if suffix != name:
                content = encoded(NOISE, kind)
                yield Case(f"image-{name}-called-{suffix}", pair(content, image_as=suffix), "converted")
    for suffix in ("png", "bmp", "tif", "gif", "jpg", "webp"):
        yield Case(
            f"mask-jpeg-called-{suffix}",
            pair(mask=encoded(IDS, "JPEG"), mask_as=suffix),
            "listed",
            "is a JPEG, whose compression changes",
        )
        if suffix != "jpg":
            yield Case(f"mask-png-called-{suffix}", pair(mask=encoded(IDS, "PNG"), mask_as=suffix), "converted")


def modes() -> Iterator[Case]:
    """All modes of Pillow, as image and as mask."""
    rgb, grey = Image.fromarray(NOISE), Image.fromarray(IDS)
    for mode, kind in {
        **dict.fromkeys(("1", "L", "LA", "P", "RGB", "RGBA"), "PNG"),
        **dict.fromkeys(("CMYK", "YCbCr", "LAB", "PA"), "TIFF"),
    }.items():
        suffix = "png" if kind == "PNG" else "tif"
        image = rgb.convert("P").convert("PA") if mode == "PA" else _converted(rgb, mode)
        yield Case(f"image-mode-{mode}", pair(saved(image, kind), image_as=suffix), "converted")
    yield Case("image-cmyk-jpeg", pair(saved(rgb.convert("CMYK"), "JPEG"), image_as="jpg"), "converted")
    wide = NOISE[..., 0].astype(np.uint16) * 257
    yield Case("image-16-bits-png", pair(encoded(wide, "PNG")), "converted")
    yield Case("image-16-bits-tiff", pair(encoded(wide, "TIFF"), image_as="tif"), "converted")
    yield Case("image-32-bits-tiff", pair(encoded(wide.astype(np.int32), "TIFF"), image_as="tif"), "converted")
    for name, value in {"nan": np.nan, "infinity": np.inf, "half": 0.5, "zero": 0.0}.items():
        content = encoded(np.full((HEIGHT, WIDTH), value, np.float32), "TIFF")
        yield Case(f"image-floats-{name}", pair(content, image_as="tif"), "listed", "floating-point pixels")
        yield Case(f"mask-floats-{name}", pair(mask=content, mask_as="tif"), "listed", "Pillow's mode F")
    for mode, kind, come in (
        ("1", "PNG", "converted"),
        ("L", "PNG", "converted"),
        ("P", "PNG", "converted"),
        ("LA", "PNG", "converted"),
        ("RGB", "PNG", "listed"),
        ("RGBA", "PNG", "listed"),
        ("CMYK", "TIFF", "listed"),
        ("YCbCr", "TIFF", "listed"),
        ("LAB", "TIFF", "listed"),
    ):
        suffix = "png" if kind == "PNG" else "tif"
        picture = _converted(grey if mode in ("1", "L", "P", "LA") else rgb, mode)
        sentence = f"bad.{suffix}" if come == "listed" else ""
        yield Case(f"mask-mode-{mode}", pair(mask=saved(picture, kind), mask_as=suffix), come, sentence)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image.convert(mode)


def moving() -> Iterator[Case]:
    """Files of several pictures: the first one counts."""
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    ids = [Image.fromarray(IDS), Image.fromarray(IDS[::-1].copy())]
    for suffix, kind in {"png": "PNG", "webp": "WEBP", "tif": "TIFF"}.items():
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        yield Case(f"image-moving-{suffix}", pair(content, image_as=suffix), "converted")
    for suffix, kind in {"png": "PNG", "gif": "GIF", "tif": "TIFF"}.items():
        content = saved(ids[0], kind, save_all=True, append_images=ids[1:])
        yield Case(f"mask-moving-{suffix}", pair(mask=content, mask_as=suffix), "converted")


def palettes() -> Iterator[Case]:
    """Palettes that are missing, too short, or of another length than it should be."""
    rows = b"".join(b"\0" + bytes([7] * WIDTH) for _ in range(HEIGHT))
    for length in (0, 1, 3, 4):
        chunks = [(b"PLTE", bytes(3 * length))] if length else []
        content = png(WIDTH, HEIGHT, 8, 3, rows, *chunks)
        yield Case(f"image-palette-of-{length}", pair(content), "converted")
        yield Case(f"mask-palette-of-{length}", pair(mask=content), "converted")
    broken = png(WIDTH, HEIGHT, 8, 3, rows, (b"PLTE", bytes(4)))
    yield Case("mask-palette-not-of-threes", pair(mask=broken), "converted")


def shapes() -> Iterator[Case]:
    """Sizes at the edge of what there is, and bombs."""
    for height, width in ((1, 1), (1, 2), (2, 1), (1, 30_000), (30_000, 1)):
        image = encoded(np.zeros((height, width, 3), np.uint8), "PNG")
        for name, value in {"thing": 15, "background": 0, "void": 255}.items():
            mask = encoded(np.full((height, width), value, np.uint8), "PNG")
            yield Case(f"{height}x{width}-{name}", pair(image, mask), "converted")
    for height, width in ((HEIGHT, WIDTH - 1), (WIDTH, HEIGHT), (1, 1), (1, HEIGHT * WIDTH)):
        mask = encoded(np.zeros((height, width), np.uint8), "PNG")
        yield Case(f"mask-of-other-size-{height}x{width}", pair(mask=mask), "listed", "but its image")
    yield Case("png-of-no-width", pair(mask=png(0, HEIGHT, 8, 0)), "listed", "bad.png")
    yield Case("png-of-2-billion", pair(mask=png(2**31 - 1, 2**31 - 1, 8, 0)), "listed", "bad.png")
    bombs = {
        "png": png(SIDE, SIDE, 8, 0),
        "bmp": bmp(SIDE, SIDE),
        "tif": tiff(SIDE, SIDE),
        "gif": gif(SIDE, SIDE),
        "sparse.tif": sparse_tiff(SIDE),
    }
    for name, content in bombs.items():
        suffix = name.rsplit(".", 1)[-1]
        for tile in ("auto", "off", "512"):
            for role in ("image", "mask", "both"):
                if suffix == "gif" and role != "mask":
                    continue
                image = None if role == "mask" else content
                mask = None if role == "image" else content
                write = _tiled(
                    pair(image, mask, image_as=suffix if image else "png", mask_as=suffix if mask else "png"), tile
                )
                yield Case(f"bomb-{role}-{name}-tile-{tile}", write, "listed", f"bad.{suffix}")


def bombs_of_tiles() -> Iterator[Case]:
    """TIFFs of few pixels whose tiles have many."""
    content = sparse_tiff(600, 1_000_000)
    for role in ("image", "mask"):
        parts = {"image": encoded(np.zeros((600, 600), np.uint8), "PNG"), "mask": None, role: content}
        suffixes = {"image_as": "png", "mask_as": "png", f"{role}_as": "tif"}
        mask = parts["mask"] or encoded(np.zeros((600, 600), np.uint8), "PNG")
        come, sentence = ("listed", "in pieces of" if role == "mask" else "too large for a picture")
        write = pair(parts["image"], mask, **suffixes)
        yield Case(f"bomb-of-tiles-{role}", _tiled(write, "512"), come, sentence)


def _tiled(write: Write, tile: str) -> Write:
    return lambda folder: [*(write(folder) or []), "--tile", tile]


def values() -> Iterator[Case]:
    """Masks whose values are not what they should be."""
    full = np.ones((HEIGHT, WIDTH), np.int64)
    for name, value in {"void": 255, "background": 0, "thing": 1, "beyond-the-list": 200}.items():
        mask = encoded((full * value).astype(np.uint8), "PNG")

        def write(folder: Path, mask: bytes = mask) -> list[str]:
            return [*(pair(mask=mask)(folder) or []), "--categories", "voc"]

        yield Case(f"mask-all-{name}", write, "converted")
    for value in (256, 65535):
        yield Case(f"mask-16-bits-{value}", pair(mask=encoded((full * value).astype(np.uint16), "PNG")), "converted")
    for value, come in ((70_000, "converted"), (2**31 - 1, "converted"), (-1, "listed"), (-(2**31), "listed")):
        mask = encoded((full * value).astype(np.int32), "TIFF")
        yield Case(f"mask-32-bits-{value}", pair(mask=mask, mask_as="tif"), come, "bad.tif" * (come == "listed"))


# ---------------------------------------------------------------------------------------------------- names


RESERVED = ("CON", "NUL", "AUX", "PRN", "COM1", "LPT1", "con.mask")
NAMES = {
    "newline": "a\nb",
    "carriage-return": "a\rb",
    "tab": "a\tb",
    "bell": "a\x07b",
    "escape-sequence": "a\x1b[31mb",
    "emoji": "🐑🐑",
    "right-to-left": "\u202etxt",
    "combining": "e\u0301",
    "space": "a b",
    "spaces-around": " a ",
    "quote": "a\"b'c",
    "markup": "[bold]a[/bold]",
    "broken-markup": "[/nothing]",
    "html": "<script>x",
    "percent": "%s%n%2e%2e",
    "backslash": "a\\..\\b",
    "dots-first": "..a",
    "dots-last": "a..",
    "many-dots": "a.b.c",
    "dash-first": "--out",
    "tilde": "~",
    "dollar": "$HOME",
    "semicolon": "a;b|c&d",
    "comma": "a,b",
    "star": "a*b?",
    "colon": "a:b",
    "number": "0",
    "hash": "#a",
    "long": "n" * 200,
    "not-utf-8": b"a\xff\xfeb".decode("utf-8", "surrogateescape"),
}


def names() -> Iterator[Case]:
    """Names that programs trip over, of pairs that are good otherwise, and of masks that are not."""
    every = [*NAMES.items(), *((f"reserved-{name}", name) for name in RESERVED)]
    for what, name in every:

        def fine(folder: Path, name: str = name) -> list[str]:
            good(folder)
            good(folder, name)
            return [*LOOKING, "--to", "coco", "--to", "voc", "--to", "npz"]

        def broken(folder: Path, name: str = name) -> list[str]:
            good(folder)
            good(folder, name)
            put(folder / "set/masks" / f"{name}.png", b"no picture")
            return CONVERT

        come = "listed" if what == "not-utf-8" else "converted"
        yield Case(f"name-{what}", fine, come, "UTF-8" if come == "listed" else "")
        if name.startswith("."):  # hidden, so passed over
            yield Case(f"name-{what}-broken", broken, "converted")
        else:
            yield Case(f"name-{what}-broken", broken, "listed", "is not an image")


def trees() -> Iterator[Case]:
    """Folders that hold links, pipes, doubles and nothing."""

    def link(place: str, target: str) -> Write:
        def write(folder: Path) -> None:
            good(folder)
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).symlink_to(target)

        return write

    yield Case("link-to-the-folder-above", link("set/images/loop", ".."), "converted")
    yield Case("link-to-itself-as-folder", link("set/masks/loop", "."), "converted")
    for role, other in (("images", "masks"), ("masks", "images")):
        for what, target in {
            "itself": "bad.png",
            "nothing": "missing.png",
            "zeros": "/dev/zero",
            "a-folder": ".",
        }.items():

            def write(folder: Path, role: str = role, other: str = other, target: str = target) -> None:
                good(folder)
                put(folder / f"set/{other}/bad.png", encoded(NOISE if other == "images" else IDS, "PNG"))
                (folder / f"set/{role}/bad.png").symlink_to(target)

            yield Case(f"{role}-link-to-{what}", write, "listed", "bad.png")

        def pipe(folder: Path, role: str = role, other: str = other) -> None:
            good(folder)
            put(folder / f"set/{other}/bad.png", encoded(NOISE if other == "images" else IDS, "PNG"))
            os.mkfifo(folder / f"set/{role}/bad.png")

        yield Case(f"{role}-pipe", pipe, "listed", "bad.png")

    def doubles(*more: str) -> Write:
        def write(folder: Path) -> None:
            good(folder)
            for name in more:
                put(folder / "set" / name, encoded(NOISE if "images" in name else IDS, "PNG"))

        return write

    yield Case("second-image", doubles("images/good.bmp"), "listed", "good.bmp is a second image")
    yield Case("second-mask", doubles("masks/good_mask.png"), "listed", "good_mask.png is a second mask")
    yield Case("second-mask-in-capitals", doubles("masks/good.PNG"), "listed", "is a second mask")
    yield Case("image-alone", doubles("images/alone.png"), "listed", "alone.png has no mask")
    yield Case("mask-alone", doubles("masks/alone.png"), "listed", "alone.png has no image")
    yield Case("empty-folder", lambda folder: (folder / "set").mkdir(), "refused", "set has no images and masks")
    yield Case("no-folder", lambda folder: None, "refused", "set is not a folder")
    yield Case("file-as-folder", lambda folder: void(put(folder / "set", b"x")), "refused", "set is not a folder")
    yield Case(
        "output-in-the-input", lambda folder: inside(folder, "set/images"), "refused", "would mix with the input"
    )
    yield Case("output-is-the-input", lambda folder: inside(folder, "set"), "refused", "would mix with the input")
    yield Case("output-below-a-file", lambda folder: inside(folder, "set/images/good.png/out"), "refused", "good.png")


def void(_: object) -> None:
    """Drop a value."""


def inside(folder: Path, out: str) -> list[str]:
    """Write a good pair, and convert it into a place where it cannot go."""
    good(folder)
    return ["convert", "set", "--out", out, "--method", "components"]


# ---------------------------------------------------------------------------------------------------- lists


DEEP = "[" * 100_000
LONG = "9" * 5_000


def lists() -> Iterator[Case]:
    """Lists of categories and tables of colours."""
    json_lists = {
        "empty": "",
        "half": '[{"id": 1,',
        "number": "3",
        "null": "null",
        "nested": DEEP,
        "nested-object": '{"a":' * 100_000,
        "long-number": '[{"id": ' + LONG + ', "name": "a"}]',
        "huge-id": '[{"id": 99999999999999999999, "name": "a"}]',
        "infinite-id": '[{"id": Infinity, "name": "a"}]',
        "nan-id": '[{"id": NaN, "name": "a"}]',
        "negative-id": '[{"id": -1, "name": "a"}]',
        "text-id": '[{"id": "1", "name": "a"}]',
        "true-id": '[{"id": true, "name": "a"}]',
        "no-name": '[{"id": 1}]',
        "list-as-name": '[{"id": 1, "name": []}]',
        "twice": '[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]',
        "duplicate-key": '[{"id": 1, "name": "a", "name": "b"}]',
        "duplicate-labels": '{"1": "a", "1": "b"}',
        "labels-huge": '{"99999999999999999999": "a"}',
        "labels-long": '{"' + LONG + '": "a"}',
        "lone-surrogate": '[{"id": 1, "name": "\\ud800"}]',
        "no-categories": '{"images": []}',
        "strings": '["a", "b"]',
    }
    for name, text in json_lists.items():
        yield Case(f"categories-json-{name}", option("--categories", "c.json", c__json=text), "refused", "c.json")
    csv_lists = {
        "no-header": "1,a\n",
        "text-id": "id,name\nx,a\n",
        "negative": "id,name\n-1,a\n",
        "long-number": f"id,name\n{LONG},a\n",
        "huge-id": "id,name\n99999999999,a\n",
        "superscript": "id,name\n²,a\n",
        "more-columns": "id,name\n1,a,b,c\n",
        "empty-name": "id,name\n1,\n",
        "bad-isthing": "id,name,isthing\n1,a,maybe\n",
        "twice": "id,name\n1,a\n1,b\n",
        "long-field": "id,name\n1," + "a" * 200_000 + "\n",
        "header-only": "id,name\n",
        "open-quote": 'id,name\n1,"a' + "\n2,b" * 3,
    }
    for name, text in csv_lists.items():
        come, sentence = ("converted", "") if name == "open-quote" else ("refused", "c.csv")
        yield Case(f"categories-csv-{name}", option("--categories", "c.csv", c__csv=text), come, sentence)
    for name, content in {
        "empty": b"",
        "blank": b"\n\n\n",
        "gap": b"a\n\nb\n",
        "utf-16": "cat\ndog".encode("utf-16"),
        "latin-1": "Käse".encode("latin-1"),
        "binary": NOISE.tobytes(),
    }.items():
        yield Case(f"categories-text-{name}", option("--categories", "c.txt", c__txt=content), "refused", "c.txt")
    yield Case("categories-text-nul", option("--categories", "c.txt", c__txt=b"a\0b\n"), "converted")
    for name, path in {
        "zeros": "/dev/zero",
        "folder": "set",
        "nothing": "nowhere.txt",
        "above": "../../nowhere",
    }.items():
        yield Case(f"categories-{name}", option("--categories", path), "refused", path)
    for name, text in {
        "empty": "",
        "nested": DEEP,
        "half": "{",
        "latin": b"\xff\xfe",
    }.items():

        def beside(folder: Path, text: str | bytes = text) -> None:
            good(folder)
            put(folder / "set/categories.json", text)

        yield Case(f"categories-beside-{name}", beside, "refused", "categories.json")
    colours = {
        "empty": "",
        "three": "1,2,3\n",
        "five": "1,2,3,4,5\n",
        "too-bright": "1,2,3,256\n",
        "negative": "1,2,3,-4\n",
        "fraction": "1,2,3,4.5\n",
        "twice": "1,2,3,4\n2,2,3,4\n",
        "huge-id": "99999999999,2,3,4\n",
        "long-id": f"{LONG},2,3,4\n",
        "long-colour": f"1,2,3,{LONG}\n",
        "long-field": "a" * 200_000 + ",2,3,4\n",
        "words": "red\n",
        "latin": b"\xff\xfe",
        "nul": b"\0",
    }
    for name, text in colours.items():
        yield Case(f"colours-{name}", option("--colours", "c.csv", c__csv=text), "refused", "c.csv")
    for name, path in {"zeros": "/dev/zero", "folder": "set", "nothing": "nowhere.csv"}.items():
        yield Case(f"colours-{name}-as-file", option("--colours", path), "refused", path)


def usages() -> Iterator[Case]:
    """Options that make no sense."""
    for arguments in (
        ("--tile", "0"),
        ("--tile", "63"),
        ("--tile", "-1"),
        ("--tile", "x"),
        ("--tile", "1e3"),
        ("--background", "-1"),
        ("--background", "x"),
        ("--ignore", "1.5"),
        ("--to", "nothing"),
        ("--shard", "0/3"),
        ("--shard", "4/3"),
        ("--shard", "x"),
        ("--min-area", "-1"),
        ("--min-score", "2"),
        ("--min-score", "nan"),
        ("--batch-size", "0"),
        ("--workers", "0"),
        ("--method", "magic"),
        ("--edges", "refine"),
        ("--weights", "w"),
        ("--max-pixels", "0"),
        ("--max-pixels", "-5"),
        ("--max-pixels", "many"),
        ("--background", LONG),
        ("--tile", LONG),
    ):
        sentence = "There is no format" if arguments[0] == "--to" else arguments[0]
        yield Case(f"option{arguments[0]}={arguments[1][:9]}", option(*arguments), "usage", sentence)
    yield Case(
        "max-pixels-of-a-few",
        lambda folder: [*(pair()(folder) or []), "--max-pixels", str(HEIGHT * WIDTH - 1)],
        "nothing",
        "--max-pixels",
    )
    yield Case(
        "max-pixels-just-so",
        lambda folder: [*(pair()(folder) or []), "--max-pixels", str(HEIGHT * WIDTH)],
        "converted",
    )


FAMILIES = (
    "truncated",
    "foreign",
    "modes",
    "moving",
    "palettes",
    "shapes",
    "bombs_of_tiles",
    "values",
    "names",
    "trees",
    "lists",
    "usages",
)
"""Families of cases here; `bad_files` and `bad_commands` have more."""


def cases() -> list[Case]:
    """Return all cases."""
    import bad_commands
    import bad_files

    found = [case for family in FAMILIES for case in globals()[family]()]
    for family in (bad_files.archives, bad_files.metadata, bad_files.evaluations, bad_files.checkpoints):
        found += family()
    for name in ("merges", "reports", "previews", "weights", "settings", "trainings"):
        found += getattr(bad_commands, name)()
    return found


CODES = {
    **dict.fromkeys(("converted", "told", "merged", "reported", "drawn"), 0),
    **dict.fromkeys(("listed", "nothing", "doubted", "refused"), 1),
    "usage": 2,
}
"""Exit codes by what must come of a case."""

LITTLE = 3 * 2**29
"""Memory, in bytes, that is enough for every bad input, with all that Python imports for it: 1.5 GiB."""


def run_with_little_memory(words: list[str]) -> int:
    """Run cases by parts of their names; return how many did not come to what they must."""
    import resource

    from typer.testing import CliRunner

    from sisegcli.cli import app

    wrong = count = 0
    home = Path.cwd()
    for case in cases():
        if case.name.startswith(("weights", "train")) or not any(word in case.name for word in words):
            continue  # torch alone takes more
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            arguments = case.write(Path(folder)) or CONVERT
            resource.setrlimit(resource.RLIMIT_AS, (LITTLE, LITTLE))
            result = CliRunner().invoke(app, arguments)
            os.chdir(home)
        if result.exit_code != CODES[case.come] or "Memory ran out" in result.output:
            print(f"{case.name}: {result.exit_code}, {result.exception!r}, {result.output}")  # noqa: T201
            wrong += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{count} cases, {wrong} wrong, at most {peak} MiB")  # noqa: T201
    return min(wrong + (not count), 1)


if __name__ == "__main__":
    sys.exit(run_with_little_memory(sys.argv[1:]))
