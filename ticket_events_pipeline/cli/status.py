"""`ticket-events status`: what is stored, when it was last read, what Dagster is doing, and what to do next.

It reads files and Dagster's own storage, sends no request to Zendesk, and needs no credentials.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.cli.waits import (
    READ_SECONDS,
    database_name,
    database_problem,
    home_problem,
    import_libraries,
    of_root,
)
from ticket_events_pipeline.day import Day, Instant, day_ranges, days_between, wall_clock
from ticket_events_pipeline.errors import DamagedFileError, TicketEventsError
from ticket_events_pipeline.forgotten.ledger import read_ledger
from ticket_events_pipeline.installation import dagster_home_hint, program
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.publish_settings import has_publishing
from ticket_events_pipeline.report.files import REPORT, report_days
from ticket_events_pipeline.retention.settings import RETAIN_DAYS
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.footer_cache import MADE_AFTER_SUMMARY, TABLES, WITHOUT_TICKET_TABLES
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.pruned_days import NOTHING_PRUNED, PrunedDays, read_pruned_days
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, STREAMS
from ticket_events_pipeline.text import duration_text, one_line, plural, ranges_text, utc_text, zoned_text
from ticket_events_pipeline.variables import NONE
from ticket_events_pipeline.zendesk.rate_limit import NOTHING_KNOWN, QuotaState

if TYPE_CHECKING:
    from ticket_events_pipeline.defs.home_state import HomeState

STALE_SECONDS = 3 * 3600
"""`hourly_fetch` reads every hour; after so long something is wrong."""

DAEMON_SECONDS = 300
"""The daemon gives a sign of life every half minute."""

REFRESH_NAMES, FREQUENT_FETCH, WARNINGS = "refresh_names", "frequent_fetch", "sla_warning_sensor"
PRUNE, PUBLISH = "daily_prune", "hourly_publish"

_MOST_RANGES = 5
_MOST_OPEN_DAYS = 40


@dataclass(frozen=True)
class Reading:
    """The newest reading of a stream.

    Attributes:
        read_at: epoch seconds.
        complete_through: the newest of the last days that was read to its end; None if none was.
    """

    read_at: int
    complete_through: Day | None


@dataclass(frozen=True)
class Status:
    """Everything that is shown.

    Attributes:
        root_problem: why the root can't be read, so that days, readings and quota are not known; empty if it can.
        days: the stored days of each asset.
        readings: of the streams that were read.
        quota: what is known of the rate limit.
        quota_now: now by the clock that it is counted by, in a bucket the bucket's own.
        home: what Dagster knows; None where that can't be known.
        home_problem: why it can't.
        has_names: whether `refresh_names` has something to fetch.
        pruned: the days that are not stored on purpose.
        configured: schedules that have work to do because their variables are set.
    """

    account: str | None
    location: str
    timezone: str
    now: float
    root_problem: str
    days: Mapping[str, list[Day]]
    readings: Mapping[str, Reading]
    quota: QuotaState
    quota_now: float
    home: HomeState | None
    home_problem: str
    has_names: bool
    pruned: PrunedDays = NOTHING_PRUNED
    configured: tuple[str, ...] = ()

    @property
    def configured_but_off(self) -> list[str]:
        """What is off although its variables are set."""
        is_on = {} if self.home is None else self.home.automations
        return [name for name in self.configured if not is_on.get(name, True)]

    @property
    def recommended(self) -> list[str]:
        """What is off and need not be on, but without which names and due times are missing or old, or warnings late."""
        is_on = {} if self.home is None else self.home.automations
        found = [REFRESH_NAMES] if self.has_names and not is_on.get(REFRESH_NAMES, True) else []
        return [*found, FREQUENT_FETCH] if self.lacks_frequent_fetch else found

    @property
    def lacks_frequent_fetch(self) -> bool:
        """Whether warnings are on without what they are made from."""
        is_on = {} if self.home is None else self.home.automations
        return is_on.get(WARNINGS, False) and not is_on.get(FREQUENT_FETCH, True)


def run_status(*, as_json: bool) -> bool:
    """Print the status; whether all of it is known of the root.

    Raises:
        SettingsError: a variable of the root is malformed.
    """
    status = _status(pipeline_of(os.environ))
    if as_json:
        click.echo(json.dumps(_as_json(status), indent=1))
    else:
        for line in _lines(status):
            click.echo(line)
    return not status.root_problem


def _status(pipeline: Pipeline) -> Status:
    root, now = pipeline.root_settings, wall_clock()
    quota, quota_now, problem = NOTHING_KNOWN, Instant.exactly(now), ""
    days, readings, pruned = dict[str, list[Day]](), dict[str, Reading](), NOTHING_PRUNED
    try:
        store = pipeline.store  # its libraries are imported before the time counts
        quota, quota_now = of_root(root.root, pipeline.quota_state)
        pruned = of_root(root.root, lambda: read_pruned_days(store))
        of_root(root.root, lambda: read_ledger(store))  # a damaged one: nothing can be fetched
        days, readings = of_root(root.root, lambda: _stored(store, root), seconds=READ_SECONDS)
    except TicketEventsError as error:
        problem = one_line(str(error))
    home, home_problem = _home(root.timezone)
    has_names = os.environ.get("ZENDESK_NAMES", "").strip().lower() != NONE
    return Status(
        account=root.account,
        location=root.root,
        timezone=root.timezone,
        now=now,
        root_problem=problem,
        days=days,
        readings=readings,
        quota=quota,
        quota_now=quota_now.earliest,
        home=home,
        home_problem=home_problem,
        has_names=has_names,
        pruned=pruned,
        configured=tuple(_configured(os.environ)),
    )


def _configured(env: Mapping[str, str]) -> Iterator[str]:
    if env.get(RETAIN_DAYS, "").strip().lower() not in ("", NONE):
        yield PRUNE
    if has_publishing(env):
        yield PUBLISH


def _stored(store: Store, root: RootSettings) -> tuple[dict[str, list[Day]], dict[str, Reading]]:
    """The stored days of each asset, and the newest reading of each stream that was read."""
    tables = TABLES if root.has_ticket_tables else WITHOUT_TICKET_TABLES
    days = {table: stored_days(store, table, root.timezone) for table in tables}
    days[REPORT] = report_days(store, root.timezone)
    return days, {stream: found for stream in STREAMS if (found := _reading(store, stream, days[stream])) is not None}


def _reading(store: Store, stream: str, stored: list[Day]) -> Reading | None:
    read_at, complete = None, None
    for day in reversed(stored[-_MOST_OPEN_DAYS:]):
        try:
            footer = read_raw_footer(store, stream, day)
        except DamagedFileError:  # `verify` names it
            continue
        if footer is None:
            continue
        read_at = footer.read_up_to if read_at is None else read_at
        if footer.complete:
            complete = day
            break
    return None if read_at is None else Reading(read_at, complete)


def _home(timezone: str) -> tuple[HomeState | None, str]:
    """What Dagster knows, or why that can't be known."""
    folder = os.environ.get("DAGSTER_HOME", "")
    if not folder:
        return None, f"DAGSTER_HOME is not set, so runs, schedules and sensors are not known{dagster_home_hint()}"
    if problem := home_problem(folder) or database_problem(folder, os.environ):
        return None, problem
    # An import of seconds.
    from ticket_events_pipeline.definitions import defs
    from ticket_events_pipeline.defs.home_state import home_state
    from ticket_events_pipeline.defs.in_process import deployment_instance

    def read() -> HomeState:
        with deployment_instance() as instance:
            return home_state(instance, defs.get_repository_def(), timezone=timezone)

    import_libraries(folder)
    try:
        return in_time(read, seconds=READ_SECONDS), ""
    except TimeoutError:
        database = database_name(folder, os.environ)
        return (
            None,
            f"{database} doesn't answer: nothing within {READ_SECONDS:g} s. So runs, schedules and sensors are not known",
        )
    except TicketEventsError as error:
        return None, one_line(str(error))
    except Exception as error:  # any storage of Dagster's: a database that is down must not hide the files
        return None, f"DAGSTER_HOME can't be read ({type(error).__name__}), so runs, schedules and sensors are not known"


