"""The tables of docs/reference/readers.md, from the readers' answers and from what the files hold."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.readers.lake import (
    DAY,
    EMPTY,
    LARGER,
    LAST,
    RAW,
    RESTATED,
    SUMMARY,
    TODAY,
    file_tables,
    kinds,
    true_sums,
)
from ticket_events_pipeline_tests.readers.probe import READERS
from ticket_events_pipeline_tests.readers.reader import Reader
from ticket_events_pipeline_tests.support.deployment import ASSETS

Answers = Mapping[str, Any]
"""Of one reader, as `probe.py` prints them."""

TYPES = {"time": "time", "sla_target_seconds": "an integer with NULLs", "sla_business_hours": "a boolean with NULLs"}

WRONG = "**wrong**"


def month_differences(
    name: str, month: Mapping[str, Any], truth: Mapping[str, Any], kinds_of: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Where the reader's counts and sums of a month differ from the true ones, all by asset."""
    reader, differences = READERS[name], []
    for asset, sums in truth.items():
        for column, true in sums.items():
            found = month[asset].get(column, month[asset].get("error"))
            if not (found == true if column == "rows" else _is_equal(found, true, kinds_of[asset][column], reader)):
                differences.append(f"{reader.name}, {asset}, {column}: {found}, not {true}")
    return differences


def _is_equal(found: Any, true: list[Any], kind: str, reader: type[Reader]) -> bool:
    if kind == "list" and not reader.reads_lists:
        return found is None
    if not isinstance(found, list):
        return False
    counted, summed = found
    is_counted = counted == true[0] or (kind == "list" and reader.null_lists_are_empty)
    return is_counted and (math.isclose(summed, true[1], rel_tol=1e-9) if kind == "float" else bool(summed == true[1]))


@dataclass(frozen=True)
class Truth:
    """What the files hold, each read alone.

    Attributes:
        sums: of the month, by asset; see `lake.true_sums`.
        kinds: by asset and column; see `lake.kinds`.
        rows: of the raw asset, by day.
        summary_rows: of the summary, by day.
    """

    sums: Mapping[str, Any]
    kinds: Mapping[str, Mapping[str, str]]
    rows: Mapping[str, int]
    summary_rows: Mapping[str, int]

    @classmethod
    def of(cls, lake: Path) -> Truth:
        """That of the root `lake`."""
        return cls(
            {asset: true_sums(lake, asset) for asset in ASSETS},
            {asset: kinds(lake, asset) for asset in ASSETS},
            _rows_by_day(lake, RAW),
            _rows_by_day(lake, SUMMARY),
        )

    def of_days(self, *days: Day) -> int:
        """The rows of some days of the raw asset."""
        return sum(self.rows[str(day)] for day in days)


def _rows_by_day(lake: Path, asset: str) -> dict[str, int]:
    names = sorted(path.name.removeprefix("date=") for path in (lake / asset).iterdir())
    return {name: sum(table.num_rows for table in file_tables(lake, asset, Day.parse(name), Day.parse(name))) for name in names}


# Cells.


def _error(answer: Any) -> str | None:
    return f"`{answer['error']}`" if isinstance(answer, dict) and "error" in answer else None


def _type(types: Any, column: str) -> str:
    return _error(types) or (f"`{types[column]}`" if column in types else "**no such column**")


def _filtered(answer: Any, right: int) -> str:
    return _error(answer) or ("works" if answer == right else f"**{answer} rows**, no error")


def _kept(answer: Any, new: Collection[Any], old: Any) -> str:
    if _error(answer):
        return "error"
    return "new" if answer in new else "**old**" if answer == old else WRONG


def _column_seen(answers: list[str]) -> str:
    if len(answers) > 1:
        return "**there or not, by chance**"
    return {"True": "there", "False": "missing"}.get(answers[0], "error")


# The cells of a reader's row in each table.


def versions(_: type[Reader], found: Answers, __: Truth) -> list[str]:
    """Of the packages that matter."""
    return [", ".join(f"{package} {number}" for package, number in found["versions"].items())]


def first_tries(reader: type[Reader], _: Answers, __: Truth) -> list[str]:
    """The code of the first try."""
    return [f"`{reader.first_try.replace('{asset}', 'sla_targets')}`"]


def types(_: type[Reader], found: Answers, __: Truth) -> list[str]:
    """Of `date` as first tried, and of all by the recipe."""
    return [
        _type(found["types"]["first try"], "date"),
        *(_type(found["types"]["recipe"], column) for column in ("date", *TYPES)),
    ]


