"""Subject, priority and group of tickets at a day's end from stored audits: the last value, or blank."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, write_partition
from ticket_events_pipeline.tickets.ticket_facts import LOOK_BACK_DAYS, TicketFacts, TicketFactsReader
from ticket_events_pipeline_tests.support.file_contents import CountingStore

DAY = Day.parse("2026-03-20")
NOTHING = TicketFacts()


def audit(audit_id: int, ticket_id: int, time: int, *children: dict) -> dict:
    return {"id": audit_id, "ticket_id": ticket_id, "timestamp": time, "event_type": "Audit", "child_events": list(children)}


def create(**values) -> dict:
    return {"event_type": "Create", **values}


def change(**values) -> dict:
    return {"event_type": "Change", "previous_value": "low", **values}


def put_audits(root: Path, audits: list[dict], timezone: str = "UTC") -> None:
    """The days' files as a fetch writes them: sorted by time and id, for any order of the audits."""
    by_day: dict[Day, list[dict]] = {}
    for row in audits:
        by_day.setdefault(Day.containing(row["timestamp"], timezone), []).append(row)
    for day, rows in by_day.items():
        table = decode_rows("ticket_events", rows).table.sort_by([("time", "ascending"), ("id", "ascending")])
        write_partition(FolderStore(root), "ticket_events", day, table, {})


def facts_of(root: Path, day: Day, *ticket_ids: int) -> list[TicketFacts]:
    found = TicketFactsReader(FolderStore(root)).facts(day, ticket_ids)
    return [found[ticket_id] for ticket_id in ticket_ids]


def facts_in(root: Path, *children: dict) -> TicketFacts:
    """The facts of one audit with these children."""
    put_audits(root, [audit(1, 7, DAY.start, *children)])
    return facts_of(root, DAY, 7)[0]


def test_the_first_audit_sets_everything_and_a_change_what_it_changes(tmp_path):
    first = [create(subject="Printer"), create(priority="low"), create(group_id=31)]
    put_audits(tmp_path, [audit(1, 7, DAY.start, *first), audit(2, 7, DAY.plus(1).start, change(priority="urgent"))])
    assert facts_of(tmp_path, DAY, 7) == [TicketFacts("Printer", "low", "31")]
    assert facts_of(tmp_path, DAY.plus(1), 7) == [TicketFacts("Printer", "urgent", "31")]


def test_ticket_without_audits_is_blank(tmp_path):
    put_audits(tmp_path, [audit(1, 7, DAY.start, create(subject="Printer"))])
    assert facts_of(tmp_path, DAY, 8, 7) == [NOTHING, TicketFacts(subject="Printer")]


def test_only_creation_and_change_set_something(tmp_path):
    """A notification's subject is that of an e-mail."""
    notice, comment = (
        {"event_type": "Notification", "subject": "Re: x"},
        {"event_type": "Comment", "type": "Create", "subject": "y"},
    )
    assert facts_in(tmp_path, create(subject="Printer"), notice, comment, {"subject": "z"}) == TicketFacts(subject="Printer")


def test_a_removed_value_is_blank_again(tmp_path):
    assert facts_in(tmp_path, create(priority="high", group_id=31), change(priority=None), change(group_id="")) == NOTHING


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("VIP", "VIP"),
        (31, "31"),
        ("<script>|`*\n", "<script>|`*\n"),
        ("lone \ud800", "lone \N{REPLACEMENT CHARACTER}"),
        (True, None),
        (1.5, None),
        (["a"], None),
        ({"a": 1}, None),
    ],
)
def test_values_are_shown_as_text_and_missing_ones_are_blank(tmp_path, value, shown):
    assert facts_in(tmp_path, create(subject="before"), change(subject=value)) == TicketFacts(subject=shown)


def test_the_later_audit_wins_for_any_order_of_delivery(tmp_path):
    late = audit(9, 7, DAY.start + 60, change(priority="low"))
    same_second = [audit(2, 7, DAY.start + 90, change(priority="high")), audit(3, 7, DAY.start + 90, change(priority="urgent"))]
    put_audits(tmp_path, [*reversed(same_second), late])
    assert facts_of(tmp_path, DAY, 7) == [TicketFacts(priority="urgent")]


