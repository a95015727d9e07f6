"""`ticket-events summary`: the stored summaries for people and for scripts, whatever the account's policies are called."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
from collections import namedtuple

import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline_tests.support.commands import BIN, new_place
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_raw_day, sla_root

FIRST, SECOND, THIRD = (Clock.DAY.plus(number) for number in range(3))
COMMAND = str(BIN / "ticket-events")
HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]red[/red] \u202eright to left"
FORMULA = "=cmd|' /C calc'!A0, \"quoted\"\r\nand a new line"

FIRST_DAYS = (
    f"The first stored day is {FIRST}: targets begun before are not known, so the first days' figures are less certain.\n"
)

Ended = namedtuple("Ended", ["code", "out", "err"])


def summary(place, *arguments, **variables):
    """The command in this process, without anything of its environment."""
    everything = {**dict.fromkeys(os.environ), **place.env(**variables)}
    result = CliRunner().invoke(commands, ["summary", *arguments], env=everything)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ended(result.exit_code, result.stdout_bytes.decode(), result.stderr)


def summary_process(place, *arguments, **variables):
    ended = subprocess.run(
        [COMMAND, "summary", *arguments],
        cwd=place.folder,
        env=place.env(**variables),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def on_a_terminal(place, *arguments, columns=100):
    """What the command sends to a terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "summary", *arguments],
        cwd=place.folder,
        env=place.env(COLUMNS=str(columns), TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    sent = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return sent.decode()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two days with targets and one without, and no account set."""
    clocks = [
        Clock().apply(9, 60).add("breach", 10).add("fulfill", 11),
        Clock(ticket_id=2, first_id=11).apply(9, 60, title="Standard").add("fulfill", 9.5),
        Clock(ticket_id=3, first_id=21, metric="agent_work_time").add("breach", 26).add("fulfill", 27),
        Clock(ticket_id=4, first_id=31, metric="resolution_time").apply(26, 60, 12, title=HOSTILE).add("fulfill", 27),
        Clock(ticket_id=5, first_id=41, metric="resolution_time").apply(26, 60, 13, title=FORMULA).add("fulfill", 27),
    ]
    found = new_place(tmp_path_factory.mktemp("place"))
    sla_root(found.root, all_events(*clocks), FIRST, THIRD)
    return found


def stored(place, day):
    return read_partition(FolderStore(place.root), "daily_sla_breach_summary", day).to_pylist()


def test_by_default_the_newest_complete_day_is_shown(place):
    """It has no targets, which is stated: an empty day is not a missing one."""
    assert summary(place) == Ended(0, f"{THIRD}: no SLA target was open.\n", "")
    assert json.loads(summary(place, "--format", "json").out) == []


def test_by_default_a_day_that_is_still_open_is_not_shown(tmp_path):
    """As `report` has it: in the morning, people want yesterday."""
    place = new_place(tmp_path)
    sla_root(place.root, Clock().apply(9, 60).add("breach", 10).events, FIRST, SECOND, now=SECOND.start + 9 * 3600)
    rows = json.loads(summary(place, "--format", "json").out)
    assert {row["date"] for row in rows} == {str(FIRST)}
    rows = json.loads(summary(place, "--from", str(FIRST), "--format", "json").out)
    assert {row["date"] for row in rows} == {str(FIRST), str(SECOND)}


def test_the_table_shows_every_row_and_figure_of_its_days(place):
    ended = summary(place, "--from", str(FIRST), "--to", str(SECOND))
    assert (ended.code, ended.err) == (0, FIRST_DAYS)
    assert re.search(r"^03-02 +requester_wait_time +Standard \(calendar\) +1 +1 +50.0% +0", ended.out, re.MULTILINE)
    assert re.search(r"^03-03 +agent_work_time +unknown \(unknown\) +1 +0 +0% +0", ended.out, re.MULTILINE)
    assert len(re.findall(r"^03-0\d ", ended.out, re.MULTILINE)) == len(stored(place, FIRST) + stored(place, SECOND)) == 4


def test_days_are_given_in_the_grammar_of_all_commands(place):
    span = f"{FIRST}..{SECOND}"
    assert (
        summary(place, span)
        == summary(place, "--from", str(FIRST), "--to", str(SECOND))
        == summary(place, str(FIRST), str(SECOND))
    )
    assert summary(place, str(SECOND)).out.startswith(f"SLA breaches of {SECOND}")


def test_rows_can_be_chosen_by_metric_and_policy(place):
    def chosen(*arguments):
        return [
            row["sla_metric"] for row in json.loads(summary(place, f"{FIRST}..{SECOND}", "--format", "json", *arguments).out)
        ]

    assert chosen("--metric", "agent_work_time") == ["agent_work_time"]
    assert chosen("--policy", "Standard") == chosen("--policy", "11") == ["requester_wait_time"]
    assert chosen("--metric", "agent_work_time", "--policy", "Standard") == []
    ended = summary(place, str(SECOND), "--metric", "agent_work", "--policy", "Gold")
    assert (ended.code, ended.out) == (0, "")
    assert f"No row of that metric and policy: {SECOND}\n" in ended.err
    assert "--metric agent_work: no row of these days. There are: agent_work_time, total_resolution_time\n" in ended.err
    assert "--policy Gold: no row of these days. There are: " in ended.err
    assert not {"\x1b", "\x07"} & set(ended.err)


def test_the_table_leaves_out_rows_without_news_and_is_in_reading_order(tmp_path):
    """An open target in time is no news; two rows of it are counted."""
    clocks = [
        Clock(metric="agent_work_time").apply(9, 600).events,
        Clock(ticket_id=2, first_id=11, metric="resolution_time").apply(9, 60).add("breach", 10).events,
        Clock(ticket_id=3, first_id=21, metric="reply_time").apply(9, 60).add("fulfill", 9.5).events,
        Clock(ticket_id=4, first_id=31, metric="pausable_update_time").apply(9, 600).events,
    ]
    place = new_place(tmp_path)
    sla_root(place.root, [event for clock in clocks for event in clock], FIRST, FIRST)
    shown = summary(place).out
    assert re.findall(r"^(\w+_time)", shown, re.MULTILINE) == ["first_reply_time", "total_resolution_time"]
    assert "Left out: 2 rows without breaches, completions or open late targets." in shown


def test_from_alone_goes_through_the_newest_stored_day(place):
    ended = summary(place, "--from", str(SECOND))
    assert f"SLA breaches of {SECOND}" in ended.out
    assert f"{THIRD}: no SLA target was open." in ended.out


def test_json_holds_every_column_of_every_row(place):
    rows = json.loads(summary(place, "--from", str(FIRST), "--to", str(SECOND), "--format", "json").out)
    expected = [{"date": str(day), **row} for day in (FIRST, SECOND) for row in stored(place, day)]
    for row in expected:
        row["as_of"] = row["as_of"].strftime("%Y-%m-%dT%H:%M:%SZ")
        row["events_through"] = row["events_through"].strftime("%Y-%m-%dT%H:%M:%SZ")
        row["history_from"] = row["history_from"].isoformat()
    assert rows == expected
    assert [type(rows[0][name]) for name in ("breaches", "achievement_rate", "business_hours")] == [int, float, bool]
    assert [rows[1][name] for name in ("policy_id", "business_hours", "policy_title")] == [None, None, None]
    assert {HOSTILE, FORMULA} <= {row["policy_title"] for row in rows}


def test_csv_holds_the_same_by_rfc_4180(place):
    arguments = ("--from", str(FIRST), "--to", str(SECOND), "--format")
    ended = summary(place, *arguments, "csv")
    rows = list(csv.reader(io.StringIO(ended.out, newline=""), strict=True))
    assert rows[0] == ["date", *DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names]
    spelled = {None: "", True: "true", False: "false"}
    expected = json.loads(summary(place, *arguments, "json").out)
    assert rows[1:] == [
        [spelled[value] if value is None or isinstance(value, bool) else str(value) for value in row.values()]
        for row in expected
    ]
    assert ended.out.count("\r\n") == len(rows) + 1  # one of them in a title
    assert "\n" not in ended.out.replace("\r\n", "")


def test_csv_leaves_a_formula_as_it_is_and_warns(place):
    ended = summary(place, "--from", str(SECOND), "--to", str(SECOND), "--format", "csv")
    assert ended.code == 0
    assert ended.err.startswith("A text begins with =, +, -, @ or a control character: import the file's columns as text")
    assert summary(place, "--from", str(FIRST), "--to", str(FIRST), "--format", "csv").err == FIRST_DAYS


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_on_a_terminal_the_accounts_text_is_text(place, output):
    """It clears no screen, sets no title, writes in no other colour or direction, and ends no line."""
    ended = on_a_terminal(place, "--from", str(SECOND), "--to", str(SECOND), "--format", output, columns=200)
    assert "\x1b[2J" not in ended
    assert "\x1b]" not in ended
    assert "\x07" not in ended
    assert "\u202e" not in ended
    assert "\x1b[31m" not in ended
    assert (r"\u001b[2J\u001b]0;owned\u0007" if output == "json" else r"\x1b[2J\x1b]0;owned\x07") in ended
    assert "[red]red[/red]" in ended
    assert r"\r\nand a new line" in ended


@pytest.mark.parametrize("columns", [30, 80])
def test_a_narrow_terminal_cuts_no_figure(place, columns):
    ended = summary(place, "--from", str(FIRST), "--to", str(SECOND), COLUMNS=str(columns)).out
    assert len(re.findall(r"^03-0\d  \w+ .* \d+ +\d+ +[\d.]+% +\d+ ?$", ended, re.MULTILINE)) == 4
    assert "…" not in ended
    assert max(len(line) for line in ended.splitlines()) <= 80
    assert "".join(re.findall(r"^ {30}(\S+)", ended, re.MULTILINE)).count("(calendar)") >= 1


def test_days_without_a_summary_are_named_and_the_others_shown(place):
    begin, end = str(FIRST.plus(-3)), str(THIRD.plus(1))
    ended = summary(place, "--from", begin, "--to", end, "--format", "csv")
    assert ended.code == 1
    missing = f"No summary is stored of {begin} to {FIRST.plus(-1)}, {end}. To make it: ticket-events backfill {begin}..{end}"
    assert missing in ended.err
    assert len(list(csv.DictReader(io.StringIO(ended.out)))) == 4


def test_a_day_that_is_still_open_is_named(tmp_path):
    place = new_place(tmp_path)
    sla_root(place.root, Clock().apply(9, 60).events, FIRST, FIRST, now=FIRST.start + 12 * 3600)
    ended = summary(place, "--format", "csv")
    assert ended.code == 0
    assert ended.err == f"{FIRST} has not been fetched to its end: its figures are as of {FIRST}T12:00:00Z.\n{FIRST_DAYS}"


def test_the_days_within_a_week_of_the_first_stored_one_are_named_as_less_certain(tmp_path):
    """After it, most targets that were open before are closed."""
    place = new_place(tmp_path)
    sla_root(place.root, Clock().apply(9, 6000).events, FIRST, FIRST.plus(9))
    assert summary(place, str(FIRST.plus(7))).err == FIRST_DAYS
    assert summary(place, str(FIRST.plus(8))).err == ""
    assert summary(place, f"{FIRST}..{FIRST.plus(9)}", "--format", "json").err == FIRST_DAYS


def test_days_are_those_of_the_accounts_timezone(tmp_path):
    place = new_place(tmp_path, TICKET_EVENTS_TIMEZONE="America/New_York")
    day = Day(FIRST.date, "America/New_York")
    put_raw_day(place.root, Clock().apply(9, 60).events, day)
    make_sla_days(place.root, day, day)
    ended = summary(place, "--format", "json")
    assert (ended.code, ended.err) == (0, FIRST_DAYS)
    assert [(row["date"], row["as_of"]) for row in json.loads(ended.out)] == [(str(FIRST), "2026-03-03T05:00:00Z")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["2026-3-2"], "'2026-3-2' is not a date of the form YYYY-MM-DD. DAYS: "),
        (["--from", "2026-3-2"], "'2026-3-2' is not a date of the form YYYY-MM-DD"),
        (["--from", str(SECOND), "--to", str(FIRST)], f"{FIRST} is before {SECOND}"),
        ([str(FIRST), "--from", str(FIRST)], "DAYS and --from, --to both name days"),
        (["--from", str(THIRD.plus(1))], f"--from {THIRD.plus(1)} is after the newest stored day, {THIRD}"),
        (["--to", str(FIRST)], "--to needs --from"),
        (["--format", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_usage_is_explained_and_exits_with_2(place, arguments, complaint):
    ended = summary(place, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err


def test_an_empty_root_is_an_error_with_a_remedy(tmp_path):
    """As a process of its own, where an error of ours is shown as its message alone."""
    place = new_place(tmp_path)
    sla_root(place.root / "sandbox", Clock().apply(9, 60).events, FIRST, FIRST)
    ended = summary_process(place)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"No summary is stored below {place.root}. To make some: ticket-events backfill last-7-days\n")
    assert "Set ZENDESK_SANDBOX=1 to see those of the sandbox." in ended.err
    shown = summary(place, ZENDESK_SANDBOX="1").out
    assert shown == "Left out: 1 row without breaches, completions or open late targets.\n"


def test_the_days_shown_are_all_of_the_range(place):
    days = [str(day) for day in days_between(FIRST, THIRD)]
    rows = json.loads(summary(place, "--from", days[0], "--to", days[-1], "--format", "json").out)
    assert sorted({row["date"] for row in rows}) == days[:2]
