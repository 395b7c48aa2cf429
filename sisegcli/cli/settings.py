"""Options from elsewhere than the command line: variables ``SISEG_COMMAND_OPTION`` and a file, ``sisegcli.toml``.

The command line goes first, then the environment, the file, and the default. A variable and a key of the file are
called as the option is; tables of the file as the commands are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperOption

from sisegcli.data.texts import read_text
from sisegcli.errors import OptionError

FILE = "sisegcli.toml"
"""Read where it lies in the current directory and no other is named."""

CONFIG = "SISEG_CONFIG"
"""The variable that names another file."""

FOR_ALL = {"verbose": ("SISEG_VERBOSE",), "quiet": ("SISEG_QUIET",)}
"""Variables for the options of that name of all commands; that of one command goes before them."""

MAX_FILE = 2**20
"""Largest file that is read, in bytes; that of all options has a few thousand."""


class Configurable:
    """Fills in options that the command line leaves open; to be mixed into a command of Typer's."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        command: Any = self
        for name, option in options_of(command).items():
            option.envvar = [variable(command.name, name), *FOR_ALL.get(name, ())]
            option.show_envvar = False  # help says it once, not for each option

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse; whoever asks for help gets it, whatever is wrong elsewhere."""
        command: Any = self
        path = None
        if ctx.parent is not None and not set(args) & set(ctx.help_option_names):
            path = config_file(ctx.find_root().params.get("config"))
            tables = {} if path is None else read_tables(path, ctx.find_root().command.commands)
            refuse_unknown_variables(command, os.environ)
            ctx.default_map = tables.get(command.name, {})
        try:
            rest = super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.BadParameter as error:
            option: Any = error.param
            source = getattr(ctx.get_parameter_source(option.name), "name", "") if option is not None else ""
            named = next((name for name in getattr(option, "envvar", None) or () if os.environ.get(name)), None)
            origin = {"ENVIRONMENT": named, "DEFAULT_MAP": path}.get(source)
            if origin is not None:
                error.message += f" It comes from {origin}."
            raise
        choose_loudness(ctx)
        return rest


def options_of(command: Any) -> dict[str, Any]:
    """Return the options of a command by their long names, without dashes in front."""
    found = {}
    for option in command.params:
        long = [name for name in option.opts if name.startswith("--")]
        if isinstance(option, TyperOption) and long:
            found[long[0].removeprefix("--")] = option
    return found


def choose_loudness(ctx: Any) -> None:
    """Let the nearer of --verbose and --quiet go before the other, the command line before the environment, say.

    Raises
    ------
    OptionError
        If both come from the same place.
    """
    asked = {name: ctx.get_parameter_source(name).name for name in FOR_ALL if ctx.params.get(name)}
    if len(asked) < len(FOR_ALL):
        return
    if len(set(asked.values())) == 1:
        raise OptionError("--verbose and --quiet contradict each other; choose one of them.")
    nearest_first = sorted(asked, key=lambda name: ("COMMANDLINE", "ENVIRONMENT", "DEFAULT_MAP").index(asked[name]))
    ctx.params[nearest_first[1]] = False


def variable(command: str, option: str) -> str:
    """Return the environment variable of an option.

    >>> variable("convert", "min-area")
    'SISEG_CONVERT_MIN_AREA'
    """
    return f"SISEG_{command}_{option}".replace("-", "_").upper()


def refuse_unknown_variables(command: Any, environment: Mapping[str, str]) -> None:
    """Raise an `OptionError` if a variable is called as those of a command, and none of its options is."""
    known = {variable(command.name, name) for name in options_of(command)}
    for name in sorted(environment):
        if name.startswith(variable(command.name, "")) and name not in known:
            raise OptionError(
                f"The environment variable {name} is no option of 'sisegcli {command.name}'{_guess(name, known)}."
            )


def config_file(named: Path | None) -> Path | None:
    """Return the file to read: the one that was named, or that of the current directory, or None.

    Raises
    ------
    OptionError
        If the file that was named is not there.
    """
    if named is None:
        return Path(FILE) if Path(FILE).is_file() else None
    if not named.is_file():
        raise OptionError(f"There is no file {named}; --config and {CONFIG} name a TOML file.")
    return named


def read_tables(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read a file of options.

    Parameters
    ----------
    path : Path
        A TOML file, with a table for each command.
    commands : mapping
        All commands by name.

    Returns
    -------
    dict
        For each command of the file the values of its parameters, by the parameters' names in Python.

    Raises
    ------
    OptionError
        If it is no TOML, or something in it is no command, no option, or no value.
    """
    tables = {}
    for name, table in _read_toml(path).items():
        if name not in commands or not isinstance(table, dict):
            raise OptionError(f"{path}: '{name}' is no table of a command{_guess(name, commands)}.")
        options = options_of(commands[name])
        values = {}
        for key, value in table.items():
            if key not in options:
                raise OptionError(f"{path}: [{name}] '{key}' is no option of that command{_guess(key, options)}.")
            values[options[key].name] = _value(value, options[key], f"{path}: [{name}] '{key}'")
        tables[name] = values
    return tables


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables: dict[str, Any] = tomllib.loads(read_text(path, "utf-8", limit=MAX_FILE))
    except RecursionError as error:
        raise OptionError(f"{path} cannot be read as TOML (it is nested too deeply); correct it.") from error
    except (OSError, ValueError) as error:  # both of the parser's and the decoder's errors are ValueErrors
        raise OptionError(f"{path} cannot be read as TOML ({error}); correct it or name another.") from error
    return tables


def _value(value: Any, option: Any, where: str) -> Any:
    """Return a value as the command line would give it, so that it is checked in the same way."""
    if isinstance(value, dict) or (isinstance(value, list) and not option.multiple):
        raise OptionError(f"{where} takes one value.")
    if option.multiple:
        return [str(one) for one in (value if isinstance(value, list) else [value])]
    if isinstance(value, bool) != bool(option.is_flag):
        raise OptionError(f"{where} takes {'true or false' if option.is_flag else 'a value, not true or false'}.")
    return value if option.is_flag else str(value)


def _guess(name: str, known: Iterable[str]) -> str:
    import difflib  # late, for a quick start

    found = difflib.get_close_matches(name, list(known), 1)
    return f"; perhaps '{found[0]}' is meant" if found else ""
