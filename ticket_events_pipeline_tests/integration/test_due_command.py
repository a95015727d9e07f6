"""`ticket-events due`: what breaches next, by the clock on the wall, from files that are as of their last fetch."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ticket_events_pipeline.cli.due_rows import COLUMNS
from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline_tests.support.commands import Place, new_place
from ticket_events_pipeline_tests.support.damages import removed, truncated
from ticket_events_pipeline_tests.support.due_roots import (
    ADA,
    BILLING,
    BOB,
    HOSTILE_NAME,
    SALES,
    due_in,
    due_root,
    held_by,
    hour_of,
)

AGE = 240
"""Seconds since the last fetch."""

SUBJECT = "[bold]Printer\x1b[2J"


def put_targets(root: Path, *, age: int = AGE, has_ticket_tables: bool = True) -> int:
    """Seven targets around now; returns now."""
    now = int(wall_clock())
    clocks = [
        due_in(-2.5, 1, now),
        due_in(42.5, 2, now),
        due_in(90.5, 3, now, business_hours=True),
        due_in(20 * 60, 4, now, hours=30),
        due_in(200, 5, now).add("pause", hour_of(now - 1800)),
        due_in(-age / 60, 6, now).add("breach", hour_of(now - age - 1)),
        due_in(150.5, 7, now),
    ]
    audits = [
        held_by(1, now, subject=SUBJECT, priority="urgent", group_id=BILLING, assignee_id=BOB),
        held_by(2, now, subject="Wrong invoice", group_id=BILLING),
        held_by(3, now, group_id=SALES, assignee_id=ADA),
        held_by(5, now, group_id=SALES),
        held_by(6, now, group_id=SALES),
    ]
    due_root(root, clocks, audits, as_of=now - age, has_ticket_tables=has_ticket_tables)
    return now


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """Read four minutes ago."""
    found = new_place(tmp_path_factory.mktemp("due"))
    put_targets(found.root)
    return found


def due(place: Place, *arguments: str, **variables: str) -> Result:
    everything = {**dict.fromkeys(os.environ), **place.env(**variables)}
    ended = CliRunner().invoke(commands, ["due", *arguments], env=everything)
    if isinstance(ended.exception, UsageError):
        raise ended.exception
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def listed(ended: Result) -> list[int]:
    """The tickets of a JSON document, in order."""
    return [row["ticket_id"] for row in json.loads(ended.stdout)]


def test_what_breaches_next_is_listed_soonest_first_and_what_has_passed_before_it(place):
    ended = due(place, "--within", "2h", ZENDESK_SUBDOMAIN="acme", COLUMNS="80")
    assert ended.exit_code == 0
    lines = [line.rstrip() for line in ended.stdout.splitlines()]
    assert [line.split("  ")[0] for line in lines if " ago " in line or line.startswith("in ")] == [
        "2 min ago",
        "in 42 min",
        "in 1 h 30 min",
    ]
    first = lines.index(next(line for line in lines if line.startswith("2 min ago")))
    heading = [line.split() for line in lines[first - 3 : first - 1]]
    assert heading == [["ticket,"], ["due", "priority", "target", "group,", "agent"]]
    shown = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[first : first + 3]]
    assert shown[0][1:] == ["1", r"[bold]Printer\x1b[2J", "Billing"]
    assert shown[1][1:] == ["urgent", "First reply time", r"[red]Bob\x1b[2J"]
    assert shown[2] == ["Standard, calendar hours"]
    assert max(map(len, lines[first:-5])) <= 80
    assert "A ticket: https://acme.zendesk.com/agent/tickets/NUMBER" in lines


def test_the_first_line_says_how_old_the_data_is(place):
    first = due(place).stdout.splitlines()[0]
    assert "4 min ago. Due times are estimates." in first
    assert first.startswith("Open targets of an unknown account as of 20")
    assert "STALE" not in first


def test_below_stands_what_the_list_leaves_out_and_why(place):
    notes = due(place, "--within", "2h").stdout.splitlines()[-3:]
    today = Day.containing(wall_clock() - AGE)
    assert notes == [
        "2 more targets are due later.",
        f"1 more target breached on {today} and is still open.",
        "1 open target is paused and has no due time until it goes on.",
    ]


def test_data_older_than_two_intervals_is_loudly_stale(tmp_path):
    place = new_place(tmp_path)
    put_targets(place.root, age=25 * 60)
    first, second = due(place).stdout.splitlines()[:2]
    assert "25 min ago. Due times are estimates." in first
    assert second.startswith("STALE: what happened since is not in this list. To have it, turn on frequent_fetch (in the UI: ")
    assert "STALE" not in due(place, TICKET_EVENTS_FETCH_EVERY_MINUTES="15").stdout


@pytest.mark.parametrize(
    ("arguments", "tickets"),
    [
        (("--group", "billing"), [1, 2]),
        (("--group", str(SALES)), [3]),
        (("--group", "Billing", "--group", "Sales"), [1, 2, 3]),
        (("--group", "Empty"), []),
        (("--group", "unknown"), [7]),
        (("--agent", HOSTILE_NAME), [1]),
        (("--agent", "nobody"), [2]),
        (("--agent", "nobody", "--group", "Sales"), []),
        (("--group", "none"), []),
        (("--group", "None", "--group", "Sales"), [3]),
        (("--metric", "first_reply_time"), [1, 2, 3, 7]),
        (("--within", "43m"), [1, 2]),
        ((), [1, 2, 3, 7, 4]),
    ],
)
def test_the_list_is_narrowed_by_group_agent_metric_and_time(place, arguments, tickets):
    within = () if not arguments or "--within" in arguments else ("--within", "3h")
    assert listed(due(place, *arguments, *within, "--format", "json")) == tickets


def test_nobody_none_and_unknown_are_names_even_where_every_holder_is_known(tmp_path):
    place, now = new_place(tmp_path), int(wall_clock())
    held = held_by(1, now, group_id=BILLING, assignee_id=BOB)
    due_root(place.root, [due_in(42.5, 1, now)], [held], as_of=now - AGE)
    for arguments in (("--agent", "nobody"), ("--agent", "unknown"), ("--group", "none"), ("--group", "unknown")):
        ended = due(place, *arguments, "--format", "json")
        assert (ended.exit_code, listed(ended)) == (0, [])
    refused = due(place, "--agent", "none")
    assert (refused.exit_code, "There are: [red]Bob" in refused.stderr, "nobody" in refused.stderr) == (2, True, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--group", "Biling"), "--group Biling: there is none. There are: Billing, Empty, none, Sales, unknown"),
        (("--agent", "Eve\x1b"), r"--agent Eve\x1b: there is none. There are: [red]Bob\x1b[2J, Ada, nobody, unknown"),
        (("--metric", "reply"), "--metric reply: there is none. There are: first_reply_time"),
        (("--within", "soon"), "--within soon: give minutes, hours or days, as in 30m, 2h or 1d."),
        (("--within", "0h"), "--within 0h: give minutes, hours or days, as in 30m, 2h or 1d."),
    ],
)
def test_a_wrong_name_or_time_is_refused_and_what_exists_is_listed(place, arguments, said):
    ended = due(place, *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_scripts_get_every_column_ids_and_names_and_the_notes_apart(place):
    now = wall_clock()
    ended = due(place, "--within", "2h", "--format", "json", ZENDESK_SUBDOMAIN="acme")
    first, second, third = json.loads(ended.stdout)
    assert list(first) == COLUMNS
    assert (first["ticket_url"], first["subject"]) == ("https://acme.zendesk.com/agent/tickets/1", SUBJECT)
    assert (first["group_id"], first["group_name"], first["assignee_name"]) == (BILLING, "Billing", HOSTILE_NAME)
    assert (second["assignee_id"], second["assignee_name"], second["due_by"]) == (None, None, "calendar")
    assert (third["business_hours"], third["due_by"]) == (True, "business_hours")
    assert abs(second["due_in_seconds"] - 42.5 * 60) < 60 + wall_clock() - now
    assert "Due times are estimates." in ended.stderr
    assert "1 open target is paused" in ended.stderr


def test_csv_has_the_same_columns(place):
    ended = due(place, "--within", "2h", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert (list(rows[0]), [row["ticket_id"] for row in rows]) == (COLUMNS, ["1", "2", "3"])
    assert (rows[1]["business_hours"], rows[1]["assignee_id"], rows[1]["due_at"][-1]) == ("false", "", "Z")


def test_without_ticket_tables_calendar_hours_are_listed_and_the_others_counted(tmp_path):
    place = new_place(tmp_path)
    put_targets(place.root, has_ticket_tables=False)
    ended = due(place, "--within", "3h")
    assert "in business hours, which need the ticket tables (they are not made yet)." in ended.stdout
    assert listed(due(place, "--within", "3h", "--format", "json")) == [1, 2, 7]
    assert "(TICKET_EVENTS_TICKET_TABLES turns them off)" in due(place, TICKET_EVENTS_TICKET_TABLES="0").stdout
    refused = due(place, "--group", "Billing")
    assert (refused.exit_code, "Who holds a ticket is not stored" in refused.stderr) == (2, True)


def test_an_empty_list_says_so_and_still_says_how_old_it_is(place):
    said = due(place, "--group", "Empty").stdout
    assert "No target is due in that time." in said
    assert "4 min ago" in said


def test_damaged_dimensions_are_named_and_damaged_targets_are_an_error(tmp_path):
    place = new_place(tmp_path)
    today = Day.containing(put_targets(place.root) - AGE)
    truncated(place.root, "sla_target_dimensions", today)
    ended = due(place, "--within", "3h", "--format", "json")
    assert listed(ended) == [1, 2, 7]
    assert "Materialize sla_target_dimensions" in ended.stderr
    truncated(place.root, TARGETS, today)
    with pytest.raises(AssertionError, match="Materialize sla_targets"):
        due(place)


def test_without_targets_of_today_and_yesterday_it_says_how_to_make_some(tmp_path):
    place = new_place(tmp_path)
    with pytest.raises(UsageError, match=r"No SLA targets of today or yesterday are stored .*backfill yesterday") as raised:
        due(place)
    assert "\nTo see those of a simulated account: ticket-events demo, then set ZENDESK_SANDBOX=1." in str(raised.value)
    with pytest.raises(UsageError) as raised:
        due(place, ZENDESK_SUBDOMAIN="acme")
    assert "demo" not in str(raised.value)
    today = Day.containing(put_targets(place.root) - AGE)
    for day in (today, today.plus(-1)):
        removed(place.root, TARGETS, day)
    with pytest.raises(UsageError, match="No SLA targets"):
        due(place)
