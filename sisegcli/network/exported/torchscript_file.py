"""TorchScript files, for programs without Python. They are written, and never read: such a file can hold any code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sisegcli.network.exported.engines import Run
from sisegcli.network.exported.graphs import Description, graphs_of
from sisegcli.network.exported.portable import examples, quiet_tracing

FACTS = "sisegcli.json"
"""The file in the archive that describes the networks."""


class _Methods(nn.Module):
    """All networks as methods of one module."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(dict(parts))

    def forward(self, *given: Tensor) -> Any:
        return self.parts["network"](*given)

    def membership(self, *given: Tensor) -> Any:
        return self.parts["membership"](*given)

    def edges(self, *given: Tensor) -> Any:
        return self.parts["edges"](*given)

    def wholeness(self, *given: Tensor) -> Any:
        return self.parts["wholeness"](*given)


def write_torchscript(path: Path, parts: Mapping[str, nn.Module], description: Description) -> dict[str, Run]:
    """Write networks to an archive: a module whose methods are `forward`, and the others by their names.

    Parameters
    ----------
    path : Path
        The file; it is replaced.
    parts : mapping
        Networks that can be traced, by name.
    description : Description
        What is said of them; as JSON in the archive's ``extra/sisegcli.json``.

    Returns
    -------
    dict
        What runs each network as it was written.
    """
    graphs = graphs_of(description.config)
    methods = {"network": "forward"}
    with quiet_tracing():
        shown = {methods.get(graph.name, graph.name): tuple(examples(graph, description.alignment)) for graph in graphs}
        traced = torch.jit.trace_module(_Methods(parts).eval(), shown, check_trace=False)  # type: ignore[no-untyped-call]
        frozen = torch.jit.freeze(traced, preserved_attrs=[name for name in shown if name != "forward"])
        torch.jit.save(frozen, path, _extra_files={FACTS: json.dumps(description.to_metadata())})

    def runner(name: str) -> Run:
        method = getattr(frozen, methods.get(name, name))

        def run(arrays: Any) -> Any:
            with torch.inference_mode():
                made = method(*(torch.from_numpy(array) for array in arrays))
            return [tensor.numpy() for tensor in (made if isinstance(made, tuple) else (made,))]

        return run

    return {graph.name: runner(graph.name) for graph in graphs}
