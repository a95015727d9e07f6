"""`ticket-events publish`: copies the stored days that changed into Delta or Iceberg tables."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import click

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.publish.open_format import opened_format
from ticket_events_pipeline.publish.plan import Why
from ticket_events_pipeline.publish.publisher import Published, Wanted, expire_history, publish
from ticket_events_pipeline.publish.stored import PUBLISHED
from ticket_events_pipeline.publish.target import parse_target
from ticket_events_pipeline.settings import PUBLISH_URIS, publish_settings
from ticket_events_pipeline.text import plural

_Say = Callable[[str], None]

_DONE = {Why.NEW: "new", Why.CHANGED: "changed", Why.REMOVED: "removed"}


class PublishOptions(NamedTuple):
    """The command's options; see its help."""

    targets: Sequence[tuple[str, str]]
    assets: Sequence[str]
    is_dry_run: bool
    keeps_removed: bool
    adopts: bool
    expire_days: int | None
    is_json: bool


def run_publish(options: PublishOptions) -> bool:
    """Publish to each target, by default to those of the variables; whether everything could be published.

    Raises:
        click.UsageError: no target, or an unknown asset.
        UsageError, TransientError: the root or a target can't be read or written.
    """
    unknown = [name for name in options.assets if name not in PUBLISHED]
    if unknown:
        raise click.UsageError(f"--asset {unknown[0]}: not one of {', '.join(PUBLISHED)}.")
    settings = publish_settings(os.environ)
    targets = options.targets or list(settings.targets.items())
    if not targets:
        raise click.UsageError(f"Nowhere to publish to: give --to, or set {' or '.join(PUBLISH_URIS.values())}.")
    note = partial(click.echo, err=True)
    pipeline = pipeline_of(os.environ, log=note)
    root = pipeline.root_settings
    wanted = Wanted(options.assets or PUBLISHED, options.keeps_removed, options.is_dry_run, options.adopts)
    found: list[dict[str, Any]] = []
    for name, text in targets:
        uri = parse_target(text, root.root)
        with opened_format(name, uri, settings.catalog, is_to_change=not options.is_dry_run) as tables:
            for made in publish(pipeline.store, root, tables, wanted, log=note):
                found.append({"format": name, **_document(made)})
                if not options.is_json:
                    _print(made, is_dry_run=options.is_dry_run)
            if options.expire_days is not None and not options.is_dry_run:
                now = dt.datetime.fromtimestamp(wall_clock(), dt.UTC)
                before = now - dt.timedelta(days=options.expire_days)
                for url, files in expire_history(tables, wanted.assets, before=before, now=now).items():
                    note(f"{url}: {plural(files, 'data file')} of old states removed.")
    if options.is_json:
        click.echo(json.dumps(found, indent=1))
    return not any(made["problems"] for made in found)


def _print(made: Published, *, is_dry_run: bool) -> None:
    if not made.stored and not made.version and not made.problems:
        return
    counts = ", ".join(f"{plural(number, f'{_DONE[why]} day')}" for why, number in sorted(made.days.items()))
    verb = "to publish: " if is_dry_run else ""
    state = f"version {made.version}" if made.version else "no table yet"
    colour = "red" if made.problems else "green"
    click.secho(f"{made.asset:<32} {verb}{counts or 'up to date'}; {made.url}, {state}", fg=colour)
    for problem in made.problems:
        click.secho(f"      {problem}", fg="red")


def _document(made: Published) -> dict[str, Any]:
    """The result for scripts. A contract: keys may be added, and none changes."""
    return {
        "asset": made.asset,
        "url": made.url,
        "version": made.version,
        "stored_days": made.stored,
        **{f"{_DONE[why]}_days": made.days[why] for why in Why},
        "rows": made.rows,
        "problems": made.problems,
    }
