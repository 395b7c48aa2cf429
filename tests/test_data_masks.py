import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from test_data_images import exif, png

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.data.colours import voc_colour_map, voc_palette
from sisegcli.data.masks import MaskReader, normalise
from sisegcli.errors import ImageError

IDS = np.array([[0, 1, 15], [20, 255, 15]], np.uint8)
READ = [[BACKGROUND, 1, 15], [20, IGNORE, 15]]


def test_palette_masks_are_indices_whatever_their_colours(tmp_path):
    image = Image.fromarray(IDS)
    image.putpalette(voc_palette())
    image.save(tmp_path / "voc.png")
    image.putpalette([7] * 768)  # all entries look the same
    image.save(tmp_path / "same.png")
    for name in ("voc.png", "same.png"):
        mask = MaskReader().read(tmp_path / name)
        assert mask.tolist() == READ
        assert mask.dtype == np.int32


def test_palette_masks_of_few_colours_are_packed(tmp_path):
    ids = np.array([[0, 1, 2, 3, 1]], np.uint8)
    image = Image.fromarray(ids)
    image.putpalette(voc_palette())
    for bits in (2, 4, 8):
        image.save(tmp_path / "a.png", bits=bits)
        assert MaskReader(background=None).read(tmp_path / "a.png").tolist() == ids.tolist()


def test_grey_masks(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "a.png")
    assert MaskReader().read(tmp_path / "a.png").tolist() == READ


@pytest.mark.parametrize(("bits", "row", "ids"), [(1, 0b01100000, [0, 1, 1]), (2, 0b00011100, [0, 1, 3])])
def test_packed_grey_masks_are_not_stretched(tmp_path, bits, row, ids):
    (tmp_path / "a.png").write_bytes(png(bits, 0, [bytes([row])], 3))
    assert MaskReader(background=None).read(tmp_path / "a.png").tolist() == [ids]


def test_grey_masks_of_4_bits_are_not_stretched(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4, 0, [b"\x0f\x20"], 4))
    assert MaskReader().read(tmp_path / "a.png").tolist() == [[-1, 15, 2, -1]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_masks_keep_their_ids(tmp_path, suffix):
    Image.fromarray(np.array([[0, 300, 65535, 255]], np.uint16)).save(tmp_path / f"a.{suffix}")
    assert MaskReader().read(tmp_path / f"a.{suffix}").tolist() == [[-1, 300, 65535, -2]]


def test_32_bit_masks_keep_their_ids(tmp_path):
    Image.fromarray(np.array([[0, 70000, -1]], np.int32)).save(tmp_path / "a.tif")
    assert MaskReader(ignore=-1).read(tmp_path / "a.tif").tolist() == [[-1, 70000, -2]]
    with pytest.raises(ImageError, match=r"a\.tif: .*the value -1, which is no category id"):
        MaskReader().read(tmp_path / "a.tif")


def test_binary_and_grey_alpha_masks(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "binary.png")
    assert MaskReader().read(tmp_path / "binary.png").tolist() == [[-1, 1]]
    Image.merge("LA", [Image.fromarray(IDS), Image.fromarray(IDS)]).save(tmp_path / "alpha.png")
    assert MaskReader().read(tmp_path / "alpha.png").tolist() == READ


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_rgb_masks_by_the_voc_colours(tmp_path, mode):
    Image.fromarray(voc_colour_map()[IDS]).convert(mode).save(tmp_path / "a.png")
    assert MaskReader().read(tmp_path / "a.png").tolist() == READ


def test_the_cream_of_voc_is_ignored(tmp_path):
    Image.new("RGB", (2, 1), (224, 224, 192)).save(tmp_path / "a.png")
    assert MaskReader().read(tmp_path / "a.png").tolist() == [[IGNORE, IGNORE]]


def test_rgb_masks_by_ones_own_colours(tmp_path):
    colours = {(255, 255, 255): 0, (255, 0, 0): 4000, (0, 0, 1): 2}
    Image.fromarray(np.array([[(255, 0, 0), (255, 255, 255), (0, 0, 1)]], np.uint8)).save(tmp_path / "a.png")
    assert MaskReader(colours=colours).read(tmp_path / "a.png").tolist() == [[4000, -1, 2]]
    with pytest.raises(ImageError, match=r"\(255, 0, 0\)"):
        MaskReader(colours={}).read(tmp_path / "a.png")


def test_the_first_unknown_colour_is_named(tmp_path):
    pixels = voc_colour_map()[IDS]
    pixels[0, 2], pixels[1, :2] = (9, 8, 7), (250, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png has the colour \(9, 8, 7\), .* \(3 pixels have such colours\); save"):
        MaskReader().read(tmp_path / "a.png")


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 3)))
def test_colour_lookup_as_pixel_by_pixel(tmp_path_factory, ids):
    table = {(0, 0, 0): 0, (0, 0, 255): 7, (255, 255, 255): 255, (1, 2, 3): 9}
    colours = np.array(list(table), np.uint8)[ids]
    path = tmp_path_factory.mktemp("masks") / "a.png"
    Image.fromarray(colours).save(path)
    expected = [[table[tuple(int(v) for v in pixel)] for pixel in row] for row in colours]
    assert MaskReader(background=None, ignore=None, colours=table).read(path).tolist() == expected


