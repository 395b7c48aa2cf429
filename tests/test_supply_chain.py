"""The lock file covers what the package needs, and the audit says plainly what was not looked up."""

import json
import re
from pathlib import Path

import pytest
from audited import NONE, SOME, UNKNOWN, tell

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "scripts/requirements.lock").read_text(encoding="utf-8")
ENTRY = re.compile(r"([a-z0-9-]+)==([0-9][\w.]*)( ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def test_every_line_is_a_version_with_its_sums():
    assert "".join(match[0] for match in ENTRY.finditer(LOCK)) == LOCK
    assert "://" not in LOCK and "--index" not in LOCK


def test_all_that_the_package_needs_is_locked():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"\ndependencies = \[\n(.*?)\n\]", text, re.DOTALL)[1]
    needed = set(re.findall(r'^    "([a-z0-9-]+)', listed, re.MULTILINE))
    assert len(needed) > 8
    assert needed <= {match[1] for match in ENTRY.finditer(LOCK)}


def test_torch_is_the_one_that_scripts_install():
    environment = (ROOT / "scripts/_environment").read_text(encoding="utf-8")
    [version] = set(re.findall(r"TORCH_VERSION:-([0-9.]+)", environment + (ROOT / "scripts/lock").read_text()))
    assert [match[2] for match in ENTRY.finditer(LOCK) if match[1] == "torch"] == [version]


FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3"]}, {"id": "CVE-2"}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([FINE], NONE, ["1 package looked up: no known vulnerability."]),
        (
            [FINE, BAD],
            SOME,
            [
                "b 2: PYSEC-1, fixed in 2.1, 3",
                "b 2: CVE-2, fixed in none",
                "2 packages looked up: 2 known vulnerabilities.",
            ],
        ),
        ([FINE, SKIPPED], UNKNOWN, ["1 package looked up: no known vulnerability.", "Not looked up: c."]),
        ([SKIPPED], UNKNOWN, ["Nothing was looked up: the database of vulnerabilities could not be reached."]),
        ([], UNKNOWN, ["Nothing was looked up: the database of vulnerabilities could not be reached."]),
    ],
)
def test_what_the_audit_says(found, code, said):
    assert tell(json.dumps({"dependencies": found, "fixes": []})) == (code, said)


@pytest.mark.parametrize("text", ["", "Traceback", "[]", "{}", '{"dependencies": null}'])
def test_an_audit_that_failed_is_not_taken_for_a_good_one(text):
    assert tell(text)[0] == UNKNOWN
