"""The page that explains the numbers, and its query: from every figure of the summary to the events behind it."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tempfile
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.report.explained import explained_page, trace_query
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.rules.daily_summary import COUNTS, KEY
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tables.ticket_metric_events import metric_shaped
from ticket_events_pipeline.tables.tickets import SLA_TARGET_DIMENSIONS_TABLE, TICKET_TABLES
from ticket_events_pipeline.tickets.names import ZENDESK_NAMES
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.damages import rewrite, without_estimates
from ticket_events_pipeline_tests.support.drawn_histories import audits, histories
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.released import released_columns
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_audits, all_events, make_sla_days, put_raw_day, sla_root

EXAMPLE = json.loads((SAMPLES / "sla_worked_example.json").read_text())
RELEASED = {column.name for column in released_columns(DAILY_SLA_BREACH_SUMMARY_TABLE)}
FIGURES = [name for name in (*COUNTS, "breached_tickets") if name in RELEASED]
"""The query covers these: a newer figure may follow with its release."""
METRIC_EVENT = ("ticket_id", "metric", "instance_id", "id", "type", "deleted")
TRACED_EVENT = ("ticket_id", "metric", "instance_id", "event_id", "type", "deleted")
OF_EVENTS = {"breach_events", "withdrawn_breaches"}
FIRST = Day(dt.date(2026, 3, 7))
CONNECTION = duckdb.connect(config={"threads": 1})  # several take longer for so little data
# More of them by hand after a change of the query: TRACE_EXAMPLES=500.
EXAMPLES = int(os.environ.get("TRACE_EXAMPLES", "6"))


def trace(root, day, **wanted):
    """The rows of the page's query, unchanged but for its first lines."""
    script = trace_query()
    for name, value in {"root": str(root), "day": str(day), "figure": None, **wanted}.items():
        script, found = re.subn(
            rf"^SET VARIABLE {name} = [^;]*;",
            f"SET VARIABLE {name} = {'NULL' if value is None else repr(value)};",
            script,
            flags=re.M,
        )
        assert found == 1, name
    answer = CONNECTION.execute(script)
    columns = [name for name, *_ in answer.description]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def counted(found):
    """The figures that a trace makes, by figure and key of the summary."""
    things = {}
    for row in found:
        key = (row["figure"], row["sla_metric"], row["policy_id"], row["business_hours"])
        target = (row["ticket_id"], row["metric"], row["instance_id"])
        thing = row["event_id"] if row["figure"] in OF_EVENTS else target[:1] if row["figure"] == "breached_tickets" else target
        things.setdefault(key, set()).add(thing)
    return {key: len(of_key) for key, of_key in things.items()}


def summed(root, day):
    """The figures of the day's summary that are not 0, likewise."""
    rows = read_partition(FolderStore(root), "daily_sla_breach_summary", day).to_pylist()
    return {(name, *(row[part] for part in KEY)): row[name] for row in rows for name in FIGURES if row[name]}


def stored(root, days):
    """Every metric event in the raw files as a trace shows it, and every audit, of which a trace shows less."""
    events = set()
    for stream in STREAMS:
        for day in days:
            table = read_partition(FolderStore(root), stream, day)
            rows = [] if table is None else table.to_pylist()
            shaped = [] if table is None else metric_shaped(table).to_pylist()
            for row, is_metric_event in zip(rows, shaped, strict=True):
                names = METRIC_EVENT if is_metric_event else ("ticket_id", "id")
                events.add((stream, day.date, row["time"].replace(tzinfo=None), *(row[name] for name in names)))
    return events


def as_stored(row):
    """A line of a trace likewise; its event is an audit where the ticket was deleted or restored."""
    names = ("ticket_id", "event_id") if row["type"] in ("Create", "Change") else TRACED_EVENT
    return (row["stream"], row["file"], row["time_utc"], *(row[name] for name in names))


def check(root, day, days):
    """Every figure of the day is traced in full, and to nothing but stored events; the figures that occurred."""
    found = trace(root, day)
    assert counted(found) == summed(root, day)
    assert {as_stored(row) for row in found} <= stored(root, days)
    return {row["figure"] for row in found}


def epoch(text):
    return int(dt.datetime.fromisoformat(text).timestamp())


def delivered(runs):
    """The worked example's rows after those runs."""
    by_id = {row["id"]: {**row, "time": epoch(row["time"])} for row in EXAMPLE["deliveries"] if row["run"] in runs}
    return list(by_id.values())


