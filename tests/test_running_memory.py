"""What is asked of the allocator."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

from sisegcli.running.memory import KEPT, LARGEST, keep_freed_memory


def test_glibc_is_asked_to_keep_what_is_freed(monkeypatch):
    asked = {}
    library = SimpleNamespace(mallopt=lambda name, value: asked.update({name: value}) or 1)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert keep_freed_memory()
    assert asked == {-3: LARGEST, -1: KEPT}


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert not keep_freed_memory()


def test_a_refusal_is_told(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *_: 0))
    assert not keep_freed_memory()
