"""The scripts that pack training data and run on a rented machine; the machine itself is `scripts/gpu --rehearse`'s."""

from __future__ import annotations

import doctest
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pack_training
import pytest
from PIL import Image
from small_sets import ONE_CAT, TWO_DOGS, write_png, write_voc

from sisegcli.data.images import read_image
from sisegcli.data.layouts import find_pairs
from sisegcli.data.masks import MaskReader

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two VOC images, one of them larger than is packed, and a COCO one with its own categories."""
    masks = {"dogs": TWO_DOGS, "wide": np.kron(ONE_CAT, np.ones((40, 40), np.uint8))}
    write_voc(tmp_path / "data/voc-train", masks)
    write_png(tmp_path / "data/coco-train/images/x.png", np.full((9, 7, 3), (200, 30, 90), np.uint8))
    write_png(tmp_path / "data/coco-train/masks/x.png", np.full((9, 7), 90, np.uint8))
    (tmp_path / "data/coco-train/categories.csv").write_text("id,name,isthing\n90,toothbrush,1\n91,sky,0\n")
    return tmp_path / "data"


def test_what_is_packed_unpacks_to_the_same_training_data(data: Path, tmp_path: Path) -> None:
    said = pack_training.pack(data, tmp_path / "out", megabytes=0.1, long_side=60)
    assert said.startswith(f"{tmp_path / 'out/train.tar'}: 3 images with masks, WebP quality 95, 0.0")
    with tarfile.open(tmp_path / "out/train.tar") as archive:
        archive.extractall(tmp_path / "back", filter="data")
    for name in pack_training.FOLDERS:
        before, after = find_pairs(data / name), find_pairs(tmp_path / "back" / name)
        assert after.categories == before.categories
        assert [pair.stem for pair in after.pairs] == [pair.stem for pair in before.pairs]
        for old, new in zip(before.pairs, after.pairs, strict=True):
            mask, image = MaskReader().read(old.mask), read_image(old.image)
            if old.stem == "wide":  # 120 pixels shrunk to 60
                mask, image = mask[::2, ::2], image[::2, ::2]
            np.testing.assert_array_equal(MaskReader().read(new.mask), mask)
            assert np.abs(read_image(new.image).astype(int) - image).max() < 12


def test_quality_follows_the_budget(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, pixels in zip(paths, noise, strict=True):
        Image.fromarray(pixels).save(path)

    def size(quality: int) -> int:
        return sum(pack_training.stored(len(pack_training.encode_image(path, 64, quality))) for path in paths)

    quality = pack_training.choose_quality(paths, 64, size(40))
    assert quality >= 40 and size(quality) <= size(40) < size(95)
    assert pack_training.main([str(tmp_path), str(tmp_path / "out")]) == 1


def test_what_cannot_fit_is_an_error(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pack_training.main([str(data), str(tmp_path / "out"), "--megabytes", "0.01"]) == 1
    assert "do not fit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir() if not path.suffix))
def test_shell_scripts_parse(script: str) -> None:
    assert (SCRIPTS / script).read_bytes().startswith(b"#")
    subprocess.run(["bash", "-n", str(SCRIPTS / script)], check=True)


def test_the_gpu_script_explains_itself_and_refuses_the_unknown() -> None:
    told = subprocess.run([str(SCRIPTS / "gpu"), "--help"], check=True, capture_output=True, text=True).stdout
    assert all(f"scripts/gpu {command}" in told for command in ("pack", "wheels", "train", "test", "bench"))
    assert subprocess.run([str(SCRIPTS / "gpu"), "fly"], capture_output=True).returncode == 2


def test_doctests() -> None:
    assert doctest.testmod(pack_training) == (0, 1)
