"""The report's numbers equal what DuckDB counts in the Parquet files, day by day and over ranges."""

from __future__ import annotations

import datetime as dt
import html
import statistics
from dataclasses import astuple, replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between, same_weekdays
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.report.builder import DAYS_AHEAD, ReportReader
from ticket_events_pipeline.report.model import (
    CHART_DAYS,
    METRIC_ORDER,
    USUAL_WEEKS,
    Change,
    ChartDay,
    Counted,
    Elapsed,
    Overdue,
    Spread,
    Usual,
)
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.report.targets import LONGEST_CONTRADICTED
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_metadata, write_partition
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts
from ticket_events_pipeline_tests.support.damages import rewrite, without_estimates
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.file_contents import CountingStore
from ticket_events_pipeline_tests.support.lake import STREAMS, Lake, report_of
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_audits, all_events, make_sla_days, put_raw_day, sla_root

FIRST, OPEN_DAY = Day.parse("2026-02-09"), Day.parse("2026-03-14")
NOW = OPEN_DAY.start + 15 * 3600
MISSING, RESTATED = (Day.parse("2026-03-05"), Day.parse("2026-03-07")), Day.parse("2026-03-09")
UNFINISHED = Day.parse("2026-02-18")
SUMMARISED = [day for day in days_between(FIRST, OPEN_DAY) if day not in MISSING]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Five weeks of the simulated account: two days lost their summary, one was restated, two are not read to their end."""
    root, clock = tmp_path_factory.mktemp("root"), Moment(NOW)
    with SandboxServer(SimulatedAccount(tickets_per_day=16), clock=clock) as server:
        for stream in STREAMS:
            fetch(server, root, stream, str(FIRST), str(OPEN_DAY), clock=clock)
    make_sla_days(root, FIRST, OPEN_DAY)
    for day in MISSING:
        FolderStore(root).delete(partition_path(SUMMARY, day))
    rewrite(root, SUMMARY, RESTATED, footer=lambda metadata: {**metadata, "restatements": "2"})
    rewrite(root, SUMMARY, UNFINISHED, footer=lambda metadata: {**metadata, "complete": "false"})
    return root


@pytest.fixture(scope="module")
def reports(root):
    return {day: report_of(root, day) for day in SUMMARISED}


@pytest.fixture(scope="module")
def lake(root):
    return Lake(root)


def in_reading_order(names):
    return sorted(names, key=lambda name: (METRIC_ORDER.index(name) if name in METRIC_ORDER else 99, name))


WITHIN_CHART = f"date BETWEEN $day::DATE - {CHART_DAYS - 1} AND $day::DATE"


def test_tiles_equal_sums_over_the_summary_per_metric(lake, reports):
    counts = ("breaches", "achieved", "completed_breached", "active_eod", "breached_open_eod")
    sums = ", ".join(f"coalesce(sum({name}) FILTER (date = $day), 0)" for name in counts)
    query = f"SELECT sla_metric, {sums} FROM {SUMMARY} WHERE {WITHIN_CHART} GROUP BY 1"  # noqa: S608
    for day, report in reports.items():
        shown = [
            (
                tile.sla_metric,
                tile.day.breaches,
                tile.day.achieved,
                tile.day.completed_breached,
                tile.active,
                tile.breached_open,
            )
            for tile in report.metrics
        ]
        found = {row[0]: row for row in lake.rows(query, day=str(day))}
        assert shown == [found[name] for name in in_reading_order(found)]
    assert len(shown) == len(METRIC_ORDER)
    assert sum(metric.day.breaches for report in reports.values() for metric in report.metrics) > 50


USUAL_DAYS = f"""
    SELECT date FROM {SUMMARY}_files
    WHERE date < $day::DATE AND date >= $day::DATE - {7 * USUAL_WEEKS} AND isodow(date) = isodow($day::DATE)
        AND date <> '{UNFINISHED}'
"""  # noqa: S608
PER_DAY = f"""
    SELECT coalesce(sum(s.breaches), 0)::INT AS breaches, coalesce(sum(s.achieved), 0)::INT AS achieved,
        sum(s.achieved) / nullif(sum(s.breaches) + sum(s.achieved), 0) AS rate
    FROM ({USUAL_DAYS}) days LEFT JOIN {SUMMARY} s ON s.date = days.date AND {{wanted}} GROUP BY days.date
