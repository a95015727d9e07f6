"""The generated parts of the documentation: variables, columns and commands, listed from the code when the site is built.

A page says where with a marker: `<!-- NAME -->` of one of the functions below, or `<!-- include: PATH -->`.
https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.views.catalog import root_views
from ticket_events_pipeline.views.lake import Lake

CHECKOUT = Path(__file__).parents[1]
MARKER = re.compile(r"<!-- (variables|columns|commands|views|include: (\S+)) -->")


def on_page_markdown(markdown: str, **_: object) -> str:
    """The page with its markers replaced."""
    return MARKER.sub(_generated, markdown)


def _generated(marker: re.Match[str]) -> str:
    if marker[2] is not None:
        return _included(CHECKOUT / marker[2])
    return {"variables": variables, "columns": columns, "commands": command_reference, "views": views}[marker[1]]()


def variables() -> str:
    """A table of the variables of the packaged `env.example`: each with the comment above it and its default."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    comment: list[str] = []
    for line in (CHECKOUT / "ticket_events_pipeline" / "cli" / "templates" / "env.example").read_text().splitlines():
        variable = re.fullmatch(r"#(\w+)=(.*)", line)
        if variable:
            rows.append(f"| `{variable[1]}` | {variable[2] or 'none'} | {' '.join(comment)} |")
            comment = []
        elif line.startswith("# ---"):
            comment = []
        elif line.startswith("# "):
            comment.append(line.removeprefix("# ").strip())
    return "\n".join(rows)


def columns() -> str:
    """A section for each table of the contract: its columns in order, with type and meaning."""
    sections = []
    for table in (table for table in TABLES.values() if not table.is_internal):
        rows = [f"| `{column.name}` | {column.type} | {column.doc} |" for column in table.columns]
        sections.append("\n".join([f"## {table.name}\n", "| column | type | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(sections)


def views() -> str:
    """A table of the DuckDB views: what each is, as its comment says it."""
    with TemporaryDirectory() as root:
        found = root_views(FolderStore(Path(root)), Lake.of(root, "UTC"))
    return "\n".join(["| view | meaning |", "|---|---|", *(f"| `{view.name}` | {view.doc} |" for view in found)])


def command_reference() -> str:
    """The help of each command, as the command line prints it."""
    return "\n\n".join(_helps(click.Context(commands, info_name="ticket-events"), commands))


def _helps(context: click.Context, group: click.Group) -> Iterator[str]:
    for name, command in group.commands.items():
        own = click.Context(command, info_name=name, parent=context)
        yield f"## {own.command_path}\n\n```text\n{command.get_help(own)}\n```"
        if isinstance(command, click.Group):
            yield from _helps(own, command)


def _included(path: Path) -> str:
    """A Markdown file of the package, one heading level down."""
    return re.sub(r"^(#+) ", r"#\1 ", path.read_text(), flags=re.MULTILINE)
