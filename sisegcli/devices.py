"""Devices by the names that users give."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sisegcli.errors import OptionError

_local = threading.local()


def pick_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` into a device that exists.

    Raises
    ------
    OptionError
        If there is no such device here.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"No device is called '{name}'; use auto, cpu, cuda, cuda:N or mps.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptionError(f"Device '{name}' is not there; this machine has {torch.cuda.device_count()} CUDA devices.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise OptionError("Device 'mps' is not there; use --device cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise OptionError(f"Device '{name}' is not supported; use auto, cpu, cuda, cuda:N or mps.")
    return device


def computes_in_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices in hardware, so that it pays to use them."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Builds without oneDNN (macOS) lack the operator.
    there = device.type == "cpu" and torch._C._has_mkldnn
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def layout(device: torch.device) -> torch.memory_format:
    """Return the order of numbers in memory that convolutions on a device like.

    On CUDA it is the plain one: cuDNN takes seconds to prepare depthwise convolutions with channels last for every new
    shape of the input (4 to 8 s for a forward pass on an H100, cuDNN of PyTorch 2.11; 0.1 to 0.2 s in the plain order),
    and is not faster after that.

    Examples
    --------
    >>> layout(torch.device("cpu")), layout(torch.device("cuda"))
    (torch.channels_last, torch.contiguous_format)
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


def fill(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On CUDA, fill a batch up with zeros to a power of two, so that cuDNN has few shapes to prepare for.

    Examples
    --------
    >>> len(fill(torch.ones(5, 1, 2, 2), torch.device("cuda"))), len(fill(torch.ones(5, 1, 2, 2), torch.device("cpu")))
    (8, 5)
    """
    lacking = (1 << (len(tensor) - 1).bit_length()) - len(tensor) if device.type == "cuda" else 0
    return torch.cat((tensor, tensor.new_zeros((lacking, *tensor.shape[1:])))) if lacking else tensor


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring a tensor to a device; to CUDA from pinned memory, so that nobody waits for it.

    Examples
    --------
    >>> send(torch.tensor([1, 2]), torch.device("cpu"))
    tensor([1, 2])
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """While entered, let a CUDA device work in a queue of this thread's own, so that no thread waits for others' work.

    Other devices have no such queues.
    """
    if device.type != "cuda":
        yield
        return
    streams = _local.__dict__.setdefault("streams", {})
    if str(device) not in streams:
        torch.cuda.synchronize(device)  # whatever was made in the common queue, as the network was, is there now
        streams[str(device)] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(streams[str(device)]):
        yield