def filters(_: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """By text and by date, as first tried and by the recipe."""
    asked = [found["filters"][way][value] for way in ("first try", "recipe") for value in ("text", "date")]
    return [_filtered(answer, truth.of_days(DAY)) for answer in asked]


def zones(_: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """The day of a timestamp, in UTC and elsewhere."""
    right = sum(truth.rows.values())
    asked = [found["day of time"][place] for place in ("recipe", "elsewhere")]
    return [_error(answer) or ("right" if answer == right else WRONG) for answer in asked]


def empty_days(_: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """An empty day in each place."""
    filled = {"first": [LAST], "middle": [DAY, LAST], "last": [DAY], "only": []}
    right = {place: {str(day): truth.of_days(day) for day in days} for place, days in filled.items()}
    return [_error(found["empty"][place]) or ("no row" if found["empty"][place] == right[place] else WRONG) for place in filled]


def replaced_days(reader: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """A replaced day, opened anew; its count and rows by an object kept, and whether that sees a new day."""
    anew, kept, old = (found["replaced"][look] for look in ("anew", "kept", "before"))
    replaced = truth.of_days(RESTATED, LARGER, EMPTY, LAST)
    counts = [replaced, replaced + truth.of_days(TODAY)]
    is_right = (anew["count"], anew["rows"][0], str(TODAY) in anew["days"]) == (
        counts[1],
        truth.of_days(LARGER),
        True,
    )
    if reader.is_in_memory and kept == {look: old[look] for look in kept}:
        return ["right" if is_right else WRONG, *["old: a copy in memory"] * 3]
    landed = "error" if _error(kept["days"]) else "seen" if str(TODAY) in kept["days"] else "**not seen**"
    seen = [_kept(kept["count"], counts, old["count"]), _kept(kept["rows"], [anew["rows"]], old["rows"]), landed]
    return ["right" if is_right else WRONG, *seen]


def added_columns(_: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """The rows and the added column as first tried, and by the recipe."""
    seen, every = found["added"], sum(truth.summary_rows.values())
    newer = sum(rows for day, rows in truth.summary_rows.items() if day >= str(RESTATED))
    first = _error(seen["first try rows"]) or ("all" if seen["first try rows"] == every else WRONG)
    is_right = (seen["recipe rows"], seen["older values"], seen["newer values"]) == (every, 0, newer)
    return [first, _column_seen(seen["first try has it"]), "all rows, NULL in older days" if is_right else WRONG]


def other_files(_: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """Whether the rows of other tools' files are counted."""
    right = truth.of_days(RESTATED, DAY, EMPTY, LAST)
    asked = [found["other files"][other][way] for other in ("log", "copy") for way in ("first try", "recipe")]
    return [_error(answer) or ("left out" if answer == right else "**counted**") for answer in asked]


def month(reader: type[Reader], found: Answers, truth: Truth) -> list[str]:
    """Whether all counts and sums are right, and what becomes of lists."""
    differences = month_differences(reader.recipe, found["month"], truth.sums, truth.kinds)
    lists = "NULL becomes `[]`" if reader.null_lists_are_empty else "as stored"
    return [f"**{len(differences)} differ**" if differences else "equal", lists if reader.reads_lists else "left out"]


TABLES = {
    "versions": ("version", versions),
    "first_tries": ("first try", first_tries),
    "types": (f"`date`, first try | `date` | {' | '.join(TYPES.values())}", types),
    "filters": ("text, first try | date, first try | text, recipe | date, recipe", filters),
    "zones": ("as the recipe has it | in a session in New York", zones),
    "empty": ("the first day | one between | the last | the only one", empty_days),
    "days": ("opened anew | kept: count | kept: rows of the day | kept: new day", replaced_days),
    "added": ("rows, first try | new column, first try | recipe", added_columns),
    "others": ("Delta log, first try | Delta log, recipe | copy, first try | copy, recipe", other_files),
    "month": ("counts and sums of a month | lists", month),
}
"""By the name of its place in the page: its columns after the reader, and what fills a row."""


def tables(answers: Mapping[str, Answers], truth: Truth) -> dict[str, str]:
    """The tables in Markdown, each with a row for each reader."""
    made = {}
    for name, (header, cells) in TABLES.items():
        columns = ["reader", *header.split(" | ")]
        rows = [[READERS[reader].name, *cells(READERS[reader], found, truth)] for reader, found in answers.items()]
        made[name] = "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *rows])
    return made
