"""`ticket-events summary --by`: whose breaches they were, for people and for scripts."""

from __future__ import annotations

import csv
import io
import json
import os

import pyarrow as pa
import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.pruned_days import PRUNED, PrunedDays, write_pruned_days
from ticket_events_pipeline.tables.tickets import DAILY_SLA_BREACHES_BY_DIMENSION_TABLE
from ticket_events_pipeline.tickets.names import names_schema, write_kind
from ticket_events_pipeline.tickets.provenance import write_ticket_day
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import sla_root

DAY = Clock.DAY
NEXT = DAY.plus(1)
HOSTILE = "\x1b[2J[red]Billing"


def row(dimension, value, metric, *, is_known=True, **figures):
    counts = ("breaches", "breached_tickets", "achieved", "completed_breached", "active_eod", "breached_open_eod")
    key = {"dimension": dimension, "value": value, "is_known": is_known, "sla_metric": metric, "business_hours": False}
    return {**key, **dict.fromkeys(counts, 0), **figures}


def put(place, day, rows):
    schema = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema
    columns = {name: [one.get(name) for one in rows] for name in schema.names}
    write_ticket_day(FolderStore(place.root), "daily_sla_breaches_by_dimension", day, pa.table(columns, schema=schema), {})


@pytest.fixture
def place(tmp_path):
    """Two days of two groups, nobody and unknown; one group has a name, and one has none."""
    found = new_place(tmp_path)
    sla_root(found.root, Clock(ticket_id=7).apply(9, 60).add("fulfill", 9.5).events, DAY, NEXT)
    first, second = "first_reply_time", "next_reply_time"
    put(
        found,
        DAY,
        [
            row("group", "20", first, breaches=1, achieved=9, breached_open_eod=5, active_eod=8),
            row("group", "21", first, breaches=3, achieved=1),
            row("group", "21", second, breaches=2),
            row("group", "21", first, is_known=False, breaches=2),
            row("group", None, first, breaches=1),
            row("group", None, first, is_known=False, achieved=2),
            row("group", "22", second, active_eod=4),
            row("assignee", None, first, breaches=1),
        ],
    )
    put(found, NEXT, [row("group", "20", first, breaches=4, achieved=1, breached_open_eod=1, active_eod=2)])
    name = {"id": 20, "name": HOSTILE, "is_deleted": False, "seen_from": 0, "seen_to": 0}
    schema = names_schema("groups")
    rows = pa.table({column: pa.array([name[column]], schema.field(column).type) for column in schema.names}, schema=schema)
    write_kind(FolderStore(found.root), "groups", rows, fetched_at=0)
    return found


def summary(place, *arguments, **variables):
    everything = {**dict.fromkeys(os.environ), **place.env(**variables), "COLUMNS": "120"}
    ended = CliRunner().invoke(commands, ["summary", *arguments], env=everything)
    if isinstance(ended.exception, UsageError):
        raise ended.exception
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def cells(text):
    """The lines of figures, without the space between them."""
    return [line.split() for line in text.splitlines() if "_reply_time" in line]


def test_the_values_with_the_most_breaches_come_first_by_name_with_none_and_unknown_apart(place):
    ended = summary(place, str(DAY), "--by", "group")
    assert ended.exit_code == 0
    assert cells(ended.stdout) == [
        ["21", "first_reply_time", "5", "1", "16.7%", "0"],
        ["21", "next_reply_time", "2", "0", "0%", "0"],
        ["\\x1b[2J[red]Billing", "first_reply_time", "1", "9", "90.0%", "5"],
        ["none", "first_reply_time", "1", "0", "0%", "0"],
        ["unknown", "first_reply_time", "0", "2", "100%", "0"],
    ]
    assert "Left out: 1 row without" in ended.stdout
    assert "Of 2 breaches the value is assumed" in ended.stdout


def test_days_add_up_and_what_is_late_is_that_of_the_last_day(place):
    ended = summary(place, f"{DAY}..{NEXT}", "--by", "group", "--metric", "first_reply_time")
    assert cells(ended.stdout)[0] == ["\\x1b[2J[red]Billing", "first_reply_time", "5", "10", "66.7%", "1"]


