"""Networks that another engine runs: they look like ours to whoever calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sisegcli.errors import CheckpointError, SisegError
from sisegcli.network.exported.graphs import Description, Graph, graphs_of
from sisegcli.windows import WINDOW

Run: TypeAlias = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]
"""What an engine does with the inputs of one graph; may be called from several threads at a time."""


class Engine(nn.Module):
    """One graph of an exported file.

    Parameters
    ----------
    graph : Graph
        What goes in and comes out.
    run : Run
        What does the work.
    path : Path
        The file, for errors.
    """

    def __init__(self, graph: Graph, run: Run, path: Path) -> None:
        super().__init__()
        self.graph, self.run, self.path = graph, run, path

    def forward(self, *given: Tensor) -> Any:
        """Answer as the network that was exported.

        Raises
        ------
        CheckpointError
            If the engine fails, or answers in another shape.
        """
        try:
            made = self.run([np.ascontiguousarray(x.numpy()) for x in given])
        except SisegError:
            raise
        except Exception as error:  # engines raise what they like
            raise CheckpointError(f"{self.path} cannot be run ({_line(error)}); export it again.") from error
        count, _, height, width = given[0].shape
        wanted = self.graph.shapes(count, height, width)
        if [answer.shape for answer in made] != wanted or any(answer.dtype != np.float32 for answer in made):
            raise CheckpointError(f"{self.path} does not answer as its networks do; export it again.")
        answers = tuple(torch.from_numpy(answer) for answer in made)
        return answers if len(answers) > 1 else answers[0]


class ExportedNetwork(nn.Module):
    """All networks of an exported file, in the form of a `SisegNetwork`.

    Parameters
    ----------
    description : Description
        What the file says of itself.
    runs : mapping
        What runs each graph, by name.
    path : Path
        The file, for errors.
    """

    def __init__(self, description: Description, runs: Mapping[str, Run], path: Path) -> None:
        super().__init__()
        self.guided, self.alignment = description.config.guided, description.alignment
        parts = {graph.name: Engine(graph, runs[graph.name], path) for graph in graphs_of(description.config)}
        self.network = parts["network"]
        self.membership, self.edges, self.wholeness = (parts.get(n) for n in ("membership", "edges", "wholeness"))

    def forward(self, images: Tensor, guide: Tensor | None = None) -> Any:
        """Predict displacement and boundary logits; see `SisegNetwork.forward`."""
        if self.guided and guide is None:
            guide = images.new_full((images.shape[0], 1, *images.shape[-2:]), 0.5, dtype=torch.float32)
        return self.network(images, *([guide] if self.guided and guide is not None else []))

    def try_out(self) -> None:
        """Run each graph once.

        Raises
        ------
        CheckpointError
            If one fails, or answers with what is no number.
        """
        parts = (self.network, self.membership, self.edges, self.wholeness)
        for part in (part for part in parts if part is not None):
            sides = (self.alignment, self.alignment) if part.graph.whole else (WINDOW, WINDOW)
            first = torch.zeros(1, 3, *sides, dtype=torch.uint8)
            answers = part(first, *(torch.zeros(1, 1, *sides) for _ in part.graph.inputs[1:]))
            if not all(answer.isfinite().all() for answer in as_tuple(answers)):
                raise CheckpointError(f"{part.path} answers with what is no number; export it again.")


def as_tuple(answer: Any) -> tuple[Tensor, ...]:
    """Return the answers of a network, of which there may be one or several."""
    return answer if isinstance(answer, tuple) else (answer,)


def _line(error: Exception) -> str:
    words = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return words if len(words) <= 120 else f"{words[:120]}…"
