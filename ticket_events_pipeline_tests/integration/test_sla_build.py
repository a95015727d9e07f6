"""SLA days from stored files: where the carry-over comes from if it was never made, and the provenance in a file's footer."""

import json

import pyarrow.compute as pc
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.answers import json_answer
from ticket_events_pipeline.sla.build import TARGETS, make_clocks
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_audits, put_raw_day, sla_root
from ticket_events_pipeline_tests.support.ticket_days import audit

FIRST, SECOND, THIRD, LAST = "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-06"
LATER = Day.parse("2026-03-20").start
NONE = "none"


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=LATER) as running:
        yield running


def open_tickets(deployment, day):
    targets = deployment.table("sla_targets", day)
    return targets.filter(pc.field("outcome") == "active")["ticket_id"].to_pylist()


def test_a_day_after_one_never_made_uses_the_stored_days_before_it(deployment):
    """The day in between was never fetched: stored days are known, and history_from says since when."""
    deployment.account.deliver("ticket_metric_events", [event(1, f"{FIRST}T09:00:00Z"), event(2, f"{THIRD}T09:00:00Z")])
    deployment.fetch(FIRST)
    deployment.fetch(THIRD)
    assert deployment.run("summarize_sla_breaches", THIRD).success
    assert open_tickets(deployment, THIRD) == [1, 2]
    footer = deployment.footer("daily_sla_breach_summary", THIRD)
    assert footer["history_from"] == FIRST
    assert footer["made_from_previous_clocks"].startswith("history ")


def test_days_stored_more_than_thirty_days_before_are_not_read(deployment):
    early = str(Day.parse(THIRD).plus(-31))
    deployment.account.deliver("ticket_metric_events", [event(1, f"{early}T09:00:00Z"), event(2, f"{THIRD}T09:00:00Z")])
    deployment.fetch(early)
    deployment.fetch(THIRD)
    assert deployment.run("summarize_sla_breaches", THIRD).success
    assert open_tickets(deployment, THIRD) == [2]
    assert deployment.footer("daily_sla_breach_summary", THIRD)["history_from"] == THIRD


def test_history_and_newest_event_are_carried_over_from_day_to_day(deployment):
    """Days without events keep the values of the days before."""
    deployment.account.deliver("ticket_metric_events", [event(1, f"{FIRST}T09:00:00Z")])
    deployment.fetch(FIRST, THIRD)
    assert deployment.run("summarize_sla_breaches", FIRST, SECOND).success
    assert deployment.run("summarize_sla_breaches", THIRD).success
    for day in (FIRST, SECOND, THIRD):
        footer = deployment.footer("daily_sla_breach_summary", day)
        assert footer["history_from"] == FIRST
        assert footer["events_through"] == str(Day.parse(FIRST).start + 9 * 3600)
        summary = deployment.table("daily_sla_breach_summary", day)
        assert [str(date) for date in summary["history_from"].to_pylist()] == [FIRST]
    assert deployment.footer("sla_clocks", SECOND)["content_hash"] == footer["made_from_previous_clocks"]


def test_an_event_after_as_of_is_neither_counted_nor_the_newest(deployment):
    """The breach is dated in the evening; at noon it hasn't happened."""
    noon = Day.parse(THIRD).start + 12 * 3600
    planned = event(2, f"{THIRD}T20:00:00Z", "breach", ticket_id=1)
    deployment.account.deliver("ticket_metric_events", [event(1, f"{THIRD}T09:00:00Z"), planned])
    deployment.clock.now = noon
    deployment.fetch(THIRD)
    deployment.settle()
    assert deployment.table("daily_sla_breach_summary", THIRD)["breaches"].to_pylist() == [0]
    assert deployment.footer("daily_sla_breach_summary", THIRD)["events_through"] == str(noon - 3 * 3600)
    deployment.clock.now = LATER
    deployment.fetch(THIRD)
    deployment.settle()
    assert deployment.table("daily_sla_breach_summary", THIRD)["breaches"].to_pylist() == [1]
    assert deployment.footer("daily_sla_breach_summary", THIRD)["events_through"] == str(noon + 8 * 3600)


