import sys

import numpy as np
import pytest
from PIL import Image

from sisegcli.data.images import read_image
from sisegcli.data.masks import MaskReader
from sisegcli.data.rasters import open_image, open_mask, raster_size
from sisegcli.errors import ImageError

tifffile = pytest.importorskip("tifffile")

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (70, 50, 3), np.uint8)
GREY = RGB[..., 0]
IDS = RNG.integers(0, 4, (70, 50), np.uint8)

STORED = {
    "mapped": {},
    "big": {"bigtiff": True},
    "other byte order": {"byteorder": ">"},
    "strips": {"compression": "zlib", "rowsperstrip": 9},
    "tiles": {"compression": "zlib", "tile": (16, 32)},
    "ome": {"ome": True, "compression": "zlib", "tile": (32, 16)},
}


def write(path, pixels, *, bigtiff=False, byteorder=None, ome=None, **options):
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder, ome=ome) as file:
        file.write(pixels, **options)
    return path


def bands(raster):
    """Read a raster in bands that overlap, and check that they agree."""
    height = raster.size[0]
    whole = raster.rows(0, height)
    for top in range(0, height, 13):
        bottom = min(height, top + 21)
        assert (raster.rows(top, bottom) == whole[top:bottom]).all()
    return whole


@pytest.mark.parametrize("options", STORED.values(), ids=STORED)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_tiffs(tmp_path, options, dtype):
    stored = RGB.astype(dtype) * (257 if dtype == np.uint16 else 1)
    path = write(tmp_path / "x.tif", stored, photometric="rgb", **options)
    with open_image(path) as raster:
        assert raster.size == (70, 50)
        found = bands(raster)
        assert found.dtype == np.uint8
        assert (found == RGB).all()


@pytest.mark.parametrize("options", STORED.values(), ids=STORED)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_mask_tiffs(tmp_path, options, dtype):
    path = write(tmp_path / "x.tif", IDS.astype(dtype), photometric="minisblack", **options)
    with open_mask(path, MaskReader(ignore=3)) as raster:
        assert (bands(raster) == np.array([-1, 1, 2, -2])[IDS]).all()


def test_channels_of_their_own(tmp_path):
    planes = np.moveaxis(RGB, -1, 0)
    paths = [
        write(tmp_path / "separate.tif", planes, photometric="rgb", planarconfig="separate", tile=(16, 16)),
        write(tmp_path / "pages.ome.tif", planes, photometric="minisblack", ome=True, metadata={"axes": "CYX"}),
    ]
    for path in paths:
        with open_image(path) as raster:
            assert (bands(raster) == RGB).all()


def test_grey_white_is_zero_alpha_and_palettes(tmp_path):
    alpha = np.dstack((RGB, GREY))
    colours = RNG.integers(0, 256, (3, 256), np.uint16) * 257
    cases = [
        (GREY, np.dstack([GREY] * 3), {"photometric": "minisblack"}),
        (GREY, 255 - np.dstack([GREY] * 3), {"photometric": "miniswhite"}),
        (GREY > 99, np.dstack([(GREY > 99) * np.uint8(255)] * 3), {"photometric": "minisblack"}),
        (alpha, RGB, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        (IDS, np.moveaxis(colours // 257, 0, -1)[IDS], {"photometric": "palette", "colormap": colours}),
    ]
    for number, (stored, expected, options) in enumerate(cases):
        path = write(tmp_path / f"{number}.tif", stored, **options)
        with open_image(path) as raster:
            assert (bands(raster) == expected).all(), number
    with open_mask(path, MaskReader(ignore=None)) as raster:
        assert (bands(raster) == np.array([-1, 1, 2, 3])[IDS]).all()


def test_the_largest_resolution_of_a_pyramid_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(RGB, photometric="rgb", subifds=1, tile=(16, 16))
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, tile=(16, 16))
    with open_image(tmp_path / "x.tif") as raster:
        assert (bands(raster) == RGB).all()


def test_other_files_are_decoded_by_pillow_and_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "x.jpg", exif=exif)
    with open_image(tmp_path / "x.jpg", tmp_path) as raster:
        assert raster.size == (50, 70)
        assert (bands(raster) == read_image(tmp_path / "x.jpg")).all()
    for name, picture in {
        "palette": Image.fromarray(IDS, "P"),
        "two bits": Image.fromarray(IDS, "P").quantize(4),
        "wide": Image.fromarray(IDS.astype(np.uint16)),
        "colours": Image.fromarray(np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]], np.uint8)[IDS]),
    }.items():
        if name == "two bits":
            picture.save(tmp_path / "x.png", bits=2)
        else:
            picture.save(tmp_path / "x.png")
        with open_mask(tmp_path / "x.png", MaskReader(), tmp_path) as raster:
            assert (bands(raster) == MaskReader().read(tmp_path / "x.png")).all(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.jpg", "x.png"]


def test_what_pillow_cannot_open_has_a_size_by_tifffile(tmp_path):
    write(tmp_path / "x.tif", IDS.astype(np.float64), photometric="minisblack")
    Image.fromarray(RGB).save(tmp_path / "x.png")
    assert raster_size(tmp_path / "x.png") == ((70, 50), True)
    assert raster_size(tmp_path / "x.tif") == ((70, 50), False)
    (tmp_path / "no.tif").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"no\.tif is not an image that can be read"):
        raster_size(tmp_path / "no.tif")


