"""The command line: its commands and their exit codes.

Each command imports its own module when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import click
from dotenv import dotenv_values

from ticket_events_pipeline.cli.conventions import AS_JSON, FAILED
from ticket_events_pipeline.cli.dates import DAYS, DAYS_HELP
from ticket_events_pipeline.cli.stored_days import forget, prune, publish, views
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.tables.streams import STREAMS

FORMATS = ["table", "csv", "json", "xlsx"]

DAY_HELP = "DAY: 2026-11-23, today, or yesterday."

REPORTS_PORT = 8744
"""Of `report --serve`; the sandbox has the one before."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ticket_events_pipeline")
@click.pass_context
def commands(context: click.Context) -> None:
    """Zendesk ticket events in daily Parquet files, and the SLA breaches in them.

    \b
    First time here:        ticket-events demo
    Your own account:       ticket-events init FOLDER   (it says what to type next)
    Does it work here?      ticket-events doctor

    Exit codes: 0 it worked, 1 it failed, 2 wrong usage.
    """  # noqa: D301  # \b is click's: it keeps the lines below as they are
    # As Dagster does, overriding exported variables: the doctor must check the variables that a run gets.
    if context.invoked_subcommand != "init":  # a new folder doesn't get the account of this one
        os.environ.update({name: value for name, value in dotenv_values(".env").items() if value is not None})


@commands.command()
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--subdomain", help="acme for https://acme.zendesk.com")
@click.option("--client-id", help="The unique identifier of an OAuth client.")
@click.option("--client-secret-file", type=click.File(), help="A file with the client's secret; - is standard input.")
@click.option("--start-date", metavar="YYYY-MM-DD", help="The first day. Proposed: the first of the month three months ago.")
@click.option("--timezone", help="IANA zone of the days. Proposed: this machine's.")
@click.option("--root", help="Where the files go: a folder, or s3://bucket/prefix. Default: FOLDER/data.")
@click.option("--sandbox", is_flag=True, help="The simulated account: asks nothing.")
def init(
    folder: Path,
    subdomain: str | None,
    client_id: str | None,
    client_secret_file: TextIO | None,
    start_date: str | None,
    timezone: str | None,
    root: str | None,
    sandbox: bool,
) -> None:
    """Write the folder that a deployment starts in (default: this one): .env, dagster.yaml, workspace.yaml, systemd units.

    Asks for what no option and no exported variable gives. A secret is never an option: it is asked for, or comes from
    --client-secret-file or ZENDESK_OAUTH_CLIENT_SECRET. Never changes a file that is there: exit code 1 if one differs.
    """
    from ticket_events_pipeline.cli.init import InitOptions, run_init

    options = InitOptions(
        subdomain=subdomain,
        client_id=client_id,
        client_secret=None if client_secret_file is None else client_secret_file.read(),
        start_date=start_date,
        timezone=timezone,
        root=root,
        is_sandbox=sandbox,
    )
    if not run_init(folder, options):
        sys.exit(FAILED)


@commands.command()
def demo() -> None:
    """Run the whole pipeline on a simulated account: 30 days of events, targets and breach summaries.

    Needs no account and touches none: a sandbox serves the events over HTTP on 127.0.0.1. The files lie below
    TICKET_EVENTS_ROOT (default: ./data) in the folder `sandbox`.
    """
    from ticket_events_pipeline.cli.demo import run_demo

    run_demo()


@commands.command()
@click.option("--webhook", is_flag=True, help="Also post a test message to every destination of the alerts.")
@click.option(
    "--adopt-dagster-home", "adopts_home", is_flag=True, help="The files were moved to this root: keep the DAGSTER_HOME for it."
)
@click.option(
    "--fleet", "is_fleet", is_flag=True, help="Also check what several hosts share: code server, clocks, Postgres, Celery."
)
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def doctor(webhook: bool, adopts_home: bool, is_fleet: bool, is_json: bool) -> None:
    """Check the variables, DAGSTER_HOME, the root, the credentials, both streams and the quota; say what to fix.

    With --fleet, also whether this host fits the others: the variables and versions of the code server, clocks, locks,
    Postgres, and Celery's broker and workers.

    Makes one request a stream, and one more where the last hour had no event. Exit code 1 if a run would fail.
    """
    from ticket_events_pipeline.cli.doctor import run_doctor

    if not run_doctor(posts_to_webhook=webhook, adopts_home=adopts_home, is_fleet=is_fleet, is_json=is_json):
        sys.exit(FAILED)


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print the same for scripts.")
def status(as_json: bool) -> None:
    """Show the stored days and their gaps, the last readings, the quota, runs, schedules and sensors, and what to do next.

    Needs no credentials, and sends no request to Zendesk. What Dagster knows needs DAGSTER_HOME.
    """
    from ticket_events_pipeline.cli.status import run_status

    if not run_status(as_json=as_json):
        sys.exit(FAILED)


