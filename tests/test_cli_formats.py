"""``sisegcli formats`` and ``sisegcli categories``."""

import json

import pytest
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.data.category_lists import LISTS, load_categories
from sisegcli.data.layouts import LAYOUTS
from sisegcli.evaluation import TRUTHS
from sisegcli.formats import FORMATS


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"}, catch_exceptions=False)


def test_formats_and_layouts_have_a_sentence_each():
    text = invoke("formats").stdout
    lines = {line.split(maxsplit=1)[0]: line for line in text.splitlines() if line.strip()}
    for name, about in [*((name, known.about) for name, known in FORMATS.items()), *LAYOUTS.items(), *TRUTHS.items()]:
        assert about.endswith(".") and about.split(". ")[0].rstrip(".") in text
        assert name in lines


def test_formats_as_json():
    content = json.loads(invoke("formats", "--json").stdout)
    assert [known["name"] for known in content["formats"]] == list(FORMATS)
    assert content["formats"][0]["outputs"] == ["instances.json"]
    assert {layout["name"]: layout["about"] for layout in content["layouts"]} == LAYOUTS
    assert {truth["name"]: truth["about"] for truth in content["truths"]} == TRUTHS


def test_no_two_formats_write_the_same_file():
    outputs = [output for known in FORMATS.values() for output in known.outputs]
    assert len(set(outputs)) == len(outputs)


def test_convert_names_the_formats_and_refuses_others(tmp_path):
    help_text = " ".join(invoke("convert", "-h").stdout.replace("│", " ").split())
    assert ", ".join(FORMATS) in help_text
    result = invoke("convert", str(tmp_path), "--to", "nonsense")
    assert result.exit_code == 2
    assert result.stderr == f"Error: There is no format 'nonsense'; choose from {', '.join(FORMATS)}.\n"


@pytest.mark.parametrize("name", LISTS)
def test_a_printed_list_reads_back(tmp_path, name):
    text = invoke("categories", name).stdout
    assert text.startswith("id,name,isthing,supercategory\n")
    (tmp_path / "mine.csv").write_text(text)
    assert load_categories(tmp_path / "mine.csv") == load_categories(name)
    (tmp_path / "mine.json").write_text(invoke("categories", name, "--json").stdout)
    assert load_categories(tmp_path / "mine.json") == load_categories(name)


def test_the_lists_are_named_where_none_is_asked_for():
    lines = invoke("categories").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(LISTS)
    assert [known["name"] for known in json.loads(invoke("categories", "--json").stdout)] == list(LISTS)


def test_a_list_that_is_none():
    result = invoke("categories", "nonsense")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: nonsense is neither a file nor one of the lists voc, coco")