def test_a_file_in_another_order_gives_the_same_facts(tmp_path):
    audits = [audit(n, 7, DAY.start + n, change(priority=str(n))) for n in (3, 1, 2)]
    write_partition(FolderStore(tmp_path), "ticket_events", DAY, decode_rows("ticket_events", audits).table, {})
    assert facts_of(tmp_path, DAY, 7) == [TicketFacts(priority="3")]


def test_only_the_last_thirty_days_are_read(tmp_path):
    put_audits(
        tmp_path, [audit(1, 7, DAY.start, create(subject="Printer")), audit(2, 7, DAY.plus(9).start, change(priority="low"))]
    )
    last = DAY.plus(LOOK_BACK_DAYS - 1)
    assert facts_of(tmp_path, last, 7) == [TicketFacts("Printer", "low")]
    assert facts_of(tmp_path, last.plus(1), 7) == [TicketFacts(None, "low")]
    followed = TicketFactsReader(FolderStore(tmp_path))
    assert [followed.facts(day, [7])[7] for day in (last, last.plus(1))] == [
        TicketFacts("Printer", "low"),
        TicketFacts(None, "low"),
    ]


def test_metric_shaped_rows_between_audits_set_nothing(tmp_path):
    event = {
        "id": 2,
        "ticket_id": 7,
        "metric": "reply_time",
        "instance_id": 1,
        "type": "activate",
        "time": "2026-03-20T00:00:01Z",
    }
    rows = [audit(1, 7, DAY.start, create(subject="Printer")), event]
    write_partition(FolderStore(tmp_path), "ticket_events", DAY, decode_rows("ticket_events", rows).table, {})
    assert facts_of(tmp_path, DAY, 7) == [TicketFacts(subject="Printer")]


def deep(levels: int) -> str:
    return '[{"event_type":"Create","subject":' + "[" * levels + "]" * levels + "}]"


@pytest.mark.parametrize("child_events", ["{", '"subject"', "7", '{"subject": 1}', '["subject"]', deep(100_000), None])
def test_child_events_that_cannot_be_read_leave_the_rest(tmp_path, child_events):
    rows = decode_rows("ticket_events", [audit(n, n, DAY.start, create(subject=f"Printer {n}")) for n in (7, 8)]).table
    column = pa.array([child_events, rows["child_events"][1].as_py()], pa.string())
    rows = rows.set_column(rows.schema.get_field_index("child_events"), "child_events", column)
    write_partition(FolderStore(tmp_path), "ticket_events", DAY, rows, {})
    assert facts_of(tmp_path, DAY, 7, 8) == [NOTHING, TicketFacts(subject="Printer 8")]


@pytest.mark.parametrize("damage", ["cut", "no Parquet", "other columns", "other types", "empty times"])
def test_a_damaged_day_is_blank_and_the_others_are_read(tmp_path, damage):
    put_audits(
        tmp_path, [audit(1, 7, DAY.start, create(subject="Printer")), audit(2, 7, DAY.plus(1).start, change(priority="low"))]
    )
    path = tmp_path / partition_path("ticket_events", DAY)
    table = decode_rows("ticket_events", [audit(1, 7, DAY.start, create(subject="Printer"))]).table
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "no Parquet":
        path.write_bytes(b"<html>")
    else:
        as_text = table.set_column(1, "ticket_id", pa.array(["7"]))
        without = table.set_column(2, "time", pa.nulls(1, table.schema.field("time").type))
        other = {"other columns": table.drop_columns(["child_events"]), "other types": as_text, "empty times": without}
        write_partition(FolderStore(tmp_path), "ticket_events", DAY, other[damage], {})
    assert facts_of(tmp_path, DAY.plus(1), 7) == [TicketFacts(priority="low")]


