"""ONNX files: one file with all graphs, which ONNX Runtime runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisegcli.errors import CheckpointError, OptionError, SisegError
from sisegcli.network.exported.graphs import Description, Graph, graphs_of, parse_description
from sisegcli.network.exported.packages import import_engine

if TYPE_CHECKING:
    from torch import nn

    from sisegcli.network.exported.engines import Run

OPSET = 17
MAX_BYTES = 2**31 - 1
"""What Protocol Buffers allow."""

_lock = threading.Lock()


def write_onnx(path: Path, parts: Mapping[str, nn.Module], description: Description) -> None:
    """Write networks to a file.

    Parameters
    ----------
    path : Path
        The file; it is replaced.
    parts : mapping
        Networks that can be traced, by name.
    description : Description
        What is said of them.

    Raises
    ------
    OptionError
        If a package is missing.
    """
    import torch

    from sisegcli.network.exported.portable import examples, quiet_tracing

    missing = OptionError("--to onnx needs more packages; pip install 'sisegcli[onnx]'.")
    onnx, compose = import_engine("onnx", missing), import_engine("onnx.compose", missing)
    whole = onnx.ModelProto()
    for graph in graphs_of(description.config):
        with quiet_tracing():
            torch.onnx.export(
                parts[graph.name],
                tuple(examples(graph, description.alignment)),
                path,
                input_names=graph.input_names,
                output_names=graph.output_names,
                dynamic_axes=_axes(graph),
                opset_version=OPSET,
                dynamo=False,  # the other exporter needs one package more, and makes the same graph
            )
        model = onnx.load_model_from_string(path.read_bytes())
        kept = {"rename_inputs": False, "rename_outputs": False}
        model = compose.add_prefix(model, f"{graph.name}/", **kept)
        if not whole.graph.node:
            whole.ir_version, whole.producer_name = model.ir_version, "sisegcli"
            whole.opset_import.extend(model.opset_import)
            whole.graph.name = "sisegcli"
        for field in ("node", "initializer", "input", "output"):
            getattr(whole.graph, field).extend(getattr(model.graph, field))
    onnx.helper.set_model_props(whole, description.to_metadata())
    onnx.checker.check_model(whole)
    path.write_bytes(whole.SerializeToString())


def _axes(graph: Graph) -> dict[str, dict[int, str]]:
    """Name the axes of a graph whose lengths may vary."""
    count = {0: f"{graph.name}_n"}
    if not graph.whole:
        return dict.fromkeys((*graph.input_names, *graph.output_names), count)
    seen, made = {**count, 2: "height", 3: "width"}, {**count, 2: "height/4", 3: "width/4"}
    return {**dict.fromkeys(graph.input_names, seen), **dict.fromkeys(graph.output_names, made)}


def read_onnx(path: Path) -> tuple[Any, Description]:
    """Read a file, and make sure that it holds nothing but computations, and refers to no other file.

    Returns
    -------
    model : onnx.ModelProto
        What it holds.
    description : Description
        What it says of itself.

    Raises
    ------
    CheckpointError
        If it is damaged, foreign or refers to other files, or if a package is missing.
    """
    onnx = import_engine("onnx", _missing(path))
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path} is larger than an ONNX file can be; export it again.")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        metadata = {entry.key: entry.value for entry in model.metadata_props}
    except Exception as error:  # Protocol Buffers' own errors differ by version
        raise CheckpointError(f"{path} is not an ONNX file, or it is damaged; export it again.") from error
    description = parse_description(path, metadata)
    foreign = _foreign(model, onnx.TensorProto.EXTERNAL)
    if foreign is not None:
        raise CheckpointError(f"{path} {foreign}, which no file of 'sisegcli export' does; export it again.")
    return model, description


def _foreign(model: Any, external: int) -> str | None:
    """Say what a model does that ours never do; None if there is nothing."""
    if model.functions or any(node.domain not in ("", "ai.onnx") for node in model.graph.node):
        return "holds operators of its own"
    if any(attribute.HasField("g") or attribute.graphs for node in model.graph.node for attribute in node.attribute):
        return "holds loops or branches"
    if model.graph.sparse_initializer:
        return "holds sparse tensors"
    if any(tensor.data_location == external or tensor.external_data for tensor in _tensors(model.graph)):
        return "refers to other files"
    return None


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def onnx_runs(path: Path, model: Any, description: Description) -> dict[str, Run]:
    """Return what runs each graph of a file that was read.

    Raises
    ------
    CheckpointError
        If a graph is missing or damaged, or a package is missing.
    """
    engine = import_engine("onnxruntime", _missing(path))
    try:
        parts = {graph: _part(model, graph) for graph in graphs_of(description.config)}
    except (TypeError, ValueError) as error:  # names that are no text
        raise CheckpointError(f"{path} is not an ONNX file, or it is damaged; export it again.") from error
    return {graph.name: _Session(path, engine, part, graph) for graph, part in parts.items()}


def _part(model: Any, graph: Graph) -> bytes:
    """Return one of the graphs as a model of its own."""
    part, prefix = type(model)(), f"{graph.name}/"
    part.ir_version = model.ir_version
    part.opset_import.extend(model.opset_import)
    part.graph.name = graph.name
    part.graph.node.extend(node for node in model.graph.node if any(o.startswith(prefix) for o in node.output))
    for field in ("initializer", "input", "output"):
        mine = (value for value in getattr(model.graph, field) if value.name.startswith(prefix))
        getattr(part.graph, field).extend(mine)
    made: bytes = part.SerializeToString()
    return made


class _Session:
    """Runs one graph by as many threads as torch would: those of a lane, if there are several lanes."""

    def __init__(self, path: Path, engine: Any, model: bytes, graph: Graph) -> None:
        self.path, self.engine, self.model, self.graph = path, engine, model, graph
        self.shared: Any = None
        self.local = threading.local()

    def __call__(self, arrays: Sequence[Any]) -> Sequence[Any]:
        import torch

        session = self._session(torch.get_num_threads())
        made: Sequence[Any] = session.run(
            self.graph.output_names, dict(zip(self.graph.input_names, arrays, strict=True))
        )
        return made

    def _session(self, threads: int) -> Any:
        if threads == 1:  # no threads of its own, so that all lanes may use it
            with _lock:
                if self.shared is None:
                    self.shared = self._start(threads)
                return self.shared
        if getattr(self.local, "threads", None) != threads:
            self.local.session, self.local.threads = self._start(threads), threads
        return self.local.session

    def _start(self, threads: int) -> Any:
        options = self.engine.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4  # what matters is raised
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other lanes need the cores
        try:
            # Falling back to what has failed already prints on stdout.
            return self.engine.InferenceSession(
                self.model, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # ONNX Runtime has a dozen of its own
            raise CheckpointError(
                f"{self.path} holds a network that ONNX Runtime cannot read ({self.graph.name}); export it again."
            ) from error


def _missing(path: Path) -> SisegError:
    return CheckpointError(f"{path} needs more packages; pip install 'sisegcli[onnx]'.")
