"""Tell what pip-audit found, and what it could not look up, from its JSON: python scripts/audited.py FILE."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

NONE, SOME, UNKNOWN = 0, 1, 2
"""Exit codes: all looked up and nothing known, a known vulnerability, not all looked up."""


def tell(text: str) -> tuple[int, list[str]]:
    """Return the exit code and what to print.

    >>> tell('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}')
    (0, ['1 package looked up: no known vulnerability.'])
    >>> tell("")
    (2, ['Nothing was looked up: the database of vulnerabilities could not be reached.'])
    """
    try:
        dependencies: list[dict[str, Any]] = json.loads(text)["dependencies"] or []
    except (ValueError, KeyError, TypeError):
        dependencies = []
    known = [one for one in dependencies if "vulns" in one]
    said = [
        f"{one['name']} {one['version']}: {fault['id']}, fixed in {', '.join(fault.get('fix_versions', [])) or 'none'}"
        for one in known
        for fault in one["vulns"]
    ]
    if not known:
        return UNKNOWN, ["Nothing was looked up: the database of vulnerabilities could not be reached."]
    faults = len(said)
    packages = f"{len(known)} package{'s' * (len(known) > 1)} looked up: "
    said.append(packages + (f"{faults} known vulnerabilities." if faults else "no known vulnerability."))
    if missed := [one["name"] for one in dependencies if "vulns" not in one]:
        said.append(f"Not looked up: {', '.join(missed)}.")
    return SOME if faults else UNKNOWN if missed else NONE, said


def main() -> int:
    """Print it."""
    code, said = tell(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write("".join(f"{line}\n" for line in said))
    return code


if __name__ == "__main__":
    sys.exit(main())
