"""Runs that end early, however that is, and go on: every image is accounted for, and the bytes are those of one run."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_sets import ONE_CAT, TWO_DOGS, write_folders, write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.data.layouts import Problem
from sisegcli.errors import OptionError, OutputError
from sisegcli.formats import FORMATS
from sisegcli.instances import Instance, Segmentation
from sisegcli.methods import ComponentsMethod
from sisegcli.report.outputs import read_outputs
from sisegcli.running.anywhere import convert_anywhere
from sisegcli.running.convert import convert
from sisegcli.running.journal import Journal
from sisegcli.running.options import ConvertOptions
from sisegcli.running.rows import DONE, FAILED, Row
from sisegcli.running.shards import Shard
from sisegcli.running.timings import read_seconds

NAMES = [f"im{number:02}" for number in range(12)]
MASKS = {name: TWO_DOGS if number % 3 else np.roll(ONE_CAT, number) for number, name in enumerate(NAMES)}
ALL = {"to": tuple(FORMATS), "overlay": True}


@pytest.fixture
def root(tmp_path):
    return write_folders(tmp_path / "set", MASKS)


def run(root, out, given=None, **options):
    options = {"method": "components", "workers": 2, **options}
    return convert(ConvertOptions(root=root, out=out, **options), method=given)


def content(folder):
    outputs = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".sisegcli"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outputs}


def rows(out, what="stem, state, attempts"):
    with closing(sqlite3.connect(out / ".sisegcli" / "journal.sqlite")) as database:
        return database.execute(f"SELECT {what} FROM images ORDER BY number").fetchall()


class Seeing(ComponentsMethod):
    """Components that look at images, remember which, and stop the run at the image of a number."""

    needs_images = True

    def __init__(self, stop_at=None, error=ZeroDivisionError):
        super().__init__()
        self.seen, self.stop_at, self.error = [], stop_at, error

    def segment(self, images, masks):
        for mask in masks:
            if len(self.seen) == self.stop_at:
                raise self.error
            self.seen.append(mask)
        return super().segment(images, masks)


def told(summary):
    data = summary.to_json()
    data["images"].pop("resumed", None)
    return {name: data[name] for name in data if name not in ("seconds", "images_per_second")}


@pytest.mark.parametrize("stop_at", [1, 5, 11])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_run_that_ended_early_goes_on_as_if_it_had_not(root, tmp_path, stop_at, batch_size):
    whole = run(root, tmp_path / "whole", Seeing(), batch_size=batch_size, **ALL)
    with pytest.raises(ZeroDivisionError):
        run(root, tmp_path / "out", Seeing(stop_at), batch_size=batch_size, **ALL)
    assert not (tmp_path / "out" / "instances.json").exists()
    rest = Seeing()
    summary = run(root, tmp_path / "out", rest, batch_size=batch_size, resume=True, **ALL)
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert len(rest.seen) == 12 - stop_at // batch_size * batch_size
    assert summary.resumed == 12 - len(rest.seen)
    expected = {**told(whole), "outputs": [path.replace("whole", "out") for path in told(whole)["outputs"]]}
    assert told(summary) == expected
    assert rows(tmp_path / "out") == [(name, "done", 1) for name in NAMES]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_goes_on_to_the_same_bytes(root, tmp_path, name):
    (root / "masks" / "im02.png").write_bytes(b"no picture")
    options = {"batch_size": 2, "to": (name,)}
    for stop_at in (5, 4):  # 4 of the rest
        with pytest.raises(ZeroDivisionError):
            run(root, tmp_path / "out", Seeing(stop_at), resume=True, **options)
    write_png(root / "masks" / "im02.png", MASKS["im02"])  # comes last, and belongs between others
    assert run(root, tmp_path / "out", Seeing(), resume=True, **options).converted == 12
    run(root, tmp_path / "whole", Seeing(), **options)
    assert content(tmp_path / "out") == content(tmp_path / "whole") != {}
    assert all((tmp_path / "out" / output).exists() for output in FORMATS[name].outputs)
    last = [output for output in FORMATS[name].outputs if Path(output).suffix]
    for output in last[:1]:
        (tmp_path / "out" / output).unlink()
        with pytest.raises(OutputError, match=rf"{Path(output).name} of a finished run is gone; start a new run"):
            run(root, tmp_path / "out", resume=True, **options)


def test_pictures_alone_go_on_too(root, tmp_path):
    run(root, tmp_path / "whole", to=(), overlay=True)
    with pytest.raises(ZeroDivisionError):
        run(root, tmp_path / "out", Seeing(0), to=(), overlay=True)
    assert run(root, tmp_path / "out", to=(), overlay=True, resume=True).converted == 12
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_format_that_cannot_hold_an_image_is_told_of_in_every_run(root, tmp_path):
    many = np.kron(np.ones((40, 26), np.uint8), np.array([[1, 0], [0, 0]], np.uint8))  # too many for Cityscapes
    write_folders(root, {"im03": many})
    options = {"batch_size": 1, "to": ("cityscapes", "ade20k", "coco")}
    whole = run(root, tmp_path / "whole", Seeing(), **options)
    assert (whole.converted, whole.exit_code) == (12, 1)
    assert [problem.sentence.split(" hold ")[1][:9] for problem in whole.problems] == ["more than", "1,040 ins"]
    with pytest.raises(ZeroDivisionError):
        run(root, tmp_path / "out", Seeing(8), **options)
    for _ in range(2):
        summary = run(root, tmp_path / "out", Seeing(), resume=True, **options)
        assert [p.sentence.replace("/out/", "/whole/") for p in summary.problems] == [
            problem.sentence for problem in whole.problems
        ]
        assert (summary.converted, content(tmp_path / "out")) == (12, content(tmp_path / "whole"))


@pytest.mark.parametrize(("to", "held"), [(("coco-results",), 3), (("coco-results", "coco"), 4)])
def test_numbers_that_are_taken_are_found_at_the_end_of_the_run(tmp_path, to, held):
    root = write_folders(tmp_path / "set", {"3": TWO_DOGS, "5": TWO_DOGS, "a/3": ONE_CAT, "b": ONE_CAT})
    for resume in (False, True, True):
        summary = run(root, tmp_path / "out", to=to, resume=resume)
        assert (summary.converted, summary.exit_code, summary.instances.total()) == (held, 1, 4 + held)
        [problem] = summary.problems
        assert (problem.path.name, problem.sentence[:32]) == ("3.png", "a/3.png has the image number 3 i")
        assert (tmp_path / "out" / "coco_results.csv").read_text() == "image_id,file_name\n3,3.png\n5,5.png\n4,b.png\n"


def test_archives_go_on_too(root, tmp_path):
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "0.tar", "w") as tar:
        for name in NAMES:
            tar.add(root / "images" / f"{name}.png", f"{name}.png")
            tar.add(root / "masks" / f"{name}.png", f"{name}.mask.png")
    options = {"batch_size": 2, "to": ("webdataset", "coco")}
    run(tmp_path / "tars", tmp_path / "whole", Seeing(), **options)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "tars", tmp_path / "out", Seeing(5), **options)
    assert run(tmp_path / "tars", tmp_path / "out", Seeing(), resume=True, **options).resumed == 4
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_report_knows_how_long_images_took(root, tmp_path):
    out = tmp_path / "out 1"
    with pytest.raises(ZeroDivisionError):
        run(root, out, Seeing(5), batch_size=2)
    log = out / ".sisegcli" / "journal.sqlite-wal"
    log.touch()
    assert read_seconds(out) == {}  # a run that is at work, or was killed
    log.unlink()
    run(root, out, batch_size=2, resume=True)
    before = sorted((out / ".sisegcli").iterdir())
    found = {stem: image.seconds for stem, image in read_outputs(out).images.items()}
    assert list(found.items()) == rows(out, "stem, seconds") and set(found) == set(NAMES)
    assert sorted((out / ".sisegcli").iterdir()) == before
    (out / ".sisegcli" / "journal.sqlite").write_bytes(b"no database at all" * 100)
    assert read_seconds(out) == read_seconds(root) == {}


def test_a_format_that_is_named_twice_is_written_once(root, tmp_path):
    assert run(root, tmp_path / "out", to=("coco", "coco")).outputs == [tmp_path / "out" / "instances.json"]


def test_a_finished_run_has_nothing_left(root, tmp_path):
    whole = run(root, tmp_path / "out", Seeing(), resume=True, **ALL)
    before, again = content(tmp_path / "out"), Seeing()
    summary = run(root, tmp_path / "out", again, resume=True, **ALL)
    assert (again.seen, content(tmp_path / "out")) == ([], before)
    assert told(summary) == told(whole) and summary.resumed == 12


def test_files_that_are_lost_are_made_again(root, tmp_path):
    run(root, tmp_path / "out", **ALL)
    before, again = content(tmp_path / "out"), Seeing()
    (tmp_path / "out" / "SegmentationObject" / "im03.png").write_bytes(b"")  # as after a loss of power
    (tmp_path / "out" / "overlay" / "im07.png").unlink()
    summary = run(root, tmp_path / "out", again, resume=True, **ALL)
    assert (len(again.seen), summary.converted, content(tmp_path / "out")) == (2, 12, before)
    (tmp_path / "out" / "instances.json").unlink()
    with pytest.raises(OutputError, match=r"instances\.json of a finished run is gone; start a new run with --over"):
        run(root, tmp_path / "out", resume=True, **ALL)


def test_what_failed_is_tried_again(root, tmp_path):
    whole = run(root, tmp_path / "whole")
    mask = root / "masks" / "im04.png"
    good = mask.read_bytes()
    mask.write_bytes(b"no picture")
    first = run(root, tmp_path / "out")
    assert (first.converted, first.exit_code) == (11, 1)
    assert rows(tmp_path / "out")[4] == ("im04", "failed", 1)
    second = run(root, tmp_path / "out", resume=True)
    assert (second.problems, second.resumed, second.exit_code) == (first.problems, 11, 1)
    assert rows(tmp_path / "out")[4] == ("im04", "failed", 2)
    mask.write_bytes(good)
    third = run(root, tmp_path / "out", resume=True)
    assert (third.converted, third.exit_code, third.instances) == (12, 0, whole.instances)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_ctrl_c_then_resume(root, tmp_path):
    class Pressing(Seeing):
        def segment(self, images, masks):
            if len(self.seen) == 5:
                signal.raise_signal(signal.SIGINT)
            return super().segment(images, masks)

    summary = run(root, tmp_path / "out", Pressing(), batch_size=1)
    assert (summary.interrupted, summary.exit_code, summary.problems) == (True, 130, [])
    assert len(json.loads((tmp_path / "out" / "instances.json").read_text())["images"]) == summary.converted < 12
    states = [state for _, state, _ in rows(tmp_path / "out")]
    assert states == ["done"] * summary.converted + ["waiting"] * (12 - summary.converted)
    run(root, tmp_path / "whole", Seeing(), batch_size=1)
    assert run(root, tmp_path / "out", Seeing(), batch_size=1, resume=True).converted == 12
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_shards_go_on_too(root, tmp_path):
    shard = Shard(2, 3)
    run(root, tmp_path / "whole", Seeing(), batch_size=2, shard=shard)
    with pytest.raises(ZeroDivisionError):
        run(root, tmp_path / "out", Seeing(3), batch_size=2, shard=shard)
    with pytest.raises(OutputError, match=r"other settings: --shard was 2/3 and is 3/3 now; resume it with the same"):
        run(root, tmp_path / "out", batch_size=2, shard=Shard(3, 3), resume=True)
    assert run(root, tmp_path / "out", Seeing(), batch_size=2, shard=shard, resume=True).resumed == 2
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert "shard.json" in content(tmp_path / "out")
    run(root, tmp_path / "out", Seeing(0), batch_size=2, shard=shard, resume=True)


def unfinished(root, out, **options):
    with pytest.raises(ZeroDivisionError):
        run(root, out, Seeing(6), batch_size=1, **options)


def test_a_run_that_is_not_finished_is_guarded(root, tmp_path):
    unfinished(root, tmp_path / "out")
    with pytest.raises(OutputError) as caught:
        run(root, tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'out'} holds a run that was not finished (6 images are done); go on with it by --resume, or "
        "replace it with --overwrite."
    )
    anew = Seeing()
    assert run(root, tmp_path / "out", anew, batch_size=1, overwrite=True).resumed == 0
    assert len(anew.seen) == 12


def test_whether_time_is_measured_makes_no_other_run(root, tmp_path):
    run(root, tmp_path / "whole", batch_size=1)
    unfinished(root, tmp_path / "out")
    assert run(root, tmp_path / "out", batch_size=1, resume=True, profile=True).resumed == 6
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"min_area": 4}, "--min-area was 0 and is 4 now"),
        ({"to": ("voc",)}, "--to was coco and is voc now"),
        ({"categories": "voc"}, "--categories was not given and is voc now"),
        ({"background": None}, "--background was auto and is not given now"),
        ({"method": "watershed"}, "--method was components and is watershed now"),
    ],
)
def test_another_run_is_refused_and_the_difference_named(root, tmp_path, options, sentence):
    unfinished(root, tmp_path / "out")
    before = rows(tmp_path / "out")
    with pytest.raises(OutputError) as caught:
        run(root, tmp_path / "out", **{"batch_size": 1, "resume": True, **options})
    assert str(caught.value) == (
        f"{tmp_path / 'out'} holds a run with other settings: {sentence}; resume it with the same, or start a new one "
        "with --overwrite."
    )
    assert rows(tmp_path / "out") == before


def test_weights_and_lists_that_changed_are_refused(root, tmp_path, monkeypatch):
    names = tmp_path / "names.csv"
    names.write_text("id,name\n12,dog\n")
    unfinished(root, tmp_path / "out", categories=str(names))
    names.write_text("id,name\n12,wolf\n")
    with pytest.raises(OutputError, match="other settings: what --categories stands for has changed; resume it with"):
        run(root, tmp_path / "out", categories=str(names), batch_size=1, resume=True)
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"one")
    network = {"method": "siseg", "weights": str(weights)}
    with pytest.raises(ZeroDivisionError):
        run(root, tmp_path / "network", Seeing(8), batch_size=4, **network)
    weights.write_bytes(b"two")
    with pytest.raises(OutputError, match="what --weights stands for has changed"):
        run(root, tmp_path / "network", Seeing(), batch_size=4, resume=True, **network)


def test_another_folder_is_refused(root, tmp_path):
    unfinished(root, tmp_path / "out")
    other = write_folders(tmp_path / "other", MASKS)
    with pytest.raises(OutputError, match=rf"the folder was {root} and is {other} now"):
        run(other, tmp_path / "out", batch_size=1, resume=True)


def test_images_that_came_or_went_meanwhile(root, tmp_path):
    unfinished(root, tmp_path / "out")
    for stem in ("im02", "im09"):  # done, and not done
        for folder in ("images", "masks"):
            (root / folder / f"{stem}.png").unlink()
    summary = run(root, tmp_path / "out", Seeing(), batch_size=1, resume=True)
    assert (summary.found, summary.converted, summary.exit_code) == (12, 11, 1)
    sentence = "im09 was there when the run began, and is gone; put its image and mask back, and go on with --resume."
    assert [problem.sentence for problem in summary.problems] == [sentence]
    write_folders(root, {"im001": ONE_CAT, "im09": TWO_DOGS, "im02": TWO_DOGS, "x": ONE_CAT})
    with pytest.raises(OutputError, match=r"holds a run without im001 and 1 more of the images; convert new images"):
        run(root, tmp_path / "out", batch_size=1, resume=True)


def test_names_that_are_no_utf8(root, tmp_path):
    stem = os.fsdecode(b"caf\xe9")
    try:
        write_folders(root, {stem: ONE_CAT})
    except OSError:
        pytest.skip("this file system wants UTF-8")
    for resume in (False, True):
        summary = run(root, tmp_path / "out", resume=resume)
        assert (summary.converted, summary.exit_code) == (12, 1)
        assert [problem.sentence.rsplit("/", 1)[1] for problem in summary.problems] == [
            "caf\\udce9.png has a name that is no UTF-8; rename it."
        ]
    for resume in (False, True):
        summary = run(root, tmp_path / "all", resume=resume, **ALL)
        assert summary.converted == 13  # some formats do without names
        assert {problem.sentence.rsplit("/", 1)[1] for problem in summary.problems} == {
            "caf\\udce9.png has a name that is no UTF-8; rename it."
        }


def test_overwriting_removes_what_a_killed_run_left(root, tmp_path):
    run(root, tmp_path / "whole", **ALL)
    unfinished(root, tmp_path / "out", **ALL)
    for name in (".instances.json.1.part", "SegmentationClass/.im03.png.1.part", "overlay/.im03.png.1.part"):
        (tmp_path / "out" / name).write_bytes(b"half")
    run(root, tmp_path / "out", overwrite=True, **ALL)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_resume_and_overwrite_exclude_each_other(root, tmp_path):
    command = ["convert", str(root), "--out", str(tmp_path / "o"), "--resume", "--overwrite"]
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --resume goes on with what is there, --overwrite replaces it; choose one of them.\n",
    )


def test_a_journal_that_is_damaged_or_foreign(root, tmp_path):
    run(root, tmp_path / "out")
    path = tmp_path / "out" / ".sisegcli" / "journal.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match=r"journal\.sqlite is from another version of sisegcli; start a new run with"):
        run(root, tmp_path / "out", resume=True)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(OutputError, match=r"journal\.sqlite is damaged; start a new run with --overwrite"):
        run(root, tmp_path / "out", resume=True)
    assert run(root, tmp_path / "out", overwrite=True).converted == 12


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE run SET value = 'x' WHERE name = 'settings'",
        "UPDATE run SET value = '[]' WHERE name = 'settings'",
        f"UPDATE run SET value = '{'[' * 99999}' WHERE name = 'settings'",
        "DELETE FROM run",
        "DELETE FROM stems",
        "UPDATE results SET instances = 'x'",
        "UPDATE results SET instances = '{\"1\": -5}'",
        "UPDATE results SET removed = 'x'",
        "UPDATE results SET state = 'x'",
        "UPDATE results SET number = number + 100",
        "DROP TABLE lacking",
        "DROP TABLE results; CREATE TABLE results (a)",
        "PRAGMA user_version = 0",
    ],
)
def test_a_journal_that_something_else_changed(tmp_path, finished, change):
    out = shutil.copytree(finished.parent / "out", tmp_path / "out")
    with closing(sqlite3.connect(out / ".sisegcli/journal.sqlite")) as database:
        database.executescript(change)
    with pytest.raises(OutputError, match=r"journal\.sqlite is (damaged|no journal of sisegcli); start a new run with"):
        run(finished, out, resume=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The images of a run that is over, beside what it wrote."""
    folder = tmp_path_factory.mktemp("finished") / "set"
    write_folders(folder, {"a": ONE_CAT})
    run(folder, folder.parent / "out")
    return folder