"""  # noqa: S608


def spread(name):
    return f"median({name}), min({name}), max({name}), 1.4826 * mad({name})"


def usual_in(lake, day, wanted, **parameters) -> Usual | None:
    """What is usual for the rows that are `wanted`, by DuckDB."""
    columns = ", ".join(spread(name) for name in ("breaches", "achieved", "rate"))
    query = f"SELECT count(*), count(rate), {columns} FROM ({PER_DAY.format(wanted=wanted)})"  # noqa: S608
    ((days, rates, *figures),) = lake.rows(query, day=str(day), **parameters)
    if days < 3:
        return None
    breaches, achieved, rate = (Spread(*figures[place : place + 4]) for place in (0, 4, 8))
    return Usual(days, breaches, achieved, rate if rates >= 3 else None)


def test_usual_is_the_median_and_range_of_the_complete_same_weekdays(lake, reports):
    for day, report in reports.items():
        for metric in report.metrics:
            assert metric.usual == usual_in(lake, day, "s.sla_metric = $metric", metric=metric.sla_metric)
        whole = usual_in(lake, day, "true")
        assert report.usual == (whole and replace(whole, achievement_rate=None))
    shown = {str(day): report.usual and report.usual.days for day, report in reports.items()}
    assert {day: days for day, days in shown.items() if days} == {
        **dict.fromkeys(["2026-03-02", "2026-03-03", "2026-03-06", "2026-03-08"], 3),
        **dict.fromkeys(["2026-03-09", "2026-03-10", "2026-03-13"], 4),
        # Each of these lacks one of its four weeks: not read to its end, or without a summary.
        **dict.fromkeys(["2026-03-11", "2026-03-12", "2026-03-14"], 3),
    }


def test_no_day_is_compared_without_a_usual_one_and_an_open_day_is_at_most_more(reports):
    for day, report in reports.items():
        changes = [report.breaches_change, *(metric.breaches_change for metric in report.metrics)]
        changes += [policy.breaches_change for policy in report.policies]
        rates = {metric.rate_change for metric in report.metrics}
        if report.usual is None:
            assert {*changes, *rates} == {Change.UNKNOWN}
        elif day == OPEN_DAY:
            assert set(changes) <= {Change.MORE, Change.UNKNOWN}
            assert rates == {Change.UNKNOWN}
        else:
            assert Change.UNKNOWN not in changes
    assert Change.USUAL in {metric.rate_change for report in reports.values() for metric in report.metrics}


def test_overdue_per_metric_is_over_the_targets_of_all_its_policies(lake, reports):
    seen = 0
    for day, report in reports.items():
        found = lake.rows(
            "SELECT sla_metric, quantile_cont(overdue_seconds, 0.5), quantile_cont(overdue_seconds, 0.9), max(overdue_seconds)"  # noqa: S608
            f" FROM {TARGETS} WHERE date = $day AND outcome = 'breached' GROUP BY 1",
            day=str(day),
        )
        expected = {metric: figures for metric, *figures in found}
        for metric in report.metrics:
            shown = [metric.overdue.p50_seconds, metric.overdue.p90_seconds, metric.overdue.max_seconds]
            assert shown == pytest.approx(expected.get(metric.sla_metric, [None] * 3))
        seen += len(expected)
    assert seen > 20


TAKEN = f"""
    SELECT sla_metric, {{more}} count(elapsed_seconds), quantile_cont(elapsed_seconds, 0.5), quantile_cont(elapsed_seconds, 0.9)
    FROM {TARGETS} WHERE date = $day AND fulfilled_at IS NOT NULL GROUP BY ALL
