"""Nothing in the package loads what could run: no pickle, no eval, no YAML with objects, no shell."""

import ast
from pathlib import Path

import sisegcli

FILES = sorted(Path(sisegcli.__file__).parent.rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "__import__"}
ALLOWED = {"openvino_file.py": ["ElementTree.fromstring"]}
"""XML without declarations, so without entities that grow; tests/test_network_exported.py gives it such files."""
METHODS = {
    *(("torch", "load"), ("torch", "save"), ("os", "system"), ("os", "popen")),
    *(("ElementTree", "parse"), ("ElementTree", "fromstring")),
}


def found(source):
    """Return what a module uses of what nobody should."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] in MODULES:
                    yield module
                yield from (f"{module}.{one.name}" for one in names if (module, one.name) in METHODS)
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in METHODS:
                yield f"{module}.{name}"
            case ast.keyword(arg="allow_pickle" | "shell" as name, value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield name
            case ast.keyword(arg="weights_only"):
                yield "weights_only"


def test_nothing_could_run_what_it_reads():
    assert len(FILES) > 150
    offending = {path.name: list(found(path.read_text(encoding="utf-8"))) for path in FILES}
    assert {name: uses for name, uses in offending.items() if uses} == ALLOWED


def test_what_is_looked_for_is_found():
    source = """
import pickle
from xml.etree import ElementTree
ElementTree.parse(path)
from yaml import load
from torch import load
torch.load(path, weights_only=True)
np.load(path, allow_pickle=True)
subprocess.run(command, shell=True)
eval("1")
network.eval()
re.compile("x")
np.load(path, allow_pickle=False)
"""
    names = ["ElementTree.parse", "allow_pickle", "eval", "pickle", "shell", "torch.load", "torch.load", "weights_only"]
    assert sorted(found(source)) == [*names, "yaml"]
