"""Cases from real accounts that once gave wrong results, each from its JSON rows to the SLA tables of its days.

A case is tried as it came, and in variants: another metric, other days of New York, rows in another order, and metric events in
`ticket_events`.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.quality.schema_drift import find_oddities
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.raw_files import put_raw_table
from ticket_events_pipeline_tests.support.sla_cases import rows_of
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

CASES = SAMPLES / "cases"
HOUR = 3600


@dataclass(frozen=True)
class Variant:
    """How a case is varied.

    Attributes:
        metric: instead of its own; None: as it came.
        later_seconds: by how much all of its times are moved.
        in_one_stream: its metric events come in `ticket_events`.
        backwards: the rows of every answer come in the opposite order.
    """

    metric: str | None = None
    timezone: str = "UTC"
    later_seconds: int = 0
    in_one_stream: bool = False
    backwards: bool = False


VARIANTS = {
    "as it came": Variant(),
    "another metric, backwards": Variant(metric="pausable_update_time", backwards=True),
    "New York's long day": Variant(timezone="America/New_York", later_seconds=244 * 86_400 + 5 * HOUR),
    "in ticket_events": Variant(in_one_stream=True),
}


def rows_of_case(case, variant):
    served = {stream: list(rows) for stream, rows in case["serve"].items()}
    served = {stream: [changed(row, variant) for row in rows] for stream, rows in served.items()}
    if variant.in_one_stream:
        moved = [*served.get("ticket_events", []), *served["ticket_metric_events"]]
        served = {"ticket_events": moved, "ticket_metric_events": []}
    return served


def changed(row, variant):
    row = dict(row)
    if variant.metric and "metric" in row:
        row["metric"] = variant.metric
    for name in ("time", "created_at"):
        if name in row:
            moment = dt.datetime.fromisoformat(row[name]) + dt.timedelta(seconds=variant.later_seconds)
            row[name] = moment.isoformat().replace("+00:00", "Z")
    if "timestamp" in row:
        row["timestamp"] += variant.later_seconds
    return row


def put_rows(root, served, day, backwards):
    for stream in STREAMS:
        if stream not in served:
            continue
        rows = served[stream][::-1] if backwards else served[stream]
        table = decode_rows(stream, rows).table
        seconds = [moment // 1000 for moment in table["time"].cast("int64").to_pylist()]
        table = table.filter(pa.array([day.start <= second < day.end for second in seconds], pa.bool_()))
        table = table.sort_by([("time", "ascending"), ("id", "ascending")])
        put_raw_table(root, table, stream, day, read_to=day.end + HOUR)


def made(root, slug, variant, *, last=2):
    """The case's targets and summaries by day, from the day of its first event on to the `last` day after it."""
    case = json.loads((CASES / f"{slug}.json").read_text())
    served = rows_of_case(case, variant)
    first = Day.containing(min(moment_of(row) for rows in served.values() for row in rows), variant.timezone)
    days = days_between(first, first.plus(last))
    for day in days:
        put_rows(root, served, day, variant.backwards)
    make_sla_days(root, days[0], days[-1])
    return days, Tables(root)


def moment_of(row):
    return row.get("timestamp") or int(dt.datetime.fromisoformat(row["time"]).timestamp())


class Tables:
    def __init__(self, root):
        self._store = FolderStore(root)

    def targets(self, day):
        return rows_of(read_partition(self._store, "sla_targets", day))

    def summary(self, day):
        return rows_of(read_partition(self._store, "daily_sla_breach_summary", day))


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def variant(request):
    return request.param


def assert_row(row, **expected):
    assert {name: row[name] for name in expected} == expected


def test_a_deleted_ticket_is_overdue_only_until_its_deletion(tmp_path, variant):
    days, tables = made(tmp_path, "deleted-ticket-late-for-ever", variant)
    [target] = tables.targets(days[0])
    assert_row(target, outcome="deleted", overdue_seconds=1800, breach_events=1, fulfilled_at=None)
    [summary] = tables.summary(days[0])
    assert_row(summary, breaches=1, targets_deleted=1, active_eod=0, breached_open_eod=0)
    assert [tables.targets(day) + tables.summary(day) for day in days[1:]] == [[]] * 2