"""  # noqa: S608


def test_times_taken_are_those_of_the_targets_completed_on_the_day(lake, reports):
    measured = 0
    for day, report in reports.items():
        found = {metric: figures for metric, *figures in lake.rows(TAKEN.format(more=""), day=str(day))}
        for metric in report.metrics:
            assert list(astuple(metric.elapsed)) == pytest.approx(found.get(metric.sla_metric, [0, None, None]))
            assert metric.elapsed.targets <= metric.day.achieved + metric.day.completed_breached
            measured += metric.elapsed.targets
        per_policy = {
            row[:3]: list(row[3:]) for row in lake.rows(TAKEN.format(more="policy_id, business_hours,"), day=str(day))
        }
        for policy in report.policies:
            key = (policy.sla_metric, policy.policy_id, policy.business_hours)
            assert list(astuple(policy.elapsed)) == pytest.approx(per_policy.get(key, [0, None, None]))
        assert sum(policy.elapsed.targets for policy in report.policies) == sum(row[0] for row in found.values())
    assert measured > 1000


POLICIES = f"""
    SELECT sla_metric, policy_id, business_hours, policy_title, breaches, achieved, completed_breached,
        active_eod, breached_open_eod, overdue_p50_seconds, overdue_p90_seconds, overdue_max_seconds
    FROM {SUMMARY} WHERE date = $day ORDER BY list_position({list(METRIC_ORDER)}, sla_metric), 2 NULLS LAST, 3 NULLS LAST
"""  # noqa: S608
SAME_POLICY = """
    s.sla_metric = $metric AND s.policy_id IS NOT DISTINCT FROM $policy AND s.business_hours IS NOT DISTINCT FROM $hours
"""


def test_policies_are_the_rows_of_the_summary_compared_with_their_own_weekdays(lake, reports):
    for day, report in reports.items():
        shown = [
            (
                *(row.sla_metric, row.policy_id, row.business_hours, row.policy_title),
                *(row.day.breaches, row.day.achieved, row.day.completed_breached, row.active, row.breached_open),
                *(row.overdue.p50_seconds, row.overdue.p90_seconds, row.overdue.max_seconds),
            )
            for row in report.policies
        ]
        assert shown == lake.rows(POLICIES, day=str(day))
    for row in reports[OPEN_DAY].policies:
        key = {"metric": row.sla_metric, "policy": row.policy_id, "hours": row.business_hours}
        assert row.usual == usual_in(lake, OPEN_DAY, SAME_POLICY, **key)


def test_charts_have_thirty_days_with_missing_and_open_ones_marked(lake, reports):
    stored = {date for (date,) in lake.rows(f"SELECT date FROM {SUMMARY}_files")}  # noqa: S608
    sums = "date, sum(breaches)::INT, sum(achieved)::INT, sum(completed_breached)::INT"
    whole, per_metric = (
        {
            tuple(key): Counted(*counts)
            for *key, breaches, achieved, late in lake.rows(query)
            for counts in [(breaches, achieved, late)]
        }
        for query in (
            f"SELECT {sums} FROM {SUMMARY} GROUP BY 1",  # noqa: S608
            f"SELECT sla_metric, {sums} FROM {SUMMARY} GROUP BY 1, 2",  # noqa: S608
        )
    )

    def expected(day, counted):
        days = days_between(day.plus(1 - CHART_DAYS), day)
        return tuple(
            ChartDay(past, counted(past.date), past not in (OPEN_DAY, UNFINISHED))
            if past.date in stored
            else ChartDay(past, None)
            for past in days
        )

    for day, report in reports.items():
        assert report.chart == expected(day, lambda date: whole.get((date,), Counted(0, 0, 0)))
        for metric in report.metrics:
            name = metric.sla_metric
            assert metric.trend == expected(day, lambda date, name=name: per_metric.get((name, date), Counted(0, 0, 0)))
    assert sum(chart_day.counted is not None for chart_day in reports[OPEN_DAY].chart) == CHART_DAYS - len(MISSING)


def test_data_quality_equals_footers_and_counts(root, lake, reports):
    for day, report in reports.items():
        footer, quality = read_metadata(FolderStore(root), SUMMARY, day), report.data_quality
        assert quality.as_of == (day.end if day != OPEN_DAY else NOW) == int(footer["as_of"])
        assert quality.is_complete == (day not in (OPEN_DAY, UNFINISHED))
        assert quality.events_through == lake.value(
            "SELECT epoch(max(time))::BIGINT FROM ticket_metric_events"
            " WHERE time < to_timestamp($as_of) AND date <= $day::DATE",
            as_of=quality.as_of,
            day=str(day),
        )
        assert quality.history_from == FIRST.date
        assert quality.missing_days == tuple(past for past in MISSING if past < day)
        in_chart = days_between(day.plus(1 - CHART_DAYS), day)
        assert quality.open_days == tuple(past for past in (UNFINISHED, OPEN_DAY) if past in in_chart)
        assert quality.restated_days == ((RESTATED,) if day >= RESTATED else ())
        assert lake.rows(
            "SELECT count(*), count(*) FILTER (applied_at IS NULL), sum(withdrawn_breaches_on_day)::INT,"  # noqa: S608
            f" count(*) FILTER (superseded) FROM {TARGETS} WHERE date = $day",
            day=str(day),
        ) == [(quality.targets, quality.unknown_policies, quality.withdrawn_breaches, quality.superseded_breaches)]
    assert sum(report.data_quality.superseded_breaches for report in reports.values()) > 0


COUNTED_EVENTS = """
    SELECT count(*) FILTER (type IN ('apply_sla', 'apply_group_sla')), count(*) FROM ticket_metric_events
    WHERE date = $day AND NOT deleted AND instance_id > 0 AND type <> 'measure' AND time < to_timestamp($as_of)
