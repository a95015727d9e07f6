"""The report's numbers equal what DuckDB counts in the Parquet files, day by day and over ranges."""

from __future__ import annotations

import datetime as dt
from dataclasses import astuple, fields, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.report.builder import DAYS_AHEAD, ReportReader, read_day_report
from ticket_events_pipeline.report.model import CHART_DAYS, ChartDay, Counted, Mean, Overdue, TicketFacts
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.report.stored import LONGEST_CONTRADICTED, LONGEST_LATE, LONGEST_NEXT
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_metadata, write_partition
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline_tests.support.damages import rewrite, without_estimates
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.file_contents import CountingStore
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_audits, all_events, make_sla_days, put_raw_day, sla_root

FIRST, OPEN_DAY = Day.parse("2026-03-02"), Day.parse("2026-03-14")
NOW = OPEN_DAY.start + 15 * 3600
MISSING, RESTATED = (Day.parse("2026-03-05"), Day.parse("2026-03-10")), Day.parse("2026-03-09")
SUMMARISED = [day for day in days_between(FIRST, OPEN_DAY) if day not in MISSING]
STREAMS = ("ticket_events", "ticket_metric_events")


def report_of(root: Path, day: Day):
    return read_day_report(FolderStore(root), day, account="acme", tickets_url=None)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Thirteen days of the simulated account; two days have lost their summary, one was restated, the last is open."""
    root, clock = tmp_path_factory.mktemp("root"), Moment(NOW)
    with SandboxServer(SimulatedAccount(tickets_per_day=40), clock=clock) as server:
        for stream in STREAMS:
            fetch(server, root, stream, str(FIRST), str(OPEN_DAY), clock=clock)
    make_sla_days(root, FIRST, OPEN_DAY)
    for day in MISSING:
        FolderStore(root).delete(partition_path(SUMMARY, day))
    rewrite(root, SUMMARY, RESTATED, footer=lambda metadata: {**metadata, "restatements": "2"})
    return root


@pytest.fixture(scope="module")
def reports(root):
    return {day: report_of(root, day) for day in SUMMARISED}


class Lake:
    """The files as DuckDB sees them."""

    def __init__(self, root: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        for asset in (SUMMARY, TARGETS, *STREAMS):
            files = f"{root}/{asset}/*/*.parquet"
            self.connection.execute(
                f"CREATE VIEW {asset} AS SELECT * FROM "  # noqa: S608
                f"read_parquet('{files}', hive_partitioning=true, hive_types={{'date': DATE}})"
            )
            self.connection.execute(
                f"CREATE VIEW {asset}_files AS SELECT regexp_extract(file, 'date=([0-9-]+)', 1)::DATE AS date "  # noqa: S608
                f"FROM glob('{files}')"
            )

    def rows(self, query: str, **parameters) -> list[tuple]:
        return self.connection.execute(query, parameters).fetchall()

    def value(self, query: str, **parameters):
        return self.rows(query, **parameters)[0][0]


@pytest.fixture(scope="module")
def lake(root):
    return Lake(root)


def mean_of(row) -> Mean | None:
    days, breaches, achieved = row
    return Mean(days, breaches / days, achieved / days, achieved / (achieved + breaches) if achieved + breaches else None)


WEEK_BEFORE = "date BETWEEN $day::DATE - 7 AND $day::DATE - 1"


def test_tiles_equal_sums_over_the_summary_per_metric(lake, reports):
    counts = ("breaches", "achieved", "completed_breached", "active_eod", "breached_open_eod")
    sums = ", ".join(f"coalesce(sum({name}) FILTER (date = $day), 0)" for name in counts)
    query = f"SELECT sla_metric, {sums} FROM {SUMMARY} WHERE date = $day OR {WEEK_BEFORE} GROUP BY 1 ORDER BY 1"  # noqa: S608
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
        assert shown == lake.rows(query, day=str(day))
        assert len(shown) >= 7
    assert sum(metric.day.breaches for report in reports.values() for metric in report.metrics) > 50


def test_means_are_over_the_days_of_the_week_before_that_have_a_summary(lake, reports):
    for day, report in reports.items():
        days = lake.value(f"SELECT count(*) FROM {SUMMARY}_files WHERE {WEEK_BEFORE}", day=str(day))  # noqa: S608
        sums = lake.rows(
            f"SELECT sla_metric, sum(breaches)::INT, sum(achieved)::INT FROM {SUMMARY} WHERE {WEEK_BEFORE} GROUP BY 1",  # noqa: S608
            day=str(day),
        )
        by_metric = {metric: (breaches, achieved) for metric, breaches, achieved in sums}
        expected = {
            m.sla_metric: mean_of((days, *by_metric.get(m.sla_metric, (0, 0)))) if days else None for m in report.metrics
        }
        assert {m.sla_metric: m.mean for m in report.metrics} == expected
    shown = [reports[day].metrics[0].mean for day in SUMMARISED]
    assert [mean and mean.days for mean in shown] == [None, 1, 2, 3, 4, 5, 6, 5, 5, 6, 6]


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


POLICIES = f"""
    SELECT s.sla_metric, s.policy_id, s.business_hours, s.policy_title, s.breaches, s.achieved, s.completed_breached,
        s.active_eod, s.breached_open_eod, s.overdue_p50_seconds, s.overdue_p90_seconds, s.overdue_max_seconds,
        week.breaches, week.achieved
    FROM {SUMMARY} s, LATERAL (
        SELECT coalesce(sum(b.breaches), 0)::INT AS breaches, coalesce(sum(b.achieved), 0)::INT AS achieved FROM {SUMMARY} b
        WHERE {WEEK_BEFORE} AND b.sla_metric = s.sla_metric
            AND b.policy_id IS NOT DISTINCT FROM s.policy_id AND b.business_hours IS NOT DISTINCT FROM s.business_hours
    ) week
    WHERE s.date = $day ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST
