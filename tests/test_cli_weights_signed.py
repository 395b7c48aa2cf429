"""Signed checksums: by keys made here, which nobody has afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import sum_weights
from typer.testing import CliRunner

from sisegcli import signatures
from sisegcli.cli import app
from sisegcli.errors import CheckpointError
from sisegcli.network.checkpoint import build_network, save_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.signatures import SIGNATURE, SIGNERS, State, check_signature
from sisegcli.weight_files import SUMS

SIGN = Path(__file__).parent.parent / "scripts/sign_weights"
pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def invoke(*arguments):
    return CliRunner().invoke(app, ["weights", *map(str, arguments)], env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """Two keys, and a list of trusted signers for each."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "eve"):
        key = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        (folder / f"{name}.signers").write_text(f'{name}@example.org namespaces="sisegcli" {public}\n')
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, keys) -> Path:
    """A folder of weights whose checksums Ann signed."""
    folder = tmp_path_factory.mktemp("made")
    config = NetworkConfig(long_side=96)
    save_checkpoint(folder / "mine.safetensors", build_network(config), config)
    (folder / SUMS).write_text(sum_weights.sums(folder))
    done = subprocess.run([SIGN, keys / "ann", folder], check=True, capture_output=True, text=True)
    assert (keys / "ann.signers").read_text().split(maxsplit=1)[1] in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == [SUMS, SIGNATURE, "mine.safetensors"]
    return folder


@pytest.fixture
def mine(made, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "made")) / "mine.safetensors"


def test_signed_by_somebody_who_is_trusted(mine, keys):
    said = "mine.safetensors has the checksum that is listed, and loads; the list is"
    result = invoke("verify", mine)
    unknown = f"signed, but there is no list of trusted signers ({SIGNERS} beside it, or --signers FILE)"
    assert (result.exit_code, result.stdout) == (0, f"{said} {unknown}.\n")
    result = invoke("verify", mine, "--signers", keys / "ann.signers")
    assert (result.exit_code, result.stdout) == (0, f"{said} signed by ann@example.org.\n")
    shutil.copy(keys / "ann.signers", mine.parent / SIGNERS)
    [row] = json.loads(invoke("verify", mine, "--json").stdout)
    assert (row["signature"], row["signer"]) == ("signed", "ann@example.org")


def test_what_does_not_fit_is_refused(mine, keys):
    shutil.copy(keys / "ann.signers", mine.parent / SIGNERS)
    sums = mine.parent / SUMS
    sums.write_text(sums.read_text() + f"{'0' * 64}  other.safetensors\n")
    sentence = f"Error: {mine.parent / SIGNATURE} does not fit {SUMS}; fetch both again.\n"
    assert (invoke("verify", mine).exit_code, invoke("verify", mine).stderr) == (1, sentence)
    result = invoke("verify", mine, "--json")
    assert (result.exit_code, json.loads(result.stdout)[0]["signature"]) == (1, "signature does not fit")


def test_a_stranger_is_refused(mine, keys):
    shutil.copy(keys / "eve.signers", mine.parent / SIGNERS)
    for option, place in (([], mine.parent / SIGNERS), (["--signers", keys / "eve.signers"], keys / "eve.signers")):
        result = invoke("verify", mine, *option)
        sentence = f"Error: {mine.parent / SUMS} is not signed by anybody in {place}; fetch it again.\n"
        assert (result.exit_code, result.stderr) == (1, sentence)


@pytest.mark.parametrize("change", ["namespaces", "expired", "other-use"])
def test_a_key_that_is_trusted_for_something_else_is_not_enough(mine, keys, change, tmp_path):
    line = (keys / "ann.signers").read_text()
    new = {"namespaces": 'namespaces="git"', "expired": 'valid-before="20200101"', "other-use": "cert-authority"}
    (tmp_path / "list").write_text(line.replace('namespaces="sisegcli"', new[change]))
    assert check_signature(mine.parent, tmp_path / "list").state in (State.false, State.stranger)