"""


def test_metric_events_and_applied_policies_of_the_day_are_counted(lake, reports):
    for day, report in reports.items():
        counts = (report.data_quality.applied_events, report.data_quality.metric_events)
        assert [counts] == lake.rows(COUNTED_EVENTS, day=str(day), as_of=report.data_quality.as_of)
        assert 0 < counts[0] < counts[1]


def test_open_targets_flow_from_those_open_when_the_day_began(lake, reports):
    names = ("targets_started", "targets_discovered", "targets_reopened", "achieved", "completed_breached")
    sums = ", ".join(f"sum({name})" for name in (*names, "targets_cancelled", "targets_deleted", "active_eod"))
    for day, report in reports.items():
        stored = lake.rows(f"SELECT sla_metric, {sums} FROM {SUMMARY} WHERE date = $day GROUP BY 1", day=str(day))  # noqa: S608
        flows = {metric.sla_metric: metric.flow for metric in report.metrics}
        assert {metric: astuple(flows[metric]) for metric, *_ in stored} == {metric: tuple(rest) for metric, *rest in stored}
        began = f"SELECT sla_metric, count(*) FILTER (was_open_at_start) FROM {TARGETS} WHERE date = $day GROUP BY 1"  # noqa: S608
        opened = dict(lake.rows(began, day=str(day)))
        assert {metric: flow.open_before for metric, flow in flows.items()} == {
            metric: opened.get(metric, 0) for metric in flows
        }


def test_targets_closed_by_a_deletion_are_counted_by_ticket_and_in_no_list(lake, reports):
    for day, report in reports.items():
        found = lake.rows(
            f"SELECT ticket_id, count(*), count(breached_at) FROM {TARGETS} WHERE date = $day AND outcome = 'deleted'"  # noqa: S608
            " GROUP BY 1 ORDER BY 3 DESC, 1",
            day=str(day),
        )
        assert [astuple(ticket) for ticket in report.deleted] == found
        assert report.deleted_count == len(found)
        assert sum(metric.flow.deleted for metric in report.metrics) == sum(targets for _, targets, _ in found)
        gone = lake.rows(STILL_DELETED, end=report.data_quality.as_of)
        parts = (report.work_list.new, report.work_list.older, report.work_list.long_late, report.forecast)
        assert not {ticket for (ticket,) in gone} & {listed.ticket_id for part in parts for listed in part.tickets}
    assert any(ticket.late for report in reports.values() for ticket in report.deleted)


STILL_DELETED = """
    SELECT ticket_id FROM (
        SELECT ticket_id, time, unnest(CAST(child_events AS JSON[])) AS child FROM ticket_events WHERE time < to_timestamp($end)
    ) WHERE child ->> '$.status' IS NOT NULL GROUP BY ticket_id HAVING arg_max(child ->> '$.status', time) = 'deleted'