def test_sentences(tmp_path, monkeypatch):
    stack = write(tmp_path / "stack.tif", np.zeros((5, 8, 9), np.uint8), photometric="minisblack")
    real = write(tmp_path / "real.tif", np.zeros((8, 9), np.float32))
    turned = write(tmp_path / "turned.tif", RGB, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    (tmp_path / "no.tif").write_bytes(b"no picture")
    Image.fromarray(RGB).save(tmp_path / "x.png")
    Image.fromarray(IDS).save(tmp_path / "x.jpg")
    for path, sentence in {
        stack: r"stack\.tif has the dimensions .YX \(5, 8, 9\); save one image, grey or RGB",
        turned: r"turned\.tif is stored turned \(orientation 6\); save it upright",
        tmp_path / "no.tif": r"no\.tif cannot be read \(.*\); replace it",
        tmp_path / "missing.tif": r"missing\.tif does not exist",
    }.items():
        with pytest.raises(ImageError, match=sentence):
            open_image(path)
    with open_image(real) as raster, pytest.raises(ImageError, match="pixels of float32; save it with 8 or 16 bits"):
        raster.rows(0, 2)
    with pytest.raises(ImageError, match="is a JPEG, whose compression changes the values"):
        open_mask(tmp_path / "x.jpg", MaskReader())
    monkeypatch.setattr("sisegcli.data.rasters.MAX_DECODED", 70 * 50 - 1)
    with pytest.raises(ImageError, match="70 x 50 pixels, more than the 3,499 that can be decoded at once"):
        open_image(tmp_path / "x.png")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(
        ImageError, match=r"is a large TIFF, which is read by tifffile; pip install 'sisegcli\[large\]'"
    ):
        open_image(real)


def test_a_truncated_tiff_is_a_sentence(tmp_path):
    path = write(tmp_path / "x.tif", RGB, photometric="rgb", compression="zlib", tile=(16, 16))
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[3]
    path.write_bytes(whole[:offset] + bytes(40) + whole[offset + 40 :])
    with open_image(path) as raster, pytest.raises(ImageError, match="cannot be read"):
        raster.rows(0, 70)


def test_a_missing_codec_is_a_sentence(tmp_path, monkeypatch):
    path = write(tmp_path / "x.tif", RGB, photometric="rgb", compression="zlib", tile=(16, 16))
    with open_image(path) as raster:
        key = raster._source._key

        def decode(*_, **__):
            raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

        monkeypatch.setitem(key.__dict__, "decode", decode)
        with pytest.raises(ImageError, match=r"needs imagecodecs; pip install 'sisegcli\[large\]'"):
            raster.rows(0, 3)


@pytest.mark.parametrize("compression", ["lzw", "jpeg", "zstd", "jpeg2000"])
def test_other_compressions(tmp_path, compression):
    pytest.importorskip("imagecodecs")
    kind = "ycbcr" if compression == "jpeg" else "rgb"
    path = write(tmp_path / "x.tif", RGB, photometric=kind, compression=compression, tile=(32, 32))
    with open_image(path) as raster:
        assert (bands(raster) == tifffile.imread(path)).all()