def test_a_signature_for_something_else_does_not_fit(mine, keys):
    with (mine.parent / SUMS).open("rb") as sums:
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", keys / "ann"]
        done = subprocess.run(command, stdin=sums, capture_output=True, check=True)
    (mine.parent / SIGNATURE).write_bytes(done.stdout)
    assert check_signature(mine.parent, keys / "ann.signers").state is State.false


def test_a_list_of_signers_asks_for_a_signature(mine, keys):
    """Or taking the signature away would be enough to get past it."""
    said = f"Error: {mine} is not signed; fetch it with {SUMS} and {SIGNATURE}, or leave out --signers.\n"
    other = mine.with_name("other.safetensors")
    shutil.copy(mine, other)  # nobody signed its checksum
    result = invoke("verify", other, "--signers", keys / "ann.signers")
    assert (result.exit_code, result.stderr) == (1, said.replace(str(mine), str(other)))
    (mine.parent / SIGNATURE).unlink()
    result = invoke("verify", mine, "--signers", keys / "ann.signers")
    assert (result.exit_code, result.stderr) == (1, said)


def test_without_ssh(mine, keys, monkeypatch):
    shutil.copy(keys / "ann.signers", mine.parent / SIGNERS)
    monkeypatch.setenv("PATH", "")
    result = invoke("verify", mine)
    assert result.exit_code == 0
    assert result.stdout.endswith("the list is signed, but this cannot be checked, as ssh-keygen is not installed.\n")
    [row] = json.loads(invoke("verify", mine, "--json").stdout)
    assert (row["signature"], row["signer"]) == ("ssh-keygen is not installed", None)
    result = invoke("verify", mine, "--signers", keys / "ann.signers")
    assert result.exit_code == 1
    assert result.stderr.endswith(f"{SIGNATURE} cannot be checked, as ssh-keygen is not installed; install OpenSSH.\n")


def test_a_program_that_hangs_is_given_up(mine, keys, monkeypatch, tmp_path):
    program = tmp_path / "ssh-keygen"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(signatures, "SECONDS", 0.05)
    with pytest.raises(CheckpointError, match="ssh-keygen does not answer"):
        check_signature(mine.parent, keys / "ann.signers")


@pytest.mark.parametrize("name", [SIGNATURE, SIGNERS])
@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\0\xff" * 99, "large", "pipe", "folder", "link"])
def test_odd_files_are_refused(mine, keys, name, content):
    shutil.copy(keys / "ann.signers", mine.parent / SIGNERS)
    path = mine.parent / name
    path.unlink()
    match content:
        case "large":
            path.write_bytes(b"#" * (signatures.LARGEST + 1))
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(path.name)
        case _:
            path.write_bytes(content)
    if isinstance(content, str):
        with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
            check_signature(mine.parent)
    else:
        state = State.false if name == SIGNATURE else State.stranger
        assert check_signature(mine.parent).state is state


def test_names_of_signers_are_shown_as_text(mine, keys, tmp_path):
    _, rest = (keys / "ann.signers").read_text().split(" ", 1)
    (tmp_path / "list").write_text(f'"a\x1b[2J,-x" {rest}')
    assert check_signature(mine.parent, tmp_path / "list").signer == "a�[2J"


def test_what_does_not_fit_is_never_signed(mine, keys):
    before = (mine.parent / SIGNATURE).read_bytes()
    with mine.open("ab") as file:
        file.write(b"more")
    done = subprocess.run([SIGN, keys / "eve", mine.parent], capture_output=True)
    assert done.returncode == 1
    assert (mine.parent / SIGNATURE).read_bytes() == before


def test_signers_are_for_verify_alone(keys):
    result = invoke("show", "--signers", keys / "ann.signers")
    assert result.exit_code == 2 and "it is for 'verify' alone" in result.stderr
