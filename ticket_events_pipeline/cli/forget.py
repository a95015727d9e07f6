"""`ticket-events forget`: blanks a person's or a ticket's data.

Its output holds counts alone, nothing of what was forgotten.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.forget.forget import Cleared, Forgotten, Wanted, forget
from ticket_events_pipeline.forgotten.ledger import KINDS, LEDGER, Ledger, read_ledger
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.text import plural

NOT_REACHED = (
    "backups of the root, and old versions of objects in a bucket",
    "Dagster's event log and the logs of runs, in DAGSTER_HOME or its database",
    "copies: published tables and their older snapshots, exports, reports that were written elsewhere or sent",
    "alerts, warnings and digests that were sent",
    "tags and options of custom fields that are a name: a query in docs/how-to/delete-personal-data.md lists those left",
)
"""Where the same data may be that the command can't change."""


def run_forget(wanted: Wanted, *, dry_run: bool, is_json: bool) -> bool:
    """Forget it, and print what was done; whether every file could be read.

    Raises:
        UsageError: an address is none, a requester is an agent, or the root can't be read.
        DaysHeldError: a fetch is in progress.
        DamagedFileError: the ledger can't be read.
    """
    odd = [one for one in wanted.addresses if one.strip().strip("@").count("@") != 1]
    if odd:
        raise UsageError(f"--address: {plural(len(odd), 'value')} {'is' if len(odd) == 1 else 'are'} no e-mail address.")
    pipeline = pipeline_of(os.environ)
    log = partial(click.echo, err=True)
    found = forget(pipeline.store, pipeline.root_settings, wanted, dry_run=dry_run, log=log)
    if is_json:
        click.echo(json.dumps(_document(pipeline, wanted, found, dry_run=dry_run), indent=1))
    else:
        _print(pipeline, wanted, found, dry_run=dry_run)
    return not found.problems


def print_ledger(*, is_json: bool) -> None:
    """Print how many entries of each kind the ledger has.

    Raises:
        DamagedFileError: the ledger can't be read.
    """
    pipeline = pipeline_of(os.environ)
    counts = _counts(read_ledger(pipeline.store))
    if is_json:
        click.echo(json.dumps({"root": pipeline.store.location, "ledger": counts}, indent=1))
        return
    click.echo(f"{pipeline.store.url(LEDGER)}: {_counts_text(counts)}")


def _counts(ledger: Ledger | None) -> dict[str, int]:
    return {f"{kind}s" if kind != "address" else "addresses": 0 if ledger is None else ledger.count(kind) for kind in KINDS}


def _counts_text(counts: dict[str, int]) -> str:
    requesters, tickets, addresses = counts.values()
    return f"{plural(requesters, 'requester')}, {plural(tickets, 'ticket')}, {plural(addresses, 'address', 'addresses')}"


def _changed(found: Forgotten) -> dict[str, Cleared]:
    return {folder: cleared for folder, cleared in found.cleared.items() if cleared.files}


def _document(pipeline: Pipeline, wanted: Wanted, found: Forgotten, *, dry_run: bool) -> dict[str, Any]:
    """The result for scripts. A contract: keys may be added, and none changes."""
    return {
        "root": pipeline.store.location,
        "is_dry_run": dry_run,
        "wanted": {name: len(values) for name, values in asdict(wanted).items()},
        "found": {"tickets": found.tickets, "addresses": found.addresses},
        "is_nowhere": found.is_nowhere,
        "cleared": {folder: asdict(cleared) for folder, cleared in _changed(found).items()},
        "ledger": None if dry_run else _counts(found.ledger),
        "closed_pages": found.closed_pages,
        "not_searched": found.not_searched,
        "problems": found.problems,
        "runs_in_progress": found.runs_in_progress,
        "not_reached": list(NOT_REACHED),
    }


def _print(pipeline: Pipeline, wanted: Wanted, found: Forgotten, *, dry_run: bool) -> None:
    click.echo(f"{pipeline.store.location}{' (dry run: nothing is changed)' if dry_run else ''}")
    if found.tickets or found.addresses:
        addresses = plural(found.addresses, "e-mail address", "e-mail addresses")
        click.echo(f"Found in the stored files: {plural(found.tickets, 'ticket')} and {addresses} of the requesters.")
    if wanted.requesters and not (found.addresses or wanted.addresses):
        click.echo("No e-mail address of the requesters was found. Texts that name one stay: give them with --address.")
    _print_cleared(found)
    if not dry_run:
        click.echo(f"Ledger: {_counts_text(_counts(found.ledger))}. Later fetches blank the same again.")
    for problem in found.problems:
        click.secho(f"BAD  {problem}", fg="red")
    if found.problems:
        click.echo("Repair these files, or fetch their days again, and run the same command again.")
    if found.runs_in_progress and not dry_run:
        click.echo(
            f"{plural(found.runs_in_progress, 'run')} in progress may store what they have read before: run the same command "
            "again when they have ended."
        )
    click.echo("Not reached by this command, and yours to clean:")
    for place in NOT_REACHED:
        click.echo(f"  - {place}")


def _print_cleared(found: Forgotten) -> None:
    for folder, cleared in _changed(found).items():
        values = "" if folder == REPORT else f"{plural(cleared.rows, 'row')}, {plural(cleared.values, 'value')} in "
        click.echo(f"  {folder:<40} {values}{plural(cleared.files, 'page' if folder == REPORT else 'file')}")
    if found.closed_pages:
        click.echo(f"{plural(found.closed_pages, 'page')} of closed days: not made again, since days before them were pruned.")
    if found.is_nowhere:
        click.echo("This run found nothing of it in the stored files.")
    if found.not_searched:
        click.echo(
            f"Not searched: {' and '.join(found.not_searched)}. Tickets of then are found by the tables made from them alone: "
            "name others with --ticket."
        )
