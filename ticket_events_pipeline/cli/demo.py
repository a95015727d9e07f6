"""`ticket-events demo`: the last 30 days of the simulated account, through Dagster, with a progress bar."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ticket_events_pipeline.cli.breach_table import print_breaches
from ticket_events_pipeline.cli.env_file import template
from ticket_events_pipeline.cli.progress import day_files_bar
from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.in_process import Progress, deployment_instance, run_job, run_range
from ticket_events_pipeline.errors import ForeignHomeError, TicketEventsError, UsageError
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.files import report_path
from ticket_events_pipeline.settings import SANDBOX_DAYS
from ticket_events_pipeline.sla.footer_cache import TABLES, WITHOUT_TICKET_TABLES
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.store import Store

if TYPE_CHECKING:
    import dagster as dg

    from ticket_events_pipeline.defs.scope import AccountScope

SANDBOX_HOME = Path(".dagster_home", "sandbox")
"""In the working folder, as in the Makefile."""

PLACE = ("TICKET_EVENTS_ROOT", "TICKET_EVENTS_TIMEZONE", "TICKET_EVENTS_START_DATE")
"""Variables that the UI needs as the demo had them, to show the same days."""


FETCHED_OF_PEOPLE = ("ZENDESK_NAMES", "ZENDESK_SNAPSHOTS")


def run_demo() -> None:
    """Materialize all assets of the last 30 days, and print yesterday's breaches.

    Raises:
        TicketEventsError: a run failed; its log says why.
    """
    names_account = any(os.environ.get(name, "").strip() for name in ("ZENDESK_SUBDOMAIN", "ZENDESK_BASE_URL"))
    _use_the_sandbox()
    # Not before: the definitions read the environment when they load.
    from ticket_events_pipeline.definitions import SCOPE, defs
    from ticket_events_pipeline.defs.jobs import FETCH, FETCH_NAMES, SUMMARIZE

    store = pipeline_of(os.environ).store
    today = SCOPE.day_containing(wall_clock())
    first = max(today.plus(1 - SANDBOX_DAYS), SCOPE.first_day)
    if first >= today:  # yesterday's breaches are what there is to show
        raise UsageError(
            f"TICKET_EVENTS_START_DATE: {SCOPE.first_day} leaves no closed day to show; unset it, or set an earlier one."
        )
    days = days_between(first, today)
    console = Console()
    console.print(f"A simulated Zendesk account, {first} to {today}, through Dagster into {store.location}", soft_wrap=True)
    tables = TABLES if SCOPE.has_ticket_tables else WITHOUT_TICKET_TABLES
    home = _demo_home(SCOPE, names_account=names_account)
    with (
        _opened(home) as instance,
        day_files_bar(console, total=(len(tables) + 1) * len(days)) as made,
    ):
        run_job(instance, defs.resolve_job_def(FETCH_NAMES), progress=Progress(lambda: None))
        for name in (FETCH, SUMMARIZE):
            run_range(instance, defs.resolve_job_def(name), first, today, progress=Progress(made))
    _show_breaches(console, store, today.plus(-1))
    console.print("breaches: targets first breached that day; open late: those breached and still open at its end")
    if SCOPE.has_ticket_tables:
        console.print("Whose breaches they were, by group, agent or tag:", soft_wrap=True)
        console.print(f"  {_command('summary --by group')}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nThe files: {store.location}/<asset>/date=YYYY-MM-DD/<asset>.parquet", soft_wrap=True)
    report = store.url(report_path(today.plus(-1)))
    console.print(f"Yesterday's report, to open in a browser: [bold]{report}[/bold]", soft_wrap=True)
    console.print("To open the same in the Dagster UI:", soft_wrap=True)
    console.print(f"  {_ui_command(home)}", style="bold", markup=False, highlight=False, soft_wrap=True)


def _use_the_sandbox() -> None:
    """Whatever account is set: a demo never asks a real one. What it fetches of people stays as set."""
    for name in [name for name in os.environ if name.startswith("ZENDESK_") and name not in FETCHED_OF_PEOPLE]:
        del os.environ[name]
    os.environ["ZENDESK_SANDBOX"] = "1"


def _demo_home(scope: AccountScope, *, names_account: bool) -> Path:
    """DAGSTER_HOME if it is the sandbox's, or nobody's yet; otherwise a home of the sandbox's own in the working folder.

    Args:
        scope: the sandbox's.
        names_account: whether the variables named an account before the demo, whose home an empty one would be.
    """
    from ticket_events_pipeline.defs.dagster_home import is_in_use, refuse_foreign_home

    given = os.environ.get("DAGSTER_HOME", "").strip()
    if given:
        with _opened(Path(given)) as instance, suppress(ForeignHomeError):
            refuse_foreign_home(instance, scope)
            if is_in_use(instance, scope) or not names_account:
                return Path(given)
    own = SANDBOX_HOME.absolute()
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = own / "dagster.yaml"
    if not config.exists():
        config.write_text(template("dagster.yaml"))
    return own


def _opened(home: Path) -> dg.DagsterInstance:
    """The instance whose UI shows the demo's runs."""
    os.environ["DAGSTER_HOME"] = str(home)
    return deployment_instance()


def _command(words: str) -> str:
    """A command of this program about the demo's days, as it is typed in the working folder."""
    place = {name: value for name in PLACE if (value := os.environ.get(name, "").strip())}
    variables = {"ZENDESK_SANDBOX": "1", **place}
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), f"{program()} {words}"])


def _ui_command(home: Path) -> str:
    """The command that opens the UI on the demo's days, as it is typed in the working folder."""
    place = {name: value for name in PLACE if (value := os.environ.get(name, "").strip())}
    variables = {"ZENDESK_SANDBOX": "1", **place}
    if home == SANDBOX_HOME.absolute() and _is_checkout():
        command = "make dev"
    else:
        variables["DAGSTER_HOME"] = str(home.absolute())
        command = f"{program('dg')} dev -w {shlex.quote(_workspace(home))}"
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), command])


def _workspace(home: Path) -> str:
    """A workspace.yaml: one name of the code location in every start, or schedules that were turned on would be off again."""
    if Path("workspace.yaml").is_file():
        return "workspace.yaml"
    path = home.absolute() / "workspace.yaml"
    if not path.exists():
        path.write_text(template("workspace.yaml"))
    return str(path)


def _is_checkout() -> bool:
    """Whether the working folder has the Makefile of this project."""
    with suppress(OSError):
        return "ticket-events demo" in Path("Makefile").read_text()
    return False


def _show_breaches(console: Console, store: Store, day: Day) -> None:
    summary = read_partition(store, "daily_sla_breach_summary", day)
    if summary is None:
        raise TicketEventsError(f"There is no summary of {day} below {store.location}.")
    print_breaches(console, {day: summary})
