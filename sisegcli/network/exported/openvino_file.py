"""OpenVINO files: ``NAME.xml`` with all graphs, and ``NAME.bin`` with their numbers, which OpenVINO runs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from sisegcli.errors import CheckpointError, OptionError
from sisegcli.network.exported.graphs import Description, Graph, graphs_of, parse_description
from sisegcli.network.exported.packages import import_engine

if TYPE_CHECKING:
    from torch import nn

    from sisegcli.network.exported.engines import Run

KEY = "sisegcli"
"""Where in the file's own information ours is."""
SUM = "sha256 of the .bin"
MAX_BYTES = 2**26
"""The .xml alone."""
LANES = 4
"""Questions that are answered at a time."""


def numbers_of(path: Path) -> Path:
    """Return the file that belongs to a ``.xml``."""
    return path.with_suffix(".bin")


def write_openvino(path: Path, parts: Mapping[str, nn.Module], description: Description) -> None:
    """Write networks to two files.

    Parameters
    ----------
    path : Path
        The ``.xml``; it and the ``.bin`` beside it are replaced.
    parts : mapping
        Networks that can be traced, by name.
    description : Description
        What is said of them.

    Raises
    ------
    OptionError
        If the package is missing.
    """
    from sisegcli.network.exported.portable import examples, quiet_tracing

    engine = import_engine(
        "openvino", OptionError("--to openvino needs more packages; pip install 'sisegcli[openvino]'.")
    )
    parameters, results = [], []
    for graph in graphs_of(description.config):
        shown = examples(graph, description.alignment)
        free = [-1, -1] if graph.whole else list(shown[0].shape[2:])
        with quiet_tracing():
            model = engine.convert_model(
                parts[graph.name],
                example_input=tuple(shown),
                input=[engine.PartialShape([-1, given.shape[1], *free]) for given in shown],
            )
        for names, ports in ((graph.input_names, model.inputs), (graph.output_names, model.outputs)):
            for name, port in zip(names, ports, strict=True):
                port.get_tensor().set_names({name})
                port.get_node().set_friendly_name(name)
        parameters += model.get_parameters()
        results += model.get_results()
    whole = engine.Model(results, parameters, "sisegcli")
    metadata = description.to_metadata()
    engine.save_model(whole, path, compress_to_fp16=False)
    metadata[SUM] = hashlib.sha256(numbers_of(path).read_bytes()).hexdigest()
    whole.set_rt_info(json.dumps(metadata), [KEY])
    engine.save_model(whole, path, compress_to_fp16=False)


def read_openvino(path: Path) -> tuple[tuple[bytes, bytes], Description]:
    """Read both files, without the package, and make sure that they belong together and are ours.

    Returns
    -------
    content : tuple of bytes
        The files.
    description : Description
        What they say of themselves.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged or foreign.
    """
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path} is larger than any file of 'sisegcli export'; export it again.")
    graph = path.read_bytes()
    try:
        text = graph.decode("utf-8")  # in another encoding, a declaration would not be seen here
        if "<!" in text:
            raise ValueError("declarations")
        root = ElementTree.fromstring(text)
        kinds = {layer.get("type") for layer in root.iter("layer")}
        told = root.find(f"rt_info/{KEY}")
        metadata = {} if told is None else json.loads(told.get("value", "{}"))
        digest = metadata.pop(SUM, None)
    except (AttributeError, ElementTree.ParseError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not a file of OpenVINO, or it is damaged; export it again.") from error
    description = parse_description(path, metadata)
    if kinds & {"If", "Loop", "TensorIterator"}:
        raise CheckpointError(
            f"{path} holds loops or branches, which no file of 'sisegcli export' does; export it again."
        )
    try:
        numbers = numbers_of(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} is nothing without {numbers_of(path).name} beside it; copy both.") from error
    if digest != hashlib.sha256(numbers).hexdigest():
        raise CheckpointError(f"{numbers_of(path)} does not belong to {path.name}; copy both, or export them again.")
    return (graph, numbers), description


def openvino_runs(path: Path, content: tuple[bytes, bytes], description: Description) -> dict[str, Run]:
    """Return what runs each graph of files that were read.

    Raises
    ------
    CheckpointError
        If a graph is missing or damaged, or the package is missing.
    """
    import torch

    engine = import_engine(
        "openvino", CheckpointError(f"{path} needs more packages; pip install 'sisegcli[openvino]'.")
    )
    threads = torch.get_num_threads()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": min(LANES, threads),
        "INFERENCE_PRECISION_HINT": "f32",  # bfloat16, where there is, decides borderline cases otherwise
    }
    try:
        core = engine.Core()
        whole = core.read_model(*content)
        return {
            graph.name: _Compiled(core.compile_model(_part(engine, whole, graph), "CPU", settings))
            for graph in graphs_of(description.config)
        }
    except Exception as error:  # OpenVINO raises RuntimeError and more
        raise CheckpointError(f"{path} holds a network that OpenVINO cannot read; export it again.") from error


def _part(engine: Any, whole: Any, graph: Graph) -> Any:
    """Return one of the graphs as a model of its own."""

    def named(ports: Sequence[Any], names: list[str]) -> list[Any]:
        found = {name: port.get_node() for port in ports for name in port.get_names()}
        return [found[name] for name in names]

    return engine.Model(named(whole.outputs, graph.output_names), named(whole.inputs, graph.input_names), graph.name)


class _Compiled:
    """Runs one graph; each thread has a request of its own."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.local = threading.local()

    def __call__(self, arrays: Sequence[Any]) -> Sequence[Any]:
        if not hasattr(self.local, "request"):
            self.local.request = self.model.create_infer_request()
        # Inputs are shared for the time of the call, outputs are copied.
        return list(self.local.request.infer(list(arrays), share_inputs=True).values())
