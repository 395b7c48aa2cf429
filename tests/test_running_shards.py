"""Shards: however a folder is dealt to several runs, their merged outputs are those of one run, byte for byte."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import ONE_CAT, TWO_DOGS, write_folders, write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import InputError, OptionError, OutputError
from sisegcli.formats import FORMATS
from sisegcli.running.convert import convert
from sisegcli.running.merge import merge
from sisegcli.running.options import ConvertOptions
from sisegcli.running.shards import RECORD, Shard

NAMES = ["a", "b", "c/d", "c/é", "f", "g", "h", "i", "j"]
MASKS = {name: TWO_DOGS if number % 3 else np.roll(ONE_CAT, number) for number, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_folders(folder, MASKS)
    (folder / "names.csv").write_text("id,name,isthing\n12,dog,1\n8,cat,1\n")
    return folder


def run(root, out, shard=None, **options):
    options = {"method": "components", "workers": 1, "categories": str(root / "names.csv"), **options}
    return convert(ConvertOptions(root=root, out=out, shard=shard and Shard.parse(shard), **options))


def run_all(root, base, of, **options):
    outs = [base / f"part{number}" for number in range(1, of + 1)]
    for number, out in enumerate(outs, start=1):
        run(root, out, f"{number}/{of}", **options)
    return outs


def content(folder):
    outputs = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".sisegcli"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outputs}


@given(total=st.integers(0, 300), of=st.integers(1, 40), unit=st.integers(1, 20))
def test_blocks_cover_everything_once_in_order_in_whole_units(total, of, unit):
    blocks = [list(range(total))[Shard(number, of).block(total, unit)] for number in range(1, of + 1)]
    assert [item for block in blocks for item in block] == list(range(total))
    assert all(block[0] % unit == 0 for block in blocks if block)
    units = [-(-len(block) // unit) for block in blocks]
    assert max(units) - min(units) <= 1


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/2/3", "1.0/2", "²/3", "1/3/"])
def test_bad_specs(text, root, tmp_path):
    with pytest.raises(OptionError, match="is no I/N with I from 1 to N"):
        Shard.parse(text)
    command = ["convert", str(root), "--out", str(tmp_path / "o"), "--method", "components", f"--shard={text}"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: --shard {text} is no I/N")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("of", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("polygons", [False, True])
def test_merged_shards_are_the_whole_byte_for_byte(root, tmp_path, of, polygons):
    options = {"to": tuple(FORMATS), "overlay": True, "polygons": polygons}
    run(root, tmp_path / "whole", **options)
    outs = run_all(root, tmp_path, of, **options)
    summary = merge(outs[::-1], tmp_path / "merged", overwrite=False)
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert (summary.images, summary.exit_code, summary.problems) == (len(NAMES), 0, [])
    assert summary.folders == min(of, len(NAMES))
    assert len(content(tmp_path / "whole")) == 10 + 14 * len(NAMES)


def test_a_shard_of_which_a_format_holds_no_image(tmp_path):
    many = np.kron(np.ones((40, 26), np.uint8), np.array([[1, 0], [0, 0]], np.uint8))  # too many for Cityscapes
    root = write_folders(tmp_path / "set", {"a": many, "b": ONE_CAT})
    options = {"to": ("cityscapes", "coco"), "categories": None}
    run(root, tmp_path / "whole", **options)
    summary = merge(run_all(root, tmp_path, 2, **options), tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert "gtFine/b_labelIds.png" in content(tmp_path / "merged")
    [problem] = summary.problems
    assert "cannot hold more than 1000 instances" in problem.sentence


def test_the_network_sees_the_batches_of_one_run(tmp_path):
    noise = np.random.default_rng(0)
    root = write_folders(tmp_path / "set", {f"im{n}": TWO_DOGS.repeat(9, 0).repeat(9, 1) for n in range(5)})
    for path in (root / "images").iterdir():
        write_png(path, noise.integers(0, 255, (36, 54, 3), np.uint8))
    options = {"method": "siseg", "device": "cpu", "batch_size": 2}
    assert convert(ConvertOptions(root=root, out=tmp_path / "whole", **options)).converted == 5
    outs = []
    for number in (1, 2):
        outs.append(tmp_path / f"part{number}")
        found = convert(ConvertOptions(root=root, out=outs[-1], shard=Shard(number, 2), **options))
        assert found.converted == (2, 3)[number - 1]
    merge(outs, tmp_path / "merged")
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


def test_problems_are_told_once_and_again(root, tmp_path):
    shutil.copytree(root, tmp_path / "set")
    (tmp_path / "set/masks/b.png").unlink()
    (tmp_path / "set/masks/h.png").write_bytes(b"no picture")
    whole = run(tmp_path / "set", tmp_path / "whole")
    parts = [run(tmp_path / "set", tmp_path / f"p{n}", f"{n}/3") for n in (1, 2, 3)]
    assert [[p.path.stem for p in part.problems] for part in parts] == [["b"], [], ["h"]]
    summary = merge([tmp_path / f"p{n}" for n in (1, 2, 3)], tmp_path / "merged")
    assert summary.problems == whole.problems
    assert summary.exit_code == 1
    assert content(tmp_path / "merged") == content(tmp_path / "whole")


def test_missing_and_interrupted_shards_are_named(root, tmp_path):
    outs = run_all(root, tmp_path, 4)
    record = outs[1] / RECORD
    record.write_text(record.read_text().replace('"interrupted": false', '"interrupted": true'))
    with pytest.raises(InputError, match=r"^Shards 2/4, 4/4 are missing or were interrupted; .*--partial"):
        merge(outs[:3], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    summary = merge(outs[:3], tmp_path / "merged", partial=True)
    assert summary.exit_code == 1
    assert "Shards 2/4, 4/4 are missing or were interrupted, so their images are not" in summary.problems[0].sentence
    assert summary.images == 6


def test_many_missing_shards_are_counted(root, tmp_path):
    run(root, tmp_path / "one", "30/40")
    with pytest.raises(InputError, match=r"1/40, 2/40, .*, 10/40 and 29 more are missing"):
        merge([tmp_path / "one"], tmp_path / "merged")


def test_a_shard_that_did_not_finish_has_no_record(root, tmp_path):
    outs = run_all(root, tmp_path, 2)
    (outs[1] / RECORD).unlink()
    with pytest.raises(InputError, match=r"part2 has no shard.json, so it is no finished shard; convert"):
        merge(outs, tmp_path / "merged")
    (outs[1] / RECORD).write_text("{}")
    with pytest.raises(InputError, match=r"part2/shard.json is no record of a shard; convert that shard again"):
        merge(outs, tmp_path / "merged")


def test_a_shard_is_not_done_twice_by_mistake(root, tmp_path):
    run(root, tmp_path / "one", "9/9")
    before = content(tmp_path / "one")
    with pytest.raises(OutputError, match=r"shard\.json exists already; .* --overwrite"):
        run(root, tmp_path / "one", "1/9")
    assert content(tmp_path / "one") == before
    run(root, tmp_path / "one", "1/9", overwrite=True)
    assert json.loads((tmp_path / "one" / RECORD).read_text())["shard"] == "1/9"


def test_clashes_are_refused(root, tmp_path):
    outs = run_all(root, tmp_path, 2)
    run(root, tmp_path / "again", "1/2")
    run(root, tmp_path / "small", "2/2", min_area=4)
    run(root, tmp_path / "third", "3/3")
    write_folders(tmp_path / "other", {"z": ONE_CAT})
    (tmp_path / "other/names.csv").write_text((root / "names.csv").read_text())
    run(tmp_path / "other", tmp_path / "alien", "2/2")
    for folders, sentence in [
        ([*outs, tmp_path / "again"], "again and .*part1 are both shard 1/2; leave one out"),
        ([outs[0], tmp_path / "small"], r"were converted with different settings \(min_area\); convert one"),
        ([outs[0], tmp_path / "third"], "are not shards of the same images; join those of one run"),
        ([outs[0], tmp_path / "alien"], "are not shards of the same images; join those of one run"),
        ([outs[0], outs[0]], "part1 is given twice; name each output once"),
        ([outs[0], tmp_path / "nowhere"], "nowhere is not a folder; give the output folders"),
    ]:
        with pytest.raises(InputError, match=sentence):
            merge(folders, tmp_path / "merged")
        assert not (tmp_path / "merged").exists()
    with pytest.raises(OutputError, match="part1 is one of the folders to join; choose another --out"):
        merge(outs, outs[0], overwrite=True)


def test_runs_on_different_folders_join_in_the_order_given(root, tmp_path):
    for name, stem in (("x", "q"), ("y", "p")):
        write_folders(tmp_path / name, {stem: ONE_CAT})
        run(tmp_path / name, tmp_path / f"{name}-out", to=("coco", "voc"), categories=str(root / "names.csv"))
    merge([tmp_path / "x-out", tmp_path / "y-out"], tmp_path / "merged")
    images = json.loads((tmp_path / "merged/instances.json").read_text())["images"]
    assert [(image["id"], image["file_name"]) for image in images] == [(1, "q.png"), (2, "p.png")]
    assert sorted(path.name for path in (tmp_path / "merged/SegmentationClass").iterdir()) == ["p.png", "q.png"]


def test_runs_that_clash(root, tmp_path):
    run(root, tmp_path / "x", to=("coco",))
    run(root, tmp_path / "y", to=("coco",))
    run(root, tmp_path / "v", to=("voc",))
    run(root, tmp_path / "w", to=("voc",))
    write_folders(tmp_path / "other", {"z": ONE_CAT})
    run(tmp_path / "other", tmp_path / "named", categories="voc")
    for names, sentence in [
        ("xy", "a.png is in .*x/instances.json and in .*y/instances.json too; join only outputs of different images"),
        ("vw", r"a.png is in .*/SegmentationObject and elsewhere too; join only"),
        ("xv", "x has no instances.csv, but others have; convert all with the same --to"),
        (["x", "named"], "Category 12 is 'dog' in .* and 'dog' in|Category .*convert both with the same --categories"),
    ]:
        with pytest.raises(InputError, match=sentence):
            merge([tmp_path / name for name in names], tmp_path / "merged")
        assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_image_in_two_runs_is_found_in_every_format(root, tmp_path, name):
    if name == "tiff":
        pytest.importorskip("tifffile")
    for out, stems in (("x", "pq"), ("y", "rq")):
        write_folders(tmp_path / f"{out}-in", dict.fromkeys((f"{stem}/1" for stem in stems), ONE_CAT))
        run(tmp_path / f"{out}-in", tmp_path / out, to=(name,), categories=str(root / "names.csv"))
    with pytest.raises(InputError, match=r"join only outputs of different images"):
        merge([tmp_path / "x", tmp_path / "y"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_what_a_killed_merge_left_is_removed(root, tmp_path):
    outs = run_all(root, tmp_path, 2)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getpid()):
        half = tmp_path / f"merged/.merge.{process}.abc.part"
        half.mkdir(parents=True)
        (half / "instances.json").write_text("half")
    merge(outs, tmp_path / "merged")
    assert sorted(path.name for path in (tmp_path / "merged").iterdir()) == [half.name, "instances.json"]


def test_foreign_files_are_refused(root, tmp_path):
    run(root, tmp_path / "x")
    path = tmp_path / "x/instances.json"
    good = path.read_text()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There is nothing to join"):
        merge([tmp_path / "empty"], tmp_path / "merged")
    for bad in (
        json.dumps(json.loads(good)),
        good.replace('"images": [', '"pictures": ['),
        good[: len(good) // 2],
        good.replace('{"id": 2, "file_name"', '{"id": 7, "file_name"'),
        "",
    ):
        path.write_text(bad)
        with pytest.raises(
            InputError, match=r"x/instances\.json is not as sisegcli wrote it; convert its images again"
        ):
            merge([tmp_path / "x"], tmp_path / "merged")
        assert not (tmp_path / "merged").exists()


def test_outputs_that_exist_are_guarded(root, tmp_path):
    outs = run_all(root, tmp_path, 2, to=("coco", "voc"))
    merge(outs, tmp_path / "merged")
    before = content(tmp_path / "merged")
    with pytest.raises(OutputError, match=r"instances.json exists already; .* --overwrite"):
        merge(outs, tmp_path / "merged")
    (tmp_path / "merged/instances.json").unlink()
    (tmp_path / "merged/instances.csv").unlink()
    with pytest.raises(OutputError, match=r"SegmentationObject exists already; .* --overwrite"):
        merge(outs, tmp_path / "merged")
    (tmp_path / "merged/SegmentationClass/mine.png").write_text("mine")
    merge(outs, tmp_path / "merged", overwrite=True)
    assert content(tmp_path / "merged") == {**before, "SegmentationClass/mine.png": b"mine"}


def test_the_command(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    for number in (1, 2):
        found = invoke("convert", str(root), "--method", "components", "--shard", f"{number}/2", "--out", f"o{number}")
        assert found.exit_code == 0
    assert "Shard 2/2: 5 of them." in found.stderr
    lacking = invoke("merge", "o1", "--out", "m")
    assert lacking.exit_code == 1
    assert lacking.stderr.startswith("Error: Shards 2/2 are missing")
    done = invoke("merge", "o2", "o1", "--out", "m")
    assert (done.exit_code, done.stdout) == (0, "2 folders joined: 9 images.\nWritten: m/instances.json\n")
    partial = invoke("merge", "o1", "--out", "n", "--partial", "--json")
    assert partial.exit_code == 1
    assert json.loads(partial.stdout)["images"] == 4
    assert Path("n/instances.json").exists()
    assert invoke("merge", "--out", "x").exit_code == 2
