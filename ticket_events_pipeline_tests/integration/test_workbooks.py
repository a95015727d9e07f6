"""Workbooks for Excel: every text is a text, every number and time is one, and nothing is lost in silence."""

from __future__ import annotations

import datetime as dt
import os
import re
import zipfile

import pytest
from click.testing import CliRunner
from openpyxl import load_workbook

from ticket_events_pipeline.cli import workbook
from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.cli.sheet_columns import sheet_column
from ticket_events_pipeline.cli.workbook import CUT, LONGEST_TEXT, Kind, Sheet, SheetColumn, write_workbook
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.tickets import DAILY_SLA_BREACHES_BY_DIMENSION_TABLE
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.due_roots import ADA, BILLING, SALES, due_in, due_root, held_by, hour_of
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import sla_root

FORMULAS = [
    "=1+1",
    "+1",
    "-1+2",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("https://example.org","a")',
    '=DDE("a";"b";"c")',
    "{=1+1}",
    "https://example.org/a",
    "mailto:a@example.org",
    "internal:About!A1",
    "007",
    "1e5",
    "_x0041_",
]
COLUMNS = [SheetColumn("value", "Value", "A value."), SheetColumn("at", "At", "A time.", Kind.TIME)]
NOON = dt.datetime(2026, 7, 1, 12, 0, 5, tzinfo=dt.UTC)


def local(*moment):
    """A time as Excel has it, without a zone."""
    return dt.datetime(*moment, tzinfo=dt.UTC).replace(tzinfo=None)


def written(path, values, *, timezone="Europe/Berlin"):
    rows = [{"value": value, "at": NOON} for value in values]
    write_workbook(path / "a.xlsx", [Sheet("Rows", COLUMNS, rows)], {"Account": "=acme"}, timezone=timezone)
    return load_workbook(path / "a.xlsx")


def column(book, name="Rows"):
    return [row[0] for row in book[name].iter_rows(min_row=2)]


def parts(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith((".xml", ".rels"))}


def test_no_text_becomes_a_formula_a_link_or_a_number(tmp_path):
    book = written(tmp_path, FORMULAS)
    # As it stands in the file, and as openpyxl reads it: Excel makes a carriage return of it again.
    expected = [text.replace("\r", "_x000D_") for text in FORMULAS]
    assert [(cell.data_type, cell.value) for cell in column(book)] == [("s", text) for text in expected]
    every = parts(tmp_path / "a.xlsx")
    assert not [name for name, text in every.items() if re.search(r"<f[ >]|<hyperlink|ddeLink|externalLink", text)]


def test_texts_with_any_characters_can_be_read(tmp_path):
    found = [cell.value for cell in column(written(tmp_path, [*HOSTILE, "\ufffe\uffff", "a\nb"]))]
    expected = [text.encode("utf-16", "replace").decode("utf-16", "replace") for text in HOSTILE]
    assert len(found) == len(HOSTILE) + 2
    assert found[-2:] == ["\ufffd\ufffd", "a\nb"]
    is_plain = [not re.search("[\x00-\x1f\ud800-\udfff]", text) for text in HOSTILE]
    assert [text for text, plain in zip(found, is_plain, strict=False) if plain] == [
        text for text, plain in zip(expected, is_plain, strict=True) if plain
    ]


def test_numbers_flags_dates_and_times_are_what_they_are(tmp_path):
    book = written(tmp_path, [5, -0.25, True, dt.date(2026, 7, 1), None, 999_999_999_999_999])
    assert [cell.value for cell in column(book)] == [5, -0.25, True, local(2026, 7, 1), None, 999_999_999_999_999]
    at = book["Rows"]["B2"]
    assert (at.value, at.is_date, at.number_format) == (local(2026, 7, 1, 14, 0, 5), True, "yyyy-mm-dd hh:mm:ss")
    assert book["Rows"]["B1"].value == "At (Europe/Berlin)"


@pytest.mark.parametrize("number", [10**15, 360041597112345678, -(10**15), float("1e300")])
def test_numbers_that_excel_would_round_are_texts(tmp_path, number):
    (cell,) = column(written(tmp_path, [number]))
    assert (cell.data_type, cell.value) == ("s", str(number))


@pytest.mark.parametrize("text", ["a" * LONGEST_TEXT, "a" * (LONGEST_TEXT + 1), "😀" * LONGEST_TEXT])
def test_a_text_that_is_too_long_is_cut_with_a_mark(tmp_path, text):
    (cell,) = column(written(tmp_path, [text]))
    units = len(cell.value.encode("utf-16-le")) // 2
    if len(text) == LONGEST_TEXT and text.isascii():
        assert cell.value == text
    else:
        assert cell.value.endswith(CUT)
        assert LONGEST_TEXT - 1 <= units <= LONGEST_TEXT
        assert text.startswith(cell.value.removesuffix(CUT))