"""  # noqa: S608


def test_policies_are_the_rows_of_the_summary_compared_with_their_own_week(lake, reports):
    for day, report in reports.items():
        days = lake.value(f"SELECT count(*) FROM {SUMMARY}_files WHERE {WEEK_BEFORE}", day=str(day))  # noqa: S608
        found = lake.rows(POLICIES, day=str(day))
        shown = [
            (
                *(row.sla_metric, row.policy_id, row.business_hours, row.policy_title),
                *(row.day.breaches, row.day.achieved, row.day.completed_breached, row.active, row.breached_open),
                *(row.overdue.p50_seconds, row.overdue.p90_seconds, row.overdue.max_seconds),
            )
            for row in report.policies
        ]
        assert shown == [row[:-2] for row in found]
        assert [row.mean for row in report.policies] == [mean_of((days, *row[-2:])) if days else None for row in found]


def test_chart_has_thirty_days_with_missing_and_open_ones_marked(lake, reports):
    for day, report in reports.items():
        stored = {date for (date,) in lake.rows(f"SELECT date FROM {SUMMARY}_files")}  # noqa: S608
        sums = {
            date: Counted(*counts)
            for date, *counts in lake.rows(
                f"SELECT date, sum(breaches)::INT, sum(achieved)::INT, sum(completed_breached)::INT FROM {SUMMARY} GROUP BY 1"  # noqa: S608
            )
        }
        days = days_between(day.plus(1 - CHART_DAYS), day)
        expected = [
            ChartDay(past, sums.get(past.date, Counted(0, 0, 0)), past != OPEN_DAY)
            if past.date in stored
            else ChartDay(past, None)
            for past in days
        ]
        assert list(report.chart) == expected
    assert sum(chart_day.counted is not None for chart_day in reports[OPEN_DAY].chart) == len(SUMMARISED)


OPEN_TARGET = (
    "ticket_id, sla_metric, instance_id, policy_id, policy_title, business_hours, target_seconds, is_paused,"
    " epoch(breached_at)::BIGINT, overdue_seconds, epoch(due_at)::BIGINT"
)


def lines(targets) -> list[tuple]:
    return [tuple(getattr(target, item.name) for item in fields(target) if item.name != "ticket") for target in targets]


def test_work_list_has_every_late_open_target_oldest_breach_first(lake, reports):
    for day, report in reports.items():
        found = lake.rows(
            f"SELECT {OPEN_TARGET} FROM {TARGETS} WHERE date = $day AND outcome = 'breached_open'"  # noqa: S608
            " ORDER BY breached_at, ticket_id, sla_metric, instance_id",
            day=str(day),
        )
        assert lines(report.late) == found
        assert report.late_count == len(found)
    assert sum(len(report.late) for report in reports.values()) > 40


def test_next_breaches_are_the_forecast_ones_and_the_rest_is_counted(lake, reports):
    for day, report in reports.items():
        foreseen = lake.rows(
            f"SELECT {OPEN_TARGET} FROM {TARGETS} WHERE date = $day AND due_at IS NOT NULL"  # noqa: S608
            " ORDER BY due_at, ticket_id, sla_metric, instance_id",
            day=str(day),
        )
        assert lines(report.next_breaches) == foreseen[:LONGEST_NEXT]
        assert report.next_count == len(foreseen)
        active = lake.value(f"SELECT count(*) FROM {TARGETS} WHERE date = $day AND outcome = 'active'", day=str(day))  # noqa: S608
        assert report.next_count + report.unforecast == active
        assert report.unforecast > 0
    assert sum(report.next_count for report in reports.values()) > 100


def test_data_quality_equals_footers_and_counts(root, lake, reports):
    for day, report in reports.items():
        footer, quality = read_metadata(FolderStore(root), SUMMARY, day), report.data_quality
        assert quality.as_of == (day.end if day != OPEN_DAY else NOW) == int(footer["as_of"])
        assert quality.is_complete == (day != OPEN_DAY)
        assert quality.events_through == lake.value(
            "SELECT epoch(max(time))::BIGINT FROM ticket_metric_events"
            " WHERE time < to_timestamp($as_of) AND date <= $day::DATE",
            as_of=quality.as_of,
            day=str(day),
        )
        assert quality.history_from == FIRST.date
        assert quality.missing_days == tuple(past for past in MISSING if past < day)
        assert quality.open_days == ((OPEN_DAY,) if day == OPEN_DAY else ())
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
        assert not {ticket for (ticket,) in gone} & {target.ticket_id for target in (*report.late, *report.next_breaches)}
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
    assert [(report.late, report.next_breaches, report.unforecast) for report in (deleted, gone)] == [((), (), 0)] * 2
    assert gone.deleted == ()
    ((again,), shown) = restored.late, restored.metrics[0].flow
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


def test_lines_show_what_audits_hold_of_their_tickets(reports):
    shown = [line.ticket for line in (*reports[OPEN_DAY].late, *reports[OPEN_DAY].next_breaches)]
    assert sum(facts.subject is not None and facts.priority is not None and facts.group_id is not None for facts in shown) > 20


def test_figures_alone_leave_the_tickets_blank(root, reports):
    report = ReportReader(FolderStore(root), account="acme", tickets_url=None).read(OPEN_DAY, with_tickets=False)
    whole = reports[OPEN_DAY]
    blank = {
        name: tuple(replace(line, ticket=TicketFacts()) for line in getattr(whole, name)) for name in ("late", "next_breaches")
    }
    assert report == replace(whole, **blank)


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
    assert [report.late_count for report in reports] == list(range(1, len(days) + 1))
    opened = {
        asset: [count for path, count in store.opened.items() if path.startswith(f"{asset}/")]
        for asset in (SUMMARY, TARGETS, *STREAMS)
    }
    assert max(opened[SUMMARY]) == max(opened[TARGETS]) == max(opened["ticket_metric_events"]) == 1
    # Once for its own day's count of events, and twice at most for facts of tickets.
    assert max(opened["ticket_events"]) <= 3


def test_lists_are_cut_and_counted_whole(tmp_path):
    late = [Clock(ticket_id=n, first_id=10 * n).apply(1, 60).add("breach", 2 + n / 100) for n in range(1, LONGEST_LATE + 6)]
    coming = [
        Clock(ticket_id=n, first_id=10 * n).add("activate", 1).apply(1, 2000 + n) for n in range(1000, 1000 + LONGEST_NEXT + 5)
    ]
    sla_root(tmp_path, all_events(*late, *coming), Clock.DAY, Clock.DAY)
    report = report_of(tmp_path, Clock.DAY)
    assert [line.ticket_id for line in report.late] == list(range(1, LONGEST_LATE + 1))
    assert [line.ticket_id for line in report.next_breaches] == list(range(1000, 1000 + LONGEST_NEXT))
    assert (report.late_count, report.next_count, report.unforecast) == (LONGEST_LATE + 5, LONGEST_NEXT + 5, 0)


def test_of_one_moment_the_older_ticket_comes_first(tmp_path):
    metrics = {1: "resolution_time", 2: "agent_work_time", 3: "requester_wait_time"}
    clocks = [Clock(ticket_id=n, metric=metric, first_id=10 * n).apply(1, 60).add("breach", 2) for n, metric in metrics.items()]
    sla_root(tmp_path, all_events(*clocks), Clock.DAY, Clock.DAY)
    assert [line.ticket_id for line in report_of(tmp_path, Clock.DAY).late] == [1, 2, 3]


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


def test_file_made_before_estimates_has_no_next_breaches(tmp_path):
    sla_root(tmp_path, Clock().add("activate", 1).apply(1, 6000).events, Clock.DAY, Clock.DAY)
    assert report_of(tmp_path, Clock.DAY).next_count == 1
    without_estimates(tmp_path, Clock.DAY)
    report = report_of(tmp_path, Clock.DAY)
    assert (report.next_count, report.unforecast) == (0, 1)


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
HISTORY = st.dictionaries(st.integers(0, 9), st.lists(ROW, max_size=5, unique_by=lambda row: row[:3]), min_size=1)


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


@given(HISTORY, st.lists(ROW, max_size=5, unique_by=lambda row: row[:3]))
@drawing(max_examples=25)
def test_means_of_any_history_equal_sums_over_stored_days(tmp_path_factory, history, today):
    """A mean rate is that of the sums; a stored day without the policy counts as one of zeros; day 9 before is too long ago."""
    root, day = tmp_path_factory.mktemp("root"), Day.parse("2026-03-20")
    for before, rows in history.items():
        put_summary(root, day.plus(-before - 1), rows)
    put_summary(root, day, today)
    report = report_of(root, day)
    week = [rows for before, rows in history.items() if before < 7]

    def mean(is_wanted) -> Mean | None:
        wanted = [row for rows in week for row in rows if is_wanted(row)]
        return mean_of((len(week), sum(row[3] for row in wanted), sum(row[4] for row in wanted))) if week else None

    metrics = sorted({row[0] for rows in [today, *week] for row in rows})
    assert [(metric.sla_metric, metric.mean) for metric in report.metrics] == [
        (name, mean(lambda row, name=name: row[0] == name)) for name in metrics
    ]
    assert [policy.mean for policy in report.policies] == [mean(lambda row, key=row[:3]: row[:3] == key) for row in today]
    assert report.late == report.next_breaches == ()
    assert all(metric.overdue == Overdue(None, None, None) for metric in report.metrics)
    assert report.data_quality.history_from == dt.date(2026, 3, 1)


def test_damaged_summary_of_an_earlier_day_is_a_missing_day(tmp_path):
    """What was damaged long ago must not keep today's report from being made."""
    sla_root(tmp_path, all_events(*late_clocks([Clock.DAY])), Clock.DAY, Clock.DAY.plus(2))
    path = tmp_path / partition_path(SUMMARY, Clock.DAY.plus(1))
    path.write_bytes(path.read_bytes()[:100])
    report = report_of(tmp_path, Clock.DAY.plus(2))
    assert report.data_quality.missing_days == (Clock.DAY.plus(1),)
    assert [day.day for day in report.chart if day.counted is not None] == [Clock.DAY, Clock.DAY.plus(2)]