"""


def test_contradicted_targets_are_those_of_the_day(lake, reports):
    for day, report in reports.items():
        found = lake.rows(
            f"SELECT ticket_id, sla_metric FROM {TARGETS} WHERE date = $day AND is_contradicted ORDER BY ALL",  # noqa: S608
            day=str(day),
        )
        assert [astuple(target) for target in report.data_quality.contradicted_targets] == found[:LONGEST_CONTRADICTED]
        assert report.data_quality.contradicted == len(found)
        assert (report.data_quality.deletions_from, report.data_quality.older_days) == (FIRST.date, ())
    assert any(report.data_quality.contradicted for report in reports.values())


def test_a_deleted_late_ticket_leaves_the_work_list_until_it_is_restored(tmp_path):
    """Late from 9 to 9:30 on the first day, deleted, and late again from 2 in the third night on."""
    late = Clock(41).add("activate", 8).apply(8, 60).add("breach", 9).ticket(9.5, "deleted").ticket(50, "open")
    waiting = Clock(42, first_id=21).add("activate", 8).apply(8, 6000).ticket(10, "deleted")
    days, clocks = days_between(Clock.DAY, Clock.DAY.plus(2)), (late, waiting)
    waiting.audits[0]["id"] = 9100
    sla_root(tmp_path, all_events(*clocks), days[0], days[2], audits=all_audits(*clocks))
    deleted, gone, restored = (report_of(tmp_path, day) for day in days)
    assert [astuple(ticket) for ticket in deleted.deleted] == [(41, 1, 1), (42, 1, 0)]
    assert sum(metric.day.breaches for metric in deleted.metrics) == 1
    for report in (deleted, gone):
        forecast = report.forecast
        assert (report.work_list.target_count, forecast.target_count, forecast.later, forecast.unforecast) == (0, 0, 0, 0)
    assert gone.deleted == ()
    (ticket,), shown = restored.work_list.older.tickets, restored.metrics[0].flow
    (again,) = ticket.targets
    assert (again.ticket_id, again.overdue_seconds) == (41, 1800 + 22 * 3600)
    assert (shown.open_before, shown.reopened, shown.active) == (0, 1, 1)
    page = report_page(deleted)
    assert "2 targets of 2 tickets were closed because the ticket was deleted:" in page


def test_a_policy_changed_in_the_second_of_the_reply_is_contradicted(tmp_path):
    clock = Clock(7, "reply_time").add("activate", 8).apply(8, 60, 501, title="Low").add("fulfill", 8.5)
    clock.apply(8.5, 10, 502, title="Urgent").add("update_status", 8.5, status={"calendar": 30, "business": 30})
    sla_root(tmp_path, clock.events, Clock.DAY, Clock.DAY)
    report = report_of(tmp_path, Clock.DAY)
    assert [astuple(target) for target in report.data_quality.contradicted_targets] == [(7, "first_reply_time")]
    assert "Outcomes contradicted" in report_page(report)


def test_without_audits_the_page_states_that_deletions_are_not_known(tmp_path):
    sla_root(tmp_path, Clock().apply(9, 60).events, Clock.DAY, Clock.DAY)
    report = report_of(tmp_path, Clock.DAY)
    assert (report.data_quality.deletions_from, report.data_quality.deletions_through) == (None, None)
    assert "targets of deleted tickets count as open" in report_page(report)


def test_range_read_by_one_reader_equals_the_days_read_one_by_one(root, reports):
    planned = ReportReader(FolderStore(root), account="acme", tickets_url=None, days=SUMMARISED)
    assert {day: planned.read(day) for day in SUMMARISED} == reports
    unplanned = ReportReader(FolderStore(root), account="acme", tickets_url=None)
    assert {day: unplanned.read(day) for day in reversed(SUMMARISED)} == reports


def test_figures_alone_leave_the_tickets_blank(root, reports):
    report = ReportReader(FolderStore(root), account="acme", tickets_url=None).read(OPEN_DAY, with_tickets=False)
    whole, parts = reports[OPEN_DAY], (report.work_list.new, report.work_list.older, report.forecast)
    assert replace(report, work_list=whole.work_list, forecast=whole.forecast) == whole
    assert {ticket.facts for part in parts for ticket in part.tickets} == {TicketFacts()}
    assert report.work_list.target_count == whole.work_list.target_count
    assert replace(report.forecast, tickets=()) == replace(whole.forecast, tickets=())


def late_clocks(days: list[Day]):
    """A ticket a day that is late for ever after."""
    clocks = []
    for number, day in enumerate(days, 1):
        hour = (day.start - Clock.DAY.start) / 3600
        clocks.append(Clock(ticket_id=number, first_id=10 * number).apply(hour + 1, 60).add("breach", hour + 2))
    return clocks


def test_a_range_reads_each_table_once_and_each_raw_day_at_most_twice(tmp_path):
    days = days_between(Clock.DAY, Clock.DAY.plus(DAYS_AHEAD + 3))
    events = all_events(*late_clocks(days))
    sla_root(tmp_path, events, days[0], days[-1])
    for day in days:
        put_raw_day(tmp_path, [], day, stream="ticket_events")
    store = CountingStore(tmp_path)
    reader = ReportReader(store, account="acme", tickets_url=None, days=days)
    reports = [reader.read(day) for day in days]
    assert [report.work_list.target_count for report in reports] == list(range(1, len(days) + 1))
    opened = {
        asset: [count for path, count in store.opened.items() if path.startswith(f"{asset}/")]
        for asset in (SUMMARY, TARGETS, *STREAMS)
    }
    assert max(opened[SUMMARY]) == max(opened[TARGETS]) == max(opened["ticket_metric_events"]) == 1
    # Once for its own day's count of events, and twice at most for facts of tickets.
    assert max(opened["ticket_events"]) <= 3


def test_a_target_has_no_known_policy_only_if_none_was_applied(tmp_path):
    clocks = [Clock().add("breach", 9), Clock(ticket_id=2, first_id=10).apply(9, 60, policy=None)]
    sla_root(tmp_path, all_events(*clocks), Clock.DAY, Clock.DAY)
    quality = report_of(tmp_path, Clock.DAY).data_quality
    assert (quality.targets, quality.unknown_policies) == (2, 1)


def test_of_an_event_in_both_streams_the_later_fetch_counts(tmp_path):
    day = Clock.DAY
    events = Clock().add("activate", 1).apply(1, 60).add("breach", 2).events
    put_raw_day(tmp_path, events, day)
    put_raw_day(tmp_path, [{**event, "deleted": event["type"] == "activate"} for event in events], day, stream="ticket_events")
    rewrite(tmp_path, "ticket_events", day, footer=lambda metadata: {**metadata, "fetched_at": str(day.end + 7200)})
    make_sla_days(tmp_path, day, day)
    quality = report_of(tmp_path, day).data_quality
    assert (quality.applied_events, quality.metric_events) == (1, 2)


def test_a_day_without_any_apply_shows_in_its_counts(tmp_path):
    sla_root(tmp_path, Clock().add("activate", 1).add("update_status", 2).add("fulfill", 2).events, Clock.DAY, Clock.DAY)
    quality = report_of(tmp_path, Clock.DAY).data_quality
    assert (quality.applied_events, quality.metric_events) == (0, 3)


@pytest.mark.parametrize("damage", ["gone", "broken"])
def test_raw_files_that_cannot_be_read_leave_counts_blank_and_nothing_else(tmp_path, damage):
    sla_root(tmp_path, all_events(*late_clocks([Clock.DAY])), Clock.DAY, Clock.DAY)
    put_raw_day(tmp_path, [], Clock.DAY, stream="ticket_events")
    whole = report_of(tmp_path, Clock.DAY)
    for stream in STREAMS:
        path = tmp_path / partition_path(stream, Clock.DAY)
        path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:100])
    blank = replace(whole.data_quality, applied_events=None, metric_events=None)
    assert report_of(tmp_path, Clock.DAY) == replace(whole, data_quality=blank)
    assert whole.data_quality.metric_events == 2


def test_file_made_by_an_earlier_version_has_no_estimates_and_no_times_taken(tmp_path):
    taken = Clock().apply(9, 60).add("fulfill", 10).add("update_status", 10, status={"calendar": 55})
    waiting = Clock(2, first_id=11).add("activate", 1).apply(1, 6000)
    sla_root(tmp_path, all_events(taken, waiting), Clock.DAY, Clock.DAY)
    report = report_of(tmp_path, Clock.DAY)
    assert (report.forecast.later, report.forecast.unforecast) == (1, 0)
    assert report.metrics[0].elapsed == report.policies[0].elapsed == Elapsed(1, 3300, 3300)
    without_estimates(tmp_path, Clock.DAY)
    earlier = report_of(tmp_path, Clock.DAY)
    assert (earlier.forecast.later, earlier.forecast.unforecast) == (0, 1)
    assert earlier.metrics[0].elapsed == earlier.policies[0].elapsed == Elapsed(0, None, None)
    told = "an earlier version made this day and didn't store them: make its SLA tables again"
    assert [told in html.unescape(report_page(shown)) for shown in (report, earlier)] == [False, True]


@pytest.mark.parametrize("asset", [SUMMARY, TARGETS])
def test_day_without_its_tables_says_what_to_materialise(tmp_path, asset):
    sla_root(tmp_path, all_events(*late_clocks([Clock.DAY])), Clock.DAY, Clock.DAY)
    FolderStore(tmp_path).delete(partition_path(asset, Clock.DAY))
    with pytest.raises(DayNotFetchedError, match=f"2026-03-02 has no report yet.*Materialize {asset} of 2026-03-02 first"):
        report_of(tmp_path, Clock.DAY)


@pytest.mark.parametrize("asset", [SUMMARY, TARGETS])
def test_damaged_tables_of_the_day_are_named(tmp_path, asset):
    sla_root(tmp_path, all_events(*late_clocks([Clock.DAY])), Clock.DAY, Clock.DAY)
    whole = (tmp_path / partition_path(asset, Clock.DAY)).read_bytes()
    without_rates = {SUMMARY: "achieved", TARGETS: "outcome"}[asset]
    rewrite(tmp_path, asset, Clock.DAY, rows=lambda table: table.drop_columns([without_rates]))
    with pytest.raises(DamagedFileError, match=rf"{asset}\.parquet .*{without_rates} is missing.*Materialize {asset}"):
        report_of(tmp_path, Clock.DAY)
    (tmp_path / partition_path(asset, Clock.DAY)).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedFileError, match=f"Materialize {asset} of 2026-03-02 again"):
        report_of(tmp_path, Clock.DAY)


def test_summary_without_a_footer_is_damaged(tmp_path):
    sla_root(tmp_path, all_events(*late_clocks([Clock.DAY])), Clock.DAY, Clock.DAY)
    rewrite(tmp_path, SUMMARY, Clock.DAY, footer=lambda _: {})
    with pytest.raises(DamagedFileError, match="has no footer of this pipeline"):
        report_of(tmp_path, Clock.DAY)


def test_a_later_day_that_cannot_be_read_fails_only_when_it_is_due(tmp_path):
    days = days_between(Clock.DAY, Clock.DAY.plus(2))
    sla_root(tmp_path, all_events(*late_clocks(days)), days[0], days[-1])
    FolderStore(tmp_path).delete(partition_path(TARGETS, days[1]))
    reader = ReportReader(FolderStore(tmp_path), account="acme", tickets_url=None, days=days)
    assert reader.read(days[0]) == report_of(tmp_path, days[0])
    with pytest.raises(DayNotFetchedError):
        reader.read(days[1])
    assert reader.read(days[2]) == report_of(tmp_path, days[2])


COUNT = st.integers(0, 9)
ROW = st.tuples(
    st.sampled_from(["first_reply_time", "requester_wait_time", "x"]),
    st.sampled_from(["11", "12", None]),
    st.sampled_from([True, False, None]),
    COUNT,
    COUNT,
)
ROWS = st.lists(ROW, max_size=5, unique_by=lambda row: row[:3])
HISTORY = st.dictionaries(st.integers(1, USUAL_WEEKS + 1), st.tuples(ROWS, st.booleans()), min_size=1)


def put_summary(root: Path, day: Day, rows, *, complete: bool = True) -> None:
    """A summary with these rows (metric, policy, hours, breaches, achieved), and a day without targets."""
    zeros = {field.name: 0 for field in DAILY_SLA_BREACH_SUMMARY_TABLE.schema if field.type == pa.int64()}
    table = pa.Table.from_pylist(
        [
            {
                **zeros,
                "sla_metric": metric,
                "policy_id": policy,
                "business_hours": hours,
                "breaches": breaches,
                "achieved": achieved,
            }
            for metric, policy, hours, breaches, achieved in rows
        ],
        schema=DAILY_SLA_BREACH_SUMMARY_TABLE.schema,
    )
    footer = {
        **dict.fromkeys(["made_from_ticket_events", "made_from_ticket_metric_events", "made_from_previous_clocks"], "none"),
        "complete": str(complete).lower(),
        "as_of": str(day.end),
        "events_through": "",
        "history_from": "2026-03-01",
    }
    write_partition(FolderStore(root), SUMMARY, day, table, footer)
    write_partition(FolderStore(root), TARGETS, day, SLA_TARGETS_TABLE.schema.empty_table(), footer)


def spread_of(figures) -> Spread:
    median = statistics.median(figures)
    return Spread(median, min(figures), max(figures), 1.4826 * statistics.median(abs(figure - median) for figure in figures))


@given(HISTORY, ROWS)
@drawing(max_examples=25)
def test_usual_of_any_history_is_that_of_its_complete_weeks(tmp_path_factory, history, today):
    """A day without the policy counts as one of zeros, a day that is open not at all; other weekdays and week 9 don't count."""
    root, day = tmp_path_factory.mktemp("root"), Day.parse("2026-03-20")
    for week, (rows, complete) in history.items():
        put_summary(root, day.plus(-7 * week), rows, complete=complete)
        put_summary(root, day.plus(1 - 7 * week), [("x", "11", True, 9, 9)])
    put_summary(root, day, today)
    report = report_of(root, day)
    weeks = [rows for week, (rows, complete) in history.items() if week <= USUAL_WEEKS and complete]

    def usual(is_wanted) -> Usual | None:
        if len(weeks) < 3:
            return None
        wanted = [[row for row in rows if is_wanted(row)] for rows in weeks]
        breaches, achieved = ([sum(row[place] for row in rows) for rows in wanted] for place in (3, 4))
        rates = [met / (met + late) for met, late in zip(achieved, breaches, strict=True) if met + late]
        spreads = [spread_of(figures) if len(figures) >= 3 else None for figures in (breaches, achieved, rates)]
        return Usual(len(weeks), *spreads)

    assert {metric.sla_metric: metric.usual for metric in report.metrics} == {
        metric.sla_metric: usual(lambda row, name=metric.sla_metric: row[0] == name) for metric in report.metrics
    }
    assert {metric.sla_metric for metric in report.metrics} >= {row[0] for row in today}
    assert {(policy.sla_metric, policy.policy_id, policy.business_hours): policy.usual for policy in report.policies} == {
        row[:3]: usual(lambda past, key=row[:3]: past[:3] == key) for row in today
    }
    whole = usual(lambda _: True)
    assert report.usual == (whole and replace(whole, achievement_rate=None))
    assert report.work_list.target_count == report.forecast.target_count == 0
    assert all(metric.overdue == Overdue(None, None, None) for metric in report.metrics)
    assert report.data_quality.history_from == dt.date(2026, 3, 1)