@pytest.mark.parametrize("runs", EXAMPLE["expected_after"])
def test_every_figure_of_the_worked_example_is_traced(tmp_path, runs):
    days = [Day.parse(text) for text in sorted(EXAMPLE["expected_after"][runs])]
    sla_root(tmp_path, delivered(runs.split("+")), days[0], days[-1])
    for day in days:
        check(tmp_path, day, days)


def test_the_worked_examples_breaches_are_these_events(tmp_path):
    days = [Day.parse(f"2026-03-0{number}") for number in (2, 3)]
    sla_root(tmp_path, delivered(["R1", "R2"]), days[0], days[-1])
    found = {str(day): [row["event_id"] for row in trace(tmp_path, day, figure="breaches")] for day in days}
    expected = {
        day: sum(row["breaches"] for row in EXAMPLE["expected_after"]["R1+R2"][day]["daily_sla_breach_summary"])
        for day in found
    }
    assert {day: len(ids) for day, ids in found.items()} == expected
    assert all(row["type"] == "breach" for day in days for row in trace(tmp_path, day, figure="breaches"))


@pytest.mark.slow
def test_every_figure_of_ten_days_of_a_realistic_account_is_traced(tmp_path):
    """In New York, over the night in which its clocks go forward; the last day is still open."""
    days = days_between(Day.parse("2026-03-02", "America/New_York"), Day.parse("2026-03-11", "America/New_York"))
    clock = Moment(days[-1].start + 15 * 3600)
    with SandboxServer(SimulatedAccount(seed=1, tickets_per_day=25), clock=clock) as server:
        for stream in STREAMS:
            fetch(server, tmp_path, stream, str(days[0]), str(days[-1]), clock=clock, timezone="America/New_York")
    make_sla_days(tmp_path, days[0], days[-1])
    occurred = set()
    for day in days:
        occurred |= check(tmp_path, day, days)
    assert occurred == set(FIGURES)


@settings(max_examples=EXAMPLES, deadline=None)
@given(history=histories(), data=st.data(), timezone=st.sampled_from(["UTC", "America/New_York"]))
def test_every_figure_of_any_history_is_traced(history, data, timezone):
    """Some events came in the other stream, some in both with other contents; the last day is open."""
    days = days_between(Day(FIRST.date, timezone), Day(FIRST.date, timezone).plus(3))
    drawn_audits = data.draw(audits(timezone, range(4)))
    last = days[-1]
    streams = {row["id"]: data.draw(st.sampled_from(["metric", "audits", "both"])) for row in history}
    hour = data.draw(st.integers(1, 30))
    audits_are_later = data.draw(st.integers(-1, 1))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for day in days:
            now = min(day.end + 3600, last.start + hour * 3600)
            metric = [row for row in history if streams[row["id"]] != "audits"]
            other = [{**row, "type": "pause"} if streams[row["id"]] == "both" else row for row in history]
            put_raw_day(root, metric, day, now=now)
            put_raw_day(
                root,
                [row for row in other if streams[row["id"]] != "metric"],
                day,
                now=now + audits_are_later,
                stream="ticket_events",
                audits=drawn_audits,
            )
        make_sla_days(root, days[0], last)
        for day in days:
            check(root, day, days)


def test_a_target_is_traced_from_a_carried_over_clock(tmp_path):
    """An event after a month of silence makes a new target, whatever the files still hold."""
    forgotten = Clock().apply(9, 60).add("fulfill", 10).add("breach", 24 * 33)
    paused = Clock(ticket_id=2, first_id=11).add("activate", 8).apply(9, 60).add("fulfill", 10)
    paused.add("pause", 24 * 33).apply(24 * 33 + 1, 60, 12)
    waiting = Clock(ticket_id=3, first_id=21).apply(8, 60).add("fulfill", 9).add("fulfill", 24 * 33).apply(24 * 33 + 1, 60, 12)
    waiting.add("activate", 24 * 33 + 2).apply(24 * 33 + 2, 90, 13)
    both = Clock(ticket_id=4, first_id=31)
    both.add("fulfill", 8).apply(9, 60).add("apply_sla", 9.5, sla=None).add("activate", 10).apply(10, 60, 12)
    renewed = Clock(ticket_id=5, first_id=41).apply(8, 60).add("fulfill", 9).add("activate", 24 * 33).apply(24 * 33, 60, 12)
    days = days_between(Clock.DAY, Clock.DAY.plus(34))
    sla_root(tmp_path, all_events(forgotten, paused, waiting, both, renewed), days[0], days[-1])
    occurred = set()
    for day in (days[0], days[33], days[34]):
        occurred |= check(tmp_path, day, days)
    assert {"targets_discovered", "targets_started", "paused_eod", "achieved"} <= occurred
    (row,) = trace(tmp_path, days[33], figure="targets_discovered")
    assert (row["ticket_id"], row["event_id"]) == (1, 3)
    assert [row["event_id"] for row in trace(tmp_path, days[33], figure="active_eod") if row["ticket_id"] == 1] == [3]
    started = {row["ticket_id"]: row["event_id"] for row in trace(tmp_path, days[33], figure="targets_started")}
    # Ticket 3's policy waited for the activate; ticket 5's is too old to be remembered.
    assert started == {2: 15, 3: 25, 5: 44}
    assert {row["event_id"] for row in trace(tmp_path, days[0], figure="targets_started") if row["ticket_id"] == 4} == {35}


