"""Whose breaches they were, in reports of roots whose ticket tables the makers made from raw audits and metric events."""

from __future__ import annotations

import shutil

import pytest

from ticket_events_pipeline.report.builder import ReportReader
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.report.week import Week, read_week
from ticket_events_pipeline.report.week_page import week_page
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.dimension_cases import ANNA, BEN, BILLING, SALES, SECOND_LEVEL
from ticket_events_pipeline_tests.support.html_page import parsed
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_audits, sla_root
from ticket_events_pipeline_tests.support.ticket_days import audit, make_ticket_days, put_names

DAY, NEXT = Clock.DAY, Clock.DAY.plus(1)

CLOCKS = [Clock(ticket_id, first_id=10 * ticket_id).add("activate", 9).apply(9, 60).add("breach", 10) for ticket_id in (1, 2)]

MOVES = [
    audit(1001, 1, 8, "Create", subject="Two charges", priority="high", group_id=BILLING, assignee_id=ANNA),
    audit(1002, 1, 11, group_id=SECOND_LEVEL, assignee_id=BEN),
    audit(1003, 1, 30, group_id=SALES, assignee_id=None),
    audit(2001, 2, 8, "Create", subject="Handed over too late", group_id=BILLING, assignee_id=ANNA),
    audit(2002, 2, 10, group_id=SECOND_LEVEL),
]
"""Both tickets breach at 10 with Billing: the second is handed over in that very second, the first after an hour. On the day
after, the first goes to a third group."""


@pytest.fixture
def root(tmp_path):
    """Two days, with names of groups and of one agent."""
    sla_root(tmp_path, all_events(*CLOCKS), DAY, NEXT, audits=MOVES)
    make_ticket_days(tmp_path, DAY, NEXT)
    put_names(
        tmp_path, "groups", {BILLING: "Billing", SECOND_LEVEL: "Second level", SALES: "Sales"}, at=NEXT.end, deleted=[SALES]
    )
    put_names(tmp_path, "agents", {ANNA: "Anna Schmidt"}, at=NEXT.end)
    return tmp_path


def report_of(root, day, **options):
    return ReportReader(FolderStore(root), account="acme", tickets_url=None, **options).read(day)


def page_of(root, day):
    return parsed(report_page(report_of(root, day, min_targets=1)))


def breaches_by(report, dimension):
    (split,) = [found for found in report.breakdown.splits if found.dimension == dimension]
    return {row.shown: row.breaches for row in split.split.rows if row.breaches}


def late_lines(report):
    """Of each late ticket: who has it now, and who had it at the breach; groups and agents."""
    tickets = [*report.work_list.new.tickets, *report.work_list.older.tickets]
    return {
        ticket.ticket_id: [
            f"{held.group.shown}, {held.assignee.shown}" for held in (ticket.now_with, ticket.targets[0].breached_with)
        ]
        for ticket in tickets
    }


def check_first_day(root):
    """Both breaches are Billing's, everywhere, and the work list says who has the tickets since."""
    report = report_of(root, DAY)
    assert breaches_by(report, "group") == {"Billing": 2}
    assert breaches_by(report, "assignee") == {"Anna Schmidt": 2}
    assert breaches_by(report, "channel") == {"email": 2}
    assert late_lines(report) == {
        1: [f"Second level, {BEN}", "Billing, Anna Schmidt"],
        2: ["Second level, Anna Schmidt", "Billing, Anna Schmidt"],
    }
    billing, second_level = report.groups
    assert [part.figures.group.shown for part in report.groups] == ["Billing", "Second level"]
    assert (billing.figures.breaches, second_level.figures.breaches) == (2, 0)
    assert [ticket.ticket_id for ticket in second_level.late.tickets] == [1, 2]
    assert [ticket.ticket_id for ticket in billing.elsewhere.tickets] == [1, 2]
    assert (billing.late.ticket_count, billing.figures.time.groups) == (0, {(str(BILLING), True): 1.0})


def test_a_breach_counts_under_who_held_the_ticket_then_and_the_work_list_says_who_has_it_now(root):
    """Also one that was handed over in the very second of its breach, and one that is with a third group on the day after."""
    check_first_day(root)
    later = report_of(root, NEXT)
    assert breaches_by(later, "group") == {}
    assert late_lines(later)[1][0].startswith("Sales, ")
    assert late_lines(later)[1][1] == "Billing, Anna Schmidt"
    assert [ticket.ticket_id for ticket in later.groups[0].elsewhere.tickets] == [1, 2]


def test_the_breach_stays_where_it_was_when_its_day_is_restated_after_a_third_group_has_the_ticket(root):
    """A third ticket's events come late, and the day is made again; then its audits are read again too."""
    late = Clock(3, first_id=31).apply(9, 60).add("fulfill", 9.5)
    sla_root(root, all_events(*CLOCKS, late), DAY, NEXT)
    make_ticket_days(root, DAY, NEXT)
    check_first_day(root)
    put_audits(root, [*MOVES, audit(3001, 3, 8, "Create", group_id=SALES)], DAY)
    make_sla_days(root, DAY, NEXT)
    make_ticket_days(root, DAY, NEXT)
    report = report_of(root, DAY)
    assert breaches_by(report, "group") == {"Billing": 2}
    assert {row.shown: row.achieved for row in report.breakdown.splits[0].split.rows}["Sales"] == 1


