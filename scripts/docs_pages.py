"""What the documentation takes from elsewhere: the page of all commands, pictures of the examples, and the changelog.

MkDocs calls these functions (see ``mkdocs.yml``, ``hooks``).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.structure.files import File
from pygments.formatters import HtmlFormatter

from sisegcli.cli import app
from sisegcli.cli.help import help_sections

ROOT = Path(__file__).parent.parent
PROGRAM = "sisegcli"

PICTURE = re.compile(r"\]\(((?:\.\./)+)(examples/[\w.-]+\.png)\)")
"""A link to a picture of the examples, which lie beside the documentation and not in it."""

FOREIGN = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
"""What a browser would fetch from elsewhere."""

_LOG = logging.getLogger("mkdocs.hooks.docs_pages")


def on_files(files: Any, config: Any) -> Any:
    """Add files that are made, or that lie outside of ``docs/``."""
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "highlight.css", content=HtmlFormatter().get_style_defs(".highlight")))
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    for path in sorted((ROOT / "examples").glob("*.png")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to pictures of the examples, which are right in the repository, lead to where they are in the site.

    >>> on_page_markdown("![Scenes](../../examples/overview.png)")
    '![Scenes](../examples/overview.png)'
    """
    return PICTURE.sub(lambda found: f"]({found[1].removeprefix('../')}{found[2]})", markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Warn, which is an error when the build is strict, of what would be fetched from elsewhere."""
    for found in FOREIGN.findall(output):
        _LOG.warning("%s would fetch %s", page.file.src_uri, found)
    return output


def commands_page() -> str:
    """Return the page of all commands, made from what ``sisegcli COMMAND --help`` says."""
    program: Any = typer.main.get_command(app)
    context = program.make_context(PROGRAM, [], resilient_parsing=True)
    parts = [
        "# Commands",
        f"What follows is made from the program itself; `{PROGRAM} COMMAND --help` says the same. "
        "Every option may also stand in a file or an environment variable: see [settings](settings.md).",
        *_command(program, context),
    ]
    for name in program.list_commands(context):
        command = program.commands[name]
        parts += [f"## {PROGRAM} {name}", *_command(command, type(context)(command, info_name=name, parent=context))]
    return "\n\n".join(parts) + "\n"


def _command(command: Any, context: Any) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [*(command.help or "").split("\n\n"), f"```text\n{usage}\n```"]
    for heading, rows in help_sections(command, context).items():
        lines = [f"| {_code(name)} | {_plain(words)} |" for name, words in rows]
        parts.append("\n".join([f"| **{heading}** | |", "|---|---|", *lines]))
    return parts


def _code(text: str) -> str:
    r"""Write an option into a table.

    >>> _code("--tile auto|N|off")
    '<code>--tile auto&#124;N&#124;off</code>'
    """
    return f"<code>{_plain(text)}</code>"


def _plain(text: str) -> str:
    """Write words into a table, so that nothing in them has a meaning to Markdown.

    >>> _plain("one of *.png | <x>")
    'one of &#42;.png &#124; &lt;x&gt;'
    """
    return re.sub(r"[<>&|*_`\[\]\\]", lambda found: _ENTITIES.get(found[0]) or f"&#{ord(found[0])};", text)


_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