def test_the_events_explain_a_figure(tmp_path):
    """A null policy cancels, an activate re-opens, a pause pauses; breach, new policy and its minutes make a superseded one."""
    cancelled = Clock().apply(9, 60).add("apply_sla", 10, sla=None)
    reopened = Clock(ticket_id=2, first_id=11).apply(9, 60).add("fulfill", 10).add("activate", 30).add("pause", 31)
    reopened.add("activate", 32).add("pause", 33)
    relaxed = Clock(ticket_id=3, first_id=21).apply(26, 60).add("breach", 27).apply(27.5, 120, 12).add("fulfill", 28)
    relaxed.add("update_status", 28, status={"calendar": 120})
    withdrawn = Clock(ticket_id=4, first_id=31).apply(26, 60).add("breach", 27, deleted=True)
    late = Clock(ticket_id=5, first_id=41).apply(9, 60).add("breach", 27).add("apply_sla", 28, sla=None)
    stale = Clock(ticket_id=6, first_id=51).apply(26, 60).add("fulfill", 27).add("breach", 28)
    changed = Clock(ticket_id=7, first_id=61).apply(26, 60, 11).add("breach", 27).apply(28, 120, 12)
    twice = Clock(ticket_id=8, first_id=71).apply(26, 60).add("fulfill", 27).add("activate", 28).add("fulfill", 29)
    first, second = Clock.DAY, Clock.DAY.plus(1)
    sla_root(tmp_path, all_events(cancelled, reopened, relaxed, withdrawn, late, stale, changed, twice), first, second)
    check(tmp_path, second, [first, second])
    ids = {figure: [] for figure in FIGURES}
    for row in trace(tmp_path, second):
        ids[row["figure"]].append(row["event_id"])
    assert [row["event_id"] for row in trace(tmp_path, first, figure="targets_cancelled")] == [2]
    assert {figure: found for figure, found in ids.items() if found} == {
        "targets_started": [21, 31, 51, 61, 71],
        "targets_reopened": [13],
        "breaches": [42, 62],
        "breached_tickets": [42, 62],
        "breach_events": [22, 42, 62],
        "achieved": [24, 52, 74],
        "superseded_breaches": [22, 23, 24, 25],
        "withdrawn_breaches": [32],
        "active_eod": [11, 13, 31, 41, 42, 61, 62, 63],
        "breached_open_eod": [41, 42, 61, 62],
        "paused_eod": [16],
    }


def test_the_audits_show_which_targets_were_deleted_and_restored(tmp_path):
    """What opens while the ticket is deleted opens at the restoration; a fulfil in that time leaves the target deleted."""
    late = Clock().apply(9, 60).add("breach", 10).ticket(11, "deleted")
    back = Clock(ticket_id=2, first_id=11).apply(9, 60).ticket(10, "deleted").ticket(30, "open")
    waited = Clock(ticket_id=3, first_id=21).ticket(9, "deleted").apply(10, 60).ticket(30, "open")
    done = Clock(ticket_id=4, first_id=31).apply(9, 60).ticket(10, "deleted").add("fulfill", 11)
    done.ticket(30, "open")
    other = Clock(ticket_id=5, first_id=41).apply(9, 60).ticket(10, "pending")
    clocks, days = (late, back, waited, done, other), [Clock.DAY, Clock.DAY.plus(1)]
    drawn = all_audits(*clocks)
    for number, audit in enumerate(drawn, 91):
        audit["id"] = number
    sla_root(tmp_path, all_events(*clocks), days[0], days[1], audits=drawn)
    assert {"targets_deleted", "breaches"} <= check(tmp_path, days[0], days)
    check(tmp_path, days[1], days)

    def ids(day, figure):
        return [row["event_id"] for row in trace(tmp_path, day, figure=figure)]

    assert ids(days[0], "targets_deleted") == [91, 92, 96]
    assert ids(days[0], "breaches") == [2]
    assert (ids(days[1], "targets_reopened"), ids(days[1], "targets_started")) == ([93], [95])
    assert ids(days[1], "active_eod") == [11, 93, 21, 95, 41]


