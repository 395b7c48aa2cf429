"""What of a network learns, and what stays as it is."""

from __future__ import annotations

import itertools
from typing import Any

from sisegcli.network.backbone import Backbone
from sisegcli.network.edge_refiner import EdgeRefiner
from sisegcli.network.membership import Membership
from sisegcli.network.model import SisegNetwork
from sisegcli.network.wholeness import Wholeness
from sisegcli.training.options import Recipe

BEFORE_PROMPT = 4
"""Parts of the backbones of networks that look at windows, before the prompt comes in: they stay as they are."""


def freeze(backbone: Backbone, parts: int) -> None:
    """Keep the first parts of a backbone as they are."""
    for part in itertools.islice(backbone.depths(), parts):
        part.requires_grad_(False)


def window_groups(network: Membership | EdgeRefiner | Wholeness, peak: float) -> list[dict[str, Any]]:
    """Freeze what lies before the prompt; return parameters of head and backbone with their peak rates.

    At a peak of 0 nothing learns, and there are none.
    """
    if not peak:
        network.requires_grad_(False)
        return []
    freeze(network.backbone, BEFORE_PROMPT)
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    deep = [p for name, p in named if name.startswith("backbone.")]
    head = [p for name, p in named if not name.startswith("backbone.")]
    return [{"params": head, "peak": peak}, {"params": deep, "peak": peak / 5}]


def train_mode(network: SisegNetwork, recipe: Recipe) -> None:
    """Set training mode for what learns, save for the backbones' batch norm, which keeps its statistics."""
    learning = {
        "dfm": recipe.fields,
        "cbr": recipe.fields,
        "membership": recipe.asked,
        "edges": recipe.outlined,
        "wholeness": recipe.judged,
    }
    network.eval()
    for name, learns in learning.items():
        part = getattr(network, name)
        if part is not None and learns:
            part.train()
    for part in (network.membership, network.edges, network.wholeness):
        if part is not None:
            part.backbone.eval()  # type: ignore[attr-defined]