def without_ticket_tables(status: Status) -> list[Day]:
    """The summarised days that lack a ticket table; none where these are turned off."""
    made = [set(status.days[table]) for table in MADE_AFTER_SUMMARY if table in status.days]
    summarised = [day for day in status.days[SUMMARY] if not status.pruned.is_closed(day)]
    return [day for day in summarised if not all(day in days for days in made)]


def _gaps(status: Status, asset: str) -> list[tuple[Day, Day]]:
    """The days that are missing; those that were pruned are not, nor are reports of closed days: `forget` may remove them."""
    days, pruned = status.days[asset], status.pruned
    held = set(days)
    between = days_between(days[0], days[-1]) if days else []
    absent = [day for day in between if day not in held and not pruned.has(asset, day)]
    return day_ranges(day for day in absent if asset != REPORT or not pruned.is_closed(day))


def next_step(status: Status) -> str:
    """What to do next, as one line."""
    if status.root_problem:
        return f"See what is wrong with the root: {program()} doctor"
    raw = status.days[METRIC_EVENTS]
    if status.account is None and not raw:
        return f"Set the variables of an account, then: {program()} doctor"
    if not raw:
        first = os.environ.get("TICKET_EVENTS_START_DATE", "").strip()
        if first and status.pruned.closed_before is not None:  # dates in ISO format sort as text
            first = max(first, str(status.pruned.closed_before))
        return f"Fetch the first days: {program()} backfill {f'{first}..yesterday' if first else 'last-7-days'}"
    if status.home is None:
        return "Set DAGSTER_HOME to the folder that Dagster uses here"
    return _home_step(status, status.home) or _data_step(status)