@pytest.mark.parametrize(
    ("more", "is_deleted"),
    [
        ('{"event_type":"Comment","body":"cut \\ud83d"}', True),
        ('{"event_type":"Comment","body":"C:\\\\ud83d"}', True),
        ('"a text",7,null,{"status":"open"},{"event_type":"Comment","status":"open"}', True),
        ('{"event_type":"Change","status":["open"]},{"event_type":"Change","status":null}', True),
        ("[" * 5000 + "]" * 5000, False),
    ],
)
def test_a_deletion_is_read_whatever_else_an_audit_holds(tmp_path, more, is_deleted):
    """Except for values that are nested deeper than the pipeline reads."""
    clock = Clock().apply(9, 60).ticket(10, "deleted")
    sla_root(tmp_path, clock.events, Clock.DAY, Clock.DAY, audits=clock.audits)

    def with_more(table):
        children = [text[:-1] + f",{more}]" for text in table["child_events"].to_pylist()]
        return table.set_column(table.column_names.index("child_events"), "child_events", pa.array(children))

    rewrite(tmp_path, "ticket_events", Clock.DAY, rows=with_more)
    make_sla_days(tmp_path, Clock.DAY, Clock.DAY)
    assert ("targets_deleted" in {name for name, *_ in summed(tmp_path, Clock.DAY)}) == is_deleted
    if is_deleted:
        assert "targets_deleted" in check(tmp_path, Clock.DAY, [Clock.DAY])
    else:
        trace(tmp_path, Clock.DAY)


def test_audits_whose_child_events_are_no_list_break_no_trace(tmp_path):
    clock = Clock().apply(9, 60).ticket(10, "deleted")
    sla_root(tmp_path, clock.events, Clock.DAY, Clock.DAY, audits=clock.audits)
    other = pa.array(['{"event_type":"Change","status":"deleted"}'])
    at = TABLES["ticket_events"].schema.get_field_index("child_events")
    rewrite(tmp_path, "ticket_events", Clock.DAY, rows=lambda table: table.set_column(at, "child_events", other))
    make_sla_days(tmp_path, Clock.DAY, Clock.DAY)
    assert "active_eod" in check(tmp_path, Clock.DAY, [Clock.DAY])


def test_a_contradicted_outcome_is_traced_to_its_events(tmp_path):
    """A reply after 90 minutes of a target of 60 that no breach followed; and a breach whose duration is within its target."""
    met = Clock().apply(9, 60).add("fulfill", 10).add("update_status", 10, status={"calendar": 90})
    missed = Clock(ticket_id=2, first_id=11).apply(9, 60).add("breach", 10).add("fulfill", 11)
    missed.add("update_status", 11, status={"calendar": 20})
    right = Clock(ticket_id=3, first_id=21).apply(9, 60).add("fulfill", 9.5).add("update_status", 9.5, status={"calendar": 30})
    sla_root(tmp_path, all_events(met, missed, right), Clock.DAY, Clock.DAY)
    assert "contradicted" in check(tmp_path, Clock.DAY, [Clock.DAY])
    assert [row["event_id"] for row in trace(tmp_path, Clock.DAY, figure="contradicted")] == [2, 3, 12, 13, 14]


def test_numbers_that_leave_int64_break_no_trace(tmp_path):
    huge = Clock().apply(9, 2**62).add("fulfill", 10).add("update_status", 10, status={"calendar": 2**62})
    huge.events[0]["sla"]["target_in_seconds"] = 2**63 - 1
    sla_root(tmp_path, huge.events, Clock.DAY, Clock.DAY)
    assert "achieved" in check(tmp_path, Clock.DAY, [Clock.DAY])


