import pytest
import torch

from sisegcli.devices import computes_in_bfloat16, own_stream, pick_device, send
from sisegcli.errors import OptionError


def test_auto_is_the_best_there_is(monkeypatch):
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert pick_device("auto") == torch.device(expected)


def test_devices_by_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for name in ("cpu", "cuda", "cuda:0", "cuda:1", "mps"):
        assert pick_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("toaster", "No device is called 'toaster'; use auto, cpu, cuda, cuda:N or mps."),
        ("", "No device is called ''; use auto, cpu, cuda, cuda:N or mps."),
        ("meta", "Device 'meta' is not supported; use auto, cpu, cuda, cuda:N or mps."),
        ("cuda:1", "Device 'cuda:1' is not there; this machine has 1 CUDA devices."),
        ("mps", "Device 'mps' is not there; use --device cpu."),
    ],
)
def test_devices_that_are_not_there(monkeypatch, name, sentence):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(OptionError) as caught:
        pick_device(name)
    assert str(caught.value) == sentence


def test_bfloat16_where_it_pays(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert computes_in_bfloat16(torch.device("cuda")) is True
    assert computes_in_bfloat16(torch.device("mps")) is False
    assert isinstance(computes_in_bfloat16(torch.device("cpu")), bool)
    monkeypatch.setattr(torch._C, "_has_mkldnn", False)
    assert computes_in_bfloat16(torch.device("cpu")) is False


def test_a_processor_has_one_queue():
    with own_stream(torch.device("cpu")):
        assert send(torch.ones(2), torch.device("cpu")).tolist() == [1, 1]


@pytest.mark.gpu
def test_a_thread_keeps_its_own_stream():
    place, streams = torch.device("cuda"), []
    for _ in range(2):
        with own_stream(place):
            streams.append(torch.cuda.current_stream())
            assert send(torch.ones(2), place).add(1).cpu().tolist() == [2, 2]
    assert streams[0] == streams[1] != torch.cuda.default_stream()
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
