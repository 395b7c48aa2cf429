import json
import sys

import numpy as np
import pytest
from PIL import Image
from small_sets import read_instances, write_folders, write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.data.layouts import Problem
from sisegcli.errors import OptionError, OutputError
from sisegcli.instances import Instance, Segmentation
from sisegcli.methods import ComponentsMethod
from sisegcli.running.convert import convert
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions
from sisegcli.tiling import Tiling

tifffile = pytest.importorskip("tifffile")

BLOBS = np.kron(np.random.default_rng(0).integers(0, 3, (23, 31)), np.ones((5, 5))).astype(np.uint8)
"""Regions of two categories, 115 x 155 pixels."""


def run(root, out, listener=None, method=None, **options):
    options = {"method": "components", "workers": 2, **options}
    return convert(ConvertOptions(root=root, out=out, **options), listener, method)


def write_tiffs(root, masks):
    for name, mask in masks.items():
        for folder, pixels in (("images", np.dstack([mask * 50] * 3)), ("masks", mask)):
            path = root / folder / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = "rgb" if pixels.ndim == 3 else "minisblack"
            tifffile.imwrite(path, pixels, photometric=kind, compression="zlib", tile=(16, 32))
    return root


@pytest.mark.parametrize("write", [write_folders, write_tiffs])
def test_tiles_change_nothing_for_components(tmp_path, write):
    root = write(tmp_path / "set", {"a": BLOBS, "b": BLOBS[:50, :60], "c": BLOBS[::-1].copy()})
    whole = run(root, tmp_path / "whole", tile="off", min_area=30)
    tiled = run(root, tmp_path / "tiled", tile=64, min_area=30)
    assert (tiled.converted, tiled.problems) == (3, [])
    assert (tiled.instances, tiled.removed, tiled.removed_pixels) == (
        whole.instances,
        whole.removed,
        whole.removed_pixels,
    )
    texts = [(tmp_path / name / "instances.json").read_text() for name in ("whole", "tiled")]
    assert texts[0] == texts[1]
    assert [path.name for path in (tmp_path / "tiled").glob("[!.]*")] == ["instances.json"]


class Watched(ComponentsMethod):
    """Components that remember the sizes they saw, in tiles from 5,000 pixels on."""

    needs_images = True

    def __init__(self):
        super().__init__()
        self.sizes = []

    def segment(self, images, masks):
        assert all(image.shape == (*mask.shape, 3) for image, mask in zip(images, masks, strict=True))
        self.sizes.append([mask.shape for mask in masks])
        return super().segment(images, masks)

    def tiling(self):
        usual = super().tiling()
        return Tiling(self, usual.score, reach=1, side=100, limit=5000, agreement=0)


def test_auto_tiles_what_is_above_the_method_s_limit_and_keeps_the_order(tmp_path):
    root = write_tiffs(tmp_path / "set", {"a": BLOBS[:9], "b": BLOBS, "c": BLOBS[:8]})
    method = Watched()
    summary = run(root, tmp_path / "out", method=method)
    assert method.sizes == [[(9, 155)], [(100, 100)], [(100, 57)], [(17, 100)], [(17, 57)], [(8, 155)]]
    assert list(read_instances(tmp_path / "out" / "instances.json")[0]) == ["a.tif", "b.tif", "c.tif"]
    assert summary.exit_code == 0
    method.sizes.clear()
    run(root, tmp_path / "off", method=method, tile="off")
    assert method.sizes == [[(9, 155), (115, 155), (8, 155)]]


def test_problems_of_large_pairs_are_listed(tmp_path):
    root = write_tiffs(tmp_path / "set", dict.fromkeys("abcd", BLOBS))
    (root / "masks" / "a.tif").write_bytes(b"no picture")
    tifffile.imwrite(root / "masks" / "b.tif", BLOBS[:99])
    tifffile.imwrite(root / "masks" / "c.tif", np.where(BLOBS > 0, -9, 0))
    summary = run(root, tmp_path / "out", tile=64)
    assert (summary.converted, summary.exit_code) == (1, 1)
    sentences = {problem.path.stem: problem.sentence for problem in summary.problems}
    assert sorted(sentences) == ["a", "b", "c"]
    assert "a.tif cannot be read" in sentences["a"]
    assert "b.tif is 155 × 99 pixels but its image" in sentences["b"]
    assert "holds the value -9, which is no category id" in sentences["c"]


def test_a_large_image_is_converted_without_a_picture_and_that_is_said(tmp_path):
    root = write_folders(tmp_path / "set", {"a": BLOBS, "b": BLOBS[:20, :20]})
    summary = run(root, tmp_path / "out", tile=64, overlay=True)
    assert summary.converted == 2
    assert [problem.sentence for problem in summary.problems] == [
        f"{root / 'images' / 'a.png'} is converted, but too large for a picture of it; leave --overlay out."
    ]
    assert [path.name for path in (tmp_path / "out" / "overlay").iterdir()] == ["b.png"]


def test_memory_that_runs_out_on_a_tile_is_a_problem(tmp_path):
    class Greedy(Watched):
        def segment(self, images, masks):
            raise MemoryError

    root = write_folders(tmp_path / "set", {"a": BLOBS})
    summary = run(root, tmp_path / "out", method=Greedy(), tile=64)
    assert summary.problems == [
        Problem(
            root / "images" / "a.png",
            f"Memory ran out on a tile of {root / 'images' / 'a.png'}; give --tile a smaller size.",
        )
    ]


