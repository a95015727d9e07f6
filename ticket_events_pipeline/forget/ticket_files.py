"""The blanking of what is made from audits: ticket tables, names, and reports."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Iterable

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.forgotten.blanking import Blanking, Changed, changed
from ticket_events_pipeline.forgotten.kept import TAGS
from ticket_events_pipeline.forgotten.ledger import TICKET
from ticket_events_pipeline.report.files import LATEST, REPORT, bring_latest_up_to_date, read_page, report_days, report_path
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import (
    Layout,
    opened_partition,
    read_metadata,
    read_partition,
    read_partition_and_metadata,
    write_partition,
)
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION, MADE_FROM_DIMENSIONS, make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import CHANGES, is_made_from, make_changes
from ticket_events_pipeline.tickets.changes import LAYOUT as CHANGES_LAYOUT
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.names import USERS, fetched_at, read_kind, write_kind
from ticket_events_pipeline.tickets.provenance import LAYOUT as TICKET_LAYOUT
from ticket_events_pipeline.tickets.states import LAYERED_STATES, STATES

_WITH_SUBJECT = re.compile(r">#([0-9]+)</(?:a|span)>\s*<bdi")
"""How a report names a ticket and its subject."""

_Change = Callable[[pa.Table], pa.Table]


def blank_changes(store: Store, day: Day, blanking: Blanking, *, dry_run: bool = False) -> Changed:
    """Make a day's `ticket_field_changes` again from blanked audits; where those are gone, blank the stored rows.

    Raises:
        DamagedFileError: a stored file can't be read.
    """
    found = read_partition_and_metadata(store, CHANGES, day)
    if found is None:
        return Changed()
    before, metadata = found
    after, raw = blanking.changes(before), read_raw_footer(store, AUDITS, day)
    is_outdated = raw is not None and raw.forgotten_rows is not None and not is_made_from(metadata, raw.content_hash)
    if not dry_run and raw is not None and (after is not before or is_outdated):
        list(make_changes(store, [day]))
    elif not dry_run and after is not before:
        _write(store, CHANGES, day, after, metadata, CHANGES_LAYOUT)
    return changed(before, after)


def blank_states(store: Store, day: Day, blanking: Blanking, *, dry_run: bool = False) -> Changed:
    """Blank the rows of a day's `ticket_states`.

    Raises:
        DamagedFileError: the file can't be read.
    """
    return _blanked(store, STATES, day, blanking.fields, LAYERED_STATES.layout, dry_run=dry_run)


def blank_dimensions(store: Store, day: Day, blanking: Blanking, *, dry_run: bool = False) -> Changed:
    """Blank the rows of a day's `sla_target_dimensions`, and make the figures by dimension again if they changed.

    Raises:
        DamagedFileError: a stored file can't be read.
    """
    found = _blanked(store, DIMENSIONS, day, blanking.dimensions, TICKET_LAYOUT, dry_run=dry_run)
    if not dry_run and not _is_made_from_dimensions(store, day):
        try:
            list(make_breaches_by_dimension(store, [day]))
        except DayNotFetchedError:  # its targets were pruned, or made again since: then the sensor has it made from them
            _drop_values_no_target_has(store, day)
    return found


def _drop_values_no_target_has(store: Store, day: Day) -> None:
    """Drop the figures by tags and custom fields whose value no stored row of `sla_target_dimensions` has any more."""
    figures, dimensions = read_partition_and_metadata(store, BY_DIMENSION, day), read_partition(store, DIMENSIONS, day)
    if figures is None or dimensions is None:
        return
    rows, metadata = figures
    held: dict[str, set[str]] = {"tag": {tag for tags in dimensions[TAGS].to_pylist() for tag in tags or ()}}
    held |= {name: set(dimensions[name].to_pylist()) for name in dimensions.schema.names if name.startswith(CUSTOM_FIELD)}
    pairs = zip(rows["dimension"].to_pylist(), rows["value"].to_pylist(), strict=True)
    is_kept = [value is None or name not in held or value in held[name] for name, value in pairs]
    if not all(is_kept):
        _write(store, BY_DIMENSION, day, rows.filter(pa.array(is_kept)), metadata, TICKET_LAYOUT)


def blank_names(store: Store, blanking: Blanking, *, dry_run: bool = False) -> Changed:
    """Remove forgotten users from the names.

    Raises:
        DamagedFileError: the file can't be read.
    """
    rows = read_kind(store, USERS)
    if rows is None:
        return Changed()
    kept = blanking.names(rows)
    removed = rows.num_rows - kept.num_rows
    if removed and not dry_run:
        write_kind(store, USERS, kept, fetched_at=fetched_at(store, USERS) or 0)
    return Changed(removed, removed)


def pages_showing(store: Store, blanking: Blanking, subjects_of: Collection[int]) -> set[str]:
    """The paths of reports that mention a forgotten person, or show the subject of a ticket: a forgotten one or those given."""
    return {path for path in store.paths(REPORT) if _shows_forgotten(store, path, blanking, subjects_of)}


def pages_of(store: Store, days: Iterable[Day]) -> set[str]:
    """The paths of the reports of days, where there are some."""
    return set(map(report_path, days)).intersection(store.paths(REPORT))


def remove_pages(store: Store, timezone: str, paths: Collection[str]) -> None:
    """Remove reports. The newest one of a day that is left becomes `latest.html`."""
    store.delete(*paths, LATEST)
    if report_days(store, timezone):
        bring_latest_up_to_date(store, timezone)


def _shows_forgotten(store: Store, path: str, blanking: Blanking, subjects_of: Collection[int]) -> bool:
    page = read_page(store, path)
    text = html.unescape((page or b"").decode(errors="replace"))
    with_subject = set(map(int, _WITH_SUBJECT.findall(text)))
    is_forgotten = any(number in subjects_of or blanking.ledger.holds(TICKET, number) for number in with_subject)
    return is_forgotten or blanking.mentions_person(text)


def _is_made_from_dimensions(store: Store, day: Day) -> bool:
    """Whether the figures by dimension are those of the stored dimensions; also where there are none."""
    figures, dimensions = read_metadata(store, BY_DIMENSION, day), read_metadata(store, DIMENSIONS, day)
    return figures is None or dimensions is None or figures.get(MADE_FROM_DIMENSIONS) == dimensions.get("content_hash")


def _blanked(store: Store, asset: str, day: Day, change: _Change, layout: Layout, *, dry_run: bool) -> Changed:
    with opened_partition(store, asset, day) as file:
        if file is None:
            return Changed()
        before, metadata = file.read(), file.metadata
    after = change(before)
    if after is not before and not dry_run:
        # The hash of states is that of what they were made from.
        digest = metadata["content_hash"] if asset == STATES else None
        _write(store, asset, day, after, metadata, layout, digest=digest)
    return changed(before, after)


def _write(
    store: Store, asset: str, day: Day, rows: pa.Table, metadata: dict[str, str], layout: Layout, *, digest: str | None = None
) -> None:
    digest = digest or content_hash(rows, added=TABLES[asset].added)
    write_partition(
        store, asset, day, rows, {**metadata, VERSION_KEY: str(SCHEMA_VERSION), "content_hash": digest}, layout=layout
    )