def test_more_rows_than_excel_opens_are_refused_and_the_old_file_stays(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"old")
    rows = [{"value": 1, "at": NOON}] * (workbook.MOST_ROWS + 1)
    with pytest.raises(UsageError, match=r"Rows: 1,048,576 rows, and Excel opens 1,048,575\. Ask for fewer days"):
        write_workbook(tmp_path / "a.xlsx", [Sheet("Rows", COLUMNS, rows)], {}, timezone="UTC")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.xlsx", b"old")]


def test_the_header_stays_in_sight_and_filters(tmp_path):
    page = written(tmp_path, ["a", "b" * 100])["Rows"]
    assert (page.freeze_panes, page.auto_filter.ref) == ("A2", "A1:B3")
    assert (page.column_dimensions["A"].width > 60, page.column_dimensions["B"].width > 19) == (True, True)


def test_about_says_what_the_columns_mean(tmp_path):
    about = [[cell.value for cell in row] for row in written(tmp_path, [])["About"].iter_rows()]
    assert [row[:2] for row in about[:2]] == [["Account", "=acme"], ["Times", "local times in Europe/Berlin"]]
    assert about[-3:] == [
        ["Columns of Rows", "Meaning", "Column name"],
        ["Value", "A value.", "value"],
        ["At (Europe/Berlin)", "A time.", "at"],
    ]


def test_lengths_of_time_are_hours_shares_are_percent_and_ids_have_all_digits(tmp_path):
    columns = [
        SheetColumn("late", "Late for", "A length of time.", Kind.HOURS),
        SheetColumn("rate", "Rate", "A share.", Kind.SHARE),
        SheetColumn("group_id", "Group ID", "An id.", Kind.NUMBERED),
    ]
    rows = [
        {"late": 5400, "rate": 0.9497, "group_id": 360041597112},
        {"late": -1800, "rate": None, "group_id": 360041597112345678},
    ]
    write_workbook(tmp_path / "a.xlsx", [Sheet("Rows", columns, rows)], {}, timezone="UTC")
    head, *lines = load_workbook(tmp_path / "a.xlsx")["Rows"].iter_rows()
    assert [cell.value for cell in head] == ["Late for (hours)", "Rate", "Group ID"]
    found = [[(cell.value, cell.number_format) for cell in line] for line in lines]
    assert found[0] == [(1.5, "#,##0.00"), (0.9497, "0.0%"), (360041597112, "0")]
    assert [found[1][0], found[1][2]] == [(-0.5, "#,##0.00"), ("360041597112345678", "@")]


@pytest.mark.parametrize("table", [DAILY_SLA_BREACH_SUMMARY_TABLE, DAILY_SLA_BREACHES_BY_DIMENSION_TABLE])
def test_every_column_of_a_summary_has_a_heading_of_its_own_and_a_meaning_without_words_of_the_files(table):
    columns = [sheet_column(column.name, column.doc) for column in table.columns]
    headings = [column.heading for column in columns]
    assert len(set(headings)) == len(headings)
    assert [heading for heading in headings if "_" in heading or heading[0].islower()] == []
    assert [
        column.doc for column in columns if re.search(r"schema version|NULL|\(UTC\)|second|\bas_of|\bis_", column.doc)
    ] == []
    assert [column.kind for column in columns if column.name.endswith("_seconds")] == [Kind.HOURS] * 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    missing = tmp_path / "missing" / "a.xlsx"
    with pytest.raises(UsageError, match=re.escape(f"--output {missing}: can't be written (No such file or directory).")):
        write_workbook(missing, [], {}, timezone="UTC")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two days of summaries with a policy whose title is a formula, in Auckland's days; and what is due now."""
    found = new_place(tmp_path_factory.mktemp("workbooks"))
    found.variables = {"TICKET_EVENTS_ROOT": str(found.root), "ZENDESK_SUBDOMAIN": "acme"}
    clock = Clock(1).add("activate", 1).apply(1, 60, title="=1+1").add("breach", 2)
    sla_root(found.root, clock.events, Clock.DAY, Clock.DAY.plus(1))
    return found


