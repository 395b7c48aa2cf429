"""Folders that are URLs: converted and merged as if they were local, byte for byte."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from small_sets import ONE_CAT, TWO_DOGS, write_folders, write_voc
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.data.layouts import Pair
from sisegcli.errors import InputError, LayoutError, OptionError, OutputError
from sisegcli.formats import FORMATS
from sisegcli.remote.mirror import Mirror
from sisegcli.remote.urls import Url, url_of
from sisegcli.running.anywhere import Fetching, convert_anywhere, merge_anywhere
from sisegcli.running.options import ConvertOptions
from sisegcli.running.shards import Shard

fsspec = pytest.importorskip("fsspec")

MASKS = {"a": TWO_DOGS, "b": ONE_CAT, "deep/c": TWO_DOGS[::-1], "deep/d": ONE_CAT}


@pytest.fixture
def bucket():
    """An empty folder in a store in memory."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """The folder in which runs stage what they fetch."""
    folder = tmp_path / "staging"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def put(folder, url):
    system, path = fsspec.core.url_to_fs(url)
    for file in Path(folder).rglob("*"):
        if file.is_file():
            system.pipe_file(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def content(url):
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    names = [name for name in system.find(path) if ".sisegcli/" not in name]
    return {name[len(path) :].lstrip("/"): system.cat_file(name) for name in names}


def run(root, out, **options):
    options = {"method": "components", "workers": 2, **options}
    return convert_anywhere(ConvertOptions(root=root and Path(root), out=out and Path(out), **options))


@pytest.mark.parametrize("write", [write_voc, write_folders])
def test_a_store_gives_what_a_folder_gives(tmp_path, bucket, staged, write):
    root = write(tmp_path / "set", MASKS)
    (root / "classes.txt").write_text("nothing\n" + "thing\n" * 20)
    put(root, f"{bucket}/set")
    options = {"to": tuple(FORMATS), "overlay": True}
    local = run(root, tmp_path / "out", **options)
    found = run(f"{bucket}/set", f"{bucket}/out", **options)
    assert content(f"{bucket}/out") == content(str(tmp_path / "out"))
    assert found.instances == local.instances
    assert found.layout == local.layout.replace(str(root), f"{bucket}/set")
    assert [str(path) for path in found.outputs] == [str(Path(f"{bucket}/out") / path.name) for path in local.outputs]
    assert list(staged.iterdir()) == []


def test_lists_that_layouts_are_told_by_are_fetched(tmp_path, bucket, staged):
    write_folders(tmp_path / "hf/train", {"a": TWO_DOGS})
    (tmp_path / "hf/train/metadata.csv").write_text("file_name,mask_file_name\nimages/a.png,masks/a.png\n")
    write_folders(tmp_path / "vistas/training", {"a": ONE_CAT})
    (tmp_path / "vistas/training/masks").rename(tmp_path / "vistas/training/labels")
    labels = [{"name": f"x--{name}", "readable": name, "instances": True} for name in ("bird", *"bcdefgh", "cat")]
    (tmp_path / "vistas/config.json").write_text(json.dumps({"labels": labels}))
    put(tmp_path, bucket)
    assert run(f"{bucket}/hf", tmp_path / "one").layout.startswith("Hugging Face image folder: 1 pair from memory://")
    found = run(f"{bucket}/vistas", tmp_path / "two")
    assert found.layout.startswith("Mapillary Vistas: 1 pair from training in memory://")
    assert dict(found.instances) == {"bird": 1, "cat": 1}


def test_a_split_of_a_store(tmp_path, bucket, staged):
    put(write_voc(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT}, splits={"val": ["b"]}), bucket)
    assert run(bucket, tmp_path / "out", split="val").instances == {"cat": 1}


def test_folders_named_apart_and_shards(tmp_path, bucket, staged):
    root = write_folders(tmp_path / "set", MASKS)
    put(root / "images", f"{bucket}/photos")
    put(root / "masks", f"{bucket}/ids")
    apart = {"images": Path(f"{bucket}/photos"), "masks": Path(f"{bucket}/ids")}
    run(None, tmp_path / "whole", **apart)
    for number in (1, 2, 3):
        run(None, f"{bucket}/part{number}", shard=Shard(number, 3), **apart)
    parts = [Path(f"{bucket}/part{number}") for number in (2, 3, 1)]
    summary = merge_anywhere(parts, Path(f"{bucket}/merged"))
    assert content(f"{bucket}/merged") == content(str(tmp_path / "whole"))
    assert [url_of(path) for path in summary.outputs] == [url_of(f"{bucket}/merged/instances.json")]
    with pytest.raises(InputError, match=r"^Shards 3/3 are missing"):
        merge_anywhere(parts[::2], tmp_path / "lacking")
    with pytest.raises(InputError, match=rf"^{bucket}/part1 is given twice"):
        merge_anywhere([parts[2], parts[2]], tmp_path / "twice")
    assert list(staged.iterdir()) == []


def test_only_what_is_read_ahead_is_fetched(tmp_path, bucket, staged, monkeypatch):
    put(write_folders(tmp_path / "set", {f"im{n:02}": ONE_CAT for n in range(30)}), bucket)
    sizes, lock = [], threading.Lock()
    get = Mirror.get

    def counting(self, place, target):
        get(self, place, target)
        with lock:
            sizes.append(len(list(staged.iterdir())))

    monkeypatch.setattr(Mirror, "get", counting)
    assert run(bucket, tmp_path / "out").converted == 30
    assert len(sizes) == 60
    assert 2 <= max(sizes) <= 3  # the list of files, and a pair for each of two threads


def test_problems_name_urls(tmp_path, bucket, staged):
    root = write_folders(tmp_path / "set", MASKS)
    (root / "masks/a.png").write_bytes(b"no picture")
    (root / "masks/b.png").unlink()
    put(root, bucket)
    summary = run(bucket, tmp_path / "out")
    sentences = sorted(problem.sentence for problem in summary.problems)
    assert sentences[0].startswith(f"{bucket}/images/b.png has no mask")
    assert sentences[1].startswith(f"{bucket}/masks/a.png is not an image that can be read")
    assert [str(problem.path) for problem in summary.problems] == [str(Path(f"{bucket}/images/{n}.png")) for n in "ba"]
    assert list(staged.iterdir()) == []


def test_what_vanishes_while_the_run_goes_on_is_a_problem(tmp_path, bucket, staged, monkeypatch):
    put(write_folders(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT}), bucket)
    mirrored = Mirror.list

    def listing(self, url):
        mirrored(self, url)
        system, path = fsspec.core.url_to_fs(bucket)
        system.rm_file(f"{path}/images/a.png")

    monkeypatch.setattr(Mirror, "list", listing)
    summary = run(bucket, tmp_path / "out")
    assert summary.converted == 1
    (problem,) = summary.problems
    assert problem.sentence.startswith(f"{bucket}/images/a.png cannot be read (")


def test_outputs_that_exist_are_guarded(tmp_path, bucket, staged):
    root = write_folders(tmp_path / "set", MASKS)
    for name in ("instances.json", "overlay/x.png"):
        out = f"{bucket}/{name[:3]}"
        put_one(f"{out}/{name}", b"mine")
        with pytest.raises(OutputError, match=rf"^{out}/{name.split('/')[0]} exists already; .* --overwrite"):
            run(root, out, overlay=True)
        assert content(out) == {name: b"mine"}
        assert run(root, out, overlay=True, overwrite=True).converted == 4
        assert json.loads(content(out)["instances.json"])["images"]
        assert content(out).get("overlay/x.png", b"mine") == b"mine"
    put(root, f"{bucket}/set")
    with pytest.raises(OutputError, match=rf"^Outputs in {bucket}/set would mix with the input folder {bucket}/set/im"):
        run(f"{bucket}/set", f"{bucket}/set")
    assert list(staged.iterdir()) == []


def put_one(url, data):
    system, path = fsspec.core.url_to_fs(url)
    system.pipe_file(path, data)


def test_a_failed_upload_leaves_nothing_there_and_everything_here(tmp_path, bucket, staged, monkeypatch):
    root = write_folders(tmp_path / "set", MASKS)
    put_one(f"{bucket}/out/mine.txt", b"mine")
    system, _ = fsspec.core.url_to_fs(bucket)
    put_file = type(system).put_file

    def failing(self, local, remote, **options):
        if local.endswith("instances.json"):
            raise PermissionError(13, "Permission denied")
        put_file(self, local, remote, **options)

    monkeypatch.setattr(type(system), "put_file", failing)
    with pytest.raises(
        OutputError, match=rf"^{bucket}/out/instances\.json cannot be written \(Permission denied\)"
    ) as e:
        run(root, f"{bucket}/out", to=("coco", "voc"))
    assert content(f"{bucket}/out") == {"mine.txt": b"mine"}
    kept = Path(str(e.value).split("all outputs are in ")[1].split(", from where")[0])
    assert json.loads((kept / "instances.json").read_text())["images"]


def test_files_and_local_paths_need_no_store(tmp_path, staged):
    root = write_folders(tmp_path / "set", MASKS)
    assert run(f"file://{root}", f"file://{tmp_path}/out").outputs == [tmp_path / "out/instances.json"]
    script = (
        "import sys\nfrom sisegcli.cli import app\n"
        f"app(['convert', {str(root)!r}, '--out', {str(tmp_path / 'o')!r}, '--method', 'components'], "
        "standalone_mode=False)\nsys.exit('fsspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0


def test_the_output_folder_is_named_after_the_url(tmp_path, bucket, staged, monkeypatch):
    put(write_folders(tmp_path / "set", MASKS), f"{bucket}/photos")
    monkeypatch.chdir(tmp_path)
    assert run(f"{bucket}/photos", None).outputs == [Path("photos-instances/instances.json")]


def test_errors_are_one_sentence(tmp_path, bucket, staged, monkeypatch):
    root = write_folders(tmp_path / "set", MASKS)
    with pytest.raises(LayoutError, match=rf"^{bucket} is not a folder; check the name"):
        run(bucket, tmp_path / "out")
    with pytest.raises(OptionError, match=r"^Nothing can be written to https://example\.org/x; choose another --out"):
        run(root, "https://example.org/x")
    with pytest.raises(OptionError, match=r"^floppy://a cannot be opened \(Protocol not known: floppy"):
        run("floppy://a", tmp_path / "out")
    put_one(f"{bucket}/odd/../x.png", b"")
    with pytest.raises(InputError, match="has a name that is no path; rename it"):
        run(bucket, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    result = CliRunner().invoke(app, ["convert", "s3://bucket/x", "--out", str(tmp_path / "o")])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: s3://bucket/x needs more packages (")
    assert "pip install 'sisegcli[remote]'" in result.stderr
    assert list(staged.iterdir()) == []


def test_the_command_tells_urls(tmp_path, bucket, staged):
    put(write_folders(tmp_path / "set", MASKS), f"{bucket}/set")
    command = ["convert", f"{bucket}/set", "--out", f"{bucket}/out", "--method", "components"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert f"from {bucket}/set/images and {bucket}/set/masks" in result.stderr
    assert f"Written: {bucket}/out/instances.json" in result.stdout.replace("memory:/", "memory://").replace(
        "///", "//"
    )
    assert str(staged) not in result.output


def test_places_keep_what_lies_in_what():
    mirror = Mirror(Path("/tmp/m"))
    for text in ("s3://bucket/a/b", "https://example.org/x", "memory://x"):
        url = url_of(text)
        assert url is not None and str(url) == text
        assert mirror.url(mirror.place(url)) == url
        assert url_of(Path(text)) == url
    assert mirror.url(Path("/tmp/other")) is None
    assert mirror.place(Url("s3", "a/b")).parent == mirror.place(Url("s3", "a"))


def test_a_fetching_reader_can_be_sent_to_other_machines(tmp_path, bucket):
    put_one(f"{bucket}/x.png", b"12345")
    mirror = Mirror(tmp_path / "elsewhere")
    read = pickle.loads(pickle.dumps(Fetching.of(mirror)(_sizes)))
    place = mirror.place(url_of(f"{bucket}/x.png"))
    (tmp_path / "here.png").write_bytes(b"123")
    assert read(Pair("x", place, tmp_path / "here.png")).sentence == "5 and 3 bytes"


def _sizes(pair):
    from sisegcli.data.layouts import Problem

    return Problem(pair.image, f"{pair.image.stat().st_size} and {pair.mask.stat().st_size} bytes")


@pytest.fixture(scope="module")
def s3():
    """A local S3 server with an empty bucket."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    names = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    before = {name: os.environ.get(name) for name in (*names, "AWS_ENDPOINT_URL")}
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(names, AWS_ENDPOINT_URL=f"http://{host}:{port}")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def test_s3(tmp_path, staged, s3):
    root = write_folders(tmp_path / "set", {**MASKS, "broken": np.zeros((2, 2), np.uint8)})
    (root / "masks/broken.png").write_bytes(b"no picture")
    put(root, f"{s3}/set")
    options = {"to": ("coco", "voc")}
    run(root, tmp_path / "out", **options)
    summary = run(f"{s3}/set", f"{s3}/results/out", **options)
    assert [problem.sentence.split()[0] for problem in summary.problems] == [f"{s3}/set/masks/broken.png"]
    assert content(f"{s3}/results/out") == content(str(tmp_path / "out"))
    with pytest.raises(OutputError, match=r"^s3://bucket/results/out/instances\.json exists already"):
        run(f"{s3}/set", f"{s3}/results/out", **options)
    with pytest.raises(InputError, match=r"^s3://nobodys/set cannot be listed|is not a folder"):
        run("s3://nobodys/set", tmp_path / "other")
    with pytest.raises(
        OutputError, match=r"^s3://nobodys/out/instances\.json cannot be written \(.*bucket does not ex"
    ):
        run(f"{s3}/set", "s3://nobodys/out")


