"""``sisegcli export``, and what converts by its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from small_sets import write_folders
from typer.testing import CliRunner
from window_networks import Small

from sisegcli.cli import app
from sisegcli.errors import CheckpointError, OptionError
from sisegcli.network.checkpoint import BACKBONES, build_network, save_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.network.exported.graphs import KINDS
from sisegcli.running import export as module
from sisegcli.segmenter import Segmenter

ROOT = Path(__file__).parent.parent
NEEDED = {"onnx": ("onnx", "onnxruntime"), "openvino": ("openvino",), "torchscript": ()}


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200", "TERM": "dumb"})


def skip_without(*packages: str) -> None:
    """Skip a test where a package is missing; none is imported, as OpenVINO would report that it was."""
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The default weights as ONNX."""
    skip_without(*NEEDED["onnx"])
    path = tmp_path_factory.mktemp("exported") / "default.onnx"
    result = invoke("export", "--to", "onnx", "--out", path, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["outputs"] == [str(path)] and facts["size"] == path.stat().st_size and facts["kind"] == "onnx"
    assert list(facts["networks"]) == ["network", "membership", "edges", "wholeness"]
    assert 0 <= facts["difference"] < 1e-4
    assert [file.name for file in path.parent.iterdir()] == ["default.onnx"]
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    """Weights of one small network, which are exported soon."""
    monkeypatch.setitem(BACKBONES, "small", Small)
    config = NetworkConfig("small", width=4, long_side=96)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, build_network(config), config, notes={"recipe": "paper"})
    return path


