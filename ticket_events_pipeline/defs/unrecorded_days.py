"""Where Dagster's log and the stored files differ: days that are stored and not recorded, and the reverse.

The former are recorded from their files' footers, so that the UI shows them; the latter can only be reported.

A day is recorded if its newest record describes another file than the stored one, and so at most once per file. A tick records
a limited number of days: each takes the daemon some milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import dagster as dg

from ticket_events_pipeline.background_worker import map_concurrently
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.assets.raw import committed_metadata
from ticket_events_pipeline.defs.assets.sla import sla_metadata, summary_metadata
from ticket_events_pipeline.defs.assets.tickets import ticket_metadata
from ticket_events_pipeline.defs.event_log import EventLog, Record
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.shown_metadata import CONTENT_HASH, page_place, report_links, with_short_hashes
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.ingest.written_day import WrittenDay
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.report.files import REPORT, report_days
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.footer_cache import TICKET_TABLES, Footer, StoredFooters
from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.restatements import restatements_in
from ticket_events_pipeline.storage.partition_file import opened_partition, partition_path
from ticket_events_pipeline.storage.pruned_days import PrunedDays
from ticket_events_pipeline.storage.raw_footer import opened_raw_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.provenance import MADE_FROM_STATES, MADE_FROM_TARGETS

MAX_RECORDED_PER_TICK = 200
"""The daemon needs some ten milliseconds for each, and does nothing else meanwhile: two seconds."""

COMPARED_METADATA = (
    "content_hash",
    "complete",
    *MADE_FROM_RAW,
    "made_from_previous_clocks",
    MADE_FROM_TARGETS,
    MADE_FROM_STATES,
)
"""The metadata that distinguishes two files of a day. Records of earlier versions lack some of it."""

DESCRIPTION = "Recorded from the stored file's footer, since Dagster's log had no record of it."

AssetDay = tuple[str, Day]


def recordable_days(stored: StoredFooters, is_partition: Callable[[Day], bool]) -> dict[str, list[Day]]:
    """By table, the days whose files can be recorded."""
    return {
        table: [day for day, footer in footers.items() if "content_hash" in footer and is_partition(day)]
        for table, footers in stored.footers.items()
    }


def unrecorded_days(stored: StoredFooters, recordable: Mapping[str, Collection[Day]], log: EventLog) -> list[AssetDay]:
    """The files that the newest record of their day doesn't describe, as far as records have been read; oldest day first."""
    found = [
        (table, day)
        for table, days in recordable.items()
        for day in days
        if not log.has_record(table, day) or _describes_another(log.record(table, day), stored.footers[table][day])
    ]
    return sorted(found, key=lambda asset_day: asset_day[1])


def _describes_another(record: Record | None, footer: Footer) -> bool:
    """Whether the record, if it has been read, describes another file than the footer."""
    if record is None:
        return False
    if "content_hash" not in record:
        return True
    return any(name in record and _compared(name, record) != _compared(name, footer) for name in COMPARED_METADATA)


def _compared(name: str, values: Mapping[str, str]) -> str | None:
    """A content hash is compared as a whole; of the hashes that a file was made from, records hold the beginning."""
    text = values.get(name)
    return text if text is None or name == CONTENT_HASH else with_short_hashes(text)


def unrecorded_reports(store: Store, scope: AccountScope, summarised: Collection[Day], log: EventLog) -> list[AssetDay]:
    """The report pages that have no record; the store is listed only if a summarised day has no record of its page."""
    missing = [day for day in summarised if not log.has_record(REPORT, day)]
    if not missing:
        return []
    stored = set(report_days(store, scope.timezone))
    return [(REPORT, day) for day in sorted(stored.intersection(missing))]