def command(place, *arguments):
    everything = {**dict.fromkeys(os.environ), **place.env()}
    ended = CliRunner().invoke(commands, arguments, env=everything)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def records(page):
    head, *rows = page.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_the_summary_is_a_sheet_with_every_column(place, tmp_path):
    path = tmp_path / "summary.xlsx"
    ended = command(place, "summary", f"{Clock.DAY}..{Clock.DAY.plus(1)}", "--format", "xlsx", "--output", str(path))
    assert (ended.exit_code, ended.stdout, f"2 rows in {path}" in ended.stderr) == (0, "", True)
    book = load_workbook(path)
    assert book.sheetnames == ["Summary", "About"]
    lines = [row for row in book["About"].iter_rows(values_only=True) if row[2]]
    assert [name for *_, name in lines] == ["Column name", "date", *DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names]
    rows = records(book["Summary"])
    assert list(rows[0]) == [heading for heading, *_ in lines[1:]]
    assert [(row["Day"].date(), row["Policy"], row["Breaches"]) for row in rows] == [
        (Clock.DAY.date, "=1+1", 1),
        (Clock.DAY.plus(1).date, "=1+1", 0),
    ]
    assert rows[0]["As of (UTC)"] == dt.datetime.fromtimestamp(Clock.DAY.end, dt.UTC).replace(tzinfo=None)
    about = dict(row[:2] for row in book["About"].iter_rows(values_only=True))
    assert (about["Account"], about["Table"]) == ("acme", "daily_sla_breach_summary")
    assert about["As of"].startswith(str(Clock.DAY.plus(2)))
    assert about["Achievement rate"] == "Achieved / (achieved + breaches); empty if both are 0."
    assert about["Median overdue (hours)"].startswith("Median time beyond the target")


def test_due_is_a_workbook_of_what_is_due_and_of_the_work_list(tmp_path):
    found = new_place(tmp_path / "place")
    now = int(wall_clock())
    as_of = now - 240
    clocks = [
        due_in(42.5, 2, now),
        due_in(-5, 6, now).add("breach", hour_of(as_of - 1)),
        due_in(-26 * 60, 7, now).add("breach", hour_of(now - 26 * 3600)),
    ]
    audits = [
        held_by(2, now, subject="=1+1", group_id=BILLING, assignee_id=ADA),
        held_by(6, now, group_id=SALES),
        held_by(7, now, group_id=SALES),
    ]
    today = due_root(found.root, clocks, audits, as_of=as_of, days_before=2)  # 26 hours may reach as far
    path = tmp_path / "due.xlsx"
    ended = command(found, "due", "--format", "xlsx", "--output", str(path))
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "Due: 1 target, Late and open: 2 targets" in ended.stderr
    book = load_workbook(path)
    assert book.sheetnames == ["Due", "Late and open", "About"]
    (due,) = records(book["Due"])
    assert (due["Ticket"], due["Subject"], due["Group"], due["Agent"]) == (2, "=1+1", "Billing", "Ada")
    assert abs(due["Due in (hours)"] * 3600 - (42.5 * 60 + 240)) <= 1.01
    late = records(book["Late and open"])
    assert [(row["Ticket"], row["Agent"]) for row in late] == [(7, "nobody"), (6, "nobody")]
    assert [round(row["Late for (hours)"] * 3600) for row in late] == [26 * 3600 - 240, 1]
    by_group = command(found, "summary", str(today), "--by", "group", "--format", "xlsx", "--output", str(path))
    assert by_group.exit_code == 0, by_group.output
    rows = records(load_workbook(path)["Summary"])
    assert {(row["Value"], row["Name"], row["Breaches"]) for row in rows} >= {(str(SALES), "Sales", 1)}
    by_agent = command(found, "summary", str(today), "--by", "agent", "--format", "xlsx", "--output", str(path))
    assert by_agent.exit_code == 0, by_agent.output
    rows = records(load_workbook(path)["Summary"])
    assert {(row["Split by"], row["Value"], row["Name"]) for row in rows} >= {("agent", None, "nobody")}
    assert {row["Split by"] for row in rows} == {"agent"}
    only = command(found, "due", "--format", "xlsx", "--output", str(path), "--group", "Billing")
    assert "Late and open: 0 targets" in only.stderr


@pytest.mark.parametrize("name", ["summary", "due"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "xlsx"), "--format xlsx needs --output FILE: a workbook can't be shown in a terminal."),
        (("--format", "xlsx", "--output", "-"), "--format xlsx needs --output FILE"),
        (("--format", "xlsx", "--output", "a.csv"), "Excel opens a workbook only if its name ends in .xlsx."),
        (("--format", "csv", "--output", "a.csv"), "--output is for --format xlsx. For another format: > FILE"),
    ],
)
def test_a_file_that_does_not_fit_the_format_is_wrong_usage(place, name, arguments, message):
    ended = command(place, name, *arguments)
    assert (ended.exit_code, message in ended.stderr) == (2, True)


def test_without_the_library_the_command_says_how_to_install_it(place):
    ended = place.run(
        "python",
        "-c",
        "import sys; sys.modules['xlsxwriter'] = None; from ticket_events_pipeline.cli.main import main; main()",
        *("summary", "--format", "xlsx", "--output", "a.xlsx"),
    )
    assert ended.code == 1
    assert "--format xlsx needs the library xlsxwriter. To install it: " in ended.output
    assert "-m pip install 'xlsxwriter" in ended.output
