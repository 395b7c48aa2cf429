"""Networks made ready for other engines: batch norm folded in, and no operators but those that every engine knows."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sisegcli.network.config import NetworkConfig
from sisegcli.network.exported.graphs import Description, Graph, graphs_of
from sisegcli.network.folding import FoldedConv
from sisegcli.network.fusing import replace_convolutions
from sisegcli.network.model import SisegNetwork
from sisegcli.windows import WINDOW


def portable(network: SisegNetwork) -> dict[str, nn.Module]:
    """Return each of the networks that belong together by itself, by the names of `graphs_of`.

    Parameters
    ----------
    network : SisegNetwork
        In evaluation mode on the processor; it stays as it is.

    Returns
    -------
    dict
        Networks that compute the same for sides that are multiples of the alignment, and that can be traced.
    """
    whole = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    whole.requires_grad_(False)
    replace_convolutions(whole, FoldedConv)
    others = {"membership": whole.membership, "edges": whole.edges, "wholeness": whole.wholeness}
    whole.membership = whole.edges = whole.wholeness = None
    return {"network": whole, **{name: part for name, part in others.items() if part is not None}}


def describe_parts(
    parts: Mapping[str, nn.Module], network: SisegNetwork, config: NetworkConfig, notes: Mapping[str, str]
) -> Description:
    """Describe networks for the file that will hold them."""
    sizes = {
        graph.name: sum(tensor.numel() for tensor in (*parts[graph.name].buffers(), *parts[graph.name].parameters()))
        for graph in graphs_of(config)
    }
    return Description(config, network.alignment, sizes, notes)


def examples(graph: Graph, alignment: int, *, count: int = 2, seed: int = 0) -> list[Tensor]:
    """Return random inputs of a graph: higher than wide, or windows."""
    noise = torch.Generator().manual_seed(seed)
    sides = (3 * alignment, 2 * alignment) if graph.whole else (WINDOW, WINDOW)
    first = torch.randint(0, 256, (count, 3, *sides), dtype=torch.uint8, generator=noise)
    return [first, *(torch.rand(count, 1, *sides, generator=noise).round() for _ in graph.inputs[1:])]


@contextmanager
def quiet_tracing() -> Iterator[None]:
    """Trace without gradients, and without warnings about what is meant: sides of windows that are constants."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
