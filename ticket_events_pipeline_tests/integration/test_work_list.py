"""The work list and the forecast hold what DuckDB finds in the Parquet files, in the order in which people would work."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.report.builder import ReportReader
from ticket_events_pipeline.report.open_tickets import FORECAST_HOURS, LONG_LATE_DAYS, OpenTarget
from ticket_events_pipeline.report.work_list import LONGEST_LONG_LATE, LONGEST_NEW, LONGEST_NEXT, LONGEST_OLDER, MAX_ASKED
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.lake import STREAMS, Lake, report_of
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_audits, put_raw_day, sla_root

FIRST, OPEN_DAY = Day.parse("2026-03-02"), Day.parse("2026-03-14")
NOW = OPEN_DAY.start + 15 * 3600
DAYS = days_between(FIRST, OPEN_DAY)
DAY = Clock.DAY


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Thirteen days of the simulated account, the last one open."""
    root, clock = tmp_path_factory.mktemp("root"), Moment(NOW)
    with SandboxServer(SimulatedAccount(tickets_per_day=30), clock=clock) as server:
        for stream in STREAMS:
            fetch(server, root, stream, str(FIRST), str(OPEN_DAY), clock=clock)
    make_sla_days(root, FIRST, OPEN_DAY)
    return root


@pytest.fixture(scope="module")
def lake(root):
    return Lake(root)


@pytest.fixture(scope="module")
def reports(root):
    return {day: report_of(root, day) for day in DAYS}


TARGET = (
    "ticket_id, sla_metric, instance_id, policy_id, policy_title, business_hours, target_seconds, is_paused,"
    " epoch(breached_at)::BIGINT, overdue_seconds, epoch(due_at)::BIGINT, CASE WHEN due_at IS NOT NULL THEN 'calendar' END"
)
FACTS = """
    SELECT ticket_id, arg_max(child ->> '$.priority', (time, id)) FILTER (child ->> '$.priority' IS NOT NULL) AS priority,
        arg_max(child ->> '$.subject', (time, id)) FILTER (child ->> '$.subject' IS NOT NULL) AS subject
    FROM (
        SELECT ticket_id, time, id, unnest(CAST(child_events AS JSON[])) AS child FROM ticket_events
        WHERE time < to_timestamp($as_of)
    ) WHERE child ->> '$.event_type' IN ('Create', 'Change') GROUP BY 1
"""
LATE_TICKETS = f"""
    WITH facts AS ({FACTS}), late AS (
        SELECT ticket_id, max(breached_at) AS newest, max(overdue_seconds) AS overdue, count(*) AS targets FROM {TARGETS}
        WHERE date = $day AND outcome = 'breached_open' GROUP BY 1
    )
    SELECT late.ticket_id, facts.subject, facts.priority, late.targets FROM late LEFT JOIN facts USING (ticket_id)
    WHERE (newest >= to_timestamp($start)) = $new
    ORDER BY coalesce(list_position(['urgent', 'high', 'normal', 'low'], facts.priority), 5), overdue DESC, ticket_id
"""  # noqa: S608


def values(target: OpenTarget) -> tuple:
    assert target.breached_with is None  # no ticket tables are made here
    return tuple(vars(target).values())[:-1]


def test_late_tickets_are_by_priority_then_overdue_with_what_audits_hold_of_them(lake, reports):
    shown = 0
    for day, report in reports.items():
        given = {"day": str(day), "start": day.start, "as_of": report.data_quality.as_of}
        for part, is_new in ((report.work_list.new, True), (report.work_list.older, False)):
            found = lake.rows(LATE_TICKETS, **given, new=is_new)
            tickets = [
                (ticket.ticket_id, ticket.facts.subject, ticket.facts.priority, len(ticket.targets)) for ticket in part.tickets
            ]
            assert tickets == found
            assert (part.ticket_count, part.target_count) == (len(found), sum(row[-1] for row in found))
            shown += sum(facts[1] is not None and facts[2] is not None for facts in found)
        assert report.work_list.long_late.tickets == ()
    assert shown > 40
    assert {ticket.facts.priority for ticket in reports[OPEN_DAY].work_list.older.tickets} >= {"urgent", "normal", "low"}


