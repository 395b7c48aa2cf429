"""Check that a wheel holds all that the package needs, and little more: python scripts/check_wheel.py WHEEL."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MEGABYTES = 30
"""What a wheel may take at most."""
PARTS = {"sisegcli": "sisegcli", "weights": "sisegcli/weights"}
"""Folders of the repository, and where they are in the wheel."""


def wanted() -> Iterator[str]:
    """Yield the names of all files that belong into a wheel."""
    for folder, place in PARTS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{place}/{path.relative_to(ROOT / folder).as_posix()}"


def faults(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel, a sentence each."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = next((archive.read(name).decode() for name in held if name.endswith(".dist-info/METADATA")), "")
    said = [f"{name} is missing." for name in sorted(set(wanted()) - held)]
    said += [f"{name} does not belong there." for name in sorted(held) if not name.startswith("sisegcli")]
    if "Requires-Python: >=3.10" not in metadata:
        said.append("Its metadata does not ask for Python 3.10.")
    size = wheel.stat().st_size / 1e6
    if size > MEGABYTES:
        said.append(f"It takes {size:.1f} MB, more than {MEGABYTES}.")
    return said


def main() -> int:
    """Check, and say what came of it."""
    wheel = Path(sys.argv[1])
    said = faults(wheel)
    sys.stdout.write("".join(f"{line}\n" for line in said) or f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB\n")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