def _home_step(status: Status, home: HomeState) -> str | None:
    """What to do in Dagster, or that nothing is fetched; None where all of it runs."""
    if home.to_turn_on:
        return f"Turn on {' and '.join(home.to_turn_on)} in the UI: Automation"
    if status.lacks_frequent_fetch:
        return f"Turn on {FREQUENT_FETCH}, too, in the UI: Automation. {WARNINGS} is on, and warns from what it reads"
    if home.daemon_seen_at is None or status.now - home.daemon_seen_at > DAEMON_SECONDS:
        return "Start dagster-daemon (dg dev starts it, too): without it no schedule and no sensor runs"
    if home.last_failed is not None:
        return f"See why the run {home.last_failed.run_id} failed: in the UI under Runs"
    if any(status.now - reading.read_at > STALE_SECONDS for reading in status.readings.values()):
        return "See why nothing was fetched: in the UI under Automation, the ticks of hourly_fetch"
    return None


def _data_step(status: Status) -> str:
    """What to do where everything runs."""
    raw, summaries = status.days[METRIC_EVENTS], set(status.days[SUMMARY])
    expected = [day for day in days_between(raw[0], raw[-1]) if not status.pruned.is_closed(day)]
    missing = [day for day in expected if day not in summaries or day not in set(raw)]
    if missing:
        return f"Fetch and make what is missing: {program()} backfill {missing[0]}..{missing[-1]} --missing"
    if status.recommended:
        return f"Turn on {REFRESH_NAMES} in the UI: Automation. Names and due times in business hours come from it"
    if off := status.configured_but_off:
        reason = "Its variable is set" if len(off) == 1 else "Their variables are set"
        return f"Turn on {' and '.join(off)} in the UI: Automation. {reason}"
    if without_ticket_tables(status):
        return f"If you want to know whose breaches they were on earlier days, too: {program()} backfill --tickets"
    return "Nothing: everything that is stored is summarised, and the schedules are on"


def _lines(status: Status) -> list[str]:
    lines = [f"{status.account or 'No account is set'}: files below {status.location}, days of {status.timezone}"]
    if status.root_problem:
        lines.append(f"Stored: not known. {status.root_problem}")
    else:
        lines += _stored_lines(status)
    if status.home is None:
        lines.append(f"Dagster: {status.home_problem}")
    else:
        lines += _home_lines(status, status.home)
    return [*lines, f"Next: {next_step(status)}"]


def _stored_lines(status: Status) -> list[str]:
    width = 2 + max(map(len, status.days))
    lines = ["Stored:"]
    lines += [f"  {asset:<{width}}{_days_text(status, asset)}" for asset in status.days]
    if status.pruned.closed_before is not None:
        lines.append(f"  {status.pruned.closed_sentence}")
    if missing := without_ticket_tables(status):
        lines.append(
            f"  {plural(len(missing), 'day')} with SLA tables and without ticket tables: {program()} backfill --tickets"
        )
    lines.append("Last read:")
    lines += [f"  {stream:<25}{_reading_text(status, stream)}" for stream in STREAMS]
    return [*lines, f"Quota: {_quota_text(status)}"]


def _days_text(status: Status, asset: str) -> str:
    days, before = status.days[asset], status.pruned.before.get(asset)
    pruned = "" if before is None else f"; pruned before {before}"
    if not days:
        return f"none{pruned}"
    gaps = _gaps(status, asset)
    more = f" and {plural(len(gaps) - _MOST_RANGES, 'more range')}" if len(gaps) > _MOST_RANGES else ""
    missing = f"; missing: {ranges_text(gaps[:_MOST_RANGES])}{more}" if gaps else ""
    return f"{plural(len(days), 'day')}, {ranges_text([(days[0], days[-1])])}{missing}{pruned}"