def test_every_late_open_target_stands_once_under_its_ticket_the_newest_breach_first(lake, reports):
    several = 0
    for day, report in reports.items():
        found = lake.rows(
            f"SELECT {TARGET} FROM {TARGETS} WHERE date = $day AND outcome = 'breached_open'"  # noqa: S608
            " ORDER BY ticket_id, breached_at DESC, sla_metric, instance_id",
            day=str(day),
        )
        tickets = [*report.work_list.new.tickets, *report.work_list.older.tickets]
        ordered = sorted(tickets, key=lambda ticket: ticket.ticket_id)
        assert [values(target) for ticket in ordered for target in ticket.targets] == found
        assert report.work_list.target_count == len(found)
        several += sum(len(ticket.targets) > 1 for ticket in tickets)
    assert several > 10


def test_forecast_holds_what_is_due_in_the_next_day_and_counts_the_rest(lake, reports):
    within = f"due_at > as_of AND due_at <= as_of + INTERVAL {FORECAST_HOURS} HOUR"
    several = 0
    for day, report in reports.items():
        forecast = report.forecast
        found = lake.rows(
            f"WITH ahead AS (SELECT * FROM {TARGETS} WHERE date = $day AND {within}),"  # noqa: S608
            " tickets AS (SELECT ticket_id, min(due_at) AS soonest FROM ahead GROUP BY 1)"
            f" SELECT {TARGET} FROM ahead JOIN tickets USING (ticket_id)"
            " ORDER BY soonest, ticket_id, due_at, sla_metric, instance_id",
            day=str(day),
        )
        assert [values(target) for ticket in forecast.tickets for target in ticket.targets] == found
        counts = f"count(DISTINCT ticket_id) FILTER ({within}), count(*) FILTER ({within})"
        assert lake.rows(
            f"SELECT {counts}, count(*) FILTER (due_at > as_of AND NOT ({within})), count(*) FILTER (due_at <= as_of),"  # noqa: S608
            f" count(*) FILTER (due_at IS NULL) FROM {TARGETS} WHERE date = $day AND outcome = 'active'",
            day=str(day),
        ) == [(forecast.ticket_count, forecast.target_count, forecast.later, forecast.overdue_estimates, forecast.unforecast)]
        several += sum(len(ticket.targets) > 1 for ticket in forecast.tickets)
    assert several > 10
    assert sum(report.forecast.later for report in reports.values()) > 0


def test_all_open_targets_are_in_the_work_list_or_counted_by_the_forecast(lake, reports):
    for day, report in reports.items():
        ahead = report.forecast
        counted = ahead.target_count + ahead.later + ahead.overdue_estimates + ahead.unforecast
        active = lake.value(f"SELECT sum(active_eod)::INT FROM {SUMMARY} WHERE date = $day", day=str(day))  # noqa: S608
        assert report.work_list.target_count + counted == active


def test_range_read_by_one_reader_equals_the_days_read_one_by_one(root, reports):
    planned = ReportReader(FolderStore(root), account="acme", tickets_url=None, days=DAYS)
    assert {day: planned.read(day) for day in DAYS} == reports
    unplanned = ReportReader(FolderStore(root), account="acme", tickets_url=None)
    assert {day: unplanned.read(day) for day in reversed(DAYS)} == reports


# Hand-made lists.


def late(ticket_id, hour, *, metric="requester_wait_time", instance_id=1):
    """A target that breached at that hour and stays open."""
    first_id = ticket_id * 100 + (10 if metric != "requester_wait_time" else 0)
    clock = Clock(ticket_id, metric, instance_id, first_id)
    return clock.add("activate", hour - 1).apply(hour - 1, 60).add("breach", hour)


def due(ticket_id, hour, *, begun=1.0, metric="requester_wait_time"):
    """A target in time that is due at that hour."""
    first_id = ticket_id * 100 + (50 if metric != "requester_wait_time" else 40)
    return Clock(ticket_id, metric, first_id=first_id).add("activate", begun).apply(begun, round((hour - begun) * 60))


