"""What breaches next in the report: targets in business hours beside those in calendar hours."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ticket_events_pipeline.report.builder import ReportReader
from ticket_events_pipeline.report.explained import due_query
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.report.open_tickets import Forecast, Unforecast
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline_tests.support.damages import truncated
from ticket_events_pipeline_tests.support.due_roots import ADA, BILLING, SALES, due_root, held_by
from ticket_events_pipeline_tests.support.html_page import parsed
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days, put_raw_day
from ticket_events_pipeline_tests.support.ticket_days import make_ticket_days

DAY = Clock.DAY  # a Monday
NOON = DAY.start + 12 * 3600

OFFICE = [(day * 1440 + 9 * 60, day * 1440 + 17 * 60) for day in range(1, 6)]
"""Monday to Friday, 9 to 17 o'clock."""


def begun(ticket_id: int, hour: float, hours: int, *, business_hours: bool = True) -> Clock:
    clock = Clock(ticket_id, "reply_time", first_id=100 * ticket_id).add("activate", hour)
    return clock.apply(hour, 60 * hours, business_hours=business_hours)


TOMORROW, TODAY, LATER = begun(1, 11, 8), begun(3, 10, 6), begun(4, 11, 16)
CALENDAR = begun(2, 10, 3, business_hours=False)
PAUSED, LATE = begun(5, 10, 6).add("pause", 11), begun(6, 9, 1).add("breach", 10)
CLOCKS = (TOMORROW, CALENDAR, TODAY, LATER, PAUSED, LATE)
AUDITS = [
    held_by(1, NOON, subject="Two charges", group_id=SALES, assignee_id=ADA),
    held_by(2, NOON, group_id=BILLING),
    held_by(3, NOON, group_id=SALES),
    held_by(5, NOON, group_id=SALES),
    held_by(6, NOON, group_id=SALES),
]


@pytest.fixture
def root(tmp_path) -> Path:
    due_root(tmp_path, CLOCKS, AUDITS, as_of=NOON, intervals=OFFICE)
    return tmp_path


def report_of(root: Path, **options) -> DayReport:
    return ReportReader(FolderStore(root), account="acme", tickets_url=None, min_targets=1, **options).read(DAY)


def due(forecast: Forecast) -> list[tuple[int, float, str | None]]:
    """Ticket, hours from noon, kind of hours."""
    return [
        (ticket.ticket_id, (target.due_at - NOON) / 3600, target.due_by)
        for ticket in forecast.tickets
        for target in ticket.targets
        if target.due_at is not None
    ]


def test_targets_in_business_hours_stand_among_the_others_by_their_due_time(root):
    forecast = report_of(root).forecast
    assert due(forecast) == [(2, 1, "calendar"), (3, 4, "business_hours"), (1, 23, "business_hours")]
    assert (forecast.ticket_count, forecast.later, forecast.overdue_estimates) == (3, 1, 0)
    assert forecast.without == Unforecast(paused=1)
    assert (forecast.tickets[2].facts.subject, forecast.tickets[2].now_with.assignee.shown) == ("Two charges", "Ada")


def test_the_page_says_how_far_ahead_and_by_which_hours(root):
    section = parsed(report_page(report_of(root))).one("section", aria_labelledby="next")
    assert [row[:2] for row in section.one("table").rows()] == [
        ["#2 with Billing, nobody", "Mon 2 Mar, 13:00 (in 1 h, estimate)"],
        ["#3 with Sales, nobody", "Mon 2 Mar, 16:00 (in 4 h, estimate) by business hours"],
        ["#1 Two charges with Sales, Ada", "Tue 3 Mar, 11:00 (in 23 h, estimate) by business hours"],
    ]
    assert "estimates as of Mon 2 Mar, 12:00;" in section.text
    assert "1 open target is paused and has no due time until it goes on." in section.text


def test_a_groups_section_has_what_it_holds(root):
    report = report_of(root)
    (sales,) = [part for part in report.groups if part.figures.group.number == SALES]
    assert due(sales.forecast) == [(3, 4, "business_hours"), (1, 23, "business_hours")]
    section = parsed(report_page(report)).one("section", id=f"group-{SALES}")
    assert "With it now, may breach in the next 24 hours (estimates): 2 tickets" in section.text
    assert [line.text for line in section.all("li")][1:] == [
        "#3 First reply time Mon 2 Mar, 16:00 (in 4 h, by business hours) · nobody",
        "#1 Two charges First reply time Tue 3 Mar, 11:00 (in 23 h, by business hours) · Ada",
    ]


def test_the_query_of_the_explaining_page_finds_the_list(root):
    query = due_query()
    for name, value in {"root": str(root), "day": str(DAY)}.items():
        query, found = re.subn(rf"^SET VARIABLE {name} = [^;]*;", f"SET VARIABLE {name} = '{value}';", query, flags=re.M)
        assert found == 1
    answer = duckdb.connect(config={"threads": 1}).execute(query)
    names = [name for name, *_ in answer.description]
    rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    assert [(row["ticket_id"], row["due_in_seconds"] / 3600, row["due_by"]) for row in rows] == due(report_of(root).forecast)
    assert [(row["group_id"], row["assignee_id"]) for row in rows] == [(BILLING, None), (SALES, None), (SALES, ADA)]


def test_estimates_made_from_other_targets_are_left_out_and_counted(root):
    put_raw_day(root, [event for clock in CLOCKS for event in clock.events], DAY, now=NOON + 60)
    make_sla_days(root, DAY, DAY)
    forecast = report_of(root).forecast
    assert (due(forecast), forecast.without) == ([(2, 1, "calendar")], Unforecast(paused=1, business_hours=3))
    make_ticket_days(root, DAY, DAY)
    assert len(report_of(root).forecast.tickets) == 3


def test_a_damaged_table_of_dimensions_leaves_the_calendar_hours(root):
    truncated(root, DIMENSIONS, DAY)
    report = report_of(root)
    assert (due(report.forecast), report.forecast.without.business_hours) == ([(2, 1, "calendar")], 3)
    assert report.ticket_tables.unreadable == (DIMENSIONS,)


def test_a_range_of_days_has_the_lists_and_subjects_of_the_days_one_by_one(root):
    days = [DAY.plus(-1), DAY]
    reader = ReportReader(FolderStore(root), account="acme", tickets_url=None, min_targets=1, days=days)
    assert [reader.read(day) for day in days] == [
        ReportReader(FolderStore(root), account="acme", tickets_url=None, min_targets=1).read(day) for day in days
    ]


def test_the_summarys_own_report_needs_no_ticket_table(root):
    reader = ReportReader(FolderStore(root), account="acme", tickets_url=None, min_targets=1)
    forecast = reader.read(DAY, with_tickets=False).forecast
    assert (due(forecast), forecast.without) == ([(2, 1, "calendar")], replace(Unforecast(), paused=1, business_hours=3))
