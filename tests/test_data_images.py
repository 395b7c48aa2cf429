import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from sisegcli.data.images import image_size, opened, read_image, upright
from sisegcli.errors import ImageError

RGB = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png(bits, colour_type, rows, width):
    """A PNG of kinds that Pillow reads but does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_rgb_is_read_as_it_is_and_can_be_written_to(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels, RGB)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    image = Image.fromarray(RGB).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_allclose(read_image(path), expected, atol=2)
    assert image_size(path) == (2, 3)


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    Image.new("RGB", (16, 8), (200, 30, 60)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - (200, 30, 60)).max() < 10


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_divided_by_257(tmp_path, suffix):
    Image.fromarray(np.array([[0, 128, 129, 257, 25700, 65535]], np.uint16)).save(tmp_path / f"a.{suffix}")
    grey = read_image(tmp_path / f"a.{suffix}")
    assert grey[0, :, 0].tolist() == [0, 0, 1, 1, 100, 255]
    assert (grey == grey[..., :1]).all()


def test_32_bit_integers_are_16_bits_in_a_larger_box(tmp_path):
    Image.fromarray(np.array([[-5, 257, 10**6]], np.int32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 1].tolist() == [0, 1, 255]


def test_floats_are_refused(tmp_path):
    Image.new("F", (3, 2)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif has floating-point pixels; save it with 8 or 16 bits"):
        read_image(tmp_path / "a.tif")


def test_palettes_with_transparent_entries_do_not_warn(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=bytes([3, 200]))
    assert read_image(tmp_path / "a.png").tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_exif_orientation(tmp_path, orientation, suffix):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :8], pixels[8:, 24:] = (255, 0, 0), (0, 0, 255)
    path = tmp_path / f"a.{suffix}"
    quality = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(pixels).save(path, exif=exif(orientation), **quality)
    found = read_image(path)
    assert image_size(path) == found.shape[:2] == ((32, 16) if orientation > 4 else (16, 32))
    np.testing.assert_allclose(found, upright(pixels, orientation), atol=30)


@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4))
def test_upright_as_pillow_turns(orientation, height, width):
    pixels = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))


def test_unknown_orientations_leave_the_image(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif(9))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


def test_the_size_comes_from_the_header(tmp_path):
    Image.effect_noise((300, 200), 50).convert("RGB").save(tmp_path / "a.jpg", exif=exif(6))
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    assert image_size(tmp_path / "a.jpg") == (300, 200)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_cut_files_are_one_sentence(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.effect_noise((120, 90), 50).convert("RGB").save(path)
    whole = path.read_bytes()
    for size in (0, 3, 30, len(whole) // 2, len(whole) * 9 // 10):
        path.write_bytes(whole[:size])
        with pytest.raises(ImageError, match=rf"a\.{suffix} (is not an image|cannot be read).*; [^\n]*\.$"):
            read_image(path)


@given(st.data())
def test_damaged_files_are_read_or_refused_and_never_crash(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / f"a.{data.draw(st.sampled_from(['png', 'jpg', 'tif', 'bmp']))}"
    Image.fromarray(RGB).save(path, exif=exif(6))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(is_read_or_refused(read, path) for read in (read_image, image_size))


def is_read_or_refused(read, path):
    try:
        read(path)
    except ImageError as error:
        return str(path) in str(error)
    return True


def test_a_text_file_a_folder_and_nothing_are_one_sentence(tmp_path):
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(ImageError, match=r"a\.png is not an image that can be read; save it as PNG or JPEG"):
        read_image(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"b\.png does not exist; check the name\.$"):
        read_image(tmp_path / "b.png")
    with pytest.raises(ImageError, match="cannot be read"):
        image_size(tmp_path)


def test_too_many_pixels_are_refused_before_decoding(tmp_path):
    (tmp_path / "huge.png").write_bytes(png(8, 2, [b""], 400_000_000))  # a bomb: no pixels follow
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match=r"huge\.png has 1 x 400000000 pixels, more than the 89,478,485 allowed"):
        read_image(tmp_path / "huge.png")
    assert image_size(tmp_path / "huge.png") == (1, 400_000_000)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_pixel_limit_is_a_parameter(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=6).shape == (2, 3, 3)
    with pytest.raises(ImageError, match="2 x 3 pixels, more than the 5 allowed"):
        read_image(tmp_path / "a.png", max_pixels=5)


def test_damaged_exif_does_not_warn(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01")
    assert read_image(tmp_path / "a.jpg").shape == (2, 3, 3)


def test_threads_read_at_once(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        assert all((pixels == RGB).all() for pixels in pool.map(read_image, [tmp_path / "a.png"] * 50))
    assert warnings.filters == before


def test_errors_that_are_not_about_the_file_are_left_alone(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(AssertionError), opened(tmp_path / "a.png"):
        raise AssertionError
