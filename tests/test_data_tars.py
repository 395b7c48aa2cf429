"""Archives in the form of WebDataset: what is paired, what is listed, and what comes out again."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import ONE_CAT, TWO_DOGS, write_folders
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.data.layouts import Archives, find_archives, pair_archives
from sisegcli.data.layouts.tars import read_archive
from sisegcli.errors import InputError, LayoutError
from sisegcli.formats.voc import read_voc_instances
from sisegcli.running.convert import convert
from sisegcli.running.merge import merge
from sisegcli.running.options import ConvertOptions
from sisegcli.running.shards import Shard

MASKS = {"a": TWO_DOGS, "b": ONE_CAT, "deep/c": TWO_DOGS[::-1], "deep/d": ONE_CAT}


@pytest.fixture
def root(tmp_path):
    return write_folders(tmp_path / "set", MASKS)


def pack(path, members, extra=()):
    """Write files (or, for None, links) under the names given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "elsewhere"
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def members(root, stems, mask="mask.png"):
    return {
        f"{stem}.{extension}": (root / folder / f"{stem}.png").read_bytes()
        for stem in stems
        for extension, folder in (("jpg", "images"), (mask, "masks"))
    }


def run(root, out, **options):
    return convert(ConvertOptions(root=root, out=out, **{"method": "components", "workers": 2, **options}))


def test_archives_give_what_a_folder_gives(root, tmp_path):
    pack(tmp_path / "tars/000.tar", {**members(root, ["a", "deep/c"]), "a.json": b"{}", "__key__": b""})
    pack(tmp_path / "tars/001.tar", members(root, ["b"], "seg.png") | members(root, ["deep/d"], "png"))
    wanted = run(root, tmp_path / "folder")
    found = run(tmp_path / "tars", tmp_path / "archives")
    assert (found.converted, found.problems, found.instances) == (4, [], wanted.instances)
    one, other = ((tmp_path / name / "instances.json").read_text() for name in ("folder", "archives"))
    assert other == one.replace('.png"', '.jpg"')
    assert found.layout.startswith("WebDataset: 4 pairs in 2 archives, such as ")
    assert "000.tar/a.jpg with a.mask.png" in found.layout


def test_one_archive_and_its_shards(root, tmp_path):
    path = pack(tmp_path / "000.tar", members(root, MASKS))
    formats = ("coco", "webdataset")
    run(path, tmp_path / "whole", to=formats)
    for number in (1, 2, 3):
        run(path, tmp_path / f"part{number}", to=formats, shard=Shard(number, 3))
    merge([tmp_path / f"part{number}" for number in (3, 1, 2)], tmp_path / "merged")
    for name in ("instances.json", "instances.tar"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_output_is_named_after_the_archive(tmp_path):
    assert ConvertOptions(root=tmp_path / "000.tar").output == Path("000-instances")


def test_what_has_no_partner_is_listed(root, tmp_path):
    files = members(root, MASKS)
    del files["a.mask.png"], files["b.jpg"]
    files |= {"deep/c.bmp": b"", "deep/c.seg.png": b""}
    path = pack(tmp_path / "x.tar", files)
    layout = pair_archives([path])
    assert [pair.stem for pair in layout.pairs] == ["deep/c", "deep/d"]
    assert [problem.sentence for problem in layout.problems] == [
        f"{path}/a.jpg has no mask; add it or remove the image.",
        f"{path}/b.mask.png has no image; add it or remove the mask.",
        f"{path}/deep/c.bmp is a second image beside deep/c.jpg; remove one.",
        f"{path}/deep/c.seg.png is a second mask beside deep/c.mask.png; remove one.",
    ]


def test_keys_that_two_archives_have(root, tmp_path):
    paths = [pack(tmp_path / name, members(root, ["a"])) for name in ("0.tar", "1.tar")]
    layout = pair_archives(paths)
    assert [pair.image for pair in layout.pairs] == [paths[0] / "a.jpg"]
    assert [problem.sentence for problem in layout.problems] == [
        f"{paths[1]}/a.jpg has the same key as {paths[0]}/a.jpg; rename one."
    ]


def test_members_that_are_bad(root, tmp_path):
    files = {**members(root, ["a"]), "../b.jpg": b"", "/c.jpg": b"", "d.jpg": None, ".hidden.jpg": b"no"}
    path = pack(tmp_path / "x.tar", files)
    layout = pair_archives([path])
    assert [pair.stem for pair in layout.pairs] == ["a"]
    assert [problem.sentence for problem in layout.problems] == [
        f"{path} holds ../b.jpg, which leads out of the archive; rename it.",
        f"{path} holds /c.jpg, which leads out of the archive; rename it.",
        f"{path} holds d.jpg, which is no plain file; pack the file itself.",
    ]


def test_damaged_images_are_listed_under_their_names_in_the_archive(root, tmp_path):
    path = pack(tmp_path / "x.tar", {**members(root, MASKS), "b.mask.png": b"no picture"})
    summary = run(path, tmp_path / "out")
    assert summary.converted == 3
    [problem] = summary.problems
    assert problem.sentence.startswith(f"{path}/b.mask.png is not an image that can be read")


@pytest.mark.parametrize("kept", range(512, 10240, 700))
def test_archives_that_end_early_give_what_is_whole(root, tmp_path, kept):
    path = pack(tmp_path / "x.tar", members(root, MASKS))
    whole = dict(read_archive(path).members)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(path.read_bytes()[:kept])
    found = read_archive(cut)
    assert found.members == {name: (at, size) for name, (at, size) in whole.items() if at + size <= kept}
    for name, (at, size) in whole.items():
        if at < kept < at + size:
            assert found.problems == (f"ends in the middle of {name}; fetch it again.",)


def test_rubbish_in_the_middle_is_listed(root, tmp_path):
    path = pack(tmp_path / "x.tar", members(root, ["a", "b"]))
    content = bytearray(path.read_bytes())
    offset, _ = read_archive(path).members["b.jpg"]
    content[offset - 512 : offset] = b"x" * 512
    other = tmp_path / "y.tar"
    other.write_bytes(content)
    layout = pair_archives([other])
    assert [pair.stem for pair in layout.pairs] == ["a"]
    assert [problem.sentence for problem in layout.problems] == [f"{other} is damaged after 2 files; fetch it again."]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is empty here; copy archives from a store"), (b"no tar" * 200, "is damaged, or no tar file without comp")],
)
def test_what_is_no_archive(tmp_path, content, sentence):
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(LayoutError, match=sentence):
        pair_archives([path])