@pytest.mark.parametrize(
    ("fetched_later", "outcome"), [("ticket_events", "achieved"), ("ticket_metric_events", "active"), ("", "active")]
)
def test_the_later_fetch_wins_for_an_event_in_both_streams(tmp_path, fetched_later, outcome):
    """Of two fetches in the same second, the metric stream's wins."""
    by_stream = {
        "ticket_metric_events": Clock().apply(9, 60).add("pause", 10),
        "ticket_events": Clock().apply(9, 60).add("fulfill", 10),
    }
    for stream, clock in by_stream.items():
        fetched_at = str(Clock.DAY.end + 3600 + (stream == fetched_later))
        put_raw_day(tmp_path, clock.events, Clock.DAY, stream=stream, more_footer={"fetched_at": fetched_at})
    make_sla_days(tmp_path, Clock.DAY, Clock.DAY)
    assert read_partition(FolderStore(tmp_path), TARGETS, Clock.DAY)["outcome"].to_pylist() == [outcome]


def test_the_footer_has_the_title_of_each_policys_last_row(tmp_path):
    titled = [("11", "Old"), ("12", "Other"), ("11", None), ("11", "New")]
    clocks = [Clock(n, first_id=10 * n).apply(9, 60, policy, title=title) for n, (policy, title) in enumerate(titled, 1)]
    sla_root(tmp_path, all_events(*clocks), Clock.DAY, Clock.DAY)
    footer = read_metadata(FolderStore(tmp_path), TARGETS, Clock.DAY)
    assert json.loads(footer["policy_title"]) == {"11": "New", "12": "Other"}


def test_a_day_that_fails_leaves_the_days_before_it_recorded(deployment):
    """Raw days where the account refuses half-way, and SLA days of which one was never fetched."""
    busy = [event(1000 * n + m, f"{day}T10:00:{m % 60:02}Z") for n, day in enumerate((FIRST, SECOND), 1) for m in range(999)]
    deployment.account.deliver("ticket_metric_events", busy)
    # The first answer belongs to the other stream, the second ends after the first day.
    deployment.server.script(None, None, json_answer(403, {"error": "Forbidden"}))
    assert not deployment.run("fetch_ticket_events", FIRST, LAST).success
    assert deployment.recorded("ticket_metric_events") == {FIRST}
    assert not deployment.run("summarize_sla_breaches", FIRST, LAST).success
    assert deployment.recorded("sla_clocks") == {FIRST}
    assert deployment.recorded("sla_targets") == set()


class _Refreshed(FolderStore):
    """Another run replaces the day's audits once they have been searched, and before the deletions are read."""

    def __init__(self, root, refresh):
        super().__init__(root)
        self._refresh, self._opened = refresh, 0

    def reader(self, path):
        self._opened += path.startswith(f"ticket_events/date={FIRST}")
        if self._opened == 2:
            self._opened += 1
            self._refresh()
        return super().reader(path)


def test_audits_that_a_fetch_of_the_open_day_replaces_meanwhile_are_read_again(tmp_path):
    day = Day.parse(FIRST)
    noon = day.start + 12 * 3600
    audits = [audit(900, 7, 8, "Create", status="new"), audit(901, 7, 9, status="deleted")]
    newer = [*audits, audit(902, 8, 12.1, "Create", status="new")]
    put_raw_day(tmp_path, Clock(ticket_id=7).add("activate", 8).events, day, now=noon)
    put_audits(tmp_path, audits, day, now=noon)
    list(make_clocks(_Refreshed(tmp_path, lambda: put_audits(tmp_path, newer, day, now=noon + 900)), [day]))
    made = read_metadata(FolderStore(tmp_path), "sla_clocks", day)
    list(make_clocks(FolderStore(tmp_path), [day]))
    assert made == read_metadata(FolderStore(tmp_path), "sla_clocks", day)
