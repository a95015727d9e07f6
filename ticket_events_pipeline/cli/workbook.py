"""Rows of stored tables as an Excel workbook: a sheet a table, and one that explains them.

No text can become a formula or a link: each is written as text, whatever it begins with. Excel keeps fifteen digits of a
number, so longer ones are written as text, too. Times are Excel's own, in the account's timezone. Lengths of time are hours:
Excel's own durations can't be negative.
https://support.microsoft.com/en-us/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
"""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ticket_events_pipeline.day import zone
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import pip_install
from ticket_events_pipeline.text import plural, valid_unicode

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

MOST_ROWS = 1_048_575
"""Of a sheet, below its header."""

LONGEST_TEXT = 32_767
"""UTF-16 code units of a cell."""

GREATEST_NUMBER = 10**15
"""From here on Excel rounds."""

CUT = " … (cut: Excel holds 32,767 characters)"

_WIDEST = 60
_NOT_IN_XML = re.compile("[\ufffe\uffff]")

Row = Mapping[str, Any]


class Kind(Enum):
    """What the numbers and times of a column are, and so how Excel shows them.

    HOURS takes seconds and writes hours; SHARE is from 0 to 1 and shown in percent; NUMBERED are ids, shown digit by digit.
    """

    PLAIN = "plain"
    TIME = "time"
    HOURS = "hours"
    SHARE = "share"
    NUMBERED = "numbered"


@dataclass(frozen=True)
class SheetColumn:
    """A column of a sheet: its name in the rows, its heading in words, its meaning, and what it holds."""

    name: str
    heading: str
    doc: str
    kind: Kind = Kind.PLAIN

    def heading_with_unit(self, timezone: str) -> str:
        """The heading, with the timezone of times and the unit of lengths of time."""
        unit = {Kind.TIME: timezone, Kind.HOURS: "hours"}.get(self.kind)
        return self.heading if unit is None else f"{self.heading} ({unit})"


_NUMBER_FORMATS = {Kind.HOURS: "#,##0.00", Kind.SHARE: "0.0%", Kind.NUMBERED: "0"}


@dataclass(frozen=True)
class Sheet:
    """A sheet: its name, columns and rows. Values are text, numbers, booleans, dates, times with a timezone, or None."""

    name: str
    columns: Sequence[SheetColumn]
    rows: Sequence[Row]


def checked_output(output: str, path: str | None) -> Path | None:
    """The file that a workbook goes to; None for another format.

    Raises:
        click.UsageError: the file is missing, not needed, or named as Excel doesn't open it.
        UsageError: the library isn't installed.
    """
    if output != "xlsx":
        if path is not None:
            raise click.UsageError("--output is for --format xlsx. For another format: > FILE")
        return None
    if path is None or path == "-":
        raise click.UsageError("--format xlsx needs --output FILE: a workbook can't be shown in a terminal.")
    if not path.lower().endswith(".xlsx"):
        raise click.UsageError(f"--output {path}: Excel opens a workbook only if its name ends in .xlsx.")
    try:
        import xlsxwriter  # noqa: F401  # before the tables are read
    except ImportError:
        raise UsageError(f"--format xlsx needs the library xlsxwriter. To install it: {pip_install('excel')}") from None
    return Path(path)


def write_workbook(path: Path, sheets: Sequence[Sheet], facts: Mapping[str, str], *, timezone: str) -> None:
    """Replace the file by a workbook of these sheets and a last one, About, with `facts` and the meaning of each column.

    Raises:
        UsageError: a sheet would have more rows than Excel opens, or the file can't be written.
    """
    from xlsxwriter import Workbook

    for sheet in sheets:
        if len(sheet.rows) > MOST_ROWS:
            raise UsageError(
                f"{sheet.name}: {plural(len(sheet.rows), 'row')}, and Excel opens {MOST_ROWS:,}. Ask for fewer days, or take "
                "--format csv."
            )
    content = io.BytesIO()
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
    with Workbook(content, options) as workbook:
        writer = _Writer(workbook, timezone)
        for sheet in sheets:
            writer.add_table(sheet)
        writer.add_about(sheets, {**facts, "Times": f"local times in {timezone}"})
    _replace(path, content.getvalue())