def put_facts(root, facts, day=DAY):
    """An audit of each ticket that sets its priority."""
    put_audits(
        root,
        [
            {
                "id": 9 * 10**6 + ticket_id,
                "ticket_id": ticket_id,
                "time": day.start,
                "child_events": [{"event_type": "Create"} | child],
            }
            for ticket_id, child in facts.items()
        ],
        day,
    )


def ids(tickets):
    return [ticket.ticket_id for ticket in tickets]


def test_a_ticket_is_in_the_part_of_its_newest_breach_with_all_its_late_targets(tmp_path):
    last = DAY.plus(LONG_LATE_DAYS + 1)
    today = (last.start - DAY.start) / 3600
    clocks = [
        late(1, today + 5),
        late(1, 2, metric="agent_work_time"),
        late(2, today),  # the first second of the day
        late(3, today - 1 / 3600),
        late(4, 48),  # 30 days before the end of the day, to the second
        late(5, 48 - 1 / 3600),
        late(6, 3),
    ]
    sla_root(tmp_path, all_events(*clocks), DAY, last)
    work = report_of(tmp_path, last).work_list
    parts = (work.new, work.older, work.long_late)
    assert [ids(part.tickets) for part in parts] == [[1, 2], [4, 3], [6, 5]]
    assert [(part.ticket_count, part.target_count) for part in parts] == [(2, 3), (2, 2), (2, 2)]
    assert [target.sla_metric for target in work.new.tickets[0].targets] == ["requester_wait_time", "agent_work_time"]
    assert work.new.tickets[0].overdue_seconds == last.end - DAY.start - 2 * 3600
    assert work.target_count == 7


def test_the_most_urgent_ticket_comes_first_and_of_one_priority_the_longest_overdue(tmp_path):
    priorities = {1: "low", 2: "urgent", 3: "normal", 4: "high", 5: "urgent", 6: "on fire", 8: "low"}
    clocks = [late(ticket_id, 2 + ticket_id) for ticket_id in range(1, 9)]
    put_facts(tmp_path, {ticket_id: {"priority": priority} for ticket_id, priority in priorities.items()})
    put_raw_day(tmp_path, all_events(*clocks), DAY)
    make_sla_days(tmp_path, DAY, DAY)
    assert ids(report_of(tmp_path, DAY).work_list.new.tickets) == [2, 5, 4, 3, 1, 8, 6, 7]


def test_an_urgent_ticket_is_shown_however_many_are_overdue_for_longer(tmp_path):
    clocks = [late(ticket_id, 2 + ticket_id / 100) for ticket_id in range(1, LONGEST_NEW + 11)]
    put_facts(tmp_path, {LONGEST_NEW + 10: {"priority": "urgent"}})
    put_raw_day(tmp_path, all_events(*clocks), DAY)
    make_sla_days(tmp_path, DAY, DAY)
    new = report_of(tmp_path, DAY).work_list.new
    assert ids(new.tickets) == [LONGEST_NEW + 10, *range(1, LONGEST_NEW)]
    assert (new.ticket_count, new.target_count) == (LONGEST_NEW + 10, LONGEST_NEW + 10)


def test_beyond_a_thousand_late_tickets_only_the_time_overdue_decides(tmp_path):
    count = MAX_ASKED + 2
    put_raw_day(tmp_path, all_events(*(late(ticket_id, 2 + ticket_id / 100) for ticket_id in range(1, count + 1))), DAY)
    put_facts(tmp_path, {MAX_ASKED: {"priority": "urgent"}, count: {"priority": "urgent"}})
    make_sla_days(tmp_path, DAY, DAY)
    new = report_of(tmp_path, DAY).work_list.new
    assert ids(new.tickets[:3]) == [MAX_ASKED, 1, 2]
    assert new.ticket_count == count


