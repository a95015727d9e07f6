"""For any root, the newest state of each target and the calendar are what a plain reading of the files gives."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline_tests.support.drawn_histories import DAYS, FIRST, audits, histories
from ticket_events_pipeline_tests.support.duckdb_views import viewed
from ticket_events_pipeline_tests.support.sla_roots import sla_root

TARGETS = "sla_targets"
OUTCOMES = ["achieved", "breached", "breached_open", "active", "cancelled", "deleted"]
OPEN = {"active", "breached_open"}
KEYS = [(1, "reply_time", 1), (1, "reply_time", 2), (1, "resolution_time", 1), (2, "reply_time", 1)]
CALENDAR = "SELECT date, state, rows FROM calendar WHERE asset = 'sla_targets' ORDER BY date"
ZONE = "America/New_York"
LAST = FIRST + dt.timedelta(days=5)


def day_files():
    """Of each day: no file, or for each key an outcome or no row; and whether the day is complete."""
    rows = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(OUTCOMES))
    return st.lists(st.none() | st.tuples(rows, st.booleans()), min_size=1, max_size=6)


def write(root: Path, files) -> None:
    for number, file in enumerate(files):
        if file is not None:
            rows, complete = file
            day = Day(FIRST + dt.timedelta(days=number), ZONE)
            moment = dt.datetime.fromtimestamp(day.end - 3600, dt.UTC)
            table = [
                {"ticket_id": key[0], "metric": key[1], "instance_id": key[2], "outcome": outcome, "breached_at": moment}
                for key, outcome in sorted(rows.items())
            ]
            footer = {"schema_version": "3", "complete": json.dumps(complete), "content_hash": f"{number}", "as_of": "1"}
            write_partition(
                FolderStore(root), TARGETS, day, pa.Table.from_pylist(table, schema=SLA_TARGETS_TABLE.schema), footer
            )


def stored(root: Path):
    """The rows of each stored day, in order of the days, read file by file."""
    folders = sorted((root / TARGETS).glob("date=*"))
    return {
        dt.date.fromisoformat(folder.name.removeprefix("date=")): pq.ParquetFile(folder / f"{TARGETS}.parquet")
        .read()
        .to_pylist()
        for folder in folders
    }


def newest_states(days):
    """By target: the day and the row of its newest state, and whether it is open now or was lost sight of."""
    found = {}
    for date, rows in days.items():
        for row in rows:
            found[row["ticket_id"], row["metric"], row["instance_id"]] = (date, row)
    newest = max(days)
    return {
        key: (date, row["outcome"], row["outcome"] in OPEN and date == newest, row["outcome"] in OPEN and date < newest)
        for key, (date, row) in found.items()
    }


def viewed_states(connection):
    query = "SELECT ticket_id, metric, instance_id, date, outcome, is_open, is_stale FROM sla_targets_latest"
    rows = connection.execute(query).fetchall()
    assert max(Counter(row[:3] for row in rows).values(), default=1) == 1
    return {row[:3]: row[3:] for row in rows}


@settings(max_examples=15)
@given(day_files().filter(any))
def test_the_newest_state_and_the_calendar_are_those_of_a_plain_reading(files):
    with TemporaryDirectory() as folder:
        write(Path(folder), files)
        days = stored(Path(folder))
        with viewed(Path(folder), timezone=ZONE) as connection:
            connection.execute("SET TimeZone = 'Asia/Tokyo'")
            assert viewed_states(connection) == newest_states(days)
            local = connection.execute("SELECT date, breached_on FROM sla_targets_latest").fetchall()
            assert all(date == breached_on for date, breached_on in local)
            shown = connection.execute(CALENDAR).fetchall()
    expected = []
    for number in range((max(days) - min(days)).days + 1):
        date = min(days) + dt.timedelta(days=number)
        file = files[(date - FIRST).days]
        state = "missing" if file is None else "open" if not file[1] else "complete" if file[0] else "empty"
        expected.append((date, state, None if file is None else len(file[0])))
    assert shown == expected


@settings(max_examples=6)
@given(histories(), st.data())
def test_of_any_history_the_pipeline_loses_sight_of_no_target(history, data):
    """An open target is in every later day's file: the newest day has all that are open, and no older row is stale."""
    first, last = Day(FIRST), Day(FIRST + dt.timedelta(days=DAYS - 1))
    deletions = data.draw(audits())
    with TemporaryDirectory() as folder:
        sla_root(Path(folder), history, first, last, audits=deletions)
        days = stored(Path(folder))
        assert len(days) == len(days_between(first, last))
        with viewed(Path(folder)) as connection:
            states = viewed_states(connection)
    assert states == newest_states(days)
    assert not any(is_stale for *_, is_stale in states.values())
    open_now = {(row["ticket_id"], row["metric"], row["instance_id"]) for row in days[last.date] if row["outcome"] in OPEN}
    assert {key for key, (_, _, is_open, _) in states.items() if is_open} == open_now
