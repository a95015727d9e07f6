"""The ledger of a fetch has no problem, and a ledger with a gap always has one."""

import datetime as dt

import pyarrow as pa
import pytest

from ticket_events_pipeline.quality.footer_checks import ledger_problems
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import LAYOUT, Layout, write_partition
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter
from ticket_events_pipeline.storage.stored_file import MOST_BATCH_ROWS
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE
from ticket_events_pipeline_tests.support.events import metric_event
from ticket_events_pipeline_tests.support.quality_cases import DAY, METRIC, NOON, named
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

# Hand-made ledgers: the pages of one complete day, each (start, end, rows).

START, END = DAY.start, DAY.end
PAST = END + TICKET_METRIC_EVENTS.lag_seconds


def footer_of(*pages, **more):
    ledger = tuple(LedgerPage(start, end, count, None, None) for start, end, count in pages)
    last = ledger[-1].end_time
    values = {
        "schema_version": 1, "account": "a", "timezone": "UTC", "sideload": False, "stream": METRIC, "partition": str(DAY),
        "window_start": START, "window_end": END, "complete": True, "next_start_time": ledger[-1].start_time if last is None
        else last, "requests": len(ledger), "rows": 0, "duplicates": 0, "rejected": 0, "fetched_at": END + 86_400,
        "content_hash": "", "pages": ledger,
    }  # fmt: skip
    return RawFooter(**{**values, **more})


HEALTHY = {
    "one page for everything": footer_of((START, PAST, 5), rows=5),
    "pages that span days on either side": footer_of((START - 500, START + 500, 900), (START + 500, PAST + 9, 900), rows=700),
    "a second read again": footer_of((START, NOON, 9), (NOON, NOON, 9), (NOON, PAST, 9), rows=15, duplicates=3),
    "an overfull second": footer_of((START, NOON, 9), (NOON, NOON + 1, 5000), (NOON + 1, PAST, 0), rows=5009),
    "resumed behind its end": footer_of((START, NOON, 9), (NOON - 400, PAST, 9), rows=12, duplicates=6),
    "a row of tomorrow, then resumed": footer_of((START, END + 99_999, 9), (NOON, PAST, 3), rows=11),
    "caught up": footer_of((START, NOON, 3), (NOON, None, 0), rows=3),
    "the stream ends early": footer_of((START, NOON, 3), rows=3),
    "an end that lies before its only row": footer_of((START, START - 86_400, 1), rows=1, next_start_time=START),
    "no end_time": footer_of((START, None, 1000), (NOON, PAST, 3), rows=1003),
    "read before the day began": footer_of((START - 9000, START - 8000, 0), (START, PAST, 3), rows=3),
    "open": footer_of((START, NOON, 3), rows=3, complete=False, fetched_at=NOON + 30, next_start_time=NOON - 270),
}

SICK = {
    "begins late": (footer_of((START + 1, PAST, 5), rows=5), "between 2026-03-10T00:00:00Z and 2026-03-10T00:00:01Z"),
    "a second is missing": (footer_of((START, NOON, 5), (NOON + 1, PAST, 5), rows=9), "a gap"),
    "a gap behind a row of tomorrow": (
        footer_of((START, END + 99_999, 9), (NOON, NOON + 60, 3), (NOON + 61, PAST, 3), rows=9),
        "between 2026-03-10T12:01:00Z and 2026-03-10T12:01:01Z",
    ),
    "a gap behind an empty answer": (footer_of((START, None, 0), (START + 9, PAST, 3), rows=3), "a gap"),
    "the last page is missing": (footer_of((START, NOON, 5), rows=5, next_start_time=PAST), "missing at the end"),
    "complete too early": (footer_of((START, NOON, 5), rows=5, fetched_at=PAST + 59), "says complete"),
    "continues where no page led": (
        footer_of((START, NOON, 3), rows=3, complete=False, fetched_at=NOON + 30, next_start_time=NOON),
        "doesn't lead to its footer's next start time",
    ),
    "more rows than delivered": (footer_of((START, PAST, 5), rows=6), "delivered 5 rows, but 6 stored"),
    "fewer rows than delivered": (footer_of((START, NOON, 5), (NOON, PAST, 5), rows=4), "at least 5 rows of the day"),
    "no requests": (footer_of(*[(START + n * 900, START + n * 900 + 900, 1) for n in range(98)], rows=95, requests=1), "1 req"),
    "no page": (footer_of((START, PAST, 5), pages=()), "names no page"),
}


@pytest.mark.parametrize("footer", HEALTHY.values(), ids=HEALTHY)
def test_a_ledger_as_a_fetch_writes_it_has_no_problem(footer):
    assert ledger_problems(footer, TICKET_METRIC_EVENTS) == []


@pytest.mark.parametrize(("footer", "problem"), SICK.values(), ids=SICK)
def test_a_ledger_that_proves_nothing_has_a_problem(footer, problem):
    assert problem in " ".join(ledger_problems(footer, TICKET_METRIC_EVENTS))


def with_a_page_over_it(root, times, *, layout=LAYOUT):
    """A file of events at these times, ids counting up, with a footer that fits it."""
    rows = [metric_event(number, 0) | {"time": time} for number, time in enumerate(times, 1)]
    ready = [{**row, "time": dt.datetime.fromtimestamp(row["time"], dt.UTC)} for row in rows]
    table = pa.Table.from_pylist(ready, schema=TICKET_METRIC_EVENTS_TABLE.at(1))  # as its footer says
    footer = footer_of((START, PAST, len(rows)), rows=len(rows), content_hash=content_hash(table))
    write_partition(FolderStore(root), METRIC, DAY, table, footer.to_metadata(), layout=layout)
    return named(root, METRIC, [DAY])


def test_the_first_second_belongs_to_the_day_and_the_next_midnight_does_not(tmp_path):
    assert with_a_page_over_it(tmp_path, [START, END - 1]) == {}
    assert "1 row outside the day, for example id 2." in with_a_page_over_it(tmp_path, [START, END])[DAY]
    assert "1 row outside the day, for example id 1." in with_a_page_over_it(tmp_path, [START - 1, END - 1])[DAY]


ROW_GROUPS = {"one row group": LAYOUT, "many row groups": Layout(rows_per_group=3000)}


@pytest.mark.parametrize("layout", ROW_GROUPS.values(), ids=ROW_GROUPS)
@pytest.mark.parametrize("disordered", [500, 3000, MOST_BATCH_ROWS])
def test_the_rows_of_a_large_day_are_in_order_across_batches(tmp_path, disordered, layout):
    """This includes the border of two batches, and of two row groups."""
    times = [START + number for number in range(2 * MOST_BATCH_ROWS)]
    assert with_a_page_over_it(tmp_path, times, layout=layout) == {}
    times[disordered] = times[disordered - 1] - 1
    assert "1 row out of the order of time and id." in with_a_page_over_it(tmp_path, times, layout=layout)[DAY]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_damage_in_one_of_many_row_groups_is_reported(tmp_path, place):
    times = [START + number for number in range(20_000)]
    assert with_a_page_over_it(tmp_path, times, layout=Layout(rows_per_group=100)) == {}
    (file,) = tmp_path.glob("*/*/*.parquet")
    content = bytearray(file.read_bytes())
    groups_end = content.rindex(b"block_crc32") // 2  # well before the footer
    content[int(groups_end * place)] ^= 1
    file.write_bytes(content)
    assert "can't be read as Parquet" in named(tmp_path, METRIC, [DAY])[DAY]
