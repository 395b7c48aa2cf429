"""``sisegcli weights``, and the list of checksums."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sum_weights
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import CheckpointError
from sisegcli.network.checkpoint import build_network, save_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.shipped import weights_folder
from sisegcli.signatures import SIGNATURE
from sisegcli.weight_files import ABOUT, CHUNK, SUMS, checksum, listed_sums, shipped_weights


def invoke(*arguments):
    return CliRunner().invoke(app, ["weights", *arguments], env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Weights without other networks, and the list of their checksum."""
    config = NetworkConfig(long_side=96, grouping={"cut": 0.5})
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, build_network(config), config, notes={"recipe": "paper", "seed": "7", "steps": "12"})
    (tmp_path / SUMS).write_text(sum_weights.sums(tmp_path))
    return path


def test_every_file_that_ships_is_listed_and_what_it_was() -> None:
    found = {path.name: checksum(path) for path in shipped_weights()}
    assert found == listed_sums(weights_folder()), "run 'python scripts/sum_weights.py' if weights are to change"


def test_every_file_that_ships_is_for_something() -> None:
    assert {path.stem for path in shipped_weights()} <= set(ABOUT)


def test_a_checksum_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert checksum(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_list_names_size_and_use() -> None:
    content = json.loads(invoke("list", "--json").stdout)
    assert [row["name"] for row in content] == [path.stem for path in shipped_weights()]
    assert all(row["bytes"] == Path(row["file"]).stat().st_size and row["for"] for row in content)
    text = invoke("list").stdout
    assert all(row["name"] in text and row["for"] in text for row in content)
    result = invoke("list", "default")
    assert result.exit_code == 2 and "'list' takes no name" in result.stderr


def test_what_weights_say_of_themselves(mine: Path) -> None:
    facts = json.loads(invoke("show", str(mine), "--json").stdout)
    with safe_open(mine, framework="pt") as file:
        numbers = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    assert facts["parts"] == {"network": numbers}
    assert facts["notes"] == {"recipe": "paper", "seed": "7", "steps": "12"}
    assert facts["grouping"] == {"cut": 0.5} and facts["config"]["long_side"] == 96
    lines = dict(line.strip().split(maxsplit=1) for line in invoke("show", str(mine)).stdout.splitlines())
    assert lines["recipe"] == "paper" and lines["membership"] == "none" and lines["grouping.cut"] == "0.5"


def test_default_weights_are_shown_without_torch() -> None:
    script = (
        "import sys\nfrom sisegcli.cli import app\ntry: app(['weights', 'show', '--json'])\n"
        "except SystemExit as done: assert not done.code\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    facts = json.loads(done.stdout)
    assert facts["name"] == "default" and {"network", "membership", "edges"} <= set(facts["parts"])


def test_what_ships_is_verified() -> None:
    result = invoke("verify", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["sha256"] for row in rows] == [checksum(path) for path in shipped_weights()]
    signed = {"signed"} if (weights_folder() / SIGNATURE).exists() else {"not signed"}
    assert {row["signature"] for row in rows} == signed


def test_verified_in_words(mine: Path) -> None:
    result = invoke("verify", str(mine))
    assert (result.exit_code, result.stdout) == (
        0,
        "mine.safetensors has the checksum that is listed, and loads; the list is not signed.\n",
    )
    (mine.parent / SUMS).unlink()
    result = invoke("verify", str(mine))
    assert (result.exit_code, result.stdout) == (
        0,
        "mine.safetensors has no checksum listed beside it, and loads.\n",
    )


def test_one_changed_bit_is_found(mine: Path) -> None:
    content = bytearray(mine.read_bytes())
    content[-1] ^= 1
    mine.write_bytes(content)
    result = invoke("verify", str(mine))
    assert result.exit_code == 1
    assert result.stderr == f"Error: {mine} is not the file whose checksum SHA256SUMS lists; fetch it again.\n"


def test_half_a_file_is_damaged(mine: Path) -> None:
    content = mine.read_bytes()
    mine.write_bytes(content[: len(content) // 2])
    for action in ("show", "verify"):
        result = invoke(action, str(mine))
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {mine} is not a safetensors file, or it is damaged; ")


def test_numbers_that_are_not_finite_are_damage(mine: Path) -> None:
    (mine.parent / SUMS).unlink()
    with safe_open(mine, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(mine)
    name = sorted(state)[0]
    state[name].view(-1)[0] = torch.nan
    save_file(state, mine, metadata)
    result = invoke("verify", str(mine))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {mine} holds numbers that are not finite ({name}); ")


def test_weights_that_are_not_there() -> None:
    result = invoke("show", "nonsense")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No weights called 'nonsense', and no such file; shipped are: default")


def test_a_list_that_is_none(tmp_path: Path) -> None:
    (tmp_path / SUMS).write_text("nonsense\n")
    with pytest.raises(CheckpointError, match="no checksum and file name"):
        listed_sums(tmp_path)
    (tmp_path / SUMS).write_bytes(b" " * (CHUNK + 1))
    with pytest.raises(CheckpointError, match="cannot be read"):
        listed_sums(tmp_path)