@commands.command()
@click.option(
    "--listen",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="0.0.0.0 for all addresses of this machine: needs a secret in ZENDESK_SANDBOX_TOKEN.",
)
@click.option("--port", default=8743, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free one.")
@click.option(
    "--requests-per-minute",
    default=100_000,
    show_default=True,
    type=click.IntRange(1),
    help="The export quota; a real account has 10, or 30 with the add-on.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed is another account.")
@click.option("--tickets-per-day", default=60, show_default=True, type=click.IntRange(1, 40_000))
def sandbox(listen: str, port: int, requests_per_minute: int, seed: int, tickets_per_day: int) -> None:
    """Serve a simulated Zendesk account until Ctrl-C, on 127.0.0.1 or as a service for other machines."""
    from ticket_events_pipeline.cli.sandbox import serve

    serve(listen=listen, port=port, requests_per_minute=requests_per_minute, seed=seed, tickets_per_day=tickets_per_day)


@commands.command(epilog=DAYS_HELP)
@click.argument("days", nargs=-1, metavar=DAYS)
@click.option("--stream", "streams", multiple=True, type=click.Choice(list(STREAMS)), help="Only this one; all by default.")
@click.option("--against-api", is_flag=True, help="Also fetch a sample of the pages again, and compare ids.")
@click.option("--sample", default=3, show_default=True, type=click.IntRange(1), help="Pages a stream; mostly a request each.")
@click.option("--seed", type=int, help="Which pages: another seed, other pages. Default: the number of today.")
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def verify(
    days: tuple[str, ...], streams: tuple[str, ...], against_api: bool, sample: int, seed: int | None, is_json: bool
) -> None:
    """Verify that the stored days are whole.

    Says of every day of DAYS whether its files are whole, and what to do where one isn't. Without DAYS: from the first stored
    day through the newest. Needs no credentials but for --against-api. Exit code 1 if any day is not whole.

    \b
    ticket-events verify
    ticket-events verify last-7-days
    ticket-events verify 2026-11-01..2026-11-30 --against-api
    """  # noqa: D301
    from ticket_events_pipeline.cli.verify import run_verify

    sampled = sample if against_api else None
    if not run_verify(days, streams=streams or tuple(STREAMS), sample=sampled, seed=seed, is_json=is_json):
        sys.exit(FAILED)


@commands.command(epilog=DAYS_HELP)
@click.argument("days", nargs=-1, metavar=DAYS)
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def plan(days: tuple[str, ...], is_json: bool) -> None:
    """Estimate what a backfill of DAYS takes, and show how to start it.

    Rows, requests, time and disk, from the stored days in or near the range; where too few are stored, with at most four
    requests a stream. Without DAYS: from the first partition (TICKET_EVENTS_START_DATE) through yesterday.

    \b
    ticket-events plan
    ticket-events plan 2026-01-01..
    ticket-events plan 2026-11-01..2026-11-30
    """  # noqa: D301
    from ticket_events_pipeline.cli.plan import run_plan

    run_plan(days, is_json=is_json)


@commands.command(epilog=DAYS_HELP)
@click.argument("days", metavar=DAYS[1:-1], nargs=-1)
@click.option("--asset", "assets", multiple=True, metavar="NAME", help="Only this one; all by default. Repeatable.")
@click.option("--missing", is_flag=True, help="Only what is not stored, not complete or not up to date.")
@click.option(
    "--tickets", is_flag=True, help="Only the ticket tables, from stored files. Without DAYS: of all days without any."
)
def backfill(days: tuple[str, ...], assets: tuple[str, ...], missing: bool, tickets: bool) -> None:
    """Fetch and make everything of DAYS through Dagster, in this process, with a progress bar.

    Needs DAGSTER_HOME, so that the UI shows the days. Ctrl-C stops it; the same command resumes. A code location of several
    accounts (component) can't be backfilled by it: use the UI, or dg launch.
    """
    from ticket_events_pipeline.cli.backfill import run_backfill

    run_backfill(days, assets=assets, only_missing=missing, only_tickets=tickets)


@commands.command(epilog=DAY_HELP)
@click.argument("day", required=False, metavar="[DAY]")
@click.option("--date", hidden=True, help="The same as DAY, from before DAY was an argument.")
@click.option("--week", "is_week", is_flag=True, help="The week (Monday to Sunday) of DAY. Default: the last one that is over.")
@click.option("--open", "is_to_open", is_flag=True, help="Also open it in the browser.")
@click.option("--output", metavar="FOLDER", help="Write the page into this folder instead, with what it links to, to be sent.")
@click.option(
    "--serve",
    "port",
    is_flag=False,
    flag_value=REPORTS_PORT,
    type=click.IntRange(0, 65535),
    metavar="[PORT]",
    help=f"Serve the stored reports on 127.0.0.1 until Ctrl-C. Default: {REPORTS_PORT}; 0 takes any free one.",
)
def report(day: str | None, date: str | None, is_week: bool, is_to_open: bool, output: str | None, port: int | None) -> None:
    """Make the report of a day or of a week, and print its path.

    It is made from the stored SLA tables; where they are gone, a stored page is found. Without DAY: of the newest day that is
    complete, else of the newest. Needs no credentials, and sends no request to Zendesk.

    \b
    ticket-events report --open
    ticket-events report yesterday
    ticket-events report --week
    ticket-events report --output for-my-boss
    ticket-events report --serve
    """  # noqa: D301
    from ticket_events_pipeline.cli.report import run_report

    if day is not None and date is not None:
        raise click.UsageError(f"DAY and --date both name a day: leave out --date {date}.")
    run_report(day or date, is_week=is_week, is_to_open=is_to_open, output=output, port=port)


@commands.command(epilog=DAYS_HELP)
@click.argument("days", nargs=-1, metavar=DAYS)
@click.option("--from", "first", hidden=True, help="The first day, from before DAYS was an argument.")
@click.option("--to", "last", hidden=True, help="The last day.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this SLA metric, as in first_reply_time.")
@click.option("--policy", "policies", multiple=True, metavar="TITLE", help="Only the policy of this title or id.")
@click.option(
    "--by",
    "dimension",
    metavar="DIMENSION",
    help="Whose breaches: group, agent, priority, type, brand, form, organization, channel, tag, or custom_field:ID.",
)
@click.option("--format", "output", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", "path", metavar="FILE", help="Where the workbook of --format xlsx goes.")
def summary(
    days: tuple[str, ...],
    first: str | None,
    last: str | None,
    metrics: tuple[str, ...],
    policies: tuple[str, ...],
    dimension: str | None,
    output: str,
    path: str | None,
) -> None:
    """Print the stored breach summaries of DAYS.

    Breaches, achievement and late open targets per metric and policy. Without DAYS: of the newest day that is complete, else of
    the newest. csv and json have every column: NULL is an empty field or null, times are UTC. csv holds texts unchanged, also
    those that a spreadsheet would run as a formula; a warning then says so. In a workbook (xlsx) each is a text, and times are
    local. Needs no credentials. Exit code 1 if a day has no summary. --by splits them by who held the ticket, or how it was
    classified, when a target was breached or met.

    \b
    ticket-events summary
    ticket-events summary last-7-days --by group
    ticket-events summary last-7-days --metric first_reply_time
    ticket-events summary 2026-11-01..2026-11-30 --format csv
    ticket-events summary last-30-days --format xlsx --output breaches.xlsx
    """  # noqa: D301
    from ticket_events_pipeline.cli.summary import Filter, old_options, run_summary

    if first is not None or last is not None:
        days = old_options(days, first, last)
    if dimension is not None:
        from ticket_events_pipeline.cli.summary_by import run_summary_by

        if policies:
            raise click.UsageError("--by and --policy: the tables by dimension hold no policies. Leave out one of them.")
        if not run_summary_by(days, dimension, metrics=metrics, output=output, path=path):
            sys.exit(FAILED)
        return
    if not run_summary(days, wanted=Filter(metrics, policies), output=output, path=path):
        sys.exit(FAILED)


@commands.command(epilog=DAY_HELP)
@click.argument("ticket_id", metavar="ID", type=click.IntRange(1))
@click.option("--date", metavar="DAY", help="As of the end of this day. Default: of the newest day with SLA targets.")
@click.option("--json", "is_json", is_flag=True, help=AS_JSON)
def ticket(ticket_id: int, date: str | None, is_json: bool) -> None:
    """Tell the SLA story of a ticket from the stored files.

    The events of its SLA clocks, and its targets with the events that decided them. Needs no credentials. Exit code 1 if
    nothing of the ticket is stored.

    \b
    ticket-events ticket 4321
    ticket-events ticket 4321 --date yesterday --json
    """  # noqa: D301
    from ticket_events_pipeline.cli.ticket import run_ticket

    if not run_ticket(ticket_id, date, is_json=is_json):
        sys.exit(FAILED)


@commands.command()
@click.argument("date", default="yesterday")
@click.option("--send", "sends", is_flag=True, help="Also send it to the destinations of the alerts.")
def digest(date: str, sends: bool) -> None:
    """Show the morning digest: what the report of yesterday says first, and the groups with the most breaches.

    Needs no credentials. Exit code 1 if it is to be sent and a destination doesn't accept it.

    \b
    ticket-events digest
    ticket-events digest 2026-11-30 --send
    """  # noqa: D301
    from ticket_events_pipeline.cli.digest import run_digest

    if not run_digest(date, sends=sends):
        sys.exit(FAILED)


@commands.command()
@click.option("--within", default="24h", show_default=True, metavar="TIME", help="How far ahead: 30m, 2h or 1d.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME",
    help="Only what this group holds, by name or id; none, unknown. Repeatable.",
)
@click.option(
    "--agent", "agents", multiple=True, metavar="NAME", help="Only what this agent holds; nobody, unknown. Repeatable."
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this metric: first_reply_time. Repeatable.")
@click.option("--format", "output", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", "path", metavar="FILE", help="Where the workbook of --format xlsx goes.")
def due(
    within: str,
    groups: tuple[str, ...],
    agents: tuple[str, ...],
    metrics: tuple[str, ...],
    output: str,
    path: str | None,
) -> None:
    """List the open targets that will breach next, the soonest first.

    By the estimates of the stored tables, which are as of the last fetch; the first line says when that was. Targets whose
    estimate has passed without a breach from Zendesk come first. A workbook (xlsx) also lists what is late and open. Needs no
    credentials, and sends no request to Zendesk.

    \b
    ticket-events due
    ticket-events due --within 2h --group Billing
    ticket-events due --agent nobody --format csv
    ticket-events due --format xlsx --output work-list.xlsx
    """  # noqa: D301
    from ticket_events_pipeline.cli.due import Wanted, parse_within, run_due

    run_due(within_seconds=parse_within(within), wanted=Wanted(groups, agents, metrics), output=output, path=path)


@commands.group()
def alerts() -> None:
    """The alerts that sla_breach_alert_sensor posts to TICKET_EVENTS_ALERT_WEBHOOK and TICKET_EVENTS_NOTIFY_URLS."""


@alerts.command("test")
def alerts_test() -> None:
    """Post one example to every destination, with figures of the newest stored day if there are any.

    The message says that it is a test. Nothing counts as posted afterwards. Exit code 1 if a destination doesn't accept it.
    """
    from ticket_events_pipeline.cli.alerts import run_alerts_test

    if not run_alerts_test():
        sys.exit(FAILED)


for _command in (prune, forget, publish, views):
    commands.add_command(_command)


def main() -> None:
    """Run the command line; an error of this package is shown as its message alone."""
    try:
        commands(standalone_mode=True)
    except TicketEventsError as error:
        click.echo(f"{error}", err=True)
        sys.exit(FAILED)
