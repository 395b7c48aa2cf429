import os
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from sisegcli import __version__
from sisegcli.cli import app
from sisegcli.cli.commands import COMMANDS as SENTENCES

HEAVY = ("torch", "scipy", "pycocotools", "PIL", "numpy", "skimage", "cc3d", "safetensors", "tifffile", "rich.console")
LISTS = ("formats", "categories", "weights", "export", "doctor")
"""Commands with so few options that these need no sections."""
COMMANDS = ("convert", "merge", "train", "evaluate", "report", "preview", *LISTS)


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})


def test_version():
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"sisegcli {__version__}\n")


@pytest.mark.parametrize("name", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help_works_everywhere(command, name):
    result = invoke(*command, name)
    assert result.exit_code == 0
    assert " ".join(["Usage: sisegcli", *command]) in " ".join(result.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_says_of_a_command_what_its_docstring_says(command):
    assert list(SENTENCES) == list(COMMANDS)
    assert typer.main.get_command(app).commands[command].get_short_help_str(limit=10_000) == SENTENCES[command]


def test_what_is_no_command_is_refused_with_the_nearest_one():
    result = invoke("convrt", "--help")
    assert result.exit_code == 2
    assert "No such command 'convrt'. Did you mean 'convert'?" in result.output


def test_no_arguments_show_the_help():
    result = invoke()
    assert result.exit_code == 2
    for command in COMMANDS:
        assert f"\n  {command} " in result.output


def test_the_help_of_convert_has_sections_and_every_option():
    text = invoke("convert", "--help").stdout
    for section in ("Input", "Output", "Method", "Running"):
        assert f"\n\n{section}\n  --" in text
    options = (
        "split images masks ignore background categories to polygons overlay method device batch-size workers weights "
        "min-area min-score no-refine edges out overwrite json"
    )
    for option in options.split():
        assert f"  --{option} " in text


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in LISTS])
def test_all_options_but_help_have_a_section_of_their_own(command):
    text = invoke(command, "--help").stdout
    assert re.fullmatch(" +-h, --help +Show this message and exit.\n", text.split("\n\nOptions\n")[1])


@pytest.mark.parametrize("columns", [40, 66, 100, 300])
@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_help_is_as_wide_as_the_terminal_and_no_wider(command, columns):
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": str(columns)})
    longest = max(len(line) for line in result.stdout.splitlines() if "<" not in line)  # names are never broken
    assert longest <= min(columns, 120)
    if command == ["convert"]:  # which has enough to say
        assert longest > min(columns, 120) - 10


def test_headings_are_bold_unless_nobody_wants_that():
    def headings(**env):
        text = CliRunner().invoke(app, ["--help"], env={"TERM": "xterm", "NO_COLOR": "", **env}, color=True).stdout
        return text.count("\x1b[1mCommands\x1b[0m"), text.count("\x1b")

    assert headings() == (1, 4)
    assert headings(NO_COLOR="1") == (0, 0)
    assert headings(TERM="dumb") == (0, 0)


def test_the_help_lists_what_edges_may_do_and_what_recipes_there_are():
    wide = {"COLUMNS": "300"}
    text = " ".join(CliRunner().invoke(app, ["convert", "--help"], env=wide).stdout.split())
    [line] = [part for part in text.split("--") if part.startswith("edges ")]
    assert "auto|keep|refine" in line and "[default: auto]" in line
    text = " ".join(CliRunner().invoke(app, ["train", "--help"], env=wide).stdout.split())
    [line] = [part for part in text.split(" --") if part.startswith("recipe ")]
    assert "default|unpasted|paper|edges|wholes" in line and "the edge refiner or the wholeness network alone" in line


def test_the_help_of_train_has_every_option():
    text = invoke("train", "--help").stdout
    options = (
        "split images masks ignore background categories val out overwrite json recipe epochs minutes crop batch-size "
        "lr seed backbone backbone-weights resume device workers tensorboard"
    )
    for option in options.split():
        assert f"--{option} " in text


def test_an_unknown_option_is_a_usage_error():
    result = invoke("convert", "--nonsense")
    assert result.exit_code == 2
    assert "Error: No such option: --nonsense" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["convert", "--help"], ["train", "-h"], ["report", "-h"], ["merge", "--nonsense"]]
)
def test_help_and_usage_errors_import_nothing_heavy(arguments):
    script = (
        "import sys\nfrom sisegcli.cli import app\n"
        f"try: app({arguments!r})\nexcept SystemExit: pass\n"
        f"print('heavy:', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "sisegcli", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"sisegcli {__version__}\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sisegcli con", ["convert"]),
        ("sisegcli convert --me", ["--method"]),
        ("sisegcli convert --method ", ["siseg", "components", "watershed"]),
    ],
)
def test_a_shell_completes_commands_options_and_values(words, found):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_SISEGCLI_COMPLETE": "complete_bash"}
    command = [sys.executable, "-c", "from sisegcli.cli import main; main()"]
    result = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert result.stdout.split() == found
