"""Networks from names and from checkpoints: safetensors with the configuration in the metadata, never pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sisegcli.devices import layout
from sisegcli.errors import CheckpointError, OptionError, OutputError
from sisegcli.network.backbone import Backbone
from sisegcli.network.config import FORMAT, NetworkConfig, read_config
from sisegcli.network.edge_refiner import EdgeRefiner
from sisegcli.network.efficientnet_lite import HALF_LITE0, LITE0, EfficientNetLite
from sisegcli.network.exported.files import exported_kind
from sisegcli.network.membership import Membership
from sisegcli.network.model import SisegNetwork
from sisegcli.network.resnet import ResNet
from sisegcli.network.torch_files import read_torch_file
from sisegcli.network.wholeness import Wholeness

BACKBONES: dict[str, Callable[[], Backbone]] = {
    "efficientnet_lite0": EfficientNetLite,
    "resnet50": lambda: ResNet(blocks=(3, 4, 6, 3)),
    "resnet101": lambda: ResNet(blocks=(3, 4, 23, 3)),
}


def build_network(config: NetworkConfig) -> SisegNetwork:
    """Build an untrained network.

    Raises
    ------
    OptionError
        If the backbone is not known.
    """
    if config.backbone not in BACKBONES:
        raise OptionError(f"No backbone is called '{config.backbone}'; choose one of {', '.join(BACKBONES)}.")
    backbone = BACKBONES[config.backbone]
    membership = Membership(backbone=backbone(), width=config.width) if config.membership else None
    edges = EdgeRefiner(backbone=EfficientNetLite(stages=LITE0[:5]), width=config.width) if config.edges else None
    wholeness = (
        Wholeness(backbone=EfficientNetLite(stages=HALF_LITE0), width=config.width) if config.wholeness else None
    )
    return SisegNetwork(
        backbone=backbone(),
        width=config.width,
        guided=config.guided,
        membership=membership,
        edges=edges,
        wholeness=wholeness,
    )


def save_checkpoint(
    path: Path, network: SisegNetwork, config: NetworkConfig, *, notes: Mapping[str, str] | None = None
) -> None:
    """Write a network in float16 with its configuration, in one step.

    Parameters
    ----------
    path : Path
        The file, ``*.safetensors`` as a rule.
    network : SisegNetwork
        Its parameters and running statistics are written; running statistics stay float32.
    config : NetworkConfig
        What it was built from.
    notes : mapping, optional
        More metadata, for people: data, recipe, seed.
    """
    state = {k: v.detach().cpu() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    stored = {k: (v if "running_" in k else v.to(torch.float16)).contiguous() for k, v in state.items()}
    metadata = {"format": FORMAT, "config": json.dumps(asdict(config)), **(notes or {})}
    temporary = path.with_name(path.name + ".partial")
    try:
        save_file(stored, temporary, metadata)
        temporary.chmod(0o644)  # safetensors writes files for their owner alone
        temporary.replace(path)
    except SafetensorError as error:  # so it says that a disk is full
        raise OutputError(f"{path} cannot be written ({error}); make room, and try again.") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> tuple[SisegNetwork, NetworkConfig]:
    """Read a network, in evaluation mode and float32, on a device.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or not a checkpoint of sisegcli.
    """
    if exported_kind(path) is not None:
        raise CheckpointError(f"{path} is exported, and only converts; give the .safetensors file that it was made of.")
    config = read_config(path)
    try:
        network = build_network(config)
        with safe_open(path, framework="pt") as file:
            state = {name: cast(Tensor, file.get_tensor(name)).float() for name in file.keys()}  # noqa: SIM118
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (SafetensorError, OSError, OptionError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not fit the network that it names; fetch it again.") from error
    lacking = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lacking or unexpected:
        raise CheckpointError(f"{path} does not fit the network that it names ({(lacking + unexpected)[0]}).")
    return network.to(device, memory_format=layout(torch.device(device))).eval(), config  # type: ignore[call-overload]


def load_backbone_weights(network: SisegNetwork, path: Path) -> None:
    """Load ImageNet parameters (``.pth`` or ``.safetensors``) into a network's backbone.

    Raises
    ------
    CheckpointError
        If the file cannot be read safely or does not fit the backbone.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                state = {name: cast(Tensor, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        else:
            state = read_torch_file(path)
        ours = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
        network.load_pretrained(ours or state)
    except FileNotFoundError as error:
        raise CheckpointError(f"No backbone weights at {path}.") from error
    except (AttributeError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not hold parameters of this backbone; torchvision's classification files and sisegcli's do."
        ) from error
