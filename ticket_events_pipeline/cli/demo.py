"""`ticket-events demo`: the last 30 days of the simulated account, through Dagster, with a progress bar."""

from __future__ import annotations

import os

from rich.console import Console

from ticket_events_pipeline.cli.breach_table import print_breaches
from ticket_events_pipeline.cli.progress import day_files_bar
from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.in_process import Progress, deployment_instance, run_range
from ticket_events_pipeline.errors import TicketEventsError, UsageError
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.files import report_path
from ticket_events_pipeline.sla.footer_cache import SLA_TABLES
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS

DEMO_DAYS = 30


def run_demo() -> None:
    """Materialize all assets of the last 30 days, and print yesterday's breaches.

    Raises:
        TicketEventsError: a run failed; its log says why.
    """
    _use_the_sandbox()
    # Not before: the definitions read the environment when they load.
    from ticket_events_pipeline.definitions import SCOPE, defs
    from ticket_events_pipeline.defs.jobs import FETCH, SUMMARIZE

    store = pipeline_of(os.environ).store
    today = SCOPE.day_containing(wall_clock())
    first = max(today.plus(1 - DEMO_DAYS), SCOPE.first_day)
    if first >= today:  # yesterday's breaches are what there is to show
        raise UsageError(
            f"TICKET_EVENTS_START_DATE: {SCOPE.first_day} leaves no closed day to show; unset it, or set an earlier one."
        )
    days = days_between(first, today)
    console = Console()
    console.print(f"A simulated Zendesk account, {first} to {today}, through Dagster into {store.location}", soft_wrap=True)
    with (
        deployment_instance(or_ephemeral=True) as instance,
        day_files_bar(console, total=(len(STREAMS) + len(SLA_TABLES) + 1) * len(days)) as made,
    ):
        for name in (FETCH, SUMMARIZE):
            run_range(instance, defs.resolve_job_def(name), first, today, progress=Progress(made))
    _show_breaches(console, store, today.plus(-1))
    console.print("breaches: targets first breached that day; open late: those breached and still open at its end")
    console.print(f"\nThe files: {store.location}/<asset>/date=YYYY-MM-DD/<asset>.parquet", soft_wrap=True)
    report = store.url(report_path(today.plus(-1)))
    console.print(f"Yesterday's report, to open in a browser: [bold]{report}[/bold]", soft_wrap=True)
    console.print("Next: [bold]ZENDESK_SANDBOX=1 make dev[/bold] opens the same in the Dagster UI.", soft_wrap=True)


def _use_the_sandbox() -> None:
    """Whatever account is set: a demo never asks a real one."""
    for name in [name for name in os.environ if name.startswith("ZENDESK_")]:
        del os.environ[name]
    os.environ["ZENDESK_SANDBOX"] = "1"


def _show_breaches(console: Console, store: Store, day: Day) -> None:
    summary = read_partition(store, "daily_sla_breach_summary", day)
    if summary is None:
        raise TicketEventsError(f"There is no summary of {day} below {store.location}.")
    print_breaches(console, {day: summary})
