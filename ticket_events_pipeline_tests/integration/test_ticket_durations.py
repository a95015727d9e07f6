"""`daily_ticket_durations`: how long the clocks ran that were fulfilled on a day, rule by rule."""

import pytest

from ticket_events_pipeline.day import days_between
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline.tables.tickets import DAILY_TICKET_DURATIONS_TABLE
from ticket_events_pipeline.tickets.durations import DURATIONS, NEGATIVE_DURATIONS, make_durations
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_audits, all_events
from ticket_events_pipeline_tests.support.ticket_roots import ticket_root

DAY = Clock.DAY
BILLING, SALES = 10, 20


def clock(ticket_id=1, metric="resolution_time", *, group=BILLING, hour=8, minutes=None, deleted=False, instance=1):
    """A clock without an SLA, started at `hour` and fulfilled an hour later with these minutes (calendar, business)."""
    found = Clock(ticket_id, metric, instance, first_id=100 * ticket_id).add("activate", hour)
    created = {"event_type": "Create", "status": "new"} | ({} if group is None else {"group_id": group})
    audit(found, hour, created)
    found.add("fulfill", hour + 1)
    if minutes is not None:
        found.add("update_status", hour + 1, status=dict(zip(("calendar", "business"), minutes, strict=True)), deleted=deleted)
    return found


def audit(found, hour, *children):
    row = {"id": 9_000_000 + 100 * found.key["ticket_id"] + len(found.audits), "ticket_id": found.key["ticket_id"]}
    found.audits.append({**row, "time": DAY.start + round(hour * 3600), "child_events": list(children)})


def made(root, *clocks, last=DAY, **more):
    """The rows of each day."""
    store = ticket_root(root, all_events(*clocks), all_audits(*clocks), DAY, last, **more)
    return [made.table.to_pylist() for made in make_durations(store, days_between(DAY, last))]


def key(row):
    return row["sla_metric"], row["group_id"], row["is_known"], row["clocks"]


def test_durations_are_linear_percentiles_and_means_per_metric_and_group_without_an_sla(tmp_path):
    minutes = [(10, 5), (20, 5), (40, 20)]
    ((row,),) = made(tmp_path, *(clock(number, minutes=pair) for number, pair in enumerate(minutes, 1)))
    assert row == {
        "sla_metric": "total_resolution_time",
        "group_id": BILLING,
        "is_known": True,
        "clocks": 3,
        "calendar_p50_minutes": 20,
        "calendar_p90_minutes": 36,
        "calendar_mean_minutes": pytest.approx(70 / 3),
        "business_p50_minutes": 5,
        "business_p90_minutes": 17,
        "business_mean_minutes": 10,
    }


def test_rows_are_split_by_metric_and_group_and_sorted_with_none_last(tmp_path):
    ((*rows,),) = made(
        tmp_path,
        clock(1, minutes=(1, 1)),
        clock(2, group=SALES, minutes=(1, 1)),
        clock(3, group=None, minutes=(1, 1)),
        clock(4, "reply_time", minutes=(1, 1)),
        clock(5, "reply_time", minutes=(1, 1), instance=2),
    )
    assert [key(row) for row in rows] == [
        ("first_reply_time", BILLING, True, 1),
        ("next_reply_time", BILLING, True, 1),
        ("total_resolution_time", BILLING, True, 1),
        ("total_resolution_time", SALES, True, 1),
        ("total_resolution_time", None, True, 1),
    ]


def test_negative_durations_are_left_out_and_counted(tmp_path):
    ((row,),) = made(tmp_path, clock(1, minutes=(-5, 3)), clock(2, minutes=(8, 1)), clock(3, minutes=(-1, -1)))
    assert (row["clocks"], row["calendar_mean_minutes"], row["business_mean_minutes"]) == (2, 8, 2)
    assert read_metadata(FolderStore(tmp_path), DURATIONS, DAY)[NEGATIVE_DURATIONS] == "3"


@pytest.mark.parametrize("minutes", [None, (None, None)])
def test_a_clock_without_a_measured_duration_does_not_count(minutes, tmp_path):
    assert made(tmp_path, clock(minutes=minutes)) == [[]]


def test_a_deleted_status_does_not_count(tmp_path):
    assert made(tmp_path, clock(minutes=(5, 5), deleted=True)) == [[]]


def test_a_status_before_the_fulfilment_speaks_of_an_earlier_cycle(tmp_path):
    found = clock(minutes=(60, 60)).add("activate", 10).add("fulfill", 11)
    assert made(tmp_path, found) == [[]]


def test_a_reopened_clock_counts_on_the_day_of_its_last_fulfilment(tmp_path):
    found = clock(minutes=(60, 60)).add("activate", 10).add("fulfill", 30)
    found.add("update_status", 30, status={"calendar": 90, "business": 70})
    first, (row,) = made(tmp_path, found, last=DAY.plus(1))
    assert first == []
    assert row["calendar_mean_minutes"] == 90


def test_the_status_may_come_later_than_the_fulfilment(tmp_path):
    found = clock().add("update_status", 12, status={"calendar": 60, "business": 60})
    ((row,),) = made(tmp_path, found)
    assert row["calendar_mean_minutes"] == 60


def test_the_group_is_that_at_the_fulfilment_and_a_change_in_its_second_counts(tmp_path):
    found = clock(minutes=(60, 60))
    audit(found, 9, {"event_type": "Change", "group_id": SALES})
    audit(found, 9.5, {"event_type": "Change", "group_id": None})
    ((row,),) = made(tmp_path, found)
    assert row["group_id"] == SALES


def test_the_group_of_a_ticket_without_an_audit_on_the_day_is_looked_up(tmp_path):
    found = clock(hour=23, minutes=(60, 60))
    _, (row,) = made(tmp_path, found, last=DAY.plus(1))
    assert key(row) == ("total_resolution_time", BILLING, True, 1)


def test_an_unknown_group_is_not_none(tmp_path):
    found = clock(minutes=(60, 60))
    found.audits.clear()
    assert [key(row) for row in made(tmp_path, found)[0]] == [("total_resolution_time", None, False, 1)]


def test_a_day_whose_audits_are_missing_knows_no_group(tmp_path):
    rows = made(tmp_path, clock(minutes=(60, 60)), without=(DAY,))[0]
    assert [key(row) for row in rows] == [("total_resolution_time", None, False, 1)]


def test_an_open_day_knows_only_what_was_read(tmp_path):
    assert made(tmp_path, clock(minutes=(60, 60)), now=DAY.start + 9 * 3600) == [[]]


def test_a_day_without_fulfilled_clocks_is_an_empty_file_with_the_schema(tmp_path):
    made(tmp_path)
    assert read_partition(FolderStore(tmp_path), DURATIONS, DAY).schema == DAILY_TICKET_DURATIONS_TABLE.schema