def _reading_text(status: Status, stream: str) -> str:
    reading = status.readings.get(stream)
    if reading is None:
        return "never"
    age = duration_text(max(0, status.now - reading.read_at))
    through = "no day yet" if reading.complete_through is None else f"through {reading.complete_through}"
    return f"{zoned_text(reading.read_at, status.timezone)}, {age} ago; complete: {through}"


def _quota_text(status: Status) -> str:
    bucket, closed_until, now = status.quota.bucket, status.quota.closed_until, status.quota_now
    if closed_until is not None and closed_until > now:
        return f"the server refuses requests until {zoned_text(closed_until, status.timezone)}"
    if bucket is None:
        return "not known here: no answer of the server has stated it lately (ticket-events doctor asks)"
    if bucket.resets_at <= now:
        return f"{plural(bucket.total, 'request')} a minute, all of them free"
    return f"{bucket.remaining:,} of {plural(bucket.total, 'request')} a minute left"


def _home_lines(status: Status, home: HomeState) -> list[str]:
    seen = home.daemon_seen_at
    running = seen is not None and status.now - seen <= DAEMON_SECONDS
    lines = [
        "Dagster:",
        f"  daemon: {'runs' if running else 'does not run'}"
        + ("" if seen is None else f", last seen {duration_text(max(0, status.now - seen))} ago"),
    ]
    lines += [f"  in progress: {_run_text(run.job, run.days, run.run_id)}, {run.status}" for run in home.in_progress]
    if not home.in_progress:
        lines.append("  in progress: no run")
    if home.last_failed is not None:
        run = home.last_failed
        at = zoned_text(run.at, status.timezone)
        lines.append(f"  last failed: {_run_text(run.job, run.days, run.run_id)}, at {at}")
    on = [name for name, is_on in home.automations.items() if is_on]
    words = {
        "on": on,
        "off, and must be on": home.to_turn_on,
        "off, and to be turned on, as the variables are set": status.configured_but_off,
        "off, recommended": status.recommended,
    }
    named = {name for names in words.values() for name in names}
    words["off, optional"] = [name for name in home.automations if name not in named]
    return lines + [f"  {word}: {', '.join(names)}" for word, names in words.items() if names]


def _run_text(job: str, days: str, run_id: str) -> str:
    return f"{job}{f' of {days}' if days else ''} ({run_id})"


def _as_json(status: Status) -> dict[str, Any]:
    stored = dict.fromkeys(("stored", "closed_before", "days_without_ticket_tables", "read", "quota"))  # null: not known
    return {
        "account": status.account,
        "root": status.location,
        "root_problem": status.root_problem or None,
        "timezone": status.timezone,
        **(stored if status.root_problem else _stored_json(status)),
        "dagster": None
        if status.home is None
        else _home_json(status.home) | {"recommended": status.recommended, "configured_but_off": status.configured_but_off},
        "dagster_problem": status.home_problem or None,
        "next": next_step(status),
    }


def _stored_json(status: Status) -> dict[str, Any]:
    bucket = status.quota.bucket
    return {
        "stored": {
            asset: {
                "days": len(days),
                "first": str(days[0]) if days else None,
                "last": str(days[-1]) if days else None,
                "missing": [[str(first), str(last)] for first, last in _gaps(status, asset)],
                **({"pruned_before": str(before)} if (before := status.pruned.before.get(asset)) is not None else {}),
            }
            for asset, days in status.days.items()
        },
        "closed_before": None if status.pruned.closed_before is None else str(status.pruned.closed_before),
        "days_without_ticket_tables": len(without_ticket_tables(status)),
        "read": {
            stream: {
                "at": utc_text(reading.read_at),
                "complete_through": None if reading.complete_through is None else str(reading.complete_through),
            }
            for stream, reading in status.readings.items()
        },
        "quota": None
        if bucket is None
        else {"total": bucket.total, "remaining": bucket.remaining, "resets_at": utc_text(bucket.resets_at)},
    }


def _home_json(home: HomeState) -> dict[str, Any]:
    return {
        "in_progress": [vars(run) for run in home.in_progress],
        "last_failed": None if home.last_failed is None else vars(home.last_failed),
        "automations": home.automations,
        "to_turn_on": home.to_turn_on,
        "daemon_seen_at": None if home.daemon_seen_at is None else utc_text(home.daemon_seen_at),
    }