def test_the_page_says_both_with_names_and_shows_an_id_where_there_is_none(root):
    rows = page_of(root, DAY).one("table", id="late-new-table").rows()
    assert [row[0] for row in rows] == [
        f"#1 Two charges high · with Second level, {BEN}",
        "#2 Handed over too late with Second level, Anna Schmidt",
    ]
    what = "Requester wait time Standard (calendar hours) breached with Billing, Anna Schmidt"
    assert [row[2] for row in rows] == [what, what]
    later = page_of(root, NEXT).one("table", id="late-older-table").rows()
    assert later[0][0] == "#1 Two charges high · with Sales deleted, nobody"
    assert later[0][2] == what


def test_without_its_audits_a_day_says_that_nobody_knows_whose_its_breaches_were(tmp_path):
    sla_root(tmp_path, all_events(*CLOCKS), DAY, DAY)
    make_ticket_days(tmp_path, DAY, DAY)
    report = report_of(tmp_path, DAY)
    assert breaches_by(report, "group") == {"unknown": 2}
    assert report.breakdown.known.breaches == {"unknown": 2}
    page = page_of(tmp_path, DAY)
    assert page.figure("audits") == "⚠ missing"
    assert page.figure("group_known") == "⚠ 0 (0%) of 2 breaches"
    rows = page.one("table", id="late-new-table").rows()
    assert [row[2].partition("hours) ")[2] for row in rows] == ["breached with: unknown"] * 2


def test_a_root_without_ticket_tables_has_the_page_as_before_and_a_line_how_to_make_them(tmp_path):
    sla_root(tmp_path, all_events(*CLOCKS), DAY, DAY, audits=MOVES)
    page = page_of(tmp_path, DAY)
    assert page.figure("no_ticket_tables").endswith("To make it: ticket-events backfill --tickets 2026-03-02")
    assert page.one("table", id="late-new-table").rows()[0][0] == f"#1 Two charges high · with {SECOND_LEVEL}"
    assert page.all("table", id="durations-table") == []


@pytest.mark.parametrize(
    ("damaged", "is_shown"),
    [
        ("daily_sla_breaches_by_dimension", False),
        ("sla_target_dimensions", True),
        ("sla_target_holders", True),
        ("daily_ticket_durations", True),
    ],
)
def test_a_damaged_ticket_table_is_named_and_the_rest_of_the_page_is_shown(root, damaged, is_shown):
    (root / partition_path(damaged, DAY)).write_bytes(b"PAR1 no more")
    page = page_of(root, DAY)
    assert page.figure("breaches") == "2" if not page.all("article") else page.one("h2", id="headline").text.startswith("2 ")
    assert bool(page.all("section", class_="whose")) is is_shown
    if is_shown:
        assert page.figure("unreadable") == "⚠ 1"
        assert damaged in page.one("dl", class_="data-quality").text
    else:
        assert damaged in page.figure("no_ticket_tables")


def test_tables_of_earlier_targets_are_said_to_be(root):
    assert report_of(root, DAY).ticket_tables.is_current
    late = Clock(3, first_id=31).apply(9, 60).add("fulfill", 9.5)
    sla_root(root, all_events(*CLOCKS, late), DAY, NEXT)
    assert not report_of(root, DAY).ticket_tables.is_current


def test_how_long_it_took_is_compared_with_the_days_before_that_are_stored(root):
    report = report_of(root, NEXT)
    assert report.durations == ()  # nothing was fulfilled on these days
    shutil.rmtree(root / "daily_ticket_durations")
    assert report_of(root, NEXT).durations is None


def test_reports_of_a_range_of_days_show_the_same_as_those_of_each(root):
    reader = ReportReader(FolderStore(root), account="acme", tickets_url=None, days=[DAY, NEXT])
    assert [reader.read(day) for day in (DAY, NEXT)] == [report_of(root, day) for day in (DAY, NEXT)]


def test_a_weeks_breaches_are_summed_by_group_and_days_without_ticket_tables_are_named(root):
    """Monday's breaches are Billing's; a later day of the week has no ticket tables, another one's can't be read."""
    sla_root(root, all_events(*CLOCKS), DAY, DAY.plus(3), audits=MOVES)
    make_ticket_days(root, DAY, DAY.plus(2))
    (root / partition_path("daily_sla_breaches_by_dimension", DAY.plus(2))).write_bytes(b"PAR1 no more")
    settings = RootSettings(root=str(root), timezone="UTC", account="acme", tickets_url=None, min_targets=1)
    week = read_week(FolderStore(root), settings, Week.of(DAY))
    assert [(row.shown, row.breaches, row.decided) for row in week.groups.rows] == [("Billing", 2, 2)]
    assert week.days_without_groups == (DAY.plus(2), DAY.plus(3))
    page = parsed(week_page(week))
    assert page.one("table", id="groups-table").rows() == [["Billing", "2", "0", "2"]]
    assert "Without 4 to 5 Mar: the ticket tables" in page.one("section", aria_labelledby="groups").text


def test_a_week_without_ticket_tables_has_no_part_about_groups(tmp_path):
    sla_root(tmp_path, all_events(*CLOCKS), DAY, DAY, audits=MOVES)
    settings = RootSettings(root=str(tmp_path), timezone="UTC", account="acme", tickets_url=None)
    week = read_week(FolderStore(tmp_path), settings, Week.of(DAY))
    assert week.groups is None
    assert parsed(week_page(week)).all("table", id="groups-table") == []
