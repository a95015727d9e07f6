"""What is stored of a kind of names after a fetch."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from ticket_events_pipeline.settings import NAME_KINDS
from ticket_events_pipeline.tickets.fetched_names import LISTS, merged
from ticket_events_pipeline.tickets.names import names_schema

MONDAY, TUESDAY, WEDNESDAY = 1_700_000_000, 1_700_086_400, 1_700_172_800
DAYS = {MONDAY: "Mon", TUESDAY: "Tue", WEDNESDAY: "Wed"}


def seen(id_: int, name: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": name, "is_deleted": False, **more}


def after(*fetches: tuple[int, list[dict[str, Any]]], asked: frozenset[int] | None = None) -> list[tuple[Any, ...]]:
    """Id, name, deleted, first and last fetch of each row."""
    table: pa.Table | None = None
    for now, records in fetches:
        table = merged(table, records, kind="groups", now=now, asked=asked)
    assert table is not None
    assert table.schema.equals(names_schema("groups"))
    return [
        (row["id"], row["name"], row["is_deleted"], *(DAYS[int(row[at].timestamp())] for at in ("seen_from", "seen_to")))
        for row in table.to_pylist()
    ]


def test_a_name_that_stays_is_one_row() -> None:
    assert after((MONDAY, [seen(1, "Billing")]), (TUESDAY, [seen(1, "Billing")])) == [(1, "Billing", False, "Mon", "Tue")]


def test_a_renamed_group_has_two_rows() -> None:
    assert after((MONDAY, [seen(1, "Billing")]), (TUESDAY, [seen(1, "Invoices")])) == [
        (1, "Billing", False, "Mon", "Mon"),
        (1, "Invoices", False, "Tue", "Tue"),
    ]


def test_a_name_that_comes_back_gets_a_row_of_its_own() -> None:
    """Between its two times the thing was called otherwise."""
    assert after((MONDAY, [seen(1, "A")]), (TUESDAY, [seen(1, "B")]), (WEDNESDAY, [seen(1, "A")])) == [
        (1, "A", False, "Mon", "Mon"),
        (1, "B", False, "Tue", "Tue"),
        (1, "A", False, "Wed", "Wed"),
    ]


def test_what_disappears_stays_and_is_marked() -> None:
    """With all its names; what is there is not."""
    assert after((MONDAY, [seen(1, "A"), seen(2, "B")]), (TUESDAY, [seen(2, "B")])) == [
        (1, "A", True, "Mon", "Mon"),
        (2, "B", False, "Mon", "Tue"),
    ]


def test_what_reappears_is_no_longer_marked() -> None:
    fetches = (MONDAY, [seen(1, "A")]), (TUESDAY, []), (WEDNESDAY, [seen(1, "A")])
    assert after(*fetches) == [(1, "A", False, "Mon", "Wed")]


def test_what_was_not_asked_for_is_not_missing() -> None:
    """Organizations are asked for by their ids: only one that was asked for can be gone."""
    fetches = (MONDAY, [seen(1, "A"), seen(2, "B")]), (TUESDAY, [])
    assert after(*fetches, asked=frozenset({1})) == [(1, "A", True, "Mon", "Mon"), (2, "B", False, "Mon", "Mon")]


def test_a_thing_may_say_itself_that_it_is_deleted() -> None:
    assert after((MONDAY, [seen(1, "A", is_deleted=True)])) == [(1, "A", True, "Mon", "Mon")]


def test_a_clock_that_was_set_back_shortens_no_row() -> None:
    assert after((TUESDAY, [seen(1, "A")]), (MONDAY, [seen(1, "A")])) == [(1, "A", False, "Tue", "Tue")]


def test_other_hours_of_a_schedule_are_another_row() -> None:
    """A day in the past has the hours of that time."""
    hours = {"time_zone": "UTC", "intervals": "[[0, 60]]", "holidays": "[]"}
    first = merged(None, [seen(1, "Week", **hours)], kind="schedules", now=MONDAY, asked=None)
    longer = seen(1, "Week", **{**hours, "intervals": "[[0, 90]]"})
    second = merged(first, [longer], kind="schedules", now=TUESDAY, asked=None)
    assert second["intervals"].to_pylist() == ["[[0, 60]]", "[[0, 90]]"]
    assert second["seen_to"].to_pylist() == [dt.datetime.fromtimestamp(at, dt.UTC) for at in (MONDAY, TUESDAY)]


@pytest.mark.parametrize("kind", NAME_KINDS)
def test_every_kind_that_can_be_chosen_is_fetched(kind: str) -> None:
    assert (kind in LISTS) != (kind == "organizations")
