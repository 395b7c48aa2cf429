"""Whether the list of checksums beside weights is signed by somebody who is trusted, as OpenSSH signs files."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sisegcli.errors import CheckpointError
from sisegcli.weight_files import SUMS

SIGNATURE = f"{SUMS}.sig"
"""The signature, as ``ssh-keygen -Y sign`` writes it (``scripts/sign_weights``)."""

SIGNERS = "allowed_signers"
"""Who is trusted, as ssh-keygen(1) describes such lists: a name, and a public key."""

NAMESPACE = "sisegcli"
"""What a signature is for, so that none that was made for something else fits."""

LARGEST = 2**20
"""Larger lists and signatures are not read, in bytes."""

SECONDS = 30.0
"""A check that takes longer has hung."""


class State(str, Enum):
    """What came of looking for a signature."""

    signed = "signed"
    unsigned = "not signed"
    unknown = "no list of trusted signers"
    unchecked = "ssh-keygen is not installed"
    stranger = "not signed by a trusted signer"
    false = "signature does not fit"


@dataclass(frozen=True)
class Signature:
    """What is known of who signed a list of checksums.

    Attributes
    ----------
    state : State
        What came of it.
    signer : str, optional
        Name of the one who signed, in the list of trusted signers.
    """

    state: State
    signer: str | None = None

    def __str__(self) -> str:
        match self.state:
            case State.signed:
                return f"signed by {self.signer}"
            case State.unknown:
                return f"signed, but there is no list of trusted signers ({SIGNERS} beside it, or --signers FILE)"
            case State.unchecked:
                return "signed, but this cannot be checked, as ssh-keygen is not installed"
        return str(self.state.value)


def check_signature(folder: Path, signers: Path | None = None) -> Signature:
    """Check the signature of a folder's list of checksums.

    Parameters
    ----------
    folder : Path
        Where the list and its signature are.
    signers : Path, optional
        Who is trusted; by default, the list that is in the folder, where there is one.

    Raises
    ------
    CheckpointError
        If a file that is there cannot be read.
    """
    sums, signature = folder / SUMS, folder / SIGNATURE
    trusted = folder / SIGNERS if signers is None else signers
    if not os.path.lexists(signature):
        return Signature(State.unsigned)
    if signers is None and not os.path.lexists(trusted):
        return Signature(State.unknown)
    program = shutil.which("ssh-keygen")
    if program is None or not Path(program).is_absolute():  # on Windows, one in the current folder might be found
        return Signature(State.unchecked)
    signed, *_ = (_content(path) for path in (sums, signature, trusted))
    names = ["-s", str(signature.resolve()), "-f", str(trusted.resolve())]
    found = _run([program, "-Y", "find-principals", *names])
    if found.returncode:
        shape = _run([program, "-Y", "check-novalidate", "-n", NAMESPACE, "-s", names[1]], signed)
        return Signature(State.false if shape.returncode else State.stranger)
    for name in found.stdout.decode("utf-8", "replace").splitlines():
        if not _run([program, "-Y", "verify", "-n", NAMESPACE, "-I", name, *names], signed).returncode:
            return Signature(State.signed, "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name))
    return Signature(State.false)


def require(signature: Signature, path: Path, *, trusted: Path | None) -> None:
    """Refuse weights whose signature is false, and all but signed ones where a list of trusted signers was given.

    Raises
    ------
    CheckpointError
        If it is refused.
    """
    if signature.state is State.signed or (
        trusted is None and signature.state in (State.unsigned, State.unknown, State.unchecked)
    ):
        return
    folder = path.parent
    match signature.state:
        case State.false:
            said = f"{folder / SIGNATURE} does not fit {SUMS}; fetch both again."
        case State.stranger:
            said = f"{folder / SUMS} is not signed by anybody in {trusted or folder / SIGNERS}; fetch it again."
        case State.unchecked:
            said = f"{folder / SIGNATURE} cannot be checked, as ssh-keygen is not installed; install OpenSSH."
        case _:
            said = f"{path} is not signed; fetch it with {SUMS} and {SIGNATURE}, or leave out --signers."
    raise CheckpointError(said)


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise OSError("it is no file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise OSError(f"it has more than the {LARGEST:,} bytes allowed")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    return content


def _run(command: list[str], content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=content, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CheckpointError(f"{command[0]} does not answer ({error}); check signatures without it.") from error
