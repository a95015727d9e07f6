"""`new_event_partitions_sensor`: asks for the SLA tables of days whose raw files have landed or changed.

Wiring only: what is stale is `staleness`'s, what is in progress is `runs`'s. Rejected: `@asset_sensor` sees only the newest of
many partitions (dagster#32853); an automation condition can't make one range run from the earliest stale day on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import takewhile

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.event_log import EventLog
from ticket_events_pipeline.defs.jobs import SUMMARIZE
from ticket_events_pipeline.defs.runs import WILL_RETRY_TAG, days_in_progress, range_tags
from ticket_events_pipeline.defs.staleness import (
    CLOCKS,
    SUMMARY,
    TICKET_EVENTS,
    TICKET_METRIC_EVENTS,
    Stretch,
    stale_days,
    stretches,
)

ASKED_TAG = "ticket_events/asked_by_sensor"
STATE_TAG = "ticket_events/state"
MOST_ATTEMPTS = 3
"""A state that could not be summarised so often will not be the next time either; it is asked for again when it changes."""

RUNS_LOOKED_AT = 50
"""More than one state can have while its attempts are counted: each may be killed and retried ten times (dagster.yaml)."""

WATCHED = {
    # An event of the asset may make these days stale, counted from its own: a day's memory is an input of the next day.
    TICKET_EVENTS: (0,),
    TICKET_METRIC_EVENTS: (0,),
    CLOCKS: (1,),
    SUMMARY: (0,),
}

DAILY_ASSETS = (TICKET_EVENTS, TICKET_METRIC_EVENTS, CLOCKS, "sla_targets", SUMMARY, "sla_breach_report")
"""A run or backfill over any of them holds its days."""

Cursor = dict[str, int]
"""By asset, the place in the event log up to which no day is stale. It only saves work: without it, all is compared again."""


def new_event_partitions_sensor(scope: AccountScope) -> dg.SensorDefinition:
    """The account's sensor: one range run of the SLA tables per stretch of days whose raw files have landed or changed."""

    @dg.sensor(
        name=scope.named("new_event_partitions_sensor"),
        job_name=scope.named(SUMMARIZE),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Asks for one range run of the SLA tables per stretch of days whose raw files have landed or changed.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return _tick(context, scope)

    return sensor


def _tick(context: dg.SensorEvaluationContext, scope: AccountScope) -> dg.SensorResult:
    """Compare what every summary was made from with what is stored, and ask for a run where they differ."""
    repository = context.repository_def
    if repository is None:
        raise dg.DagsterInvariantViolationError("the sensor needs its repository to know which backfills touch its assets")
    instance = context.instance
    log = EventLog(instance, scope)
    touched, reached = _touched_since(log, _read_cursor(context.cursor))
    # A day that landed before TICKET_EVENTS_START_DATE was moved is no partition any more: a range with it can't be run.
    stale = {day for day in stale_days(log, touched) if scope.is_partition(day)}
    newest = scope.day_containing(wall_clock())
    keys = [scope.key(asset) for asset in DAILY_ASSETS]
    busy = set(days_in_progress(instance, repository, keys, timezone=scope.timezone)) if stale else set()
    asked, given_up = [], set()
    for stretch in stretches(log, stale, max({newest, *stale}), fresh=lambda day: day not in touched):
        if len(_attempts(instance, scope, stretch)) >= MOST_ATTEMPTS:
            given_up |= set(stretch.days)
            context.log.warning(f"{_told(stretch)}: {MOST_ATTEMPTS} runs have made no summary; look at why they failed.")
        elif busy.isdisjoint(stretch.days):
            asked.append(_request(instance, scope, stretch))
    # Those given up too: a change of any later day of their stretch makes the whole stretch worth another try.
    held = {day: places for day, places in touched.items() if day in stale}
    skipped = None if asked else _why_nothing(stale, given_up)
    return dg.SensorResult(run_requests=asked, skip_reason=skipped, cursor=json.dumps(_advanced(reached, held)))


def _read_cursor(text: str | None) -> Cursor:
    try:
        read = json.loads(text or "{}")
        return {name: int(place) for name, place in read.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _touched_since(log: EventLog, cursor: Cursor) -> tuple[dict[Day, Cursor], Cursor]:
    """The days that events behind the cursor may have made stale, each with the newest by asset; and the newest of all."""
    touched: dict[Day, Cursor] = defaultdict(dict)
    reached = dict(cursor)
    for name, offsets in WATCHED.items():
        places = log.materialised_after(name, cursor.get(name, 0))
        reached[name] = max([cursor.get(name, 0), *places.values()])
        for day, place in places.items():
            for offset in offsets:
                touched[day.plus(offset)][name] = place
    return touched, reached


def _advanced(reached: Cursor, held: dict[Day, Cursor]) -> Cursor:
    """The cursor behind everything seen, but before the newest event of any day that is still to be made."""
    advanced = dict(reached)
    for places in held.values():
        for name, storage_id in places.items():
            advanced[name] = min(advanced[name], storage_id - 1)
    return advanced


def _attempts(instance: dg.DagsterInstance, scope: AccountScope, stretch: Stretch) -> list[dg.DagsterRun]:
    """The runs that were asked for this state since those days were last in another, newest first.

    Those that were killed don't count: the state is not at fault, and Dagster has started each again.
    """
    tags = range_tags(stretch.days[0], stretch.days[-1]) | {ASKED_TAG: "true"}
    newest = instance.get_runs(dg.RunsFilter(tags=tags, job_name=scope.named(SUMMARIZE)), limit=RUNS_LOOKED_AT)
    same = takewhile(lambda run: run.tags.get(STATE_TAG) == stretch.state, newest)
    return [run for run in same if run.tags.get(WILL_RETRY_TAG) != "true"]


def _request(instance: dg.DagsterInstance, scope: AccountScope, stretch: Stretch) -> dg.RunRequest:
    tags = range_tags(stretch.days[0], stretch.days[-1]) | {ASKED_TAG: "true", STATE_TAG: stretch.state}
    # The count is in the key: a key dedupes for ever, and a failed run, or a state that comes back, has to be asked for again.
    before = instance.get_runs_count(dg.RunsFilter(tags={STATE_TAG: stretch.state}, job_name=scope.named(SUMMARIZE)))
    return dg.RunRequest(run_key=f"{stretch.state}:{before + 1}", tags=tags)


def _told(stretch: Stretch) -> str:
    return f"{stretch.days[0]} to {stretch.days[-1]}"


def _why_nothing(stale: set[Day], given_up: set[Day]) -> str:
    if not stale:
        return "Every landed day's summary was made from what is stored now."
    if stale <= given_up:
        return f"{len(stale)} days could not be summarised in {MOST_ATTEMPTS} runs each; they wait for a change."
    return f"{len(stale - given_up)} days are to be summarised; a run or backfill over them is queued or in progress."
