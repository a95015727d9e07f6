"""`ticket-events prune`: removes the days before a date, and says what it removes and what it closes."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.retention.prune import AssetFiles, PrunePlan, Root, plan_prune, prune, reopen
from ticket_events_pipeline.retention.settings import PRUNABLE, RETAIN_DAYS, RetentionSettings, first_kept, retention_settings
from ticket_events_pipeline.storage.pruned_days import PrunedDays
from ticket_events_pipeline.text import plural, size_text


def run_prune(before: str | None, *, assets: Sequence[str], is_dry: bool, is_json: bool) -> None:
    """Remove the days before a date, or print what would be removed.

    Raises:
        click.UsageError: no date is given or set, or it is none; an asset is unknown.
        SettingsError, UsageError: a variable is malformed, or the date is too late.
        DaysHeldError: a fetch is reading one of the days.
    """
    settings, root = _root()
    dates = _dates(before, assets, settings, root.today)
    plan = plan_prune(root, dates) if is_dry else prune(root, dates, log=partial(click.echo, err=True))
    if is_json:
        click.echo(json.dumps(_document(root, plan, is_dry=is_dry), indent=1))
    else:
        _print(root, plan, is_dry=is_dry)


def run_reopen(first: str, *, is_json: bool) -> None:
    """Let the days from `first` on be fetched and made again.

    Raises:
        click.UsageError: it is no date.
        DaysHeldError: a prune is running.
    """
    _, root = _root()
    record = reopen(root, Day(_date(first, "--reopen"), root.today.timezone), log=partial(click.echo, err=True))
    if is_json:
        click.echo(json.dumps({"root": root.store.location, **_record_document(record)}, indent=1))
    else:
        click.echo(
            f"{root.store.location}: {record.closed_sentence} Nothing that was removed is back. Turn off "
            "new_event_partitions_sensor, or it makes these days from what is left. Backfill what you need, then turn it on."
        )


def _root() -> tuple[RetentionSettings, Root]:
    settings = retention_settings(os.environ)
    return settings, Root.of(pipeline_of(os.environ).store, settings, now=wall_clock())


def _dates(before: str | None, assets: Sequence[str], settings: RetentionSettings, today: Day) -> dict[str, dt.date]:
    unknown = [name for name in assets if name not in PRUNABLE]
    if unknown:
        raise click.UsageError(f"--asset {unknown[0]}: there is no such asset. Give one of {', '.join(PRUNABLE)}.")
    if before is not None:
        return dict.fromkeys(assets or PRUNABLE, _date(before, "--before"))
    if not settings.retained:
        raise click.UsageError(f"Give --before DATE, or set {RETAIN_DAYS}.")
    return {name: date for name, date in first_kept(settings.retained, today).items() if not assets or name in assets}


def _date(text: str, option: str) -> dt.date:
    try:
        return Day.parse(text).date
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}.") from error


def _print(root: Root, plan: PrunePlan, *, is_dry: bool) -> None:
    click.echo(f"{root.store.location}, timezone {root.today.timezone}")
    width = 2 + max(map(len, PRUNABLE))
    for found in plan.assets:
        click.echo(f"  {found.asset:<{width}}before {found.before}: {_files_text(found)}")
    if plan.held_back:
        click.echo(plan.held_back)
    click.echo(plan.record.closed_sentence)
    if not plan.files:
        click.echo("Nothing to remove.")
        return
    word = "To be removed" if is_dry else "Removed"
    click.echo(f"{word}: {plural(plan.files, 'file')}, {size_text(plan.size_bytes)}.")


def _files_text(found: AssetFiles) -> str:
    if not found.paths:
        return "nothing"
    days = found.days
    span = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{plural(len(found.paths), 'file')} of {plural(len(days), 'day')}, {span}, {size_text(found.size_bytes)}"


def _document(root: Root, plan: PrunePlan, *, is_dry: bool) -> dict[str, Any]:
    """The result for scripts. A contract: keys may be added, and none changes."""
    return {
        "root": root.store.location,
        "timezone": root.today.timezone,
        "is_dry_run": is_dry,
        "assets": [_asset_document(found) for found in plan.assets],
        "files": plan.files,
        "size_bytes": plan.size_bytes,
        "held_back": plan.held_back,
        **_record_document(plan.record),
    }


def _asset_document(found: AssetFiles) -> dict[str, Any]:
    days = found.days
    return {
        "asset": found.asset,
        "before": str(found.before),
        "files": len(found.paths),
        "days": len(days),
        "first_day": str(days[0]) if days else None,
        "last_day": str(days[-1]) if days else None,
        "size_bytes": found.size_bytes,
    }


def _record_document(record: PrunedDays) -> dict[str, Any]:
    return {
        "pruned_before": {asset: str(date) for asset, date in record.before.items()},
        "closed_before": None if record.closed_before is None else str(record.closed_before),
    }
