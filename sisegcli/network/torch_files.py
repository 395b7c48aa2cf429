"""Tensors from PyTorch's own files (``.pth``), read without pickle.

Such a file holds a pickle: a program that builds objects, and may call whatever it names. Here nothing is called: its
instructions are taken apart, those that make dictionaries, lists, numbers, texts and tensors are followed, and a file
with any other is refused. Both of PyTorch's forms are read, the archive (since 1.6) and the one before.
"""

from __future__ import annotations

import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_NAMES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {name}" for name in _DTYPES),
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""How files of the older form begin: two pickles of one number each."""

_DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError),
    *(struct.error, zipfile.BadZipFile),
)
"""What the reading of damaged files raises besides `ValueError`."""

_MARK = object()


class _Program:
    """The file of a pickle, of which no more is read at once than a name may need."""

    longest = 2**16

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        if count > self.longest:
            raise ValueError("it holds more than tensors")
        return self._file.read(count)

    def readline(self) -> bytes:
        return self._file.readline(self.longest)


class _Name(str):
    """The name of a type or a function, which is never looked up."""


def read_torch_file(path: Path) -> Any:
    """Read what `torch.save` wrote, where it is made of dictionaries, lists, numbers, texts and tensors.

    Returns
    -------
    object
        The same, with tensors on the processor; ordered dictionaries are plain ones.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no such file, is damaged, or holds anything else.
    """
    with path.open("rb") as file:
        archive = file.read(4) == b"PK\3\4"
        file.seek(0)
        try:
            return _read_archive(file) if archive else _read_older(file, path.stat().st_size)
        except _DAMAGED as error:
            raise ValueError(f"it is damaged, or holds more than tensors ({error})") from error


def _read_archive(file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("torch compresses nothing")  # so sizes are honest
        if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
            raise ValueError("its numbers are big-endian")

        def load(key: str, size: int) -> Tensor:
            content = bytearray(archive.read(members[f"data/{key}"]))
            if len(content) != size:
                raise ValueError("a tensor is cut short")
            return torch.frombuffer(content, dtype=torch.uint8) if size else torch.empty(0, dtype=torch.uint8)

        with archive.open(members["data.pkl"]) as program:
            return _follow(program, load)


def _read_older(file: IO[bytes], length: int) -> Any:
    def nothing(key: str, size: int) -> Tensor:
        raise ValueError("a tensor is where none should be")

    storages: dict[str, Tensor] = {}

    def reserve(key: str, size: int) -> Tensor:
        if size + sum(map(len, storages.values())) > length:
            raise ValueError("a tensor is larger than the file")
        storages[key] = torch.empty(size, dtype=torch.uint8)
        return storages[key]

    if _follow(file, nothing) != _MAGIC or _follow(file, nothing) != _PROTOCOL:
        raise ValueError("it is not one of torch's files")
    if _follow(file, nothing).get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    found = _follow(file, reserve)
    for key in _follow(file, nothing):  # contents come last
        file.read(8)  # how many numbers there are, which is known
        if file.readinto(storages[key].numpy()) != len(storages[key]):  # type: ignore[attr-defined]
            raise ValueError("a tensor is cut short")
    return found


def _follow(program: IO[bytes], load: Callable[[str, int], Tensor]) -> Any:
    """Build what a pickle describes; `load` returns the bytes of a storage by its key and size."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    storages: dict[str, Tensor] = {}

    def since_mark() -> list[Any]:
        place = max(n for n, value in enumerate(stack) if value is _MARK)
        values = stack[place + 1 :]
        del stack[place:]
        return values

    for opcode, given, _ in pickletools.genops(_Program(program)):  # type: ignore[arg-type]
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[opcode.name]())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(given)
            case "MARK":
                stack.append(_MARK)
            case "BINPUT" | "LONG_BINPUT":
                memo[int(given)] = stack[-1]  # type: ignore[arg-type]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(given)])  # type: ignore[arg-type]
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "APPEND":
                value = stack.pop()
                stack[-1].append(value)
            case "APPENDS":
                values = since_mark()
                stack[-1].extend(values)
            case "SETITEM":
                key, value = stack[-2:]
                del stack[-2:]
                stack[-1][key] = value
            case "SETITEMS":
                values = since_mark()
                stack[-1].update(zip(values[::2], values[1::2], strict=True))
            case "GLOBAL":
                stack.append(_name(str(given)))
            case "STACK_GLOBAL":
                stack[-2:] = [_name(f"{stack[-2]} {stack[-1]}")]
            case "BINPERSID":
                stack.append(_storage(stack.pop(), storages, load))
            case "REDUCE":
                values = stack.pop()
                stack.append(_made(stack.pop(), values))
            case "BUILD":
                stack.pop()  # what else an ordered dictionary knows: the versions of modules
                if not isinstance(stack[-1], dict):
                    raise ValueError("it holds more than tensors")
            case other:
                raise ValueError(f"it holds more than tensors ({other})")
    [found] = stack
    return found


def _name(name: str) -> _Name:
    if name not in _NAMES:
        raise ValueError(f"it holds more than tensors ({name.replace(' ', '.')})")
    return _Name(name)


def _storage(described: Any, storages: dict[str, Tensor], load: Callable[[str, int], Tensor]) -> Tensor:
    """Return the numbers that lie under one or more tensors."""
    kind, name, key, _, count, *view = described
    if kind != "storage" or not isinstance(name, _Name) or not isinstance(count, int) or any(view):
        raise ValueError("it describes tensors in a way that is not known")
    dtype = _DTYPES[name.removeprefix("torch ")]
    if key not in storages:
        storages[key] = load(key, count * dtype.itemsize).view(dtype)
    return storages[key]


def _made(name: Any, values: tuple[Any, ...]) -> Any:
    """Return what the few functions that are known would return."""
    if not isinstance(name, _Name):
        raise ValueError("it calls what has no name")
    if name == "collections OrderedDict" and not values:
        return {}
    if name == "torch._utils _rebuild_parameter" and isinstance(values[0], Tensor):
        return values[0]
    if name == "torch._utils _rebuild_tensor_v2" and isinstance(values[0], Tensor):
        storage, offset, size, stride = values[:4]
        return torch.as_strided(storage, size, stride, offset)  # which stays within the storage
    raise ValueError(f"it holds more than tensors ({name})")
