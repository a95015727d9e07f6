"""`ticket-events views`: writes the DuckDB views of the root, as SQL or into a DuckDB file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from ticket_events_pipeline.cli.sandbox_hint import sandbox_hint
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import pip_install
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS
from ticket_events_pipeline.text import plural
from ticket_events_pipeline.views.catalog import root_views
from ticket_events_pipeline.views.lake import MAIN, Lake
from ticket_events_pipeline.views.script import views_script
from ticket_events_pipeline.views.sql import View


def run_views(*, output: Path | None, file: Path | None, schema: str) -> None:
    """Write the views to `output`, or make them in the DuckDB file `file`; without either, print them.

    Raises:
        UsageError: the root can't be read by DuckDB or at all; the file can't be written.
        DamagedFileError: a stored file can't be read.
    """
    pipeline = pipeline_of(os.environ)
    settings = pipeline.root_settings
    lake = Lake.of(pipeline.store.location, settings.timezone, schema=schema)
    views = root_views(pipeline.store, lake, custom_fields=settings.dimensions)
    if file is not None:
        _make(file, lake, views)
    if output is not None:
        _write(output, views_script(lake, views))
        click.echo(f"{plural(len(views), 'view')} in {output}", err=True)
    elif file is None:
        click.echo(views_script(lake, views), nl=False)
    _note_empty(views, pipeline.store)


def _make(file: Path, lake: Lake, views: Sequence[View]) -> None:
    try:
        from ticket_events_pipeline.views.duckdb_file import write_views
    except ImportError as error:
        raise UsageError(f"--duckdb needs more installed: {pip_install('sql')}") from error
    if lake.schema != MAIN and file.name.partition(".")[0].lower() == lake.schema.lower():
        raise click.UsageError(
            f"--schema {lake.schema}: DuckDB calls the file {lake.schema} too. Take another name for one of them."
        )
    done = write_views(file, lake, views)
    click.echo(f"{plural(len(done.made), 'view')} in {file}, schema {lake.schema}", err=True)
    if done.dropped:
        click.echo(f"Dropped, as no longer made: {', '.join(done.dropped)}", err=True)
    click.echo(f"In a session that compares times with days, first: SET TimeZone = '{lake.timezone}';", err=True)


def _write(output: Path, script: str) -> None:
    half_written = output.with_name(f".{output.name}.half")
    try:
        half_written.write_text(script, encoding="utf-8")
        half_written.replace(output)
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror or error}") from error


def _note_empty(views: Sequence[View], store: Store) -> None:
    """Name what has no file yet: DuckDB can't make a view that begins to work with the first one."""
    if waiting := [view.name for view in views if view.is_empty]:
        hint = sandbox_hint(store, METRIC_EVENTS) if METRIC_EVENTS in waiting else ""
        click.echo(
            f"No file is stored yet for {', '.join(waiting)}: empty until the command is run again with files there.{hint}",
            err=True,
        )
