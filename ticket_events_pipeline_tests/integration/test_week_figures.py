"""A week's figures equal what DuckDB sums up in the Parquet files; its page shows them; no reader takes it for a day."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.report.files import report_days
from ticket_events_pipeline.report.model import METRIC_ORDER, Counted
from ticket_events_pipeline.report.week import Week, newest_week, read_week
from ticket_events_pipeline.report.week_page import from_goal, report_weeks, week_page, week_path, write_week
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE
from ticket_events_pipeline_tests.support.html_page import parsed
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

FIRST, OPEN_DAY = Day.parse("2026-02-15"), Day.parse("2026-03-10")  # a Sunday to a Tuesday
NOW = OPEN_DAY.start + 15 * 3600
WEEK = Week.of(Day.parse("2026-03-04"))
"""One of its days has no summary. The two weeks before are whole."""

COMPARED = WEEK.plus(-1)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Twenty-four days of the simulated account, the last one open; Thursday of the last whole week has lost its summary."""
    root, clock = tmp_path_factory.mktemp("root"), Moment(NOW)
    with SandboxServer(SimulatedAccount(tickets_per_day=20), clock=clock) as server:
        for stream in ("ticket_events", "ticket_metric_events"):
            fetch(server, root, stream, str(FIRST), str(OPEN_DAY), clock=clock)
    make_sla_days(root, FIRST, OPEN_DAY)
    shutil.rmtree(root / SUMMARY / "date=2026-03-05")
    return root


def settings(root: Path) -> RootSettings:
    return RootSettings(root=str(root), timezone="UTC", account="acme", tickets_url=None)


def report_of(root: Path, week: Week):
    return read_week(FolderStore(root), settings(root), week)


def rows(root: Path, query: str, week: Week) -> list[tuple]:
    connection = duckdb.connect()
    for asset in (SUMMARY, TARGETS):
        files = f"read_parquet('{root}/{asset}/date=*/*.parquet', hive_partitioning=true, hive_types={{'date': DATE}})"
        connection.execute(f"CREATE VIEW {asset} AS SELECT * FROM {files}")  # noqa: S608
    connection.execute("SET TimeZone = 'UTC'")
    return connection.execute(query, {"monday": week.monday.date}).fetchall()


SUMS = """
SELECT {key}, sum(breaches) FILTER (date >= $monday)::BIGINT, sum(achieved) FILTER (date >= $monday)::BIGINT,
       sum(completed_breached) FILTER (date >= $monday)::BIGINT,
       coalesce(sum(breaches) FILTER (date < $monday), 0)::BIGINT, coalesce(sum(achieved) FILTER (date < $monday), 0)::BIGINT
FROM daily_sla_breach_summary WHERE date BETWEEN $monday - {before} AND $monday + 6 GROUP BY ALL
"""


def figures(row):
    before = row.before or Counted(0, 0, 0)
    return row.week.breaches, row.week.achieved, row.week.completed_breached, before.breaches, before.achieved


@pytest.mark.parametrize("week", [COMPARED, WEEK, WEEK.plus(1)])
def test_sums_of_metrics_and_policies_equal_those_of_a_query(root, week):
    report = report_of(root, week)
    before = 7 if week == COMPARED else 0
    of_metrics = rows(root, SUMS.format(key="sla_metric", before=before), week)
    assert sorted((row.sla_metric, *figures(row)) for row in report.metrics) == sorted(
        tuple(value or 0 if number else value for number, value in enumerate(row)) for row in of_metrics
    )
    order = [row.sla_metric for row in report.metrics]
    assert order == [name for name in METRIC_ORDER if name in order]
    of_policies = [
        row
        for row in rows(root, SUMS.format(key="sla_metric, policy_id, business_hours", before=before), week)
        if row[3] is not None
    ]
    shown = [(row.sla_metric, row.policy_id, row.business_hours, *figures(row)) for row in report.policies]
    assert sorted(shown, key=str) == sorted(of_policies, key=str)


def test_each_day_has_its_own_figures_and_its_state(root):
    report = report_of(root, WEEK)
    query = "SELECT date, sla_metric, sum(breaches)::BIGINT, sum(achieved)::BIGINT FROM daily_sla_breach_summary "
    found = rows(root, query + "WHERE date BETWEEN $monday AND $monday + 6 GROUP BY ALL", WEEK)
    shown = [
        (day.day.date, metric, counted.breaches, counted.achieved)
        for day in report.days
        for metric, counted in day.metrics.items()
    ]
    assert sorted(shown) == sorted(found)
    assert report.missing_days == [Day.parse("2026-03-05")]
    assert (report.open_days, report.days_before) == ([], 7)
    assert report_of(root, WEEK.plus(1)).open_days == [OPEN_DAY]


