"""Networks as files of other engines: they answer the same, and bad files are refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from window_networks import Small, lively

from sisegcli.errors import CheckpointError, OptionError
from sisegcli.network.checkpoint import build_network, load_checkpoint
from sisegcli.network.config import NetworkConfig
from sisegcli.network.edge_refiner import EdgeRefiner
from sisegcli.network.exported import onnx_file, openvino_file
from sisegcli.network.exported.engines import Engine, as_tuple
from sisegcli.network.exported.files import companions, describe_exported, exported_kind, load_exported
from sisegcli.network.exported.graphs import Description, Graph, graphs_of
from sisegcli.network.exported.onnx_file import write_onnx
from sisegcli.network.exported.openvino_file import write_openvino
from sisegcli.network.exported.packages import import_engine
from sisegcli.network.exported.portable import describe_parts, examples, portable, quiet_tracing
from sisegcli.network.exported.torchscript_file import FACTS, write_torchscript
from sisegcli.network.fusing import fused, infers_in_bfloat16
from sisegcli.network.membership import Membership
from sisegcli.network.model import SisegNetwork
from sisegcli.network.wholeness import Wholeness

CPU = torch.device("cpu")
CONFIG = NetworkConfig(
    "small", width=5, guided=True, membership=True, edges=True, wholeness=True, long_side=96, grouping={"cut": 0.5}
)
NOTES = {"recipe": "none at all", "seed": "7"}


@pytest.fixture(scope="module")
def network() -> SisegNetwork:
    """Four small networks in which every number matters."""
    torch.manual_seed(0)
    made = SisegNetwork(
        backbone=Small(),
        width=5,
        guided=True,
        membership=lively(Membership(backbone=Small(), width=5)),
        edges=lively(EdgeRefiner(backbone=Small(), width=5)),
        wholeness=lively(Wholeness(backbone=Small(), width=5)),
    )
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d) and (part.running_mean == 0).all():
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
        elif isinstance(part, nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight, std=0.1)
    return made.eval()


@pytest.fixture(scope="module")
def described(network) -> tuple[dict[str, nn.Module], Description]:
    parts = portable(network)
    return parts, describe_parts(parts, network, CONFIG, NOTES)


@pytest.fixture(scope="module")
def onnx_bytes(described, tmp_path_factory) -> bytes:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    write_onnx(path, *described)
    return path.read_bytes()


@pytest.fixture(scope="module")
def openvino_files(described, tmp_path_factory) -> Path:
    import_or_skip("openvino")
    path = tmp_path_factory.mktemp("openvino") / "small.xml"
    write_openvino(path, *described)
    return path


def import_or_skip(name: str):
    try:
        return import_engine(name, OptionError("missing"))
    except OptionError:
        return pytest.skip(f"{name} is not installed")


def answers(network, graph: Graph, count: int, alignment: int) -> tuple[torch.Tensor, ...]:
    part = network if graph.whole else getattr(network, graph.name)
    with torch.inference_mode():
        return as_tuple(part(*examples(graph, alignment, count=count, seed=count)))


def assert_answers_the_same(found, wanted: SisegNetwork) -> None:
    for graph in graphs_of(CONFIG):
        for count, alignment in ((1, 16), (3, 48)):
            pairs = zip(answers(found, graph, count, alignment), answers(wanted, graph, count, alignment), strict=True)
            for ours, theirs in pairs:
                assert ours.shape == theirs.shape and ours.dtype == torch.float32
                assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


# -- good files --------------------------------------------------------------------------------------------------------


def test_what_is_traced_answers_as_the_networks(network, described) -> None:
    parts, _ = described
    made = SisegNetwork(backbone=Small(), width=5, guided=True)
    for name, part in parts.items():
        if name != "network":
            setattr(made, name, part)
    made.forward = parts["network"].forward
    assert_answers_the_same(made, network)
    assert not any(isinstance(module, nn.BatchNorm2d) for name in ("edges",) for module in parts[name].judge.modules())


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet50"])
def test_the_backbones_that_ship_become_portable(backbone) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfig(backbone, guided=True, width=8)).eval()
    nn.init.normal_(network.dfm.field.weight)
    nn.init.normal_(network.cbr.logit.weight)
    made = portable(network)
    assert list(made) == ["network"]
    shown = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8), torch.rand(1, 1, 64, 96)
    with torch.inference_mode():
        for ours, theirs in zip(made["network"](*shown), network(*shown), strict=True):
            assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_onnx(network, onnx_bytes, tmp_path) -> None:
    path = tmp_path / "moved.onnx"
    path.write_bytes(onnx_bytes)
    found, config = load_exported(path)
    assert config == CONFIG
    assert (found.guided, found.alignment) == (True, 16)
    assert_answers_the_same(found, network)
    torch.set_num_threads(2)
    try:
        assert_answers_the_same(found, network)
    finally:
        torch.set_num_threads(1)
    assert fused(found, CPU) is found
    assert not any(infers_in_bfloat16(part, CPU) for part in (found, found.membership))


def test_openvino(network, openvino_files) -> None:
    found, config = load_exported(openvino_files)
    assert config == CONFIG
    assert_answers_the_same(found, network)
    assert [path.name for path in companions(openvino_files)] == ["small.xml", "small.bin"]
    assert sys.modules["openvino_telemetry"] is None


def test_torchscript_is_written_and_not_read(network, described, tmp_path) -> None:
    path = tmp_path / "small.pt"
    runs = write_torchscript(path, *described)
    facts = {FACTS: ""}
    with quiet_tracing():
        loaded = torch.jit.load(path, _extra_files=facts)
    assert json.loads(facts[FACTS])["seed"] == "7"
    for graph in graphs_of(CONFIG):
        shown = examples(graph, 32, count=3)
        method = loaded.forward if graph.whole else getattr(loaded, graph.name)
        wanted = as_tuple((network if graph.whole else getattr(network, graph.name))(*shown))
        for theirs, read, run in zip(
            wanted, as_tuple(method(*shown)), runs[graph.name]([x.numpy() for x in shown]), strict=True
        ):
            assert (read - theirs).abs().max() < 1e-4 * theirs.abs().max()
            np.testing.assert_array_equal(read.detach().numpy(), run)
    with pytest.raises(CheckpointError, match=r"small.pt is not read, because a .pt file can hold any program"):
        load_exported(path)


@pytest.mark.parametrize("kind", ["onnx_bytes", "openvino_files"])
def test_what_files_say_of_themselves(kind, request, tmp_path) -> None:
    made = request.getfixturevalue(kind)
    path = made if isinstance(made, Path) else tmp_path / "small.onnx"
    if path is not made:
        path.write_bytes(made)
    told = describe_exported(path)
    assert told.config == CONFIG and told.alignment == 16 and told.notes.items() >= NOTES.items()
    assert list(told.sizes) == ["network", "membership", "edges", "wholeness"]


def test_a_network_that_sees_no_mask(tmp_path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network, config = SisegNetwork(backbone=Small(), width=5).eval(), NetworkConfig("small", width=5)
    parts = portable(network)
    write_onnx(tmp_path / "a.onnx", parts, describe_parts(parts, network, config, {}))
    found, _ = load_exported(tmp_path / "a.onnx")
    images = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.allclose(found(images)[1], network(images)[1], atol=1e-4)
    assert found.membership is None


def test_guides_are_unknown_where_they_are_left_out(network, onnx_bytes, tmp_path) -> None:
    (tmp_path / "a.onnx").write_bytes(onnx_bytes)
    found, _ = load_exported(tmp_path / "a.onnx")
    images = torch.randint(0, 256, (1, 3, 32, 48), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.allclose(found(images)[0], network(images)[0], atol=1e-4)


def test_kinds_are_told_by_names() -> None:
    kinds = {name: exported_kind(Path(name)) for name in ("a.ONNX", "a.xml", "a.safetensors", "a", "a.pth")}
    assert kinds == {"a.ONNX": "onnx", "a.xml": "openvino", "a.safetensors": None, "a": None, "a.pth": None}


# -- bad files ---------------------------------------------------------------------------------------------------------


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_exported(path)
    assert str(caught.value) == f"{path} {sentence}"


def outside(model, onnx) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def outside_in_a_constant(model, onnx) -> None:
    node = model.graph.node.add(op_type="Constant", output=["network/secret"])
    tensor = onnx.TensorProto(data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=tensor)


def branch(model, onnx) -> None:
    node = model.graph.node.add(op_type="If", output=["network/x"])
    node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH, g=onnx.GraphProto(name="then"))


def foreign_operator(model, onnx) -> None:
    model.graph.node.add(op_type="ReadFile", domain="com.example", output=["network/x"])


def function(model, onnx) -> None:
    model.functions.add(name="f", domain="")


def sparse(model, onnx) -> None:
    model.graph.sparse_initializer.add()


@pytest.mark.parametrize(
    ("change", "does"),
    [
        (outside, "refers to other files"),
        (outside_in_a_constant, "refers to other files"),
        (branch, "holds loops or branches"),
        (foreign_operator, "holds operators of its own"),
        (function, "holds operators of its own"),
        (sparse, "holds sparse tensors"),
    ],
)
def test_onnx_that_does_what_ours_never_does(change, does, onnx_bytes, tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(onnx_bytes)
    change(model, onnx)
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, f"{does}, which no file of 'sisegcli export' does; export it again.")


def described_as(model, **changes: str | None) -> None:
    facts = {entry.key: entry.value for entry in model.metadata_props} | changes
    del model.metadata_props[:]
    for key, value in facts.items():
        if value is not None:
            model.metadata_props.add(key=key, value=value)


SAYS_NOTHING = "does not say what it holds; export it again with this version of sisegcli."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": None}, "holds no sisegcli network; use a file that 'sisegcli export' wrote."),
        ({"format": "pt"}, "holds no sisegcli network; use a file that 'sisegcli export' wrote."),
        ({"config": None}, "has a configuration that this version cannot read; update sisegcli."),
        ({"config": '{"width": -1}'}, "has a configuration that this version cannot read; update sisegcli."),
        ({"config": "{}"}, SAYS_NOTHING),
        ({"exported": None}, SAYS_NOTHING),
        ({"exported": "[" * 100_000}, SAYS_NOTHING),
        ({"exported": '{"alignment": 0, "sizes": {}}'}, SAYS_NOTHING),
        ({"exported": '{"alignment": 1e9, "sizes": 3}'}, SAYS_NOTHING),
    ],
)
def test_onnx_that_describes_something_else(changes, sentence, onnx_bytes, tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(onnx_bytes)
    described_as(model, **changes)
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, sentence)


def test_damaged_onnx(onnx_bytes, tmp_path) -> None:
    path = tmp_path / "bad.onnx"
    for content in (b"no network", b"", bytes(4096), onnx_bytes[: len(onnx_bytes) // 2], onnx_bytes[:-3]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"bad.onnx (is not an ONNX file|holds no sisegcli network)"):
            load_exported(path)


def test_onnx_whose_names_are_no_text(onnx_bytes, tmp_path, capfd) -> None:
    path = tmp_path / "bad.onnx"
    name = b"network/displacement"
    for bad in (b"network/displacemen\xff", b"\xffetwork/displacement"):
        path.write_bytes(onnx_bytes.replace(name, bad))
        with pytest.raises(CheckpointError, match=r"bad.onnx (is not an ONNX file|holds a network that ONNX Runtime)"):
            load_exported(path)
    assert capfd.readouterr() == ("", "")


def test_onnx_without_one_of_its_networks(onnx_bytes, tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(onnx_bytes)
    kept = [node for node in model.graph.node if not node.output[0].startswith("edges/")]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "holds a network that ONNX Runtime cannot read (edges); export it again.")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_onnx_whose_answers_are_no_numbers(value, onnx_bytes, tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(onnx_bytes)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("network/") and tensor.data_type == 1:
            array = np.full(tuple(tensor.dims), value, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "answers with what is no number; export it again.")


def test_answers_of_another_shape_and_engines_that_fail() -> None:
    graph = Graph("wholeness", ("windows", "things", "shapes"), ("logits",))

    def explode(_):
        raise RuntimeError("out of everything\nat line 3")

    shown = [torch.zeros(2, c, 32, 32) for c in (3, 1, 1)]
    for run, said in (
        (lambda _: [np.zeros((2, 3), np.float32)], "does not answer as its networks do; export it again."),
        (lambda _: [np.zeros((2, 2), np.float64)], "does not answer as its networks do; export it again."),
        (lambda _: [], "does not answer as its networks do; export it again."),
        (explode, "cannot be run (out of everything); export it again."),
    ):
        with pytest.raises(CheckpointError) as caught:
            Engine(graph, run, Path("x.onnx"))(*shown)
        assert str(caught.value) == f"x.onnx {said}"


@pytest.mark.parametrize(
    ("suffix", "module", "extra"), [(".onnx", onnx_file, "onnx"), (".xml", openvino_file, "openvino")]
)
def test_missing_packages(suffix, module, extra, described, monkeypatch, tmp_path, request) -> None:
    def missing(name, error):
        raise error

    path = tmp_path / f"a{suffix}"
    if suffix == ".xml":
        files = request.getfixturevalue("openvino_files")
        for file in companions(files):
            (tmp_path / f"a{file.suffix}").write_bytes(file.read_bytes())
    else:
        path.write_bytes(b"")
    monkeypatch.setattr(module, "import_engine", missing)
    refused(path, f"needs more packages; pip install 'sisegcli[{extra}]'.")
    write = write_onnx if suffix == ".onnx" else write_openvino
    with pytest.raises(OptionError) as caught:
        write(tmp_path / f"b{suffix}", *described)
    assert str(caught.value) == f"--to {extra} needs more packages; pip install 'sisegcli[{extra}]'."


def test_weights_of_another_engine_are_not_trained_on(tmp_path) -> None:
    path = tmp_path / "a.onnx"
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(caught.value) == (
        f"{path} is exported, and only converts; give the .safetensors file that it was made of."
    )


# -- bad files of OpenVINO, which are read without it ------------------------------------------------------------------


def told(**changes) -> str:
    sizes = {graph.name: 1 for graph in graphs_of(CONFIG)}
    facts = Description(CONFIG, 16, sizes, {}).to_metadata() | {
        openvino_file.SUM: hashlib.sha256(b"numbers").hexdigest()
    }
    return json.dumps({k: v for k, v in (facts | changes).items() if v is not None}).replace('"', "&quot;")


def xml(value: str, layers: str = "") -> str:
    return f'<net><layers>{layers}</layers><rt_info><sisegcli value="{value}"/></rt_info></net>'


BILLION = '<!DOCTYPE a [<!ENTITY b "xx"><!ENTITY c "&b;&b;&b;&b;">]><net>&c;</net>'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not a file of OpenVINO, or it is damaged; export it again."),
        ("<net>", "is not a file of OpenVINO, or it is damaged; export it again."),
        (BILLION, "is not a file of OpenVINO, or it is damaged; export it again."),
        (xml("[]"), "is not a file of OpenVINO, or it is damaged; export it again."),
        (xml("[" * 100_000), "is not a file of OpenVINO, or it is damaged; export it again."),
        ("<net/>", "holds no sisegcli network; use a file that 'sisegcli export' wrote."),
        (xml("{}"), "holds no sisegcli network; use a file that 'sisegcli export' wrote."),
        (xml(told(format="3")), "holds no sisegcli network; use a file that 'sisegcli export' wrote."),
        (xml(told(exported=None)), SAYS_NOTHING),
        (
            xml(told(), '<layer type="Loop"/>'),
            "holds loops or branches, which no file of 'sisegcli export' does; export it again.",
        ),
        (xml(told()), "is nothing without bad.bin beside it; copy both."),
    ],
)
def test_bad_files_of_openvino(content, sentence, tmp_path) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(content)
    refused(path, sentence)


def test_a_bin_of_another_file(tmp_path) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(xml(told()))
    path.with_suffix(".bin").write_bytes(b"other numbers")
    with pytest.raises(CheckpointError) as caught:
        load_exported(path)
    assert str(caught.value) == f"{tmp_path / 'bad.bin'} does not belong to bad.xml; copy both, or export them again."


def test_a_file_of_openvino_without_layers(tmp_path) -> None:
    import_or_skip("openvino")
    path = tmp_path / "bad.xml"
    path.write_text(xml(told()))
    path.with_suffix(".bin").write_bytes(b"numbers")
    refused(path, "holds a network that OpenVINO cannot read; export it again.")
