"""Write the checksums of the weights that ship, weights/SHA256SUMS.

    python scripts/sum_weights.py [FOLDER]

Run it whenever a file in weights/ changes; `sisegcli weights verify` and `sha256sum --check` read the list.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sisegcli.weight_files import SUMS, checksum


def sums(folder: Path) -> str:
    """Return the list, a line for each weights file of a folder."""
    return "".join(f"{checksum(path)}  {path.name}\n" for path in sorted(folder.glob("*.safetensors")))


def main() -> None:
    """Write the list."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "weights"
    (folder / SUMS).write_text(sums(folder), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
