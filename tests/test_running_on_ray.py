"""The Ray engine gives what the local engine gives, byte for byte, though a worker dies on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_sets import ONE_CAT, TWO_DOGS, write_folders, write_png
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import OptionError
from sisegcli.running.convert import convert
from sisegcli.running.options import ConvertOptions

# In a process of its own: Ray leaves threads and handlers in the process that starts it.
SCRIPT = """
import json, os, pathlib, signal, sys
import ray
from sisegcli.running.convert import convert
from sisegcli.running.options import ConvertOptions

class DyingOnce:
    def __init__(self, read, mark):
        self.read, self.mark = read, mark

    def __call__(self, pair):
        if pair.stem == "im05" and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.read(pair)

base = pathlib.Path(sys.argv[1])
try:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
except Exception:  # Ray gives up on machines that are too busy to start it
    sys.exit(75)
shared = {"root": pathlib.Path("set"), "device": "cpu", "batch_size": 1, "engine": "ray"}
options = ConvertOptions(out=base / "ray", to=("coco", "voc"), overlay=True, method="components", **shared)
summary = convert(options, fetch=lambda read: DyingOnce(read, base / "died"))
convert(ConvertOptions(out=base / "ray-network", **shared))
assert ray.is_initialized()
(base / "summary.json").write_text(json.dumps(summary.to_json()))
"""


def content(folder):
    outputs = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".sisegcli"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in outputs}


@pytest.mark.slow
def test_a_cluster_of_two_one_of_which_dies(tmp_path, monkeypatch):
    pytest.importorskip("ray.data")
    noise = np.random.default_rng(0)
    sizes = {f"im{n:02}": np.kron(TWO_DOGS if n % 2 else ONE_CAT, np.ones((9, 9 + n), np.uint8)) for n in range(11)}
    root = write_folders(tmp_path / "set", sizes)
    for name, mask in sizes.items():
        write_png(root / "images" / f"{name}.png", noise.integers(0, 255, (*mask.shape, 3), np.uint8))
    (root / "masks/im07.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    shared = {"root": Path("set"), "device": "cpu", "batch_size": 1}
    options = {"to": ("coco", "voc"), "overlay": True, "method": "components"}
    local = convert(ConvertOptions(out=tmp_path / "local", **options, **shared))
    convert(ConvertOptions(out=tmp_path / "local-network", **shared))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    if done.returncode == 75:
        pytest.skip("Ray could not be started on this machine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "died").exists()
    found = json.loads((tmp_path / "summary.json").read_text())
    assert content(tmp_path / "ray") == content(tmp_path / "local")
    assert content(tmp_path / "ray-network") == content(tmp_path / "local-network")
    assert found["problems"] == local.to_json()["problems"] != []
    assert found["instances"] == local.to_json()["instances"]


def test_ray_that_is_not_there(tmp_path, monkeypatch):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["convert", str(root), "--out", str(tmp_path / "o"), "--method", "components", "--engine", "ray"]
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, result.stderr) == (
        2,
        f"Two folders: 1 pair from {root}/images and {root}/masks.\n"
        "Error: --engine ray needs 'pip install sisegcli[ray]'.\n",
    )
    assert not (tmp_path / "o").exists()


def test_an_address_needs_the_engine(tmp_path):
    with pytest.raises(OptionError, match="--ray-address is about a Ray cluster; add --engine ray"):
        ConvertOptions(root=tmp_path, ray_address="somewhere:6379")