def test_lists_are_cut_and_counted_whole(tmp_path):
    last = DAY.plus(LONG_LATE_DAYS + 2)
    today = (last.start - DAY.start) / 3600
    older = [late(ticket_id, today - 20 + ticket_id / 100) for ticket_id in range(1, LONGEST_OLDER + 4)]
    long_late = [late(ticket_id, 2 + ticket_id / 1000) for ticket_id in range(1001, 1001 + LONGEST_LONG_LATE + 5)]
    coming = [due(ticket_id, today + 30 + ticket_id / 1000) for ticket_id in range(2001, 2001 + LONGEST_NEXT + 6)]
    coming += [due(ticket_id, today + 31 + ticket_id / 1000, metric="agent_work_time") for ticket_id in range(2001, 2011)]
    sla_root(tmp_path, all_events(*older, *long_late, *coming), DAY, last)
    report = report_of(tmp_path, last)
    work, forecast = report.work_list, report.forecast
    assert ids(work.older.tickets) == list(range(1, LONGEST_OLDER + 1))
    assert ids(work.long_late.tickets) == list(range(1001, 1001 + LONGEST_LONG_LATE))
    assert (work.older.ticket_count, work.long_late.ticket_count) == (LONGEST_OLDER + 3, LONGEST_LONG_LATE + 5)
    assert ids(forecast.tickets) == list(range(2001, 2001 + LONGEST_NEXT))
    assert [len(ticket.targets) for ticket in forecast.tickets] == [2] * 10 + [1] * (LONGEST_NEXT - 10)
    assert (forecast.ticket_count, forecast.target_count) == (LONGEST_NEXT + 6, LONGEST_NEXT + 16)


def test_the_forecast_ends_after_a_day_and_of_one_moment_the_older_ticket_comes_first(tmp_path):
    end = 24
    clocks = [due(5, end + 1), due(4, end + 1), due(3, end + 24), due(2, end + 24 + 1 / 60), due(1, end), due(6, end + 1 / 60)]
    sla_root(tmp_path, all_events(*clocks), DAY, DAY)
    forecast = report_of(tmp_path, DAY).forecast
    assert ids(forecast.tickets) == [6, 4, 5, 3]
    assert (forecast.later, forecast.overdue_estimates, forecast.unforecast) == (1, 1, 0)


def test_left_over_clocks_are_counted_once_and_the_forecast_shows_only_what_lies_ahead(tmp_path):
    """600 clocks of two months ago that nobody fulfilled; Zendesk sent a breach for 60 of them."""
    last = DAY.plus(61)
    today = (last.start - DAY.start) / 3600
    left_over = [due(ticket_id, 9 + ticket_id / 60) for ticket_id in range(1, 541)]
    zombies = [late(ticket_id, 5 + ticket_id / 1000) for ticket_id in range(541, 601)]
    coming = [due(ticket_id, today + 24 + ticket_id / 10000, begun=today + 1) for ticket_id in range(1000, 1038)]
    sla_root(tmp_path, all_events(*left_over, *zombies, *coming, late(2000, today + 3)), DAY, last)
    report = report_of(tmp_path, last)
    forecast, work = report.forecast, report.work_list
    assert ids(forecast.tickets) == list(range(1000, 1038))
    assert all(target.due_at > report.data_quality.as_of for ticket in forecast.tickets for target in ticket.targets)
    assert (forecast.ticket_count, forecast.target_count, forecast.later) == (38, 38, 0)
    assert (forecast.overdue_estimates, forecast.unforecast) == (540, 0)
    assert (ids(work.new.tickets), work.older.ticket_count) == ([2000], 0)
    assert (work.long_late.ticket_count, len(work.long_late.tickets)) == (60, LONGEST_LONG_LATE)


def test_targets_without_a_known_policy_or_estimate_are_listed_and_counted(tmp_path):
    unknown = Clock(7, "agent_work_time").add("breach", 9)
    business = Clock(8, first_id=11).add("activate", 9).apply(9, 60, business_hours=True)
    sla_root(tmp_path, all_events(unknown, business), DAY, DAY)
    report = report_of(tmp_path, DAY)
    ((target,),) = (ticket.targets for ticket in report.work_list.new.tickets)
    assert (target.ticket_id, target.policy_id, target.target_seconds, target.business_hours) == (7, None, None, None)
    assert (report.forecast.target_count, report.forecast.unforecast) == (0, 1)