def test_an_agent_who_is_nobody_is_called_so(place):
    assert ["nobody", "first_reply_time", "1", "0", "0%", "0"] in cells(summary(place, str(DAY), "--by", "assignee").stdout)


def test_agent_is_another_word_for_assignee(place):
    assert summary(place, str(DAY), "--by", "agent").stdout == summary(place, str(DAY), "--by", "assignee").stdout


def test_where_the_tables_are_turned_off_it_is_said_what_turns_them_on(place):
    ended = summary(place, str(DAY.plus(2)), "--by", "group", TICKET_EVENTS_TICKET_TABLES="0")
    assert "TICKET_EVENTS_TICKET_TABLES turns them off. To have them, unset it" in ended.stderr


def test_a_root_without_summaries_names_the_sandbox_if_that_has_some(place):
    rows = {path.name: path for path in place.root.iterdir()}
    (place.root / "sandbox").mkdir()
    rows["daily_sla_breach_summary"].rename(place.root / "sandbox" / "daily_sla_breach_summary")
    with pytest.raises(UsageError, match="Set ZENDESK_SANDBOX=1 to see those of the sandbox"):
        summary(place, "--by", "group")


def test_json_and_csv_have_every_column_with_the_name_beside_the_id(place):
    told = json.loads(summary(place, str(DAY), "--by", "group", "--format", "json").stdout)
    first = told[0]
    assert (first["date"], first["value"], first["name"], first["is_known"]) == (str(DAY), "20", HOSTILE, True)
    assert set(DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema.names) <= first.keys()
    rows = list(csv.DictReader(io.StringIO(summary(place, str(DAY), "--by", "group", "--format", "csv").stdout)))
    assert [line["value"] for line in rows] == [one["value"] or "" for one in told]
    assert [line["is_known"] for line in rows] == [str(one["is_known"]).lower() for one in told]


def test_a_day_without_ticket_tables_is_named_with_the_command_that_makes_them(place):
    ended = summary(place, f"{DAY}..{DAY.plus(2)}", "--by", "group")
    assert ended.exit_code == 1
    assert f"No ticket tables are stored of {DAY.plus(2)}. To make them: " in ended.stderr
    assert f"backfill --tickets {DAY.plus(2)}" in ended.stderr


def test_a_pruned_or_closed_day_is_named_as_such_and_without_a_command_that_is_refused(place):
    store = FolderStore(place.root)
    write_pruned_days(store, PrunedDays({"daily_sla_breaches_by_dimension": DAY.plus(-1).date}, DAY.date))
    try:
        ended = summary(place, f"{DAY.plus(-2)}..{DAY}", "--by", "group")
        both = summary(place, f"{DAY.plus(-2)}..{DAY.plus(2)}", "--by", "group")
    finally:
        store.delete(PRUNED)
    assert ended.stderr.endswith(
        f"No ticket tables are stored of {DAY.plus(-2)} to {DAY.plus(-1)}.\n"
        f"Pruned, so no longer stored: {DAY.plus(-2)}\nClosed, so not made again: {DAY.plus(-1)}\n"
    )
    assert f"backfill --tickets {DAY.plus(2)}\n" in both.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "groups"], "--by groups: there is no such dimension. Give one of group, assignee"),
        (["--by", "custom_field:abc"], "--by custom_field:abc: there is no such dimension."),
        (["--by", "group", "--policy", "VIP"], "--by and --policy"),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(place, arguments, said):
    ended = summary(place, str(DAY), *arguments)
    assert (ended.exit_code, said in ended.stderr) == (2, True)


def test_names_that_cant_be_read_are_said_and_ids_are_shown(place):
    (place.root / "zendesk_names" / "groups.parquet").write_bytes(b"damaged")
    ended = summary(place, str(DAY), "--by", "group")
    assert "zendesk_names/groups.parquet" in ended.stderr
    assert ["20", "first_reply_time", "1", "9", "90.0%", "5"] in cells(ended.stdout)


def test_a_metric_without_a_row_is_said(place):
    ended = summary(place, str(DAY), "--by", "group", "--metric", "first_reply")
    assert f"No row of group and first_reply: {DAY}" in ended.stderr
