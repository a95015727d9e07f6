"""Asks one reader everything that the page says of it: `python -m …probe NAME QUESTIONS`. Prints JSON.

Runs in the readers' environment, which has no pipeline, and in a folder where it makes the link `data`. `QUESTIONS` is a JSON
file that `run.py` writes.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile
from typing import Any

from ticket_events_pipeline_tests.readers.frame_readers import Dask, FastParquet, Pandas, Polars, PyArrow
from ticket_events_pipeline_tests.readers.reader import Reader
from ticket_events_pipeline_tests.readers.sql_readers import ChDb, Daft, DataFusion, DuckDb, Spark

READERS: dict[str, type[Reader]] = {
    reader.recipe: reader for reader in (DuckDb, Pandas, Polars, PyArrow, DataFusion, Daft, ChDb, Dask, FastParquet, Spark)
}
"""In the order of the page."""

MOST_TRIES = 6000
"""Equal first tries of a reader whose columns are by chance, until they differ."""

Asked = Callable[[], Any]


def found(asked: Asked) -> Any:
    """The answer, or the class of the error."""
    try:
        return asked()
    except BaseException as error:  # Rust's panics are none of Exception
        return {"error": type(error).__name__}


def types(reader: Reader, asset: str) -> dict[str, Any]:
    """The types of all columns, as first tried and by the recipe."""
    return {
        "first try": found(lambda: reader.columns(reader.try_first(asset))),
        "recipe": reader.columns(reader.read(asset)),
    }


def month(reader: Reader, asked: dict[str, Any]) -> dict[str, Any]:
    """The sums of a month, by asset."""
    first, last = (dt.date.fromisoformat(text) for text in asked["month"])
    left_out = () if reader.reads_lists else ("list",)
    wanted = {
        asset: {name: kind for name, kind in kinds.items() if kind not in left_out} for asset, kinds in asked["kinds"].items()
    }
    return {asset: found(lambda a=asset: reader.sums(reader.read(a), first, last, wanted[a])) for asset in wanted}


def filters(reader: Reader, asset: str, day: dt.date) -> dict[str, Any]:
    """How many rows a day has, compared in different ways."""
    opened = {"first try": reader.try_first, "recipe": reader.read}
    return {
        way: {
            "text": found(lambda read=read: reader.on_text(read(asset), day)),
            "date": found(lambda read=read: reader.on_date(read(asset), day)),
        }
        for way, read in opened.items()
    }


def day_of_time(reader: Reader, asset: str, zone: str) -> dict[str, Any]:
    """How many rows have a time on their day, as the recipe has it and in a session in another zone."""
    here = found(lambda: reader.on_day_of_time(reader.read(asset)))
    reader.move_to(zone)
    return {"recipe": here, "elsewhere": found(lambda: reader.on_day_of_time(reader.read(asset)))}


def empty_days(reader: Reader, asset: str, places: dict[str, str]) -> dict[str, Any]:
    """The rows of each day of small roots whose first, middle, last or only day is empty."""
    return {
        place: found(lambda r=root: in_root(r, lambda: reader.by_day(reader.read(asset)))) for place, root in places.items()
    }


def added_column(reader: Reader, asset: str, column: str, day: dt.date) -> dict[str, Any]:
    """Whether a column that older files lack is there, and how many rows there are."""
    seen: set[str] = set()
    for _ in range(MOST_TRIES if reader.columns_by_chance else 1):
        seen.add(str(found(lambda: column in reader.columns(reader.try_first(asset)))))
        if len(seen) > 1:
            break

    def values(first: dt.date, last: dt.date) -> Any:
        return reader.sums(reader.read(asset), first, last, {column: "integer"})[column][0]

    return {
        "first try has it": sorted(seen),
        "first try rows": found(lambda: reader.count(reader.try_first(asset))),
        "recipe rows": found(lambda: reader.count(reader.read(asset))),
        "older values": found(lambda: values(dt.date(2000, 1, 1), day - dt.timedelta(days=1))),
        "newer values": found(lambda: values(day, dt.date(2100, 1, 1))),
    }


def replaced_day(reader: Reader, asset: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What a table opened before and one opened after see of a replaced day and of a new one."""
    day = dt.date.fromisoformat(asked["day"])
    kept = reader.read(asset)

    def looks(table: Any) -> dict[str, Any]:
        return {
            "count": found(lambda: reader.count(table)),
            "rows": found(lambda: reader.sums(table, day, day, {"id": "integer"})["id"]),
            "days": found(lambda: sorted(reader.by_day(table))),
        }

    before = {"columns": len(reader.columns(kept)), **looks(kept)}
    for source, target in asked["files"]:
        Path(target).parent.mkdir(exist_ok=True)
        copyfile(source, f"{target}.tmp")
        os.replace(f"{target}.tmp", target)
    return {"before": before, "kept": looks(kept), "anew": looks(reader.read(asset))}


def other_files(reader: Reader, asset: str) -> dict[str, Any]:
    """The rows of a root in which other tools left files."""
    return {
        "first try": found(lambda: reader.count(reader.try_first(asset))),
        "recipe": found(lambda: reader.count(reader.read(asset))),
    }


def in_root(root: str, asked: Asked) -> Any:
    """The answer while `data` is that root. A link is moved, because Java keeps the working folder that it began in."""
    data = Path("data")
    before = data.readlink()
    _point(data, root)
    try:
        return asked()
    finally:
        _point(data, before)


def _point(data: Path, root: Path | str) -> None:
    data.unlink(missing_ok=True)
    data.symlink_to(root)


def answers(name: str, questions: dict[str, Any]) -> dict[str, Any]:
    """All answers of the reader."""
    _point(Path("data"), questions["root"])
    reader = READERS[name]()
    raw, day = questions["raw"], dt.date.fromisoformat(questions["day"])
    added, replaced = questions["added"], questions["replaced"]
    return {
        "printed": reader.printed,
        "versions": {package: version(package) for package in reader.packages},
        "types": types(reader, raw),
        "month": month(reader, questions),
        "filters": filters(reader, raw, day),
        "day of time": day_of_time(reader, raw, questions["zone"]),
        "empty": empty_days(reader, raw, questions["empty"]),
        "added": added_column(reader, added["asset"], added["column"], dt.date.fromisoformat(added["first"])),
        "other files": {
            place: in_root(root, lambda: other_files(reader, raw)) for place, root in questions["other files"].items()
        },
        "replaced": in_root(replaced["root"], lambda: replaced_day(reader, raw, replaced)),
    }


def main() -> None:
    """Print the answers of the reader that the command line names."""
    name, questions = sys.argv[1:]
    with redirect_stdout(sys.stderr):
        answered = answers(name, json.loads(Path(questions).read_text()))
    sys.stdout.write(json.dumps(answered, default=lambda number: number.item()))  # of NumPy


if __name__ == "__main__":
    main()