def test_links_lead_nobody_out(tmp_path, finished):
    """Somebody else may have filled the output folder."""
    other, out = tmp_path / "other", tmp_path / "out"
    for inside in ("SegmentationClass", "SegmentationClass/deep", ".sisegcli"):
        shutil.rmtree(out, ignore_errors=True)
        other.mkdir(exist_ok=True)
        (other / ".a.part").write_text("not ours")
        (out / inside).parent.mkdir(parents=True)
        (out / inside).symlink_to(other)
        for options in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(OutputError, match=r"is a link|exists already"):
                run(finished, out, to=("voc",), **options)
        assert [path.name for path in other.iterdir()] == [".a.part"]


@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_journal_that_is_a_link_is_not_written_to(tmp_path, finished, end):
    place, precious = tmp_path / f"out/.sisegcli/journal.sqlite{end}", tmp_path / "precious"
    with closing(sqlite3.connect(precious)) as database:
        database.execute("CREATE TABLE mine (a)")
    before = precious.read_bytes()
    place.parent.mkdir(parents=True)
    place.symlink_to(precious)
    with pytest.raises(OutputError, match=r"journal\.sqlite is a link; remove it, or start a new run with --overwrite"):
        run(finished, tmp_path / "out")
    assert run(finished, tmp_path / "out", overwrite=True).converted == 1
    assert precious.read_bytes() == before