def test_ascending_days_read_each_summary_once_though_weekdays_lie_weeks_back(tmp_path):
    day = Day.parse("2026-03-20")
    for past in days_between(day.plus(-60), day.plus(6)):
        put_summary(tmp_path, past, [("first_reply_time", "11", False, 1, 9)])
    store, days = CountingStore(tmp_path), days_between(day, day.plus(6))
    reader = ReportReader(store, account="acme", tickets_url=None, days=days)
    assert [reader.read(each).usual.days for each in days] == [USUAL_WEEKS] * 7
    opened = {path: count for path, count in store.opened.items() if path.startswith(SUMMARY)}
    assert set(opened.values()) == {1}
    one = CountingStore(tmp_path)
    ReportReader(one, account="acme", tickets_url=None).read(day)
    read = {path for path in one.opened if path.startswith(SUMMARY)}
    needed = {*same_weekdays(day, USUAL_WEEKS), *days_between(day.plus(1 - CHART_DAYS), day)}
    assert read == {partition_path(SUMMARY, each) for each in needed}


def test_damaged_summary_of_an_earlier_day_is_a_missing_day(tmp_path):
    """What was damaged long ago must not keep today's report from being made."""
    sla_root(tmp_path, all_events(*late_clocks([Clock.DAY])), Clock.DAY, Clock.DAY.plus(2))
    path = tmp_path / partition_path(SUMMARY, Clock.DAY.plus(1))
    path.write_bytes(path.read_bytes()[:100])
    report = report_of(tmp_path, Clock.DAY.plus(2))
    assert report.data_quality.missing_days == (Clock.DAY.plus(1),)
    assert [day.day for day in report.chart if day.counted is not None] == [Clock.DAY, Clock.DAY.plus(2)]
