"""Times in pairs: what is compared runs by turns, so that whatever else the machine does hits both."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

PACKAGES = ("torch", "numpy", "scipy", "pillow", "connected-components-3d", "pycocotools", "scikit-image", "typer")

of_processor = False
"""Whether times are the CPU seconds of this process and of those it started, not those of the clock on the wall."""


@dataclass(frozen=True)
class Row:
    """A ratio, and what it should reach.

    Attributes
    ----------
    name : str
        Its name in JSON.
    what, peer : str
        What is measured, and what it is compared with.
    value : float, optional
        The ratio; None: not measured.
    target : str
        What it should reach: ``<= 1.15`` or ``>= 1500``.
    note : str
        How, or why not.
    """

    name: str
    what: str
    peer: str
    value: float | None
    target: str
    note: str = field(default="")

    @property
    def reached(self) -> bool | None:
        """Whether the ratio reaches its target; None where it was not measured."""
        if self.value is None:
            return None
        sign, limit = self.target.split()
        return self.value <= float(limit) if sign == "<=" else self.value >= float(limit)


def pairs(one: Callable[[], object], other: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Return the medians of the seconds of two calls, and of their ratio, over runs by turns; the first is not counted.

    >>> a, b, ratio = pairs(lambda: time.sleep(0.004), lambda: time.sleep(0.001), 5)
    >>> a > b and ratio > 1
    True
    """
    times: list[tuple[float, float]] = []
    for number in range(repeats + 1):
        first, second = seconds(one), seconds(other)
        if number:
            times.append((first, second))
    ratios = [first / second for first, second in times]
    return median(first for first, _ in times), median(second for _, second in times), median(ratios)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    clock = _processor_seconds if of_processor else time.perf_counter
    begin = clock()
    call()
    return clock() - begin


def _processor_seconds() -> float:
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + started.ru_utime + started.ru_stime


def median(values: Iterable[float]) -> float:
    """Return the median of some numbers."""
    return statistics.median(values)


def peak_memory(command: Sequence[str]) -> int:
    """Run a command and return the most memory that it held, in KiB (Linux).

    What the system tells when a process has ended counts the memory of the one that started it, too; so the process is
    asked while it runs, and what it takes in its last hundredth of a second may be missed.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        with suppress(OSError, IndexError):  # it has just ended
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
        time.sleep(0.01)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return peak


def machine() -> list[str]:
    """Describe the machine and the versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    return [
        f"{cpu}, {os.cpu_count()} cores, torch on {torch.get_num_threads()} threads{load}; GPU: {gpu}",
        f"{platform.system()}, Python {platform.python_version()}, {', '.join(versions)}",
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