def test_urls(root, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    for path in root.rglob("*.png"):
        system.pipe_file(f"/resumed/{path.relative_to(root).as_posix()}", path.read_bytes())
    system.pipe_file("/resumed/masks/im05.png", b"no picture")

    def again(out, **options):
        options = ConvertOptions(root=Path("memory://resumed"), out=out, method="components", workers=1, **options)
        return convert_anywhere(options)

    first = again(tmp_path / "out")
    assert first.problems[0].sentence.startswith("memory://resumed/masks/im05.png is not an image")
    assert again(tmp_path / "out", resume=True).problems == first.problems
    system.pipe_file("/resumed/masks/im05.png", (root / "masks/im05.png").read_bytes())
    last = again(tmp_path / "out", resume=True)
    assert (last.converted, last.resumed) == (12, 11)
    run(root, tmp_path / "local")
    assert content(tmp_path / "out") == content(tmp_path / "local")
    with pytest.raises(OptionError, match=r"^--resume needs an --out on this machine, and memory://x is not"):
        again(Path("memory://x"), resume=True)


# -- the journal ------------------------------------------------------------------------------------------------------


def test_a_second_run_on_a_folder_is_refused(root, tmp_path):
    script = "import sys, sisegcli.running.journal as j; j.Journal(j.Path(sys.argv[1])); print(flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "out")], env=environment, **pipes) as other:
        other.stdout.readline()
        for flag in ("--resume", "--overwrite"):
            command = ["convert", str(root), "--out", str(tmp_path / "out"), "--method", "components", flag]
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 1
            assert result.stderr.splitlines()[-1] == (
                f"Error: {tmp_path / 'out'} is being written by another run; wait for its end, or choose another --out."
            )
        other.kill()  # the system frees it
    assert run(root, tmp_path / "out", resume=True).converted == 12


def test_a_batch_is_noted_whole_or_not_at_all(tmp_path):
    journal = Journal(tmp_path)
    journal.begin({}, "abc", ["coco"])
    journal.record([Row(0, DONE, entries={"coco": "a"})])
    with pytest.raises(RuntimeError):
        journal.record(row for row in _breaking([Row(1, DONE), Row(2, FAILED, "why")]))
    assert (journal.done, journal.left, journal.waiting()) == (1, 2, [1, 2])
    journal.record([Row(2, FAILED, "why", instances={7: 2}), Row(1, DONE, entries={"coco": "b"}, instances={7: 2})])
    journal.commit()
    assert [entry for _, entry in journal.entries("coco")] == ["a", "b"]
    assert [dict(row.instances) for row in journal.finished()] == [{}, {7: 2}]
    assert journal.failed() == [(2, "why")]
    journal.close()


def _breaking(given):
    yield from given
    raise RuntimeError


def test_a_journal_of_nothing_leaves_nothing(tmp_path):
    journal = Journal(tmp_path / "out")
    journal.begin({}, "ab", [])
    journal.record([Row(0, FAILED, "why")])
    journal.close(remove=True)
    assert not (tmp_path / "out").exists()


def test_device_memory_that_runs_out(root, tmp_path):
    torch = pytest.importorskip("torch")

    class Whole:
        def __init__(self, most):
            self.sizes, self.most = [], most

        def segment(self, images, masks):
            self.sizes.append(len(masks))
            if sum(mask.size for mask in masks) > self.most:
                raise torch.OutOfMemoryError
            return [Segmentation([Instance.from_mask(mask > 0, 1)]) for mask in masks]

    class Device(Whole):
        def on_processor(self):
            return self.processor

    processor, roomy, device, lone = Whole(999), Whole(999), Device(23), Whole(23)
    device.processor = processor
    expected = run(root, tmp_path / "roomy", roomy, batch_size=4)
    summary = run(root, tmp_path / "device", device, batch_size=4)
    assert content(tmp_path / "device") == content(tmp_path / "roomy")
    assert (summary.problems, summary.instances) == ([], expected.instances)
    assert device.sizes[:4] == [4, 2, 1, 1]
    assert processor.sizes == [1] * 8  # the dogs, of 24 pixels
    assert summary.notes[0] == f"Memory ran out on {root / 'images' / 'im01.png'}, so the processor did it."
    listed = run(root, tmp_path / "lone", lone, batch_size=4)
    assert (listed.converted, listed.exit_code) == (4, 1)
    assert listed.problems[0] == Problem(
        root / "images" / "im01.png",
        f"Memory ran out on {root / 'images' / 'im01.png'} (6 × 4 pixels); use a smaller image.",
    )


def test_the_network_on_the_processor_in_place_of_a_device():
    torch = pytest.importorskip("torch")
    from sisegcli.network.checkpoint import load_checkpoint
    from sisegcli.segmenter import Segmenter
    from sisegcli.shipped import weights_path

    segmenter = Segmenter.from_network(*load_checkpoint(weights_path("default")), device=torch.device("cpu"))
    assert segmenter.on_processor() is None
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    mask = np.kron(TWO_DOGS, np.ones((10, 10), np.uint8))
    expected = segmenter.predict(image, mask)
    segmenter.predictor.device = torch.device("cuda")  # as far as it knows
    spare = segmenter.on_processor()
    assert spare.predictor.device.type == spare.asker.device.type == "cpu"
    assert [found.box for found in spare.predict(image, mask)] == [found.box for found in expected] != []
