"""`ticket-events publish`: copies the stored days that changed into Delta or Iceberg tables."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import click

from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.publish.plan import Why
from ticket_events_pipeline.publish.publisher import Published, Wanted
from ticket_events_pipeline.publish.stored import PUBLISHED
from ticket_events_pipeline.publish.targets import KeptHistory, Target, publish_to, targets_of
from ticket_events_pipeline.publish_settings import PUBLISH_URIS, publish_settings
from ticket_events_pipeline.text import plural


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
    targets = [Target(name, uri, f"--to {name}") for name, uri in options.targets] or targets_of(settings)
    if not targets:
        raise click.UsageError(f"Nowhere to publish to: give --to, or set {' or '.join(PUBLISH_URIS.values())}.")
    note = partial(click.echo, err=True)
    pipeline = pipeline_of(os.environ, log=note)
    wanted = Wanted(options.assets or PUBLISHED, options.keeps_removed, options.is_dry_run, options.adopts)
    history = None if options.expire_days is None else KeptHistory(options.expire_days)
    found: list[dict[str, Any]] = []
    for name, made in publish_to(
        targets, pipeline.store, pipeline.root_settings, wanted, catalog=settings.catalog, history=history, log=note
    ):
        found.append({"format": name, **_document(made)})
        if not options.is_json:
            _print(made, is_dry_run=options.is_dry_run)
    if options.is_json:
        click.echo(json.dumps(found, indent=1))
    return not any(made["problems"] for made in found)


def _print(made: Published, *, is_dry_run: bool) -> None:
    if not made.stored and not made.version and not made.problems:
        return
    counts = ", ".join(f"{plural(number, f'{why} day')}" for why, number in sorted(made.days.items()))
    verb = "to publish: " if is_dry_run and counts else ""
    state = f"version {made.version}" if made.version else "no table yet"
    if made.problems and not made.version:
        click.secho(f"{made.asset:<32} not published; {made.url}", fg="red")
    else:
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
        **{f"{why}_days": made.days[why] for why in Why},
        "rows": made.rows,
        "problems": made.problems,
    }