def test_folders_with_images_are_no_folders_of_archives(root, tmp_path):
    pack(root / "backup.tar", {"x.jpg": b""})
    assert find_archives(root) == []
    pack(tmp_path / "flat/x.tar", {"x.jpg": b""})
    assert find_archives(tmp_path / "flat") == [tmp_path / "flat/x.tar"]
    (tmp_path / "flat/a.jpg").touch()
    assert find_archives(tmp_path / "flat") == []


def test_a_member_that_went_away(root, tmp_path):
    path = pack(tmp_path / "x.tar", members(root, ["a"]))
    assert Archives().holds(path / "a.jpg") and not Archives().holds(root / "images/a.png")
    with pytest.raises(InputError, match=r"x.tar/b.jpg is not there any more"):
        Archives().get(path / "b.jpg", tmp_path / "b.jpg")
    read_archive(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match=r"x.tar/a.mask.png ends too early"):
        Archives().get(path / "a.mask.png", tmp_path / "a.png")


def test_the_archive_that_is_written(root, tmp_path):
    result = CliRunner().invoke(
        app,
        ["convert", str(root), "--method", "components", "--to", "webdataset", "--to", "voc", "--out", str(tmp_path)],
        env={"COLUMNS": "200"},
    )
    assert result.exit_code == 0 and "instances.tar" in result.stdout
    with tarfile.open(tmp_path / "instances.tar") as tar:
        names = [member.name for member in tar.getmembers()]
        assert names == [f"{stem}.{kind}" for stem in MASKS for kind in ("instances.png", "json")]
        for stem in MASKS:
            with Image.open(tar.extractfile(f"{stem}.instances.png")) as picture:
                labels = np.asarray(picture)
            wanted, categories, _ = read_voc_instances(
                tmp_path / f"SegmentationObject/{stem}.png", tmp_path / f"SegmentationClass/{stem}.png"
            )
            assert np.array_equal(labels, wanted)
            record = json.load(tar.extractfile(f"{stem}.json"))
            assert record["file_name"] == f"{stem}.png"
            assert [one["category_id"] for one in record["instances"]] == list(categories.values())
            assert [one["area"] for one in record["instances"]] == np.bincount(labels.ravel())[1:].tolist()


def test_keys_with_dots_are_refused_and_listed(tmp_path):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT, "b.c": ONE_CAT})
    summary = run(root, tmp_path / "out", to=("webdataset",))
    assert summary.converted == 1
    assert [problem.sentence[:36] for problem in summary.problems] == ["'b.c' has a dot, where WebDataset en"]


def test_an_archive_that_exists_stays(root, tmp_path):
    (tmp_path / "instances.tar").write_text("mine")
    result = CliRunner().invoke(app, ["convert", str(root), "--to", "webdataset", "--out", str(tmp_path)])
    assert result.exit_code == 1 and "exists already" in result.stderr
    assert (tmp_path / "instances.tar").read_text() == "mine"


def test_a_run_that_fails_leaves_no_archive(tmp_path):
    root = write_folders(tmp_path / "set", {"b.c": ONE_CAT})
    assert run(root, tmp_path / "out", to=("webdataset",)).converted == 0
    assert not (tmp_path / "out").exists()


def test_joining_refuses_images_that_are_twice_there(root, tmp_path):
    for name in ("one", "two"):
        run(root, tmp_path / name, to=("webdataset",))
    with pytest.raises(InputError, match=r"^a.instances.png is in .* too; join only outputs of different images"):
        merge([tmp_path / "one", tmp_path / "two"], tmp_path / "merged")
    (tmp_path / "two/instances.tar").write_bytes(b"rubbish" * 100)
    with pytest.raises(InputError, match=r"is not as sisegcli wrote it"):
        merge([tmp_path / "one", tmp_path / "two"], tmp_path / "merged")


@pytest.mark.filterwarnings("ignore")
def test_the_webdataset_package_writes_what_we_read_and_reads_what_we_write(root, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "in.tar")) as sink:
        for stem in MASKS:
            image, mask = ((root / folder / f"{stem}.png").read_bytes() for folder in ("images", "masks"))
            sink.write({"__key__": stem, "png": image, "mask.png": mask})
    assert run(tmp_path / "in.tar", tmp_path / "out", to=("webdataset",)).converted == len(MASKS)
    found = list(webdataset.WebDataset(str(tmp_path / "out/instances.tar"), shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in found] == list(MASKS)
    for sample in found:
        assert np.asarray(sample["instances.png"]).shape[:2] == (sample["json"]["height"], sample["json"]["width"])