def test_an_interrupt_gives_a_large_image_up_and_keeps_those_before(tmp_path):
    import signal

    class Stops(Listener):
        def __init__(self):
            self.heard = []

        def tiled(self, done, count):
            self.heard.append((done, count))
            if done == 2:
                signal.raise_signal(signal.SIGINT)

    root = write_folders(tmp_path / "set", {"a": BLOBS[:20, :20], "b": BLOBS, "c": BLOBS})
    ears = Stops()
    summary = run(root, tmp_path / "out", listener=ears, tile=64)
    assert ears.heard == [(1, 6), (2, 6)]
    assert (summary.interrupted, summary.converted) == (True, 1)
    assert list(read_instances(tmp_path / "out" / "instances.json")[0]) == ["a.png"]


def test_a_method_that_does_not_know_tiles(tmp_path):
    class Whole:
        def segment(self, images, masks):
            return [Segmentation([Instance.from_mask(mask >= 0, 1)]) for mask in masks]

    root = write_folders(tmp_path / "set", {"a": BLOBS})
    assert run(root, tmp_path / "auto", method=Whole()).converted == 1
    with pytest.raises(OptionError, match="--tile needs a method that works in tiles; leave it out"):
        run(root, tmp_path / "asked", method=Whole(), tile=64)
    assert not (tmp_path / "asked").exists()


def test_labels_and_polygons_of_a_tiled_image(tmp_path):
    root = write_tiffs(tmp_path / "set", {"street/a": BLOBS})
    out = tmp_path / "out"
    summary = run(root, out, tile=64, to=("tiff", "geojson", "voc"))
    assert summary.outputs[:3] == [out / "labels", out / "labels.csv", out / "geojson"]
    labels = tifffile.imread(out / "labels" / "street" / "a.tif")
    assert labels.dtype == np.uint32
    assert (labels == np.asarray(Image.open(out / "SegmentationObject" / "street" / "a.png"))).all()
    assert ((labels > 0) == (BLOBS > 0)).all()
    assert (out / "labels.csv").read_text() == (out / "instances.csv").read_text()
    features = json.loads((out / "geojson" / "street" / "a.geojson").read_text())["features"]
    assert len(features) == labels.max()


def test_the_label_image_is_tiled_and_compressed(tmp_path):
    root = write_folders(tmp_path / "set", {"a": np.tile(BLOBS, (6, 5))})
    run(root, tmp_path / "out", to=("tiff",))
    with tifffile.TiffFile(tmp_path / "out" / "labels" / "a.tif") as file:
        [page] = file.pages
        assert (page.is_tiled, page.tile, page.compression.name) == (True, (512, 512), "ADOBE_DEFLATE")
        assert page.asarray().shape == (690, 775)
        assert ((page.asarray() > 0) == (np.tile(BLOBS, (6, 5)) > 0)).all()


def test_geojson_as_qupath_reads_it(tmp_path):
    ring = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]], np.uint8)
    root = write_folders(tmp_path / "set", {"a": ring})
    (tmp_path / "names.csv").write_text("id,name\n1,Nucléus\n")
    run(root, tmp_path / "out", to=("geojson",), categories=str(tmp_path / "names.csv"))
    text = (tmp_path / "out" / "geojson" / "a.geojson").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [
                        [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]],
                        [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]],
                    ],
                },
                "properties": {
                    "objectType": "detection",
                    "classification": {"name": "Nucléus", "color": [128, 0, 0]},
                    "measurements": {"score": 1.0, "area": 8},
                    "score": 1.0,
                    "category_id": 1,
                },
            }
        ],
    }


def test_existing_files_are_kept(tmp_path):
    root = write_folders(tmp_path / "set", {"a": BLOBS})
    for name in ("tiff", "geojson"):
        run(root, tmp_path / name, to=(name,))
        with pytest.raises(OutputError, match="exists already; choose another folder with --out, or pass --overwrite"):
            run(root, tmp_path / name, to=(name,))
        assert run(root, tmp_path / name, to=(name,), overwrite=True).exit_code == 0


def test_tiff_without_tifffile(tmp_path, monkeypatch):
    root = write_folders(tmp_path / "set", {"a": BLOBS})
    tiffs = write_tiffs(tmp_path / "tiffs", {"a": BLOBS})
    monkeypatch.setitem(sys.modules, "tifffile", None)
    result = CliRunner().invoke(app, ["convert", str(root), "--method", "components", "--to", "tiff", "--out", "o"])
    assert result.exit_code == 1
    summary = run(tiffs, tmp_path / "out", tile=64)
    assert [problem.sentence for problem in summary.problems] == [
        f"{tiffs / 'masks' / 'a.tif'} is a large TIFF, which is read by tifffile; pip install 'sisegcli[large]'."
    ]
    assert run(tiffs, tmp_path / "small").exit_code == 0


@pytest.mark.parametrize("value", ["63", "some", "-5", "0"])
def test_sizes_that_are_none(tmp_path, value):
    with pytest.raises(OptionError, match=f"--tile {value} is neither auto, off nor a number of pixels from 64 on"):
        ConvertOptions(root=tmp_path, tile=int(value) if value.lstrip("-").isdecimal() else value)


def test_the_command_line(tmp_path):
    root = write_folders(tmp_path / "set", {"a": BLOBS})
    write_png(root / "images" / "b.png", np.zeros((70, 70, 3), np.uint8))
    command = ["convert", str(root), "--method", "components", "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(app, [*command, "--tile", "64", "--to", "geojson"])
    assert result.exit_code == 1  # b has no mask
    assert json.loads(result.stdout)["images"] == {"found": 1, "converted": 1, "skipped": 0}
