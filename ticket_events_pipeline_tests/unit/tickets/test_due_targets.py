"""The open targets of today, and when each will breach, from whatever tables are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, SCHEDULES_FETCHED_AT
from ticket_events_pipeline.tickets.due_targets import (
    DUE_TARGET_COLUMNS,
    DueTargets,
    read_due_targets,
)
from ticket_events_pipeline_tests.support.damages import removed, rewrite, truncated
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_audits, put_raw_day
from ticket_events_pipeline_tests.support.ticket_days import audit, make_ticket_days

DAY = Clock.DAY
NOW = DAY.start + 12 * 3600
GROUP, AGENT, SCHEDULES_AT = 71, 72, DAY.start - 3600


def started(ticket_id: int, hour: float, minutes: int, **more: Any) -> Clock:
    return Clock(ticket_id, first_id=100 * ticket_id).add("activate", hour).apply(hour, minutes, **more)


CALENDAR, LATER, BUSINESS = started(1, 10, 180), started(2, 11, 600), started(3, 11, 480, business_hours=True)
PAUSED = started(4, 9, 600).add("pause", 10)
NEWLY_LATE = started(5, 9, 60).add("breach", 10)
LONG_LATE = started(6, -5, 60).add("breach", -4)
MET = started(7, 9, 240).add("fulfill", 10)
CLOCKS = (CALENDAR, LATER, BUSINESS, PAUSED, NEWLY_LATE, LONG_LATE, MET)

AUDITS = [
    audit(1, 1, 9.9, "Create", group_id=GROUP, assignee_id=AGENT),
    audit(2, 2, 10.9, "Create", group_id=GROUP),
    audit(3, 3, 10.9, "Create", group_id=GROUP),
]


def sla_tables(root: Path, *clocks: Clock, now: float = NOW) -> None:
    for day in (DAY.plus(-1), DAY):
        put_raw_day(root, all_events(*clocks), day, now=now if day == DAY else None)
        put_audits(root, AUDITS, day, now=now if day == DAY else None)
    make_sla_days(root, DAY.plus(-1), DAY)


def estimate(root: Path, ticket_id: int, due_at: int) -> None:
    """An estimate in business hours, as `sla_target_dimensions` has them."""

    def rows(table: pa.Table) -> pa.Table:
        found = table.to_pylist()
        for row in found:
            if row["ticket_id"] == ticket_id:
                row |= {"due_at": due_at * 1000, "due_by": "business_hours"}
        return pa.Table.from_pylist(found, schema=table.schema)

    rewrite(root, DIMENSIONS, DAY, rows=rows, footer=lambda footer: {**footer, SCHEDULES_FETCHED_AT: str(SCHEDULES_AT)})


@pytest.fixture
def root(tmp_path) -> Path:
    """A root with ticket tables; ticket 3 will breach at 14:00, in business hours."""
    sla_tables(tmp_path, *CLOCKS)
    make_ticket_days(tmp_path, DAY.plus(-1), DAY)
    estimate(tmp_path, 3, NOW + 2 * 3600)
    return tmp_path


def found_in(root: Path) -> DueTargets:
    found = read_due_targets(FolderStore(root), DAY)
    assert found is not None
    assert found.targets.column_names == DUE_TARGET_COLUMNS
    return found


def estimates(root: Path) -> dict[int, tuple[int | None, str | None]]:
    """Hours from now, and the kind of hours, by ticket in the order of the table."""
    rows = found_in(root).targets.to_pylist()
    return {
        row["ticket_id"]: (row["due_at"] and (row["due_at"] - NOW) / 3600, row["due_by"])  # type: ignore[misc]
        for row in rows
    }


def test_open_targets_in_time_and_those_that_breached_today_come_soonest_first(root):
    assert estimates(root) == {
        1: (1, "calendar"),
        3: (2, "business_hours"),
        2: (9, "calendar"),
        4: (None, None),
        5: (None, None),
    }
    assert list(estimates(root))[:3] == [1, 3, 2]


def test_the_rows_say_what_is_due_and_who_holds_it(root):
    found = found_in(root)
    assert found.targets.to_pylist()[0] == {
        "ticket_id": 1,
        "metric": "requester_wait_time",
        "instance_id": 1,
        "sla_metric": "requester_wait_time",
        "policy_id": "11",
        "policy_title": "Standard",
        "business_hours": False,
        "target_seconds": 180 * 60,
        "outcome": "active",
        "is_paused": False,
        "breached_at": None,
        "due_at": NOW + 3600,
        "due_by": "calendar",
        "group_id": GROUP,
        "assignee_id": AGENT,
        "group_is_known": True,
        "assignee_is_known": True,
    }
    assert (found.day, found.as_of, found.complete, found.read_at) == (DAY, NOW, False, NOW)
    assert (found.schedules_fetched_at, found.has_holders, found.unreadable) == (SCHEDULES_AT, True, ())


def test_nobody_and_unknown_are_two_things(root):
    rows = {row["ticket_id"]: row for row in found_in(root).targets.to_pylist()}
    of_two, of_five = ((row["assignee_id"], row["assignee_is_known"]) for row in (rows[2], rows[5]))
    assert (of_two, of_five) == ((None, True), (None, False))
    assert (rows[5]["group_id"], rows[5]["group_is_known"]) == (None, False)


def test_an_assumed_holder_counts_as_known_since_on_an_open_day_nearly_all_are(root):
    assert '"group_id_eod":"assumed"' in read_partition(FolderStore(root), DIMENSIONS, DAY)["known_by"].to_pylist()[0]
    row = found_in(root).targets.to_pylist()[0]
    assert (row["group_id"], row["group_is_known"]) == (GROUP, True)


def test_without_ticket_tables_there_are_calendar_hours_and_no_holders(tmp_path):
    sla_tables(tmp_path, *CLOCKS)
    assert estimates(tmp_path) == {
        1: (1, "calendar"),
        2: (9, "calendar"),
        3: (None, None),
        4: (None, None),
        5: (None, None),
    }
    found = found_in(tmp_path)
    assert set(found.targets["group_is_known"].to_pylist()) == {False}
    assert (found.has_holders, found.schedules_fetched_at, found.unreadable) == (False, None, ())


def test_a_damaged_file_of_dimensions_is_named_and_done_without(root):
    truncated(root, DIMENSIONS, DAY)
    assert estimates(root)[3] == (None, None)
    (sentence,) = found_in(root).unreadable
    assert "Materialize sla_target_dimensions of 2026-03-02 again" in sentence


def test_a_damaged_file_of_targets_is_an_error_and_not_yesterday(root):
    truncated(root, TARGETS, DAY)
    with pytest.raises(DamagedFileError, match="sla_targets"):
        read_due_targets(FolderStore(root), DAY)


def test_until_today_has_targets_those_of_yesterday_count(root):
    found = read_due_targets(FolderStore(root), DAY.plus(1))
    assert found is not None
    assert (found.day, found.as_of, found.targets) == (DAY, NOW, found_in(root).targets)


def test_older_targets_than_yesterdays_are_none(root):
    assert read_due_targets(FolderStore(root), DAY.plus(2)) is None


def test_a_raw_file_that_is_gone_or_damaged_leaves_no_time_of_reading(root):
    truncated(root, "ticket_metric_events", DAY)
    assert found_in(root).read_at is None
    assert len(found_in(root).unreadable) == 1
    removed(root, "ticket_metric_events", DAY)
    assert (found_in(root).read_at, found_in(root).unreadable) == (None, ())


def test_a_reading_that_stopped_behind_looks_no_fresher_than_it_is(root):
    put_raw_day(root, all_events(*CLOCKS), DAY, now=NOW, more_footer={"stopped_at": str(NOW - 1800)})
    assert found_in(root).read_at == NOW - 1800


def test_estimates_from_before_the_targets_hold_for_those_without_an_event_since(root):
    touched = started(8, 11, 480, business_hours=True)
    sla_tables(root, *CLOCKS, touched)
    make_ticket_days(root, DAY.plus(-1), DAY)
    estimate(root, 3, NOW + 2 * 3600)
    estimate(root, 8, NOW + 2 * 3600)
    sla_tables(root, *CLOCKS, touched.apply(12.1, 30, business_hours=True), now=NOW + 1800)
    assert (estimates(root)[3], estimates(root)[8]) == ((2, "business_hours"), (None, None))
    paused = [*CLOCKS[:2], BUSINESS.add("pause", 12.2), *CLOCKS[3:]]
    sla_tables(root, *paused, now=NOW + 1800)
    assert estimates(root)[3] == (None, None)
