"""What goes wrong outside of us: each fault has a defined end. Finished images are safe, the rest is listed."""

import errno
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from small_sets import ONE_CAT, TWO_DOGS, write_folders
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import OutputError, StorageError
from sisegcli.formats import files, voc
from sisegcli.methods import ComponentsMethod
from sisegcli.running import stalls
from sisegcli.running.convert import convert
from sisegcli.running.database import Database
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions

NAMES = [f"im{number:02}" for number in range(10)]
MASKS = {name: TWO_DOGS if number % 3 else np.roll(ONE_CAT, number) for number, name in enumerate(NAMES)}


@pytest.fixture
def root(tmp_path):
    return write_folders(tmp_path / "set", MASKS)


@pytest.fixture
def disk(tmp_path):
    """Mounts a file system of some kilobytes, where this is allowed."""
    made = []

    def mount(kilobytes):
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting is not allowed here")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def run(root, out, given=None, listener=None, **options):
    options = {"method": "components", "workers": 2, **options}
    return convert(ConvertOptions(root=root, out=out, **options), listener, given)


def content(folder):
    outputs = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".sisegcli"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outputs}


def accounted(summary, root):
    """Whether each image was converted or is listed."""
    listed = {problem.path for problem in summary.problems} & {root / "images" / f"{name}.png" for name in NAMES}
    return summary.converted + len(listed) == len(NAMES)


# -- outputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [("coco",), ("coco", "voc")])
def test_a_full_disk(root, disk, tmp_path, to):
    out = disk(4000) / "out"
    ballast = out.parent / "ballast"

    class Filling(Listener):
        done = 0

        def advanced(self, images):
            self.done += images
            if self.done == 4:
                with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(4096))

    noise = np.random.default_rng(0)
    for name in NAMES:  # many instances, so that there is no room for them in pages that are begun
        write_folders(root, {name: noise.integers(0, 9, (20, 20)).astype(np.uint8)})
    whole = run(root, tmp_path / "whole", to=to)
    summary = run(root, out, listener=Filling(), to=to)
    assert accounted(summary, root) and 0 < summary.converted < len(NAMES)
    assert (summary.exit_code, summary.outputs) == (1, [])
    assert any("(No space left on device)" in problem.sentence for problem in summary.problems)
    last = summary.problems[-1]
    assert last.sentence == f"{last.path} is not converted (No space left on device); go on with --resume."
    assert not [name for name in content(out) if name.endswith(".part")]
    ballast.unlink()
    rest = run(root, out, to=to, resume=True)
    assert (rest.resumed, rest.instances) == (summary.converted, whole.instances)
    assert content(out) == content(tmp_path / "whole")