FIELDS = ("subject", "priority", "group_id")
VALUES = st.one_of(
    st.none(), st.integers(0, 3), st.sampled_from(["a", "b", "", "\ud800"]), st.booleans(), st.lists(st.integers(), max_size=1)
)
CHILDREN = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"event_type": st.sampled_from(["Create", "Change", "Notification", 5])}, optional=dict.fromkeys(FIELDS, VALUES)
        ),
        st.sampled_from([{"event_type": "Comment", "body": '"subject"'}, None, "subject", {}]),
    ),
    max_size=3,
)
DAYS_BEFORE = (0, 1, 2, LOOK_BACK_DAYS - 1, LOOK_BACK_DAYS, LOOK_BACK_DAYS + 1)
LAST = DAY
AUDITS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(DAYS_BEFORE), st.integers(0, 3), CHILDREN), max_size=14
)  # ticket, days before the last, seconds, children


def plain_facts(audits: list[dict], day: Day, ticket_id: int) -> TicketFacts:
    """The oracle: all audits in order, the last value wins."""
    known = {}
    first = day.plus(1 - LOOK_BACK_DAYS)
    for row in sorted(audits, key=lambda row: (row["timestamp"], row["id"])):
        if row["ticket_id"] == ticket_id and first.start <= row["timestamp"] < day.end:
            for child in row["child_events"]:
                if isinstance(child, dict) and child.get("event_type") in ("Create", "Change"):
                    known |= {name: child[name] for name in FIELDS if name in child}
    return TicketFacts(**{name: plain_text(value) for name, value in known.items()})


def plain_text(value) -> str | None:
    if type(value) is int:
        return str(value)
    return value.replace("\ud800", "\ufffd") if isinstance(value, str) and value else None


@given(
    AUDITS, st.lists(st.tuples(st.sets(st.integers(1, 5)), st.sets(st.integers(1, 5))), min_size=4, max_size=4), st.booleans()
)
@drawing(max_examples=40)
def test_contiguous_days_give_what_a_simple_reader_finds(tmp_path_factory, drawn, asked, is_backwards):
    """For any requested and expected tickets of each day, also if the days go backwards."""
    root = tmp_path_factory.mktemp("root")
    audits = [
        audit(number, ticket_id, LAST.plus(-before).start + 7200 * seconds, *children)
        for number, (ticket_id, before, seconds, children) in enumerate(drawn)
    ]
    put_audits(root, audits)
    days = days_between(LAST.plus(-3), LAST)
    reader = TicketFactsReader(FolderStore(root))
    for day, (wanted, expected) in zip(reversed(days) if is_backwards else days, asked, strict=True):
        assert reader.facts(day, wanted, expected=expected) == {
            ticket_id: plain_facts(audits, day, ticket_id) for ticket_id in wanted
        }


def test_followed_and_expected_tickets_cost_one_file_a_day(tmp_path):
    days = days_between(DAY, DAY.plus(40))
    put_audits(tmp_path, [audit(n, n, day.start, create(subject=str(n))) for n, day in enumerate(days)])
    store = CountingStore(tmp_path)
    reader = TicketFactsReader(store)
    for number, day in enumerate(days):
        found = reader.facts(day, [0, number], expected=range(number, len(days)))
        assert found[number] == TicketFacts(subject=str(number))
    assert set(store.opened.values()) == {1}


def test_without_requested_tickets_nothing_is_read(tmp_path):
    put_audits(tmp_path, [audit(1, 7, DAY.start, create(subject="Printer"))])
    store = CountingStore(tmp_path)
    assert TicketFactsReader(store).facts(DAY, []) == {}
    assert not store.opened


def test_sandbox_audits_hold_subject_priority_and_group_of_new_tickets(tmp_path):
    first = Day.parse("2026-03-02")
    rows = []
    for row in SimulatedAccount(tickets_per_day=20).rows("ticket_events", first.start, now=first.plus(60).start):
        if row.time >= first.plus(3).start:
            break
        rows.append(json.loads(row.json))
    put_audits(tmp_path, rows)
    created = {row["ticket_id"] for row in rows if any(child["event_type"] == "Create" for child in row["child_events"])}
    found = facts_of(tmp_path, first.plus(2), *sorted(created))
    assert len(found) > 30
    assert all(facts.subject and facts.priority and facts.group_id for facts in found)
    assert found == [plain_facts(rows, first.plus(2), ticket_id) for ticket_id in sorted(created)]
