"""Turn semantic masks into object instances, with a network trained on semantic masks alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sisegcli.categories import Categories, Category
    from sisegcli.data.category_lists import load_categories
    from sisegcli.errors import SisegError
    from sisegcli.instances import Instance
    from sisegcli.segmenter import Segmenter

__version__ = "0.1.0"

__all__ = ["Categories", "Category", "Instance", "Segmenter", "SisegError", "__version__", "load_categories"]

_HOMES = {
    "Categories": "categories",
    "Category": "categories",
    "Instance": "instances",
    "Segmenter": "segmenter",
    "SisegError": "errors",
    "load_categories": "data.category_lists",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are asked for, so that the command line starts without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sisegcli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"sisegcli.{_HOMES[name]}"), name)
