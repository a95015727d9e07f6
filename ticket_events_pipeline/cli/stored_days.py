"""The commands that remove, blank or hand over what is stored; each imports its own module when it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ticket_events_pipeline.cli.conventions import AS_JSON, FAILED
from ticket_events_pipeline.publish_settings import PUBLISH_URIS


@click.command()
@click.option("--before", metavar="DATE", help="The first day that is kept. Default: by TICKET_EVENTS_RETAIN_DAYS.")
@click.option("--asset", "assets", multiple=True, metavar="NAME", help="Only this one; all by default. Repeatable.")
@click.option("--reopen", metavar="DATE", help="Let the days from DATE on be fetched and made again; removes nothing.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only print what would be removed.")
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def prune(before: str | None, assets: tuple[str, ...], reopen: str | None, is_dry: bool, is_json: bool) -> None:
    """Remove the days before a date for good.

    No figure of a later day changes: days whose tables are made from what is removed, up to 62 days later, are closed. They are
    neither fetched nor made again. What is not up to date yet holds pruning back. Needs no credentials and no Dagster.

    \b
    ticket-events prune --before 2026-01-01 --dry-run
    ticket-events prune --before 2026-08-01 --asset ticket_events --asset ticket_field_changes
    """  # noqa: D301
    from ticket_events_pipeline.cli.prune import run_prune, run_reopen

    if reopen is not None:
        if before is not None or assets or is_dry:
            raise click.UsageError("--reopen is for all assets and removes nothing: leave out --before, --asset and --dry-run.")
        run_reopen(reopen, is_json=is_json)
    else:
        run_prune(before, assets=assets, is_dry=is_dry, is_json=is_json)


@click.command()
@click.option("--requester", "requesters", multiple=True, type=click.IntRange(1), metavar="ID", help="A user's id. Repeatable.")
@click.option(
    "--address", "addresses", multiple=True, metavar="ADDRESS", help="A further e-mail address of the user. Repeatable."
)
@click.option("--ticket", "tickets", multiple=True, type=click.IntRange(1), metavar="ID", help="A ticket's number. Repeatable.")
@click.option("--dry-run", is_flag=True, help="Say what would be blanked, and change nothing.")
@click.option("--list", "is_list", is_flag=True, help="Only say how many entries the ledger has.")
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def forget(
    requesters: tuple[int, ...],
    addresses: tuple[str, ...],
    tickets: tuple[int, ...],
    dry_run: bool,
    is_list: bool,
    is_json: bool,
) -> None:
    """Blank a user's or a ticket's data in everything that the root holds; SLA figures stay as they are.

    Delete it in Zendesk first. A ledger of salted hashes in the root has later fetches of the same days blank it again. Needs
    no credentials, and sends no request to Zendesk. What was blanked can't be brought back. Exit code 1 if a file could not be
    read, or a fetch in progress doesn't end within five minutes: run the same command again then.

    \b
    ticket-events forget --requester 370112000211 --dry-run
    ticket-events forget --requester 370112000211
    ticket-events forget --ticket 35436 --ticket 35437
    """  # noqa: D301
    from ticket_events_pipeline.cli.forget import print_ledger, run_forget
    from ticket_events_pipeline.forget.forget import Wanted

    if is_list:
        print_ledger(is_json=is_json)
        return
    if not (requesters or addresses or tickets):
        raise click.UsageError("Name what to forget: --requester ID, --address ADDRESS or --ticket ID.")
    if not run_forget(Wanted(requesters, addresses, tickets), dry_run=dry_run, is_json=is_json):
        sys.exit(FAILED)


@click.command()
@click.option(
    "--to",
    "targets",
    type=(click.Choice(list(PUBLISH_URIS)), str),
    multiple=True,
    metavar="FORMAT URI",
    help="delta or iceberg, and a folder or s3://bucket/prefix. Repeatable. Default: the variables TICKET_EVENTS_PUBLISH_….",
)
@click.option("--asset", "assets", multiple=True, metavar="NAME", help="Only this one; all by default. Repeatable.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only say how many days would be published.")
@click.option("--keep-removed", "keeps_removed", is_flag=True, help="Keep days in the tables that are no longer stored.")
@click.option("--adopt", "adopts", is_flag=True, help="The files were moved to this root: keep the tables for it.")
@click.option(
    "--expire-history",
    "expire_days",
    type=click.IntRange(0),
    metavar="DAYS",
    help="Then remove the tables' states that are older than DAYS days, with their files; 0 for all but the newest.",
)
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def publish(
    targets: tuple[tuple[str, str], ...],
    assets: tuple[str, ...],
    is_dry_run: bool,
    keeps_removed: bool,
    adopts: bool,
    expire_days: int | None,
    is_json: bool,
) -> None:
    """Copy the stored days that changed into Delta or Iceberg tables, one commit a day.

    Each table URI/ASSET becomes equal to the stored asset, with the day as a column `date`. Days are compared by their content
    hash; a killed publish leaves the last state, and the next one continues. Needs no credentials of Zendesk. Exit code 1 if a
    day could not be published.

    \b
    ticket-events publish --to delta /srv/lakehouse
    ticket-events publish --to delta s3://warehouse/zendesk --asset sla_targets --dry-run
    ticket-events publish --to iceberg /srv/iceberg --expire-history 30
    """  # noqa: D301
    from ticket_events_pipeline.cli.publish import PublishOptions, run_publish

    options = PublishOptions(targets, assets, is_dry_run, keeps_removed, adopts, expire_days, is_json)
    if not run_publish(options):
        sys.exit(FAILED)


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the SQL to this file instead.")
@click.option(
    "--duckdb",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make the views in this DuckDB file, which is made if there is none. Needs the extra sql.",
)
@click.option("--schema", default="main", show_default=True, metavar="NAME", help="Of the views; each account its own.")
def views(output: Path | None, file: Path | None, schema: str) -> None:
    """Write DuckDB views over the stored files: every table with its meaning, and the questions of the documentation.

    Prints SQL to standard output; with --duckdb, makes the views in a file instead. They read the stored files anew with each
    query. Made again, they replace each other and leave everything else in the file alone. Needs no credentials.

    \b
    ticket-events views > views.sql
    ticket-events views --duckdb tickets.duckdb
    """  # noqa: D301
    from ticket_events_pipeline.cli.views import run_views

    run_views(output=output, file=file, schema=schema)