def test_time_while_a_ticket_is_solved_is_not_overdue(tmp_path, variant):
    days, tables = made(tmp_path, "reopened-overdue-counts-solved-time", variant, last=8)
    assert_row(tables.targets(days[0])[0], outcome="breached", overdue_seconds=HOUR)
    assert_row(tables.targets(days[8])[0], outcome="breached", overdue_seconds=HOUR + 300, overdue_clock_seconds=HOUR + 300)
    assert_row(tables.summary(days[8])[0], overdue_p50_seconds=3900, overdue_p90_seconds=3900, overdue_max_seconds=3900)


def test_a_renamed_policy_has_its_newest_name_in_both_tables(tmp_path, variant):
    days, tables = made(tmp_path, "renamed-policy-keeps-its-old-name", variant)
    titles = [(tables.targets(day)[0]["policy_title"], tables.summary(day)[0]["policy_title"]) for day in days[:3]]
    assert titles == [("Zeta support", "Zeta support"), ("Alpha support", "Alpha support"), ("Alpha support", "Alpha support")]


def test_a_target_beyond_int64_is_unknown_and_never_wraps(tmp_path, variant):
    days, tables = made(tmp_path, "target-overflows-int64", variant)
    assert_row(tables.targets(days[0])[0], outcome="active", target_seconds=None, due_at=None)


@pytest.mark.parametrize(
    ("slug", "outcome", "policy"),
    [
        ("breach-of-a-policy-applied-after-the-fulfil", "breached", "Low"),
        ("policy-changed-in-the-second-of-the-reply", "achieved", "Urgent"),
    ],
)
def test_an_outcome_contradicted_by_its_duration_is_named(tmp_path, variant, slug, outcome, policy):
    days, tables = made(tmp_path, slug, variant)
    assert_row(tables.targets(days[0])[0], outcome=outcome, policy_title=policy, is_contradicted=True)
    assert sum(row["contradicted"] for row in tables.summary(days[0])) == 1


def test_a_breach_dated_before_the_reread_span_contradicts_its_fulfil(tmp_path):
    """The breach's day was read before it came; when it is read again, the outcome follows the event."""
    slug = "breach-dated-before-its-apply-and-before-restatement"
    case = json.loads((CASES / f"{slug}.json").read_text())
    days = days_between(Day.parse("2026-03-02"), Day.parse("2026-03-12"))
    for day in days:
        put_rows(tmp_path, case["then"] if day >= Day.parse("2026-03-09") else case["serve"], day, backwards=False)
    make_sla_days(tmp_path, days[0], days[-1])
    tables = Tables(tmp_path)
    assert_row(tables.targets(days[-1])[0], outcome="achieved", is_contradicted=True)
    assert_row(tables.summary(days[-1])[0], achieved=1, contradicted=1)
    for day in days:
        put_rows(tmp_path, case["then"], day, backwards=False)
    make_sla_days(tmp_path, days[0], days[-1])
    assert_row(tables.targets(days[-1])[0], outcome="breached", is_contradicted=False)


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        (1, ("active", 1)),
        ("true", ("active", 1)),
        ("0", ("breached_open", 0)),
        ("no", ("active", 0)),
        (None, ("breached_open", 0)),
    ],
)
@pytest.mark.parametrize("schema_version", [1, SCHEMA_VERSION])
def test_deleted_is_read_in_every_spelling_even_from_extra_of_old_files(tmp_path, came, expected, schema_version):
    """Files of schema version 1 have false for it."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 501, "title": "Standard"}}
    rows = [event(1, "activate", 8), event(2, "apply_sla", 8, sla=sla), event(3, "breach", 9, deleted=came)]
    day = Day.parse("2026-03-02")
    table = decode_rows("ticket_metric_events", rows).table
    if schema_version == 1:
        place = table.column_names.index("deleted")
        table = table.set_column(place, table.schema.field(place), pa.array([False] * 3))
        table = table.select(TABLES["ticket_metric_events"].at(schema_version).names)
    footer = {"schema_version": str(schema_version)}
    put_raw_table(tmp_path, table, "ticket_metric_events", day, read_to=day.end + HOUR, more_footer=footer)
    make_sla_days(tmp_path, day, day)
    [target] = Tables(tmp_path).targets(day)
    assert (target["outcome"], target["withdrawn_breaches"]) == expected
    named = [oddity.name for oddity in find_oddities(FolderStore(tmp_path), "ticket_metric_events", [day])]
    assert named == (["deleted"] if came == "no" else [])


def event(number, kind, hour, **more):
    base = {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": kind, "deleted": False}
    return {**base, "time": f"2026-03-02T{hour:02}:00:00Z", **more}