def test_a_disk_that_is_full_only_at_the_end(root, tmp_path, monkeypatch):
    def full(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("sisegcli.formats.run_file.flush_to_disk", full)
        summary = run(root, tmp_path / "out")
    assert (summary.converted, summary.exit_code, content(tmp_path / "out")) == (10, 1, {})
    assert [problem.sentence for problem in summary.problems] == [
        f"{tmp_path / 'out' / 'instances.json'} cannot be written (No space left on device); choose another folder "
        "with --out."
    ]
    assert run(root, tmp_path / "out", resume=True).resumed == 10
    assert "instances.json" in content(tmp_path / "out")


def test_a_folder_that_is_read_only(root, disk):
    folder = disk(400)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    command = ["convert", str(root), "--out", str(folder / "out"), "--method", "components"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {folder / 'out'} cannot be written (Read-only file system); choose another folder with --out."
    )


def test_a_disk_that_turns_read_only(root, tmp_path):
    out = tmp_path / "out"
    real = voc.replacing
    calls = []

    def read_only(path):
        calls.append(path)
        if len(calls) > 8:
            with files.output_errors(path):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(voc, "replacing", read_only)
        summary = run(root, out, to=("voc",))
    assert len(calls) == 9  # nothing more is tried
    assert (summary.converted, summary.exit_code, accounted(summary, root)) == (4, 1, True)
    assert "(Read-only file system)" in summary.problems[-1].sentence
    assert run(root, out, to=("voc",), resume=True).converted == 10
    run(root, tmp_path / "whole", to=("voc",))
    assert content(out) == content(tmp_path / "whole")


def test_a_picture_that_cannot_be_written_ends_the_run_too(root, tmp_path, monkeypatch):
    def full(*_):
        raise StorageError("x cannot be written (No space left on device).", "No space left on device")

    monkeypatch.setattr("sisegcli.running.overlays.replacing", full)
    summary = run(root, tmp_path / "out", overlay=True)
    assert (summary.converted, accounted(summary, root), summary.exit_code) == (0, True, 1)


@pytest.mark.parametrize("statement", ["commit", "execute"])
def test_a_journal_that_cannot_be_written(root, tmp_path, monkeypatch, statement):
    import sqlite3

    monkeypatch.setattr("sisegcli.running.journal.COMMIT_SECONDS", 0.0)
    real, calls = getattr(Database, statement), []

    def failing(self, *given, **named):
        calls.append(given)
        if len(calls) > 24 or (statement == "commit" and len(calls) > 5):
            with self.errors():
                raise sqlite3.OperationalError("disk I/O error")
        return real(self, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Database, statement, failing)
        summary = run(root, tmp_path / "out")
    assert accounted(summary, root) and 0 < summary.converted < 10
    assert (summary.exit_code, content(tmp_path / "out")) == (1, {})
    assert "(disk I/O error); go on with --resume." in summary.problems[-1].sentence
    rest = run(root, tmp_path / "out", resume=True)
    assert (rest.converted, rest.exit_code) == (10, 0)
    run(root, tmp_path / "whole")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_an_input_that_vanishes(root, tmp_path):
    class Vanishing(Listener):
        done = 0

        def advanced(self, images):
            self.done += images
            if self.done == 2:
                (root / "images").rename(root / "away")

    summary = run(root, tmp_path / "out", listener=Vanishing(), workers=1, overlay=True)
    assert accounted(summary, root) and 2 <= summary.converted < 10
    assert summary.problems[-1].sentence == f"{root / 'images' / 'im09.png'} does not exist; check the name."
    (root / "away").rename(root / "images")
    assert run(root, tmp_path / "out", workers=1, overlay=True, resume=True).resumed == summary.converted
    run(root, tmp_path / "whole", overlay=True)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.fixture
def stalling(root, monkeypatch):
    """Masks of some images that nobody ever finishes reading, as on a network path that stalls."""
    monkeypatch.setattr("sisegcli.data.images.refuse_devices", lambda _: None)  # pipes stand for slow files here
    stuck = []

    def stall(*names):
        for name in names:
            path = root / "masks" / f"{name}.png"
            path.rename(path.with_suffix(".kept"))
            os.mkfifo(path)
            stuck.append(path)

    def heal():
        while stuck:
            path = stuck.pop()
            with os.fdopen(os.open(path, os.O_RDWR | os.O_NONBLOCK), "wb", buffering=0):  # wakes whoever waits
                pass
            path.unlink()
            path.with_suffix(".kept").rename(path)

    stall.heal = heal
    yield stall
    heal()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_path_that_stalls(root, tmp_path, stalling, workers):
    stalling("im02", "im03", "im07")
    summary = run(root, tmp_path / "out", workers=workers, timeout=0.2)
    assert (summary.converted, summary.exit_code) == (7, 1)
    image = root / "images" / "im02.png"
    assert [problem.path.stem for problem in summary.problems] == ["im02", "im03", "im07"]
    assert summary.problems[0].sentence == (
        f"{image} or its mask was not read within 0.2 s; check the disk or the network, and go on with --resume."
    )
    stalling.heal()
    assert run(root, tmp_path / "out", timeout=60, resume=True).resumed == 7
    run(root, tmp_path / "whole")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_path_that_stalls_for_good(root, tmp_path, stalling, monkeypatch):
    monkeypatch.setattr(stalls, "STUCK", 2)
    stalling(*NAMES[3:])
    before = threading.active_count()
    summary = run(root, tmp_path / "out", timeout=0.2)
    assert (summary.converted, accounted(summary, root), summary.exit_code) == (3, True, 1)
    assert threading.active_count() - before <= 6
    assert "Reading stalls: 3 images at once were not read within 0.2 s; check" in summary.problems[2].sentence
    stalling.heal()
    assert run(root, tmp_path / "out", timeout=60, resume=True).converted == 10


def test_reading_as_long_as_it_takes():
    with stalls.Readers(2, timeout=0) as readers:
        assert [readers.submit(abs, -n).result() for n in range(5)] == list(range(5))
        with pytest.raises(ZeroDivisionError):
            readers.submit(divmod, 1, 0).result()


# -- this program ------------------------------------------------------------------------------------------------------


def test_an_error_on_one_image_alone_is_no_reason_to_end(root, tmp_path, monkeypatch):
    def refused(self, result):
        if result.stem == "im04":
            raise OutputError("im04 cannot be written (File too large); choose another folder with --out.")
        return ""

    monkeypatch.setattr("sisegcli.formats.geojson.GeoJsonWriter.write", refused)
    (tmp_path / "out" / "geojson").mkdir(parents=True)
    summary = run(root, tmp_path / "out", to=("geojson",))
    assert (summary.converted, summary.skipped, summary.exit_code) == (9, 1, 1)


def test_an_output_folder_that_vanishes(root, tmp_path):
    class Vanishing(ComponentsMethod):
        count = 0

        def segment(self, images, masks):
            self.count += 1
            if self.count == 5:
                shutil.rmtree(tmp_path / "out")
            return super().segment(images, masks)

    summary = run(root, tmp_path / "out", Vanishing(), to=("voc",))
    assert summary.exit_code == 1 or Path(tmp_path / "out" / "instances.csv").exists()