def test_targets_of_an_earlier_version_are_traced_without_newer_columns(tmp_path):
    sla_root(tmp_path, Clock().apply(9, 60).add("breach", 10).events, Clock.DAY, Clock.DAY)
    without_estimates(tmp_path, Clock.DAY)
    assert [row["event_id"] for row in trace(tmp_path, Clock.DAY, figure="breaches")] == [2]
    assert trace(tmp_path, Clock.DAY, figure="contradicted") == []


@pytest.mark.parametrize(("audits_later", "breaches"), [(-1, [2]), (0, [2]), (1, [])])
def test_of_an_event_in_both_streams_the_later_fetch_is_traced(tmp_path, audits_later, breaches):
    """In one and the same second, by the metric stream. The other says here that it was a pause."""
    events = Clock().apply(9, 60).add("breach", 10).events
    put_raw_day(tmp_path, events, Clock.DAY, now=Clock.DAY.end + 10)
    otherwise = [{**events[1], "type": "pause"}]
    put_raw_day(tmp_path, otherwise, Clock.DAY, now=Clock.DAY.end + 10 + audits_later, stream="ticket_events")
    make_sla_days(tmp_path, Clock.DAY, Clock.DAY)
    check(tmp_path, Clock.DAY, [Clock.DAY])
    assert [row["event_id"] for row in trace(tmp_path, Clock.DAY, figure="breaches")] == breaches


def test_an_event_that_moved_to_another_day_counts_there(tmp_path):
    """These events count for nothing: a measure, a deleted fulfil, an instance 0, an event dated ahead."""
    first, second = Clock.DAY, Clock.DAY.plus(1)
    clock = Clock().add("activate", 8).apply(9, 60).add("breach", 10).add("fulfill", 11, deleted=True)
    running = Clock(ticket_id=2, first_id=21).apply(9, 60).events
    put_raw_day(tmp_path, [*clock.events, *running, *Clock(first_id=9, instance_id=0).add("fulfill", 12).events], first)
    moved = Clock(first_id=3).add("breach", 30).events + Clock(first_id=12).add("fulfill", 40).events
    moved += Clock(first_id=2, instance_id=0).add("fulfill", 31).events + Clock(first_id=1).add("measure", 31).events
    put_raw_day(tmp_path, moved, second, now=second.start + 20 * 3600)
    ahead = Clock(ticket_id=2, first_id=22).add("breach", 45).events
    put_raw_day(tmp_path, ahead, second, now=second.start + 22 * 3600, stream="ticket_events")
    make_sla_days(tmp_path, first, second)
    assert check(tmp_path, first, [first, second]) >= {"breaches", "breached_open_eod"}
    assert check(tmp_path, second, [first, second]) >= {"breaches", "completed_breached"}
    traced = [(row["event_id"], str(row["file"])) for row in trace(tmp_path, second, figure="completed_breached")]
    assert traced == [(3, str(second)), (12, str(second))]


def test_events_of_one_second_count_in_the_order_of_the_rules(tmp_path):
    """Whatever their ids and fractions: start, policy, breach, fulfil."""
    row = {"ticket_id": 1, "metric": "reply_time", "instance_id": 1}
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    rows = [
        {"id": 1, **row, "type": "fulfill", "time": f"{Clock.DAY}T09:00:00.100Z"},
        {"id": 2, **row, "type": "breach", "time": f"{Clock.DAY}T09:00:00.200Z"},
        {"id": 3, **row, "type": "apply_sla", "time": f"{Clock.DAY}T09:00:00.300Z", "sla": sla},
        {"id": 4, **row, "type": "activate", "time": f"{Clock.DAY}T09:00:00.400Z"},
    ]
    clock = Moment(Clock.DAY.plus(2).start)
    with SandboxServer(RecordedAccount({"ticket_metric_events": rows}), clock=clock) as server:
        fetch(server, tmp_path, "ticket_metric_events", str(Clock.DAY), str(Clock.DAY), clock=clock)
    make_sla_days(tmp_path, Clock.DAY, Clock.DAY)
    check(tmp_path, Clock.DAY, [Clock.DAY])
    assert [row["event_id"] for row in trace(tmp_path, Clock.DAY, figure="targets_started")] == [3]
    assert [row["event_id"] for row in trace(tmp_path, Clock.DAY, figure="completed_breached")] == [2, 1]


