"""``sisegcli doctor``."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sisegcli import shipped, weight_files
from sisegcli.cli import app
from sisegcli.running import checkup
from sisegcli.running.checkup import EXTRAS, NEEDED, advise

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parent.parent
GOOD = {"cores": 4, "threads": 4}


def invoke(*arguments):
    return CliRunner().invoke(app, ["doctor", *arguments], env={"COLUMNS": "300", "TERM": "dumb"})


def name_of(requirement: str) -> str:
    """Return the package of a requirement.

    >>> name_of("ray[data]>=2.40")
    'ray'
    """
    return re.split(r"[\[<>=;]", requirement)[0].strip()


@pytest.fixture
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_extras_and_needs_are_those_of_the_project(project) -> None:
    asked = project["optional-dependencies"]
    extras = {name: {name_of(r) for r in rs} for name, rs in asked.items() if name not in ("dev", "docs")}
    extras["remote"] |= {"s3fs", "gcsfs", "aiohttp"}  # which fsspec's own extras bring
    assert {name: set(extra.packages) for name, extra in EXTRAS.items()} == extras
    assert set(NEEDED) == {name_of(r) for r in project["dependencies"]} - {"tomli"}


def test_this_machine_is_well() -> None:
    result = invoke("--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["problems"]) == (0, [])
    assert found["versions"]["torch"] == torch.__version__
    assert found["weights"] == dict.fromkeys(path.stem for path in weight_files.shipped_weights())
    assert found["engine"] == "torch" and found["forward_seconds"] > 0
    assert found["fused"] is (found["why_not_fused"] is None)


def test_in_words_without_anything_optional_and_on_another_processor(monkeypatch) -> None:
    optional = {package for extra in EXTRAS.values() for package in extra.packages}
    real = checkup.version

    def version(package: str) -> str:
        if package in optional:
            raise PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(checkup, "version", version)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    result = invoke()
    assert result.exit_code == 0
    for extra in EXTRAS:
        assert f"missing; pip install 'sisegcli[{extra}]'" in result.stdout
    lines = " ".join(result.stdout.split())
    assert "not fused, in " in lines and "What is slow: Networks are not fused" in lines
    assert "The processor is no x86 but riscv64." in lines
    assert lines.endswith("Nothing keeps sisegcli from working.")


def test_weights_that_are_damaged_or_gone(tmp_path, monkeypatch) -> None:
    for module in (shipped, weight_files):
        monkeypatch.setattr(module, "weights_folder", lambda: tmp_path)
    result = invoke()
    assert result.exit_code == 1
    assert "Problems:\n  The default network does not run on " in result.stdout
    (tmp_path / "default.safetensors").write_bytes(b"nonsense")
    result = invoke("--json")
    assert result.exit_code == 1
    [problem] = json.loads(result.stdout)["problems"]
    assert problem.startswith(f"{tmp_path / 'default.safetensors'} is not a safetensors file, or it is damaged; ")


def test_a_package_that_is_missing_is_a_problem(monkeypatch) -> None:
    monkeypatch.setattr(checkup, "version_of", lambda name: None if name == "pycocotools" else "1.0")
    result = invoke()
    assert result.exit_code == 1
    assert "  The package pycocotools is missing; install sisegcli again." in result.stdout


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ({"driver": True}, "There is an NVIDIA driver, but PyTorch finds no CUDA device: "),
        ({"lacking": "No."}, "Networks are not fused, which takes about twice the time: No."),
        ({"processor": {"cores": 4, "threads": 1}}, "PyTorch uses 1 of 4 cores: "),
        ({"processor": {"cores": 2, "threads": 8}}, "PyTorch runs 8 threads on 2 cores, "),
        ({"seconds": 2.5}, "A forward pass takes 2.5 s, and an image about twice that: "),
    ],
)
def test_what_is_slow_has_a_sentence(given, begins) -> None:
    asked = {"device": "cpu", "processor": GOOD, "lacking": None, "seconds": 0.1, "driver": False}
    assert advise(**asked) == []
    [said] = advise(**(asked | given))
    assert said.startswith(begins) and said.endswith(".")


def test_a_cuda_device_needs_no_fused_networks() -> None:
    assert advise("cuda", {"cores": 4, "threads": 1}, "Only networks on processors are fused.", 0.01, driver=True) == []
