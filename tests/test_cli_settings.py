"""Options from the environment and from ``sisegcli.toml``: the command line first, then these, then defaults."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.cli.settings import FILE, FOR_ALL, options_of, variable
from sisegcli.running import anywhere

PROGRAM = typer.main.get_command(app)


class ReachedError(Exception):
    """The options arrived where the work would begin."""


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """Return a function that runs convert in an empty folder and returns its options, or its error."""
    monkeypatch.chdir(tmp_path)
    seen = []

    def run(options, progress):
        seen.append(options)
        raise ReachedError

    monkeypatch.setattr(anywhere, "convert_anywhere", run)

    def go(*arguments, before=(), file=None, env=None):
        if file is not None:
            (tmp_path / FILE).write_text(file, encoding="utf-8")
        seen.clear()
        wide = {"COLUMNS": "200", "TERM": "dumb"}
        result = CliRunner().invoke(app, [*before, "convert", "photos", *arguments], env=wide | (env or {}))
        if seen:
            return seen[0]
        return result.exit_code, result.stderr.strip().splitlines()[-1]

    return go


FILES, ENV, LINE = "[convert]\nmin-area = 3\n", {"SISEG_CONVERT_MIN_AREA": "5"}, ("--min-area", "7")


@pytest.mark.parametrize(
    ("line", "env", "file", "expected"),
    [
        ((), {}, None, 0),
        ((), {}, FILES, 3),
        ((), ENV, None, 5),
        ((), ENV, FILES, 5),
        (LINE, {}, None, 7),
        (LINE, {}, FILES, 7),
        (LINE, ENV, None, 7),
        (LINE, ENV, FILES, 7),
        ((), {"SISEG_CONVERT_MIN_AREA": ""}, FILES, 3),  # empty is not set
    ],
)
def test_the_command_line_goes_before_the_environment_and_that_before_the_file(convert, line, env, file, expected):
    assert convert(*line, env=env, file=file).min_area == expected


def test_values_of_every_kind_from_the_file(convert):
    options = convert(
        file="""
        [convert]
        to = ["coco", "voc"]
        overlay = true
        no-refine = true
        edges = "keep"
        min-score = 0.25
        tile = 512
        device = "cpu"
        ignore = "none"
        out = "elsewhere"

        [train]
        epochs = 3
        """
    )
    assert (options.to, options.overlay, options.refine, options.edges) == (("coco", "voc"), True, False, "keep")
    assert (options.min_score, options.tile, options.device, options.ignore) == (0.25, 512, "cpu", None)
    assert str(options.out) == "elsewhere"
    assert convert(file='[convert]\nto = "voc"\n').to == ("voc",)


def test_values_of_every_kind_from_the_environment(convert):
    env = {"TO": "coco voc", "OVERLAY": "1", "NO_REFINE": "false", "EDGES": "keep", "MIN_SCORE": "0.25", "OUT": "x"}
    options = convert(env={f"SISEG_CONVERT_{name}": value for name, value in env.items()})
    assert (options.to, options.overlay, options.refine, options.edges) == (("coco", "voc"), True, True, "keep")
    assert (options.min_score, str(options.out)) == (0.25, "x")


def test_another_file_is_named_by_an_option_or_a_variable(convert, tmp_path):
    (tmp_path / "a.toml").write_text("[convert]\nmin-area = 11\n")
    (tmp_path / "b.toml").write_text("[convert]\nmin-area = 13\n")
    assert convert(before=("--config", "a.toml"), file=FILES).min_area == 11
    assert convert(env={"SISEG_CONFIG": "b.toml"}, file=FILES).min_area == 13
    assert convert(before=("--config", "a.toml"), env={"SISEG_CONFIG": "b.toml"}).min_area == 11
    assert convert(before=("--config", "c.toml")) == (
        2,
        "Error: There is no file c.toml; --config and SISEG_CONFIG name a TOML file.",
    )


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("[convrt]\n", "'convrt' is no table of a command; perhaps 'convert' is meant."),
        ("min-area = 3\n", "'min-area' is no table of a command."),
        (
            "[convert]\nmin_area = 3\n",
            "[convert] 'min_area' is no option of that command; perhaps 'min-area' is meant.",
        ),
        ("[train]\nzzzz = 3\n", "[train] 'zzzz' is no option of that command."),
        ("[convert]\nmin-area = [3]\n", "[convert] 'min-area' takes one value."),
        ("[convert]\nmin-area = true\n", "[convert] 'min-area' takes a value, not true or false."),
        ("[convert]\noverlay = 1\n", "[convert] 'overlay' takes true or false."),
    ],
)
def test_what_is_wrong_in_the_file_is_one_sentence(convert, file, sentence):
    assert convert(file=file) == (2, f"Error: {FILE}: {sentence}")


def test_a_file_that_is_no_toml(convert):
    code, said = convert(file="[convert\n")
    assert code == 2 and said.startswith(f"Error: {FILE} cannot be read as TOML (")


def test_values_that_an_option_refuses_say_where_they_come_from(convert):
    code, said = convert(file='[convert]\nmin-area = "many"\n')
    assert code == 2 and "'--min-area'" in said and said.endswith(f" It comes from {FILE}.")
    code, said = convert(env={"SISEG_CONVERT_EDGES": "soft"})
    assert code == 2 and "'--edges'" in said and said.endswith(" It comes from SISEG_CONVERT_EDGES.")
    code, said = convert("--min-area", "many")
    assert code == 2 and "It comes from" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVERT_MIN_AREA", "9" * 5000),
        ("CONVERT_MIN_AREA", "-1"),
        ("CONVERT_MIN_SCORE", "nan"),
        ("CONVERT_OVERLAY", "maybe"),
        ("CONVERT_TILE", "1e3"),
        ("CONVERT_TO", "nothing"),
        ("CONVERT_BACKGROUND", "\u00b2"),
        ("CONFIG", "/dev/zero"),
        ("CONFIG", "."),
        ("CONFIG", "a\nb"),
    ],
)
def test_a_variable_with_a_value_that_makes_no_sense(convert, name, value):
    code, said = convert(env={f"SISEG_{name}": value})
    assert code == 2 and said and "Traceback" not in said


def test_a_variable_that_is_no_option(convert):
    assert convert(env={"SISEG_CONVERT_MIN_AERA": "3"}) == (
        2,
        "Error: The environment variable SISEG_CONVERT_MIN_AERA is no option of 'sisegcli convert'; "
        "perhaps 'SISEG_CONVERT_MIN_AREA' is meant.",
    )
    assert convert(env={"SISEG_TRAIN_NONSENSE": "3", "SISEG_DATA": "x"}).min_area == 0  # not convert's


def test_help_is_there_whatever_is_wrong_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE).write_text("nonsense")
    assert CliRunner().invoke(app, ["convert", "-h"]).exit_code == 0


def test_every_option_has_a_variable_of_its_own():
    names = [variable(name, option) for name, command in PROGRAM.commands.items() for option in options_of(command)]
    assert len(names) == len(set(names)) > 50
    for name, command in PROGRAM.commands.items():
        for option, parameter in options_of(command).items():
            assert parameter.envvar == [variable(name, option), *FOR_ALL.get(option, ())] and not parameter.show_envvar
