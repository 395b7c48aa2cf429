import json
import os
import pickle
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from sisegcli.errors import CheckpointError
from sisegcli.network import checkpoint
from sisegcli.network.checkpoint import (
    BACKBONES,
    NetworkConfig,
    build_network,
    load_backbone_weights,
    load_checkpoint,
    read_config,
    save_checkpoint,
)

torch.set_num_threads(1)


class Small(nn.Module):
    """A backbone of two layers, with a batch norm."""

    channels, strides, mean, std = (3, 4), (2, 4), (0.5,) * 3, (0.25,) * 3

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 3, 3, 2, 1), nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x):
        x = self.norm(self.first(x))
        return [x, self.second(x)]

    def load_pretrained(self, state):
        self.load_state_dict(state)


CONFIG = NetworkConfig("small", width=5, guided=True, long_side=96, mean_displacement=(0.25, -1.5), grouping={"cut": 2})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(BACKBONES, "small", Small)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_network(CONFIG)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    return network


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, network, CONFIG, notes={"seed": "7"})
    return path


def rewrite(path, *, tensors=None, **metadata):
    """Change the tensors or the metadata of a checkpoint; None takes metadata away."""
    with safe_open(path, framework="pt") as file:
        kept = {**file.metadata(), **metadata}
    save_file(tensors or load_file(path), path, {k: v for k, v in kept.items() if v is not None})


# -- good files --------------------------------------------------------------------------------------------------------


def test_a_network_comes_back_as_it_was_saved(network, saved):
    loaded, config = load_checkpoint(saved)
    assert config == CONFIG == read_config(saved)
    assert not loaded.training
    for name, value in network.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        if "running" in name:
            assert torch.equal(found, value), name
        elif not name.endswith("num_batches_tracked"):
            assert torch.equal(found, value.half().float()), name
    with torch.inference_mode():
        images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
        for mine, theirs in zip(network.half().float().eval()(images), loaded(images), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-2 * float(theirs.abs().max()))


def test_what_is_in_the_file(saved):
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
        types = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert metadata["format"] == "sisegcli-1"
    assert metadata["seed"] == "7"
    assert json.loads(metadata["config"])["backbone"] == "small"
    assert all(kind == (torch.float32 if "running" in name else torch.float16) for name, kind in types.items())
    assert not any(name.endswith("num_batches_tracked") or name in ("mean", "std") for name in types)


def test_nothing_half_written_stays_behind(network, saved, monkeypatch):
    content = saved.read_bytes()

    def broken(_tensors, path, _metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(saved, network, CONFIG)
    assert saved.read_bytes() == content
    monkeypatch.undo()
    save_checkpoint(saved, network, NetworkConfig(backbone="efficientnet_lite0"))
    assert [path.name for path in saved.parent.iterdir()] == ["small.safetensors"]


def test_older_configurations_get_defaults(saved):
    rewrite(saved, config=json.dumps({"backbone": "small", "width": 5, "guided": True}))
    assert load_checkpoint(saved)[1] == NetworkConfig("small", width=5, guided=True)


@pytest.mark.gpu
def test_a_network_loads_onto_the_gpu(saved):
    loaded, _ = load_checkpoint(saved, "cuda")
    assert {value.device.type for value in loaded.state_dict().values()} == {"cuda"}


# -- bad files ---------------------------------------------------------------------------------------------------------


def refused(path, sentence):
    for read in (read_config, load_checkpoint):
        with pytest.raises(CheckpointError) as caught:
            read(path)
        assert str(caught.value) == sentence


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "no.safetensors", tmp_path):
        refused(path, f"No weights at {path}; give --weights a name or an existing .safetensors file.")