def scene(number: int):
    """Return an image of noise with two touching boxes on it, and their mask."""
    noise = np.random.default_rng(number)
    image = noise.integers(0, 80, (120, 160, 3), dtype=np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    mask[20:100, 10:150] = 12
    image[20:100, 10:80] += 60
    image[20:100, 80:150, 1] += 150
    mask[104:118, 100:150], image[104:118, 100:150] = 15, 200
    return image, mask


def test_the_result_is_the_same(exported) -> None:
    ours, theirs = Segmenter(device="cpu"), Segmenter(exported)
    for number in range(2):
        image, mask = scene(number)
        wanted, found = ours.predict(image, mask), theirs.predict(image, mask)
        assert wanted and [(i.category, i.box, i.area) for i in found] == [(i.category, i.box, i.area) for i in wanted]
        assert all(np.array_equal(a.mask(), b.mask()) for a, b in zip(found, wanted, strict=True))
        assert np.allclose([i.score for i in found], [i.score for i in wanted], atol=1e-4)


def test_convert_goes_on_with_the_same_file_alone(exported, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folders(tmp_path / "set", {"a": np.full((40, 40), 12, np.uint8)})
    own = tmp_path / "own.onnx"
    own.write_bytes(exported.read_bytes())
    convert = ("convert", "set", "--weights", own, "--out", "out")
    assert invoke(*convert).exit_code == 0
    assert invoke(*convert, "--resume").exit_code == 0
    content = bytearray(own.read_bytes())
    content[len(content) // 2] ^= 1
    own.write_bytes(content)
    result = invoke(*convert, "--resume")
    assert result.exit_code == 1 and "what --weights stands for has changed" in result.stderr


def test_other_devices_are_not_for_exported_networks(exported, monkeypatch) -> None:
    monkeypatch.setattr("sisegcli.segmenter.pick_device", torch.device)
    with pytest.raises(OptionError, match=r"runs on the processor alone; use --device cpu, or the .safetensors file"):
        Segmenter(exported, device="cuda")


def test_exported_weights_are_shown_verified_and_checked_up(exported) -> None:
    facts = json.loads(invoke("weights", "show", exported, "--json").stdout)
    assert facts["engine"] == "onnx" and facts["bytes"] == exported.stat().st_size
    wanted = json.loads(invoke("weights", "show", "default", "--json").stdout)
    assert all(facts[name] == wanted[name] for name in ("notes", "grouping", "config"))
    lines = dict(line.split(maxsplit=1) for line in invoke("weights", "show", exported).stdout.splitlines())
    assert lines["engine"].strip() == "onnx" and "million numbers" in lines["membership"]
    result = invoke("weights", "verify", exported)
    assert result.stdout == "default.onnx has no checksum listed beside it, and loads.\n"
    found = json.loads(invoke("doctor", "--weights", exported, "--json").stdout)
    assert (found["engine"], found["fused"], found["why_not_fused"]) == ("onnx", False, None)
    assert found["weights"][str(exported)] is None and found["forward_seconds"] > 0
    assert "exported, run by onnx, in float32" in invoke("doctor", "--weights", exported).stdout


def test_doctor_says_what_is_wrong_with_a_file(tmp_path) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_text("no XML")
    result = invoke("doctor", "--weights", bad, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == [
        f"{bad} is not a file of OpenVINO, or it is damaged; export it again."
    ]
    result = invoke("doctor", "--weights", "nonsense")
    assert result.exit_code == 1 and result.stderr.startswith("Error: No weights called 'nonsense'")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten_and_nothing_else_left(kind, tiny, monkeypatch) -> None:
    skip_without(*NEEDED[kind])
    monkeypatch.chdir(tiny.parent)
    result = invoke("export", tiny, "--to", kind)
    assert result.exit_code == 0, result.output
    names = [f"tiny{KINDS[kind]}", *(["tiny.bin"] if kind == "openvino" else [])]
    assert all(f"Written: {name}\n" in result.stdout for name in names)
    assert (f"Use it: sisegcli convert DIR --weights {names[0]}\n" in result.stdout) == (kind != "torchscript")
    assert sorted(path.name for path in tiny.parent.iterdir()) == sorted(["tiny.safetensors", *names])
    for name in names:
        Path(name).write_bytes(b"mine")
        result = invoke("export", tiny, "--to", kind)
        assert (result.exit_code, result.stderr.splitlines()[-1]) == (
            1,
            f"Error: {names[0]} exists already; choose another name with --out, or pass --overwrite.",
        )
        assert Path(name).read_bytes() == b"mine"
    assert invoke("export", tiny, "--to", kind, "--overwrite").exit_code == 0
    assert all(Path(name).read_bytes() != b"mine" for name in names)


def test_what_fails_leaves_nothing(tiny, monkeypatch) -> None:
    out = tiny.parent / "deep" / "a.pt"

    def broken(path, *_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_torchscript", broken)
    result = invoke("export", tiny, "--to", "torchscript", "--out", out)
    assert result.exit_code == 1
    assert f"Error: {out} cannot be written (No space left on device);" in result.stderr
    assert not list(out.parent.iterdir())


def test_what_killed_exports_left_is_removed(tiny) -> None:
    """Of this file alone, and not what a process that runs is writing."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f".{name}.{ended.pid}.x.part" for name in ("a.pt", "b.pt", "a.pt.bin")] + [f".a.pt.{os.getpid()}.x.part"]
    for name in names:
        (tiny.parent / name).mkdir()
        (tiny.parent / name / "a.pt").write_bytes(b"half")
    assert invoke("export", tiny, "--to", "torchscript", "--out", tiny.parent / "a.pt").exit_code == 0
    assert sorted(path.name for path in tiny.parent.iterdir()) == sorted([*names[1:], "a.pt", "tiny.safetensors"])


@pytest.mark.parametrize("difference", [0.5, float("nan")])
def test_a_file_that_answers_otherwise_is_not_written(difference, tiny, monkeypatch) -> None:
    monkeypatch.setattr(module, "_difference", lambda *_: difference)
    result = invoke("export", tiny, "--to", "torchscript", "--out", tiny.parent / "a.pt")
    assert result.exit_code == 1
    assert f"Error: {tiny} cannot be exported to torchscript: the file answers otherwise" in result.stderr
    assert [path.name for path in tiny.parent.iterdir()] == ["tiny.safetensors"]


def test_wrong_words(tiny) -> None:
    result = invoke("export", tiny, "--to", "onnx", "--out", tiny.parent / "a.bin")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: --to onnx writes files that end with .onnx; name --out a.onnx.\n")
    assert invoke("export", tiny).exit_code == 2
    assert invoke("export", tiny, "--to", "caffe").exit_code == 2
    with pytest.raises(OptionError, match="Nothing exports to 'caffe'; choose one of onnx, openvino, torchscript"):
        module.export(tiny, "caffe")
    for name, sentence in (("nonsense", "No weights called 'nonsense'"), ("x.onnx", "x.onnx is exported, and only")):
        (tiny.parent / "x.onnx").write_bytes(b"")
        path = tiny.parent / name if "." in name else name
        with pytest.raises(CheckpointError, match=sentence):
            module.export(path, "onnx")