def test_the_trace_is_of_one_figure_metric_and_policy_where_they_are_set(tmp_path):
    clocks = [
        Clock().apply(9, 60).add("breach", 10),
        Clock(ticket_id=2, first_id=11, metric="agent_work_time").add("breach", 10),
    ]
    sla_root(tmp_path, all_events(*clocks), Clock.DAY, Clock.DAY)

    def ids(**wanted):
        return [row["event_id"] for row in trace(tmp_path, Clock.DAY, **wanted)]

    assert ids(figure="breaches") == [2, 11]
    assert ids(figure="breaches", metric="agent_work_time") == ids(figure="breaches", policy="") == [11]
    assert ids(figure="breaches", policy="11") == [2]
    assert ids(figure="breaches", policy="12") == []
    with pytest.raises(duckdb.Error, match="figure: no count of daily_sla_breach_summary has that name"):
        ids(figure="breached")


def test_a_day_without_targets_stored_is_an_error_and_not_an_empty_answer(tmp_path):
    sla_root(tmp_path, [], Clock.DAY, Clock.DAY)
    assert trace(tmp_path, Clock.DAY) == []
    with pytest.raises(duckdb.IOException, match="No files found"):
        trace(tmp_path, Clock.DAY.plus(1))


def test_the_trace_needs_no_second_stream_and_no_clocks(tmp_path):
    sla_root(tmp_path, Clock().apply(9, 60).add("breach", 10).events, Clock.DAY, Clock.DAY)
    assert not (tmp_path / "ticket_events").exists()
    (tmp_path / "sla_clocks").rename(tmp_path / "elsewhere")
    assert [row["event_id"] for row in trace(tmp_path, Clock.DAY, figure="breaches")] == [2]


class Seen(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, name, attribute=None):
        return [attrs.get(attribute) if attribute else attrs for tag, attrs in self.tags if tag == name]


SEEN = Seen(explained_page())


def test_the_page_needs_nothing_else_and_runs_nothing():
    assert {tag for tag, _ in SEEN.tags} & {"script", "img", "link", "iframe", "object", "form"} == set()
    assert not [attrs for _, attrs in SEEN.tags if any(name.startswith("on") or name == "src" for name in attrs)]
    (policy,) = [attrs["content"] for attrs in SEEN.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "url(" not in explained_page()
    assert "@import" not in explained_page()


def test_the_page_can_be_read_by_a_screen_reader():
    """One h1, no level left out, a language, a title, headed tables, links that say where they go, places to scroll by keys."""
    levels = [int(tag[1]) for tag, _ in SEEN.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert SEEN.all("html", "lang") == ["en"]
    assert len(SEEN.all("main")) == len(SEEN.all("title")) == 1
    assert set(SEEN.all("th", "scope")) == {"col"}
    scrolled = [attrs for _, attrs in SEEN.tags if attrs.get("class") == "scroll"] + SEEN.all("pre")
    assert len(scrolled) == len(SEEN.all("table")) + 2  # two queries
    assert all(attrs["tabindex"] == "0" and attrs["role"] == "region" and attrs["aria-label"] for attrs in scrolled)
    ids = [attrs["id"] for _, attrs in SEEN.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    anchors = [href[1:] for href in SEEN.all("a", "href") if href.startswith("#")]
    assert anchors == [name for name in ids if name != "what-the-numbers-mean"]


def test_the_page_shows_the_query_to_the_letter():
    assert trace_query() in SEEN.text


def test_every_name_in_the_page_is_one_of_the_files_or_settings():
    known = {
        *DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names,
        *SLA_TARGETS_TABLE.schema.names,
        *SLA_TARGET_DIMENSIONS_TABLE.schema.names,
        *STREAMS,
        "sla_targets",
        *(table.name for table in TICKET_TABLES),
        ZENDESK_NAMES,
        "TICKET_EVENTS_ALERT_MIN_TARGETS",
        "TICKET_EVENTS_GOAL_PERCENT",
        "TICKET_EVENTS_TIMEZONE",
    }
    prose = re.sub(
        r"```sql.*?```", "", (Path(explained_page.__globals__["__file__"]).with_suffix(".md")).read_text(), flags=re.S
    )
    names = set(re.findall(r"`(\w+)`", prose))
    assert names - known == {"p90", "max", "event_id", "deleted"}
    assert {name for name in FIGURES if name not in trace_query()} == set()


def test_raw_html_in_the_markdown_would_be_text():
    """It holds no text of an account; but a mistake in it must not run either."""
    from ticket_events_pipeline.report.explained import _reader

    assert "<b>" not in _reader().render("a <b>bold</b> word")
