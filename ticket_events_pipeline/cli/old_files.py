"""Stored files that an earlier version made: what that means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.footer_cache import SLA_TABLES
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.storage.partition_file import read_metadata, stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tickets.durations import DURATIONS
from ticket_events_pipeline.tickets.provenance import RULES_VERSION as TICKET_RULES_VERSION


def old_files(store: Store, timezone: str) -> list[str]:
    """A sentence on the tables whose newest file has older columns, and one on each kind whose oldest file follows older rules.

    Raises:
        DamagedFileError, NewerFileError: one of those files can't be read.
    """
    return [*_older_columns(store, timezone), *_older_rules(store, timezone), *_older_ticket_rules(store, timezone)]


def days_without_ticket_tables(store: Store, timezone: str) -> list[Day]:
    """The days whose SLA tables were made before there were ticket tables, or while they were turned off."""
    made, pruned = set(stored_days(store, DURATIONS, timezone)), read_pruned_days(store)
    return [day for day in stored_days(store, SUMMARY, timezone) if day not in made and not pruned.is_closed(day)]


def _open_days(store: Store, table: str, timezone: str) -> list[Day]:
    """The stored days that can be made again."""
    pruned = read_pruned_days(store)
    return [day for day in stored_days(store, table, timezone) if not pruned.is_closed(day)]


def _older_columns(store: Store, timezone: str) -> Iterator[str]:
    older = [table for table in TABLES if _newest_schema(store, table, timezone) < SCHEMA_VERSION]
    if older:
        yield (
            f"The newest files of {', '.join(older)} are of an earlier version. They stay valid, with NULL in newer columns: "
            "read old and new files together with DuckDB's union_by_name = true."
        )


def _newest_schema(store: Store, table: str, timezone: str) -> int:
    """Of the newest file's columns; this version's if there is none."""
    days = stored_days(store, table, timezone)
    metadata = read_metadata(store, table, days[-1]) if days else None
    return SCHEMA_VERSION if metadata is None else int(metadata.get(VERSION_KEY, "1"))


def _older_rules(store: Store, timezone: str) -> Iterator[str]:
    days = _open_days(store, SUMMARY, timezone)
    metadata = read_metadata(store, SUMMARY, days[0]) if days else None
    if metadata is None:
        return
    version = int(metadata.get("rules_version", "1"))
    if version < RULES_VERSION:
        assets = " ".join(f"--asset {table}" for table in SLA_TABLES)
        yield (
            f"The SLA tables of {days[0]} were made by rules version {version}; new ones follow {RULES_VERSION}. To apply them "
            f"to all days, without a request: {program()} backfill {days[0]}..{days[-1]} {assets}"
        )


def _older_ticket_rules(store: Store, timezone: str) -> Iterator[str]:
    days = _open_days(store, DURATIONS, timezone)
    metadata = read_metadata(store, DURATIONS, days[0]) if days else None
    if metadata is None:
        return
    version = int(metadata.get("ticket_rules_version", "1"))
    if version < TICKET_RULES_VERSION:
        yield (
            f"The ticket tables of {days[0]} were made by rules version {version}; new ones follow {TICKET_RULES_VERSION}. To "
            f"apply them to all days, without fetching events: {program()} backfill {days[0]}..{days[-1]} --tickets"
        )