def unstored_days(
    stored: StoredFooters, pruned: PrunedDays, log: EventLog, is_partition: Callable[[Day], bool]
) -> dict[str, list[Day]]:
    """By raw asset, the days that the UI shows as materialized though the root holds no file of them and none was pruned.

    Empty as long as files are unread, since those may be the missing ones.
    """
    if stored.unread:
        return {}
    found = {
        stream: sorted(
            day
            for day in log.days(stream)
            if is_partition(day)
            and day not in stored.footers[stream]
            and day not in stored.unreadable[stream]
            and not pruned.has(stream, day)
        )
        for stream in STREAMS
    }
    return {stream: days for stream, days in found.items() if days}


def materialisations(scope: AccountScope, store: Store, days: Sequence[AssetDay]) -> list[dg.AssetMaterialization | None]:
    """A materialisation of each, from its file's footer; None if the file is gone or can't be read."""
    pipeline = scope.pipeline()

    def record(asset_day: AssetDay) -> dg.AssetMaterialization | None:
        asset, day = asset_day
        with suppress(TicketEventsError, FileNotFoundError, KeyError, ValueError):
            metadata = _metadata(pipeline, store, asset, day)
            if metadata is not None:
                key = scope.key(asset)
                return dg.AssetMaterialization(key, description=DESCRIPTION, partition=str(day), metadata=metadata)
        return None

    return map_concurrently(record, days)


def _metadata(pipeline: Pipeline, store: Store, asset: str, day: Day) -> Mapping[str, Any] | None:
    if asset == REPORT:
        return {**report_links(pipeline.root_settings, day), **page_place(store, day)}
    if asset in TICKET_TABLES:
        return _ticket_metadata(store, asset, day)
    return _raw_metadata(store, asset, day) if asset in STREAMS else _sla_metadata(pipeline, store, asset, day)


def _raw_metadata(store: Store, stream: str, day: Day) -> Mapping[str, Any] | None:
    with opened_raw_day(store, stream, day) as opened:
        if opened is None:
            return None
        file, footer = opened
        oldest, newest = _times(file)
        rows = footer.metric_rows or 0
        committed = WrittenDay(day, footer, _size(store, stream, day), file.url, rows, oldest, newest)
    metadata = committed_metadata(committed)
    if footer.metric_rows is None:
        del metadata["metric_rows"]
    return metadata


def _times(file: StoredFile) -> tuple[int | None, int | None]:
    """The times of the first and the last event, epoch seconds, by the row-group statistics; None without these."""
    place = file.own_schema.get_field_index("time")
    statistics = [file.row_group(number).column(place).statistics for number in range(file.num_row_groups)]
    known = [one for one in statistics if one is not None and one.has_min_max]
    if not known or len(known) < len(statistics):
        return None, None
    return int(min(one.min for one in known).timestamp()), int(max(one.max for one in known).timestamp())


def _sla_metadata(pipeline: Pipeline, store: Store, table: str, day: Day) -> Mapping[str, Any] | None:
    with opened_partition(store, table, day) as file:
        if file is None:
            return None
        footer = file.metadata
        provenance = Provenance.from_metadata(footer)
        metadata = sla_metadata(
            provenance,
            rows=file.num_rows,
            url=file.url,
            size_bytes=_size(store, table, day),
            content_hash=footer["content_hash"],
        )
        if table == SUMMARY:
            restatements = restatements_in(footer)
            metadata = summary_metadata(file.read(), provenance, pipeline, day, restatements=restatements) | metadata
    return metadata


def _ticket_metadata(store: Store, table: str, day: Day) -> Mapping[str, Any] | None:
    with opened_partition(store, table, day) as file:
        if file is None:
            return None
        return ticket_metadata(
            file.metadata,
            rows=file.num_rows,
            url=file.url,
            size_bytes=_size(store, table, day),
            content_hash=file.metadata["content_hash"],
        )


def _size(store: Store, asset: str, day: Day) -> int:
    with store.reader(partition_path(asset, day)) as source:
        return source.seek(0, os.SEEK_END)
