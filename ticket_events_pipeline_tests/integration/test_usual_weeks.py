"""Nine weeks of the simulated account: no weekday is news for being a weekday, and a bad day is."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.report.builder import ReportReader
from ticket_events_pipeline.report.model import Change, DayReport
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.damages import rewrite
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

FIRST, LAST = Day.parse("2026-01-05"), Day.parse("2026-03-08")
DAYS = days_between(FIRST, LAST)
COMPARED = DAYS[3 * 7 :]
MONDAY, SUNDAY = 0, 6
LAST_WEEK = DAYS[-7:]
CHANGED = {Change.MORE, Change.FEWER}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root, clock = tmp_path_factory.mktemp("root"), Moment(LAST.end + 3600)
    with SandboxServer(SimulatedAccount(tickets_per_day=40), clock=clock) as server:
        fetch(server, root, "ticket_metric_events", str(FIRST), str(LAST), clock=clock)
    make_sla_days(root, FIRST, LAST)
    return root


def reports_of(root: Path, days: list[Day]) -> dict[Day, DayReport]:
    reader = ReportReader(FolderStore(root), account="acme", tickets_url=None, days=days)
    return {day: reader.read(day, with_tickets=False) for day in days}


@pytest.fixture(scope="module")
def reports(root):
    return reports_of(root, COMPARED)


def changes(report: DayReport) -> list[Change]:
    """Of the breaches in all and of each metric, then of the rates."""
    of_metrics = [change for metric in report.metrics for change in (metric.breaches_change, metric.rate_change)]
    return [report.breaches_change, *of_metrics]


def changed_share(reports) -> float:
    counts = Counter(change for report in reports for change in changes(report))
    compared = counts.total() - counts[Change.UNKNOWN]
    assert compared > 100
    return sum(counts[change] for change in CHANGED) / compared


def test_mondays_and_sundays_are_within_usual(reports):
    """The mean of the seven days before called nearly all of them more, or fewer."""
    ours = [report for day, report in reports.items() if day.date.weekday() in (MONDAY, SUNDAY)]
    assert [report.breaches_change in CHANGED for report in ours].count(True) <= 2
    assert changed_share(ours) <= 0.025


def test_mondays_bring_more_than_twice_as_much_as_sundays(reports):
    monday, sunday = (reports[day].usual.achieved.median for day in (LAST_WEEK[MONDAY], LAST_WEEK[SUNDAY]))
    assert monday > 2 * sunday


def test_of_all_days_hardly_a_figure_in_forty_is_a_change(reports):
    assert len(reports) == 42
    assert changed_share(reports.values()) <= 0.025


def five_times(table: pa.Table) -> pa.Table:
    return table.set_column(table.schema.get_field_index("breaches"), "breaches", pc.multiply(table["breaches"], 5))


def test_a_day_with_five_times_the_breaches_is_more_in_all_and_in_each_metric_that_usually_has_some(root, reports, tmp_path):
    planted = Path(shutil.copytree(root, tmp_path / "root"))
    for day in LAST_WEEK:
        rewrite(planted, SUMMARY, day, rows=five_times)
    seen = 0
    for day, report in reports_of(planted, LAST_WEEK).items():
        assert report.breaches_change is Change.MORE
        some = {
            metric.sla_metric for metric in reports[day].metrics if metric.day.breaches >= metric.usual.breaches.median >= 2
        }
        more = [metric for metric in report.metrics if metric.breaches_change is Change.MORE]
        assert some <= {metric.sla_metric for metric in more}
        assert Change.FEWER in {metric.rate_change for metric in more}
        seen += len(some)
    assert seen >= 5