@pytest.fixture
def website(tmp_path):
    """The address of a web server that lists and gives what lies in a folder of ours, and takes nothing."""
    pytest.importorskip("aiohttp")
    handler = partial(_Quiet, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_web_server_that_lists_its_folders(tmp_path, staged, website):
    root = write_folders(tmp_path / "set", MASKS)
    (root / "masks/broken.png").write_bytes(b"no picture")
    (root / "images/broken.png").write_bytes((root / "images/a.png").read_bytes())
    run(root, tmp_path / "here")
    summary = run(f"{website}/set", tmp_path / "there")
    assert content(str(tmp_path / "there")) == content(str(tmp_path / "here"))
    assert [problem.sentence.split()[0] for problem in summary.problems] == [f"{website}/set/masks/broken.png"]
    with pytest.raises(LayoutError, match=rf"^{website}/nothing is not a folder"):
        run(f"{website}/nothing", tmp_path / "other")
    with pytest.raises(OptionError, match=rf"^Nothing can be written to {website}/out"):
        run(f"{website}/set", f"{website}/out")


def report(*arguments, code=0):
    result = CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("name", ["out", "set-instances", "out/instances.json"])
def test_a_report_of_a_store(tmp_path, bucket, staged, name):
    root = write_folders(tmp_path / "set", MASKS)
    put(root, f"{bucket}/set")
    run(f"{bucket}/set", f"{bucket}/{name.partition('/')[0]}", overlay=True)
    given = () if name.endswith("-instances") else ("--input", f"{bucket}/set")
    result = report(f"{bucket}/{name}", *given, "--json")
    summary = json.loads(result.stdout)
    assert summary["images"] == 4 and summary["layers"] == ["image", "mask", "instances"] and not summary["problems"]
    page = f"{bucket}/{name.partition('/')[0]}/report.html"
    assert [path.replace(":/", "://", 1) for path in summary["outputs"]] == [
        page,
        page.replace("report.html", "doubtful.csv"),
    ]
    made = content(f"{bucket}/{name.partition('/')[0]}")
    assert b"deep/c" in made["report.html"] and made["doubtful.csv"].startswith(b"stem,")
    assert str(staged).encode() not in made["report.html"]
    assert list(staged.iterdir()) == []
    # Nothing is replaced, unless that is asked for.
    assert "report.html exists already" in report(f"{bucket}/{name}", *given, code=1).stderr
    assert made == content(f"{bucket}/{name.partition('/')[0]}")
    report(f"{bucket}/{name}", *given, "--overwrite")


def test_a_report_of_a_store_on_this_machine_and_the_other_way_round(tmp_path, bucket, staged):
    root = write_folders(tmp_path / "set", MASKS)
    run(root, f"{bucket}/out")
    run(root, tmp_path / "out")
    report(f"{bucket}/out", "--input", root, "--out", tmp_path / "here.html")
    assert (tmp_path / "here.html").stat().st_size > 1000 and "report.html" not in content(f"{bucket}/out")
    report(tmp_path / "out", "--input", root, "--out", f"{bucket}/pages/there.html")
    assert set(content(f"{bucket}/pages")) == {"there.html", "doubtful.csv"}
    assert "does not exist; give an output folder" in report(f"{bucket}/nothing", code=1).stderr
    assert str(staged) not in report(f"{bucket}/nothing", code=1).stderr
