"""What is asked of the allocator."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

from sisegcli.running.memory import KEPT, LARGEST, SECONDS, Holes, keep_freed_memory


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


def test_holes_are_given_back_now_and_then(monkeypatch):
    now, trimmed = [100.0], []
    library = SimpleNamespace(malloc_trim=lambda kept: trimmed.append((now[0], kept)) or 1)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr("sisegcli.running.memory.time.monotonic", lambda: now[0])
    holes = Holes()
    for step in (0.0, SECONDS / 2, SECONDS, SECONDS + 0.1, 2 * SECONDS):
        now[0] = 100 + step
        holes.give_back()
    assert trimmed == [(100 + SECONDS, 0), (100 + 2 * SECONDS, 0)]


def test_without_glibc_no_holes_are_given_back(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    monkeypatch.setattr("sisegcli.running.memory.SECONDS", 0.0)
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert not Holes().give_back()
