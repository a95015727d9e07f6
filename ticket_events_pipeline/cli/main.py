"""The command line: its commands and their exit codes.

Each command imports its own module when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys

import click
from dotenv import dotenv_values

from ticket_events_pipeline.cli.dates import DAYS
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.tables.streams import STREAMS

FAILED = 1
"""Wrong usage is 2, as click has it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ticket_events_pipeline")
def commands() -> None:
    """Zendesk ticket events in daily Parquet files, and the SLA breaches in them.

    \b
    First time here:        ticket-events demo
    Before you deploy:      set the variables of .env.example, then: ticket-events doctor
    The pipeline itself:    dagster dev   (or `make dev`), then open the assets

    Exit codes: 0 it worked, 1 it failed, 2 wrong usage.
    """  # noqa: D301  # \b is click's: it keeps the lines below as they are
    # As Dagster does, overriding exported variables: the doctor must check the variables that a run gets.
    os.environ.update({name: value for name, value in dotenv_values(".env").items() if value is not None})


@commands.command()
def demo() -> None:
    """Run the whole pipeline on a simulated account: 30 days of events, targets and breach summaries.

    Needs no account and touches none: a sandbox serves the events over HTTP on 127.0.0.1. The files lie below
    TICKET_EVENTS_ROOT (default: ./data) in the folder `sandbox`.
    """
    from ticket_events_pipeline.cli.demo import run_demo

    run_demo()


@commands.command()
@click.option("--webhook", is_flag=True, help="Also post a test message to TICKET_EVENTS_ALERT_WEBHOOK.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of {check, status, text, fix}.")
def doctor(webhook: bool, as_json: bool) -> None:
    """Check the variables, DAGSTER_HOME, the root, the credentials, both streams and the quota; say what to fix.

    Makes one request a stream, and one more where the last hour had no event. Exit code 1 if a run would fail.
    """
    from ticket_events_pipeline.cli.doctor import run_doctor

    if not run_doctor(posts_to_webhook=webhook, as_json=as_json):
        sys.exit(FAILED)


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print the same for scripts.")
def status(as_json: bool) -> None:
    """Show the stored days and their gaps, the last readings, the quota, runs, schedules and sensors, and what to do next.

    Needs no credentials, and sends no request to Zendesk. What Dagster knows needs DAGSTER_HOME.
    """
    from ticket_events_pipeline.cli.status import run_status

    run_status(as_json=as_json)


@commands.command()
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
def sandbox(port: int, requests_per_minute: int, seed: int, tickets_per_day: int) -> None:
    """Serve a simulated Zendesk account on 127.0.0.1 until Ctrl-C."""
    from ticket_events_pipeline.cli.sandbox import serve

    serve(port=port, requests_per_minute=requests_per_minute, seed=seed, tickets_per_day=tickets_per_day)


@commands.command()
@click.argument("first", metavar="START")
@click.argument("last", metavar="END")
@click.option("--stream", "streams", multiple=True, type=click.Choice(list(STREAMS)), help="Only this one; all by default.")
@click.option("--against-api", is_flag=True, help="Also fetch a sample of the pages again, and compare ids.")
@click.option("--sample", default=3, show_default=True, type=click.IntRange(1), help="Pages a stream; mostly a request each.")
@click.option("--seed", type=int, help="Which pages: another seed, other pages. Default: the number of today.")
def verify(first: str, last: str, streams: tuple[str, ...], against_api: bool, sample: int, seed: int | None) -> None:
    """Verify from the files that every day from START through END (YYYY-MM-DD) is whole; say what to do where one isn't.

    Needs no credentials but for --against-api. Exit code 1 if any day is not whole.
    """
    from ticket_events_pipeline.cli.verify import run_verify

    if not run_verify(first, last, streams=streams or tuple(STREAMS), sample=sample if against_api else None, seed=seed):
        sys.exit(FAILED)


@commands.command()
@click.argument("first", metavar="START")
@click.argument("last", metavar="END")
def plan(first: str, last: str) -> None:
    """Estimate rows, requests, time and disk of a backfill from START through END (YYYY-MM-DD), and show how to start it.

    From the stored days in or near the range; where too few are stored, with at most four requests a stream.
    """
    from ticket_events_pipeline.cli.plan import run_plan

    run_plan(first, last)


@commands.command()
@click.argument("days", metavar=DAYS[1:-1], nargs=-1, required=True)
@click.option("--asset", "assets", multiple=True, metavar="NAME", help="Only this one; all by default. Repeatable.")
@click.option("--missing", is_flag=True, help="Only what is not stored, not complete or not up to date.")
def backfill(days: tuple[str, ...], assets: tuple[str, ...], missing: bool) -> None:
    """Fetch and make everything of DAYS through Dagster, in this process, with a progress bar.

    DAYS: 2026-11-23, 2026-11-01..2026-11-30, 2026-11-01.. (through today), today, yesterday, or last-7-days.

    Needs DAGSTER_HOME, so that the UI shows the days. Ctrl-C stops it; the same command resumes. A code location of several
    accounts (component) can't be backfilled by it: use the UI, or dg launch.
    """
    from ticket_events_pipeline.cli.backfill import run_backfill

    run_backfill(days, assets=assets, only_missing=missing)


@commands.command()
@click.option("--date", metavar="YYYY-MM-DD", help="Default: the newest day that is complete, else the newest.")
@click.option("--open", "is_to_open", is_flag=True, help="Also open it in the browser.")
def report(date: str | None, is_to_open: bool) -> None:
    """Make the morning report of a day from the stored SLA tables, or find it, and print its path.

    Needs no credentials, and sends no request to Zendesk.
    """
    from ticket_events_pipeline.cli.report import run_report

    run_report(date, is_to_open=is_to_open)


@commands.command()
@click.option(
    "--from", "first", metavar="YYYY-MM-DD", help="The first day; alone: through the newest. Default: the newest day."
)
@click.option("--to", "last", metavar="YYYY-MM-DD", help="The last day.")
@click.option("--format", "output", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def summary(first: str | None, last: str | None, output: str) -> None:
    """Print the stored breach summaries: breaches, achievement and open targets per metric and policy.

    csv and json have every column: NULL is an empty field or null, times are UTC. csv holds texts unchanged, also those that a
    spreadsheet would run as a formula; a warning then says so. Needs no credentials. Exit code 1 if a day has no summary.
    """
    from ticket_events_pipeline.cli.summary import run_summary

    if not run_summary(first, last, output=output):
        sys.exit(FAILED)


@commands.group()
def alerts() -> None:
    """The alerts that sla_breach_alert_sensor posts to a webhook."""


@alerts.command("test")
def alerts_test() -> None:
    """Post one example to TICKET_EVENTS_ALERT_WEBHOOK, with figures of the newest stored day if there are any.

    The message says that it is a test. Nothing counts as posted afterwards. Exit code 1 if the webhook doesn't accept it.
    """
    from ticket_events_pipeline.cli.alerts import run_alerts_test

    if not run_alerts_test():
        sys.exit(FAILED)


def main() -> None:
    """Run the command line; an error of this package is shown as its message alone."""
    try:
        commands(standalone_mode=True)
    except TicketEventsError as error:
        click.echo(f"{error}", err=True)
        sys.exit(FAILED)