def test_jpegs_are_refused(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "a.jpg")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.jpg").read_bytes())  # whatever it is called
    for name in ("a.jpg", "a.png"):
        with pytest.raises(ImageError, match=f"{name} is a JPEG, .*; save it as a PNG that holds category ids"):
            MaskReader().read(tmp_path / name)


@pytest.mark.parametrize("mode", ["F", "CMYK"])
def test_modes_without_ids_are_refused(tmp_path, mode):
    Image.new(mode, (3, 2)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=rf"a\.tif has Pillow's mode {mode}, .*; save it as a PNG"):
        MaskReader().read(tmp_path / "a.tif")


def test_broken_and_huge_masks_are_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(png(8, 0, [b"\1\2\3"], 3)[:40])
    (tmp_path / "large.png").write_bytes(png(8, 0, [b"\1\2\3"], 3))
    with pytest.raises(ImageError, match=r"broken\.png"):
        MaskReader().read(tmp_path / "broken.png")
    with pytest.raises(ImageError, match="1 x 3 pixels, more than the 2 allowed"):
        MaskReader(max_pixels=2).read(tmp_path / "large.png")


def test_masks_are_turned_as_images_are(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "a.png", exif=exif(6))
    assert MaskReader().read(tmp_path / "a.png").tolist() == np.rot90(READ, -1).tolist()


def test_background_and_ignore_can_be_other_values_or_none():
    mask = np.array([[0, 3, 255]], np.uint8)
    assert normalise(mask, background=3, ignore=0).tolist() == [[-2, -1, 255]]
    assert normalise(mask, background=None, ignore=None).tolist() == [[0, 3, 255]]
    assert normalise(mask, background=0, ignore=0).tolist() == [[-2, 3, 255]]
    assert normalise(mask, background=-1, ignore=300).tolist() == [[0, 3, 255]]


def test_normalise_leaves_its_input_and_takes_bools():
    mask = np.array([[True, False]])
    assert normalise(mask).tolist() == [[1, -1]]
    ids = np.array([[0, 1]], np.int32)
    normalise(ids)
    assert ids.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((2, 2, 3), np.uint8), "not 3 of uint8"),
        (np.zeros((2, 2), np.float32), "not 2 of float32"),
        (np.array([[-2]]), "the value -2"),
        (np.array([[2**31]], np.uint32), "the value 2147483648"),
        (np.array([[2**63]], np.uint64), "the value 9223372036854775808"),
    ],
)
def test_arrays_that_are_no_masks(mask, sentence):
    with pytest.raises(ImageError, match=sentence):
        normalise(mask)


def test_voc_colours_are_distinct_and_make_a_palette():
    colours = voc_colour_map()
    assert colours.shape == (256, 3)
    assert len({tuple(colour) for colour in colours.tolist()}) == 256
    assert len(voc_palette()) == 768
    assert colours[20].tolist() == [0, 64, 128]  # tvmonitor, in the devkit's documentation


@pytest.mark.data
def test_real_masks(data_root):
    voc = data_root / "voc-val-dev"
    for path in sorted((voc / "SegmentationClass").glob("*.png"))[:20]:
        mask = MaskReader().read(path)
        assert set(np.unique(mask)) <= {BACKGROUND, IGNORE, *range(1, 21)}
    coco = MaskReader().read(next((data_root / "coco-dev" / "masks").glob("*.png")))
    assert coco.min() >= IGNORE
    assert coco.max() <= 90
