"""The tags that this package puts on its runs.

Tags that only this package reads begin with `.dagster/`: Dagster shows these to nobody, and stores, searches and hands them to
retries like any other. A key has one slash at most. In earlier versions the tags were visible; such runs are read, too.
"""

from __future__ import annotations

import dagster as dg

_HIDDEN, _VISIBLE = ".dagster/ticket_events_", "ticket_events/"

PROCESS_TAG = f"{_HIDDEN}process"
REQUESTED_TAG = f"{_HIDDEN}asked_by_sensor"
STATE_TAG = f"{_HIDDEN}state"
ATTEMPT_TAG = f"{_HIDDEN}attempt"
LEFT_TAG = f"{_HIDDEN}left"

MOST_REQUESTS_TAG = f"{_HIDDEN}most_requests"
"""How many requests the run makes for each stream at most; without it, a stream is read to its end."""

MAX_RETRIES_TAG = "dagster/max_retries"
"""How often Dagster starts a killed run again, if not as often as dagster.yaml says."""

NOTE_TAG = f"{_VISIBLE}note"
"""A schedule's note on the range that it requests; the run logs it. People read it, so it isn't hidden."""


def tag_of(run: dg.DagsterRun, tag: str) -> str | None:
    """The value of one of the hidden tags, also of a run of an earlier version; None without it."""
    return run.tags.get(tag, run.tags.get(_former(tag)))


def most_requests(run: dg.DagsterRun) -> int | None:
    """How many requests the run may make for each stream; None if its tag says none, or no number."""
    text = run.tags.get(MOST_REQUESTS_TAG, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) else None


def newest_runs(
    instance: dg.DagsterInstance, tag: str, value: str, filters: dg.RunsFilter, *, limit: int
) -> list[dg.DagsterRun]:
    """The runs with that value of a hidden tag, newest first, those of earlier versions included."""
    records = [
        record
        for name in (tag, _former(tag))
        for record in instance.get_run_records(_with_tag(filters, name, value), limit=limit)
    ]
    newest = sorted(records, key=lambda record: record.storage_id, reverse=True)
    return list({record.dagster_run.run_id: record.dagster_run for record in newest}.values())[:limit]


def count_runs(instance: dg.DagsterInstance, tag: str, value: str, filters: dg.RunsFilter) -> int:
    """The number of runs with that value of a hidden tag, those of earlier versions included."""
    return sum(instance.get_runs_count(_with_tag(filters, name, value)) for name in (tag, _former(tag)))


def _former(tag: str) -> str:
    return tag.replace(_HIDDEN, _VISIBLE)


def _with_tag(filters: dg.RunsFilter, tag: str, value: str) -> dg.RunsFilter:
    return dg.RunsFilter(tags={**filters.tags, tag: value}, job_name=filters.job_name)
