"""Packages of other engines, which come with extras."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from sisegcli.errors import SisegError


def import_engine(name: str, error: SisegError) -> Any:
    """Import a package; raise an error where it is missing.

    OpenVINO is kept from reporting its use to its makers, as it does by default.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise error from missing
