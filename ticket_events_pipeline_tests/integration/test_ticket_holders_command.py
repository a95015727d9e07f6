"""`ticket-events ticket`: who held the ticket at each of its targets, and what changed in it, each with its audit."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import put_raw_day, sla_root
from ticket_events_pipeline_tests.support.ticket_days import audit, make_ticket_days, put_names

DAY = Clock.DAY
BILLING, SECOND_LEVEL, ANNA = 360001, 360002, 7001
HOSTILE = "\x1b[2JBilling"


@pytest.fixture
def place(tmp_path):
    """A ticket that breached with Billing while nobody had it, and went to Anna in Second level an hour later."""
    found = new_place(tmp_path)
    events = Clock(ticket_id=7).add("activate", 8).apply(8, 120).add("breach", 10).add("fulfill", 12).events
    sla_root(found.root, events, DAY, DAY)
    audits = [
        audit(900, 7, 8, "Create", status="new", group_id=SECOND_LEVEL),
        audit(901, 7, 9, group_id=BILLING),
        audit(902, 7, 11, group_id=SECOND_LEVEL, assignee_id=ANNA),
    ]
    put_raw_day(found.root, audits, DAY, stream="ticket_events")
    sla_root(found.root, events, DAY, DAY)
    make_ticket_days(found.root, DAY, DAY)
    put_names(found.root, "groups", {BILLING: HOSTILE, SECOND_LEVEL: "Second level"}, at=DAY.end)
    return found


def ticket(place, *arguments):
    everything = {**dict.fromkeys(os.environ), **place.env()}
    ended = CliRunner().invoke(commands, ["ticket", *arguments], env=everything)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def test_a_target_says_who_held_the_ticket_at_its_breach_who_used_the_time_and_who_has_it_now(place):
    lines = ticket(place, "7").stdout.splitlines()
    assert r"  at the breach with \x1b[2JBilling, nobody" in lines
    assert "  at the end with Second level, 7001" in lines
    assert r"  time used: Second level, nobody 1 h (50%), \x1b[2JBilling, nobody 1 h (50%)" in lines


def test_changes_stand_among_the_events_with_the_ids_of_their_audits(place):
    lines = [line.split() for line in ticket(place, "7").stdout.splitlines()]
    moments = [(line[1], line[-1]) for line in lines if line and line[0] == str(DAY) and line[-1].isdigit()]
    assert [moment for moment in moments if moment[1] in ("900", "901", "902")] == [
        ("08:00:00", "900"),
        ("08:00:00", "900"),
        ("09:00:00", "901"),
        ("11:00:00", "902"),
        ("11:00:00", "902"),
    ]
    assert [time for time, _ in moments] == sorted(time for time, _ in moments)


def test_json_tells_the_same_in_ids(place):
    told = json.loads(ticket(place, "7", "--json").stdout)
    (target,) = told["targets"]
    held = target["held"]
    assert (held["group_id"], held["assignee_id"], held["group_id_eod"], held["assignee_id_eod"]) == (
        BILLING,
        None,
        SECOND_LEVEL,
        ANNA,
    )
    assert [(one["group_id"], one["calendar_seconds"]) for one in held["stretches"]] == [(SECOND_LEVEL, 3600), (BILLING, 3600)]
    changes = [(change["audit_id"], change["field"], change["value"]) for change in told["changes"]]
    assert (901, "group_id", str(BILLING)) in changes


def test_without_ticket_tables_the_story_is_told_as_before(place):
    for asset in ("ticket_field_changes", "sla_target_dimensions", "sla_target_holders"):
        (place.root / partition_path(asset, DAY)).unlink()
    ended = ticket(place, "7")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "at the breach with" not in ended.stdout
    assert json.loads(ticket(place, "7", "--json").stdout)["targets"][0]["held"] is None


def test_a_ticket_file_that_cant_be_read_is_named_and_the_rest_is_told(place):
    (place.root / partition_path("sla_target_holders", DAY)).write_bytes(b"damaged")
    ended = ticket(place, "7")
    assert ended.exit_code == 0
    assert "sla_target_holders" in ended.stderr
    assert "at the breach with" in ended.stdout
