"""The benchmarks that go from an archive to a table: on small archives in the layouts of the real ones."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import ade20k
import archives
import numpy as np
import pytest
import voc
from archives import unpack
from PIL import Image
from scipy import ndimage

from sisegcli.errors import InputError

SHEEP, PERSON = 17, 15
OBJECTS = np.zeros((48, 64), np.uint8)
OBJECTS[8:40, 8:24], OBJECTS[8:40, 40:56] = 1, 2


def png(values):
    memory = io.BytesIO()
    Image.fromarray(np.asarray(values)).save(memory, "PNG")
    return memory.getvalue()


def write_tar(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_zip(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


WRITERS = {"a.tar": write_tar, "a.tar.gz": write_tar, "a.zip": write_zip}


# Archives


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_wanted_is_unpacked_once(tmp_path, name):
    path = WRITERS[name](tmp_path / name, {"x/a.txt": b"one", "x/y/b.txt": b"", "x/c.bin": b"three"})
    out = tmp_path / "out"
    assert unpack(path, out, lambda name: name.endswith(".txt")) == 2
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert found == {"x/a.txt": b"one", "x/y/b.txt": b""}
    path.write_bytes(b"")
    assert unpack(path, out) == 0  # it is there


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("wrong", ["../x", "/x", "a/../../x", "a\\..\\x", "C:x"])
def test_names_that_lead_out_are_refused(tmp_path, name, wrong):
    path = WRITERS[name](tmp_path / "in" / name, {"good": b"1", wrong: b"2"})
    with pytest.raises(InputError, match=r"leads out of its folder|outside the destination"):
        unpack(path, tmp_path / "in" / "out")
    assert sorted(p.name for p in tmp_path.rglob("*")) == [name, "in"]  # nothing was left, inside or outside


def test_links_are_left_out_and_nothing_goes_through_them(tmp_path):
    path = tmp_path / "in" / "a.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"link-{kind.decode()}")
            member.type, member.linkname = kind, ".."
            tar.addfile(member)
        through = tarfile.TarInfo(f"link-{tarfile.SYMTYPE.decode()}/x")
        through.size = 1
        tar.addfile(through, io.BytesIO(b"1"))
    assert unpack(path, tmp_path / "in" / "out") == 1
    assert not any(p.is_symlink() for p in tmp_path.rglob("*"))
    assert not (tmp_path / "in" / "x").exists()
    linked = zipfile.ZipInfo("link")
    linked.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        packed.writestr(linked, "..")
    with pytest.raises(InputError, match="holds no file that is needed"):
        unpack(tmp_path / "b.zip", tmp_path / "other")


@pytest.mark.parametrize("name", WRITERS)
def test_limits(tmp_path, name, monkeypatch):
    path = WRITERS[name](tmp_path / name, {"a": b"123", "b": b"123", "c": b"123"})
    for limit, value, sentence in (
        ("MAX_FILES", 2, "more than 2 files"),
        ("MAX_FILE", 2, "at 'a'"),
        ("MAX_TOTAL", 8, "at 'c'"),
    ):
        with monkeypatch.context() as patch, pytest.raises(InputError, match=sentence):
            patch.setattr(archives, limit, value)
            unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_archives_are_a_sentence(tmp_path):
    content = np.random.default_rng(0).bytes(4000)
    for name, write in WRITERS.items():
        path = write(tmp_path / name, {"a": content})
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(InputError, match=r"cannot be unpacked .*download it again"):
            unpack(path, tmp_path / "out")
    twice = tmp_path / "twice.tar"
    with tarfile.open(twice, "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    with pytest.raises(InputError, match="holds 'a' twice"):
        unpack(twice, tmp_path / "out")
    with pytest.raises(ValueError, match="another size"):
        archives._copy(io.BytesIO(b"1234"), tmp_path / "copy", 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*WRITERS, "copy", "twice.tar"])


# VOC


def devkit(objects=OBJECTS, name="2007_000033"):
    """Return a devkit as its archive has it: masks with void lines around all objects."""
    edge = ndimage.binary_dilation(objects > 0, iterations=2) & ~ndimage.binary_erosion(objects > 0)
    edge |= ndimage.maximum_filter(objects, 3) != objects
    palette = {"SegmentationObject": objects, "SegmentationClass": np.where(objects > 0, SHEEP, 0).astype(np.uint8)}
    root = "VOCdevkit/VOC2012"
    picture = io.BytesIO()
    Image.fromarray(np.full((*objects.shape, 3), 90, np.uint8)).save(picture, "JPEG")
    files = {
        f"{root}/{folder}/{name}.png": png(np.where(edge, 255, ids).astype(np.uint8)) for folder, ids in palette.items()
    }
    return {
        **files,
        f"{root}/JPEGImages/{name}.jpg": picture.getvalue(),
        f"{root}/ImageSets/Segmentation/val.txt": f"{name}\n".encode(),
        f"{root}/Annotations/{name}.xml": b"<annotation/>",
    }


def test_voc_from_the_archive(tmp_path, capsys):
    path = write_tar(tmp_path / "VOCtrainval_11-May-2012.tar", devkit())
    arguments = [str(path), "--out", str(tmp_path / "out"), "--rows", "components"]
    assert voc.main([*arguments, "--markdown"]) == 0
    table = capsys.readouterr().out
    assert "| sisegcli, components | ground truth | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 |" in table
    assert "| SISeg, DFM + CBR (arXiv:2308.00949) | OCRNet | 33.4 |" in table
    assert not (tmp_path / "out/data/VOCdevkit/VOC2012/Annotations").exists()
    filled = np.asarray(Image.open(tmp_path / "out/masks/2007_000033.png"))
    assert set(np.unique(filled).tolist()) == {0, SHEEP}
    assert voc.main([*arguments, "--overwrite"]) == 0  # what is unpacked stays


def test_voc_from_a_folder_with_predicted_masks(tmp_path, capsys):
    unpack(write_zip(tmp_path / "voc.zip", devkit()), tmp_path / "voc")
    half = np.where((OBJECTS == 1), SHEEP, 0).astype(np.uint8)
    (tmp_path / "psp").mkdir()
    (tmp_path / "psp/2007_000033.png").write_bytes(png(half))
    out = tmp_path / "out"
    status = voc.main(
        [str(tmp_path / "voc"), "--out", str(out), "--masks", str(tmp_path / "psp"), "--rows", "components", "--json"]
    )
    assert status == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"]["components"]["ap"] == pytest.approx(51 / 101)
    assert content["published"][0]["source"] == "arXiv:2308.00949"
    assert not (out / "masks").exists()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"VOCdevkit/VOC2012/JPEGImages/a.jpg": b""}, "holds no VOC devkit with SegmentationObject"),
        ({"readme": b""}, "holds no file that is needed here"),
    ],
)
def test_other_archives_are_a_sentence(tmp_path, capsys, files, sentence):
    path = write_tar(tmp_path / "other.tar", files)
    assert voc.main([str(path), "--out", str(tmp_path / "out")]) == 1
    assert sentence in capsys.readouterr().err


def test_what_is_neither_archive_nor_folder(tmp_path, capsys):
    assert voc.main([str(tmp_path / "none.tar"), "--out", str(tmp_path / "out")]) == 1
    assert "none.tar is no folder, and no tar or zip file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        voc.main([str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out")])


# ADE20K


def challenge():
    picture = io.BytesIO()
    Image.fromarray(np.full((*OBJECTS.shape, 3), 90, np.uint8)).save(picture, "JPEG")
    kinds = np.where(OBJECTS > 0, 4, 0).astype(np.uint8)  # the 4th thing is a person, 13 of 150; 3 is sky
    instances = png(np.stack([kinds, OBJECTS, np.zeros_like(OBJECTS)], axis=-1))
    semantic = png(np.where(OBJECTS > 0, 13, 3).astype(np.uint8))
    root = "ADEChallengeData2016"
    images = {
        f"{root}/{folder}/{split}/ADE_{short}_00000001{suffix}": content
        for split, short in (("training", "train"), ("validation", "val"))
        for folder, suffix, content in (("images", ".jpg", picture.getvalue()), ("annotations", ".png", semantic))
    }
    return {**images, f"{root}/objectInfo150.txt": b""}, {
        "annotations_instance/training/ADE_train_00000001.png": instances,
        "annotations_instance/validation/ADE_val_00000001.png": instances,
    }


def test_ade20k_from_the_archives_of_the_challenge(tmp_path, capsys):
    images, instances = challenge()
    paths = [
        write_zip(tmp_path / "ADEChallengeData2016.zip", images),
        write_tar(tmp_path / "annotations_instance.tar", instances),
    ]
    arguments = [*map(str, paths), "--out", str(tmp_path / "out"), "--rows", "components", "--markdown"]
    assert ade20k.main(arguments) == 0
    table = capsys.readouterr().out
    assert "| sisegcli, components | ground truth | 100.0 |" in table
    assert "| SISeg (arXiv:2308.00949) | ground truth | 32.6 |" in table
    assert not list((tmp_path / "out/data").rglob("*train*"))
    assert ade20k.main([*arguments, "--overwrite"]) == 0  # what is unpacked stays
    assert ade20k.main([str(paths[0]), "--out", str(tmp_path / "other"), "--rows", "components"]) == 1
    assert "has no annotations_instance" in capsys.readouterr().err


def full(split="validation"):
    ids = np.where(OBJECTS > 0, 401, 2420)
    colours = np.stack([ids // 256 * 10, ids % 256, OBJECTS * 100 + 55], axis=-1).astype(np.uint8)
    picture = io.BytesIO()
    Image.fromarray(np.full((*OBJECTS.shape, 3), 90, np.uint8)).save(picture, "JPEG")
    listed = {"annotation": {"object": [{"name": "car", "name_ndx": 401}, {"name": "sky", "name_ndx": 2420}]}}
    stem = f"ADE20K_2021_17_01/images/ADE/{split}/urban/street/ADE_val_00000001"
    return {
        f"{stem}.jpg": picture.getvalue(),
        f"{stem}_seg.png": png(colours),
        f"{stem}.json": json.dumps(listed).encode(),
    }


def test_the_full_ade20k_from_its_archive(tmp_path, capsys):
    path = write_zip(tmp_path / "ADE20K_2021_17_01.zip", full())
    assert ade20k.main([str(path), "--out", str(tmp_path / "out"), "--rows", "components", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["rows"]["components"]
    assert report["ap"] == pytest.approx(1)
    assert {name: quality["pq"] for name, quality in report["panoptic"].items()} == {"all": 1, "things": 1, "stuff": 1}
    assert [row["name"] for row in report["categories"]] == ["car", "sky"]


def test_folders_that_are_no_ade20k(tmp_path, capsys):
    for extra, sentence in (([], "neither images/validation"), ([str(tmp_path)], "is a second folder")):
        assert ade20k.main([str(tmp_path), *extra, "--out", str(tmp_path / "out")]) == 1
        assert sentence in capsys.readouterr().err


# The real files


@pytest.mark.data
def test_real_files_of_voc(data_root, tmp_path, capsys):
    root = data_root / "fixtures/labelme_voc3/examples/instance_segmentation"
    files = {}
    for path in sorted((root / "data_dataset_voc").rglob("*.png")):
        files[f"VOCdevkit/VOC2012/{path.parent.name}/{path.name}"] = path.read_bytes()
    for path in sorted((root / "data_annotated").glob("*.jpg")):
        files[f"VOCdevkit/VOC2012/JPEGImages/{path.name}"] = path.read_bytes()
    names = "".join(f"{path.stem}\n" for path in sorted((root / "data_annotated").glob("*.jpg")))
    files["VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"] = names.encode()
    archive = write_tar(tmp_path / "voc.tar", files)
    assert voc.main([str(archive), "--out", str(tmp_path / "out"), "--rows", "components", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["rows"]["components"]
    assert (report["images"], 0 < report["ap"] < 1, 0 < report["panoptic"]["things"]["pq"] < 1) == (3, True, True)


@pytest.mark.data
def test_filled_masks_are_those_of_the_development_set(data_root):
    folder = data_root / "voc-val-dev"
    names = (folder / "ImageSets/Segmentation/val.txt").read_text().split()[::50]
    for name in names:
        drawn, filled = (
            np.asarray(Image.open(folder / f"SegmentationClass{kind}" / f"{name}.png")) for kind in ("", "Filled")
        )
        assert np.array_equal(voc.fill_void(drawn), filled)


@pytest.mark.data
def test_real_files_of_the_full_ade20k(data_root, tmp_path, capsys):
    root = data_root / "fixtures/ade20k_full_3/dataset"
    arguments = [str(root), "--out", str(tmp_path / "out"), "--split", "training", "--rows", "components", "--json"]
    assert ade20k.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)["rows"]["components"]
    assert (report["images"], report["truth"]) == (3, 76)
    assert report["panoptic"]["stuff"]["pq"] == pytest.approx(1)
    assert 0 < report["ap"] < 1