@pytest.mark.parametrize(("week", "last"), [(WEEK, WEEK.days[-1]), (WEEK.plus(1), OPEN_DAY)])
def test_the_list_is_what_breached_in_the_week_and_is_open_at_its_end(root, week, last):
    report = report_of(root, week)
    query = (
        f"SELECT ticket_id, sla_metric, instance_id, breached_at >= $monday FROM sla_targets WHERE date = '{last}' "  # noqa: S608
        "AND outcome = 'breached_open'"
    )
    late = rows(root, query, week)
    found = [row[:3] for row in late if row[3]]
    shown = [
        (ticket.ticket_id, target.sla_metric, target.instance_id) for ticket in report.late.tickets for target in ticket.targets
    ]
    assert sorted(shown) == sorted(found) != []
    assert (report.late.ticket_count, report.late.target_count) == (len({row[0] for row in found}), len(found))
    assert (report.late_on, report.late_at) == (last, NOW if last == OPEN_DAY else last.end)
    if last == OPEN_DAY:
        assert len(found) < len(late)  # those of the week before are left out


def test_the_page_shows_the_figures_and_names_missing_days(root):
    report = report_of(root, WEEK)
    page = parsed(week_page(report))
    assert page.one("h1").text == "Week 10: 2 to 8 March 2026"
    assert page.figure("state") == "6 of 7 days complete"
    assert page.figure("all_breaches") == f"{sum(row.week.breaches for row in report.metrics):,}"
    for row in report.metrics:
        line = page.one("table", id="metrics-table").one("tr", **{"data-metric": row.sla_metric})
        assert line.figure("breaches") == f"{row.week.breaches:,}"
        assert line.figure("decided") == f"{row.week.breaches + row.week.achieved:,}"
    assert "No summary is stored of 5 Mar" in page.one("main").text


def test_whole_weeks_are_compared(root):
    report = report_of(root, COMPARED)
    page = parsed(week_page(report))
    before = sum(row.before.breaches for row in report.metrics)
    assert f"in the week before ({before})" in page.one("main").text
    assert "no comparison" not in page.one("main").text
    for row in report.metrics:
        line = page.one("table", id="metrics-table").one("tr", **{"data-metric": row.sla_metric})
        assert line.figure("breaches_before") == f"{row.before.breaches:,}"
        assert line.figure("rate_before")
    assert page.one("table", id="policies-table").all("th", scope="rowgroup")[0].attributes["colspan"] == "9"


@pytest.mark.parametrize(
    ("week", "reason"),
    [
        (WEEK, "this week is not complete"),
        (WEEK.plus(1), "only 6 of its 7 days have a complete summary"),
        (WEEK.plus(-2), "only 1 of its 7 days has a complete summary"),
        (WEEK.plus(-3), "no day of it has a complete summary"),
    ],
)
def test_other_weeks_are_not_compared_and_the_page_says_once_why(root, week, reason):
    """Six days against seven would mislead."""
    shown = parsed(week_page(report_of(root, week))).one("main").text
    assert shown.count("week before") == shown.count(f"There is no comparison with the week before: {reason}.") == 1


def test_a_rate_is_compared_with_the_goal_in_points():
    assert [from_goal(rate, 95) for rate in (0.92, 0.9536, 0.95, 0.9499, 0.9501, None)] == [
        "3.0 points below",
        "0.4 points above",
        "reached",
        "just below",
        "reached",
        "",
    ]


def test_a_stored_week_is_no_day_to_any_reader(root, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    store = FolderStore(tmp_path / "root")
    for week in (WEEK, WEEK.plus(1)):
        assert write_week(store, report_of(tmp_path / "root", week)) == week_path(week)
    assert report_weeks(store, "UTC") == [WEEK, WEEK.plus(1)]
    assert report_days(store, "UTC") == []
    assert stored_days(store, "sla_breach_report", "UTC") == []
    later = (tmp_path / "root" / week_path(WEEK.plus(1))).read_text()
    assert f'href="{WEEK}.html"' in later
    assert "latest.html" not in later  # no day has a page
    assert (tmp_path / "root/sla_breach_report/explained.html").exists()
    assert rows(tmp_path / "root", "SELECT count(*), $monday FROM sla_targets", WEEK)[0][0] > 0


def test_the_newest_week_is_one_that_is_over(root):
    store = FolderStore(root)
    assert newest_week(store, OPEN_DAY) == WEEK
    assert newest_week(store, Day.parse("2026-12-01")) == WEEK.plus(1)
    assert newest_week(store, FIRST) is None


def test_a_week_without_any_summary_is_an_error_that_names_its_days(root):
    with pytest.raises(DayNotFetchedError, match=r"2026-W01, 2025-12-29 to 2026-01-04"):
        report_of(root, Week.of(Day.parse("2026-01-01")))


def test_weeks_are_those_of_iso_8601():
    for day in days_between(Day.parse("2019-12-20"), Day.parse("2021-01-10")):
        week = Week.of(day)
        year, number, _ = day.date.isocalendar()
        assert (str(week), week.number) == (f"{year}-W{number:02d}", number)
        assert Week.parse(str(week), "UTC") == week
        assert day in week.days
        assert week.monday.date.weekday() == dt.date(2026, 11, 23).weekday()


def test_no_text_of_the_account_is_markup(root):
    report = report_of(root, WEEK)
    policies = tuple(replace(report.policies[0], policy_title=text) for text in HOSTILE)
    page = week_page(replace(report, account=" ".join(HOSTILE), policies=policies))
    assert "<script" not in page
    assert "onerror=" not in page.replace("onerror=&", "").split("<main>")[0]
    assert len(parsed(page).one("table", id="policies-table").all("bdi")) == 1 + len(HOSTILE)