DAMAGE = {
    "a text": lambda path, _: path.write_text("weights, more or less"),
    "nothing": lambda path, _: path.write_bytes(b""),
    "a cut header": lambda path, content: path.write_bytes(content[:100]),
    "cut tensors": lambda path, content: path.write_bytes(content[:-7]),
    "a vast header": lambda path, content: path.write_bytes(struct.pack("<Q", 2**62) + content[8:]),
    "a pickle": lambda path, _: torch.save({"a": torch.zeros(3)}, path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file(saved, damage):
    DAMAGE[damage](saved, saved.read_bytes())
    refused(
        saved,
        f"{saved} is not a safetensors file, or it is damaged; fetch it again or train one with 'sisegcli train'.",
    )


@pytest.mark.parametrize(("name", "said"), [(None, "unknown"), ("pt", "pt"), ("sisegcli-2", "sisegcli-2")])
def test_another_format(saved, name, said):
    rewrite(saved, format=name)
    refused(saved, f"{saved} holds no sisegcli network (format '{said}'); use a file that 'sisegcli train' wrote.")


@pytest.mark.parametrize(
    "config",
    [
        *(None, "{", "[]", '"small"', '{"backbone": "small", "colour": 1}', '{"mean_displacement": 3}'),
        *('{"width": -1}', '{"width": "wide"}', '{"width": 1000000}', '{"magnify": NaN}', "[" * 100_000),
    ],
)
def test_an_unknown_configuration(saved, config):
    rewrite(saved, config=config)
    refused(saved, f"{saved} has a configuration that this version cannot read; update sisegcli.")


@pytest.mark.parametrize("change", [{"backbone": "vgg"}, {"width": 6}, {"guided": False}])
def test_a_configuration_that_does_not_fit(saved, change):
    rewrite(saved, config=json.dumps({"backbone": "small", "width": 5, "guided": True, **change}))
    with pytest.raises(CheckpointError, match="does not fit the network that it names; fetch it again"):
        load_checkpoint(saved)


def test_parameters_that_lack_or_exceed(saved):
    tensors = load_file(saved)
    lacking = {name: value for name, value in tensors.items() if name != "cbr.logit.bias"}
    rewrite(saved, tensors=lacking)
    with pytest.raises(CheckpointError, match=r"does not fit the network that it names \(cbr.logit.bias\)"):
        load_checkpoint(saved)
    rewrite(saved, tensors={**tensors, "extra": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"does not fit the network that it names \(extra\)"):
        load_checkpoint(saved)


# -- backbone weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_backbone_weights(network, tmp_path, suffix):
    state = {name: torch.rand(value.shape) for name, value in Small().state_dict().items()}
    # Files from before batches were counted lack the count.
    state = {name: value for name, value in state.items() if not name.endswith("tracked")}
    path = tmp_path / f"small{suffix}"
    (torch.save if suffix == ".pth" else save_file)(state, path)
    heads = {name: value.clone() for name, value in network.dfm.state_dict().items()}
    load_backbone_weights(network, path)
    loaded = network.backbone.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    assert all(torch.equal(network.dfm.state_dict()[name], value) for name, value in heads.items())


def test_our_own_checkpoint_gives_its_backbone(network, saved):
    other = build_network(NetworkConfig("small", width=3))
    load_backbone_weights(other, saved)
    assert torch.equal(other.backbone.first.weight, network.backbone.first.weight.half().float())


def test_missing_backbone_weights(network, tmp_path):
    for path in (tmp_path / "no.pth", tmp_path / "no.safetensors"):
        with pytest.raises(CheckpointError) as caught:
            load_backbone_weights(network, path)
        assert str(caught.value) == f"No backbone weights at {path}."


FOREIGN = {
    "text.pth": lambda path: path.write_text("no weights"),
    "empty.pth": lambda path: path.write_bytes(b""),
    "text.safetensors": lambda path: path.write_text("no weights"),
    "tensor.pth": lambda path: torch.save(torch.zeros(3), path),
    "other.pth": lambda path: torch.save({"weight": torch.zeros(3)}, path),
    "other.safetensors": lambda path: save_file({"weight": torch.zeros(3)}, path),
    "shapes.pth": lambda path: torch.save({k: v[..., None] for k, v in Small().state_dict().items()}, path),
    "folder.pth": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_backbone_weights(network, tmp_path, name):
    path = tmp_path / name
    FOREIGN[name](path)
    with pytest.raises(CheckpointError) as caught:
        load_backbone_weights(network, path)
    assert str(caught.value) == (
        f"{path} does not hold parameters of this backbone; torchvision's classification files and sisegcli's do."
    )


class Trap:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_a_malicious_pickle_does_not_run(network, tmp_path, write):
    path, sprung = tmp_path / "evil.pth", tmp_path / "sprung"
    evil = {"first.weight": Trap(sprung)}
    if write == "torch":
        torch.save(evil, path)
    else:
        path.write_bytes(pickle.dumps(evil, protocol=2))
    with pytest.raises(CheckpointError):
        load_backbone_weights(network, path)
    assert not sprung.exists()
    torch.save(evil, tmp_path / "proof.pth")
    torch.load(tmp_path / "proof.pth", weights_only=False)  # so the trap works
    assert sprung.exists()