class _Writer:
    def __init__(self, workbook: Workbook, timezone: str) -> None:
        self._workbook, self._zone, self._timezone = workbook, zone(timezone), timezone
        self._head = workbook.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        self._text = workbook.add_format({"num_format": "@"})
        self._wrapped = workbook.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        self._date = workbook.add_format({"num_format": "yyyy-mm-dd"})
        self._time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._numbers = {kind: workbook.add_format({"num_format": shown}) for kind, shown in _NUMBER_FORMATS.items()}

    def add_table(self, sheet: Sheet) -> None:
        """The header, frozen and with a filter, and a line a row."""
        page = self._workbook.add_worksheet(sheet.name)
        heads = [column.heading_with_unit(self._timezone) for column in sheet.columns]
        widths = [len(head) for head in heads]
        for place, head in enumerate(heads):
            page.write_string(0, place, head, self._head)
        for line, row in enumerate(sheet.rows, start=1):
            for place, column in enumerate(sheet.columns):
                widths[place] = max(widths[place], self._write(page, line, place, row[column.name], column.kind))
        for place, width in enumerate(widths):
            page.set_column(place, place, min(width, _WIDEST) + 2)
        page.freeze_panes(1, 0)
        page.autofilter(0, 0, len(sheet.rows), len(sheet.columns) - 1)

    def add_about(self, sheets: Sequence[Sheet], facts: Mapping[str, str]) -> None:
        """What the workbook holds, and what each column means."""
        page = self._workbook.add_worksheet("About")
        lines = [(name, text, "") for name, text in facts.items()]
        for sheet in sheets:
            lines += [("", "", ""), (f"Columns of {sheet.name}", "Meaning", "Column name")]
            lines += [(column.heading_with_unit(self._timezone), column.doc, column.name) for column in sheet.columns]
        for line, (heading, text, name) in enumerate(lines):
            page.write_string(line, 0, _cell_text(heading), self._head)
            page.write_string(line, 1, _cell_text(text), self._wrapped)
            page.write_string(line, 2, _cell_text(name), self._wrapped)
        page.set_column(0, 0, 38)
        page.set_column(1, 1, 110)
        page.set_column(2, 2, 26)

    def _write(self, page: Worksheet, line: int, place: int, value: Any, kind: Kind) -> int:
        """Write a cell; returns how wide it is, in characters. None stays empty."""
        if value is None:
            return 0
        if isinstance(value, bool):
            page.write_boolean(line, place, value)
            return 5
        if isinstance(value, dt.datetime):
            page.write_datetime(line, place, value.astimezone(self._zone).replace(tzinfo=None), self._time)
            return 19
        if isinstance(value, dt.date):
            page.write_datetime(line, place, value, self._date)
            return 10
        if isinstance(value, int | float) and abs(value) < GREATEST_NUMBER:
            page.write_number(line, place, value / 3600 if kind is Kind.HOURS else value, self._numbers.get(kind))
            return len(str(value))
        text = _cell_text(str(value))
        page.write_string(line, place, text, self._text)
        return len(text)


def _cell_text(text: str) -> str:
    """The text as a cell can hold it: of valid characters, and cut with a mark if it is too long."""
    clean = _NOT_IN_XML.sub("\ufffd", valid_unicode(text))
    if _units(clean) <= LONGEST_TEXT:
        return clean
    room = LONGEST_TEXT - len(CUT)
    return clean.encode("utf-16-le")[: 2 * room].decode("utf-16-le", errors="ignore") + CUT


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _replace(path: Path, content: bytes) -> None:
    """Write the file; it is there whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.absolute().parent)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            os.replace(name, path)
        finally:
            with suppress(FileNotFoundError):  # after success it no longer exists
                os.unlink(name)
    except OSError as error:
        raise UsageError(f"--output {path}: can't be written ({error.strerror or error}).") from error
