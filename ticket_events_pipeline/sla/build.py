"""Making the three SLA tables of a range of days: read the stored files, apply the rules, write one file a day each.

Every file's footer says what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from ticket_events_pipeline.background_worker import BackgroundWorker, map_ahead, prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError, ReplacedFileError
from ticket_events_pipeline.sla.carry_over_files import carry_over_before
from ticket_events_pipeline.sla.clock_files import CLOCK_CHAIN, CLOCKS, ClocksInput, write_layer
from ticket_events_pipeline.sla.inputs import NOT_LANDED
from ticket_events_pipeline.sla.layer_files import NewLayer
from ticket_events_pipeline.sla.made_ahead import MadeAhead, WrittenFile
from ticket_events_pipeline.sla.provenance import RULES_VERSION, Provenance, find_sla_day, read_sla_day
from ticket_events_pipeline.sla.restatements import RESTATEMENTS, restatements_after, restatements_in
from ticket_events_pipeline.sla.rules.daily_summary import daily_summary
from ticket_events_pipeline.sla.rules.targets import targets
from ticket_events_pipeline.sla.sources import RawDay, read_raw
from ticket_events_pipeline.sla.up_to_date import MADE_FROM_CLOCKS, MADE_FROM_TARGETS
from ticket_events_pipeline.storage.arrow_memory import system_allocator
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import partition_path, write_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.streams import AUDITS, METRIC_EVENTS

TARGETS, SUMMARY = "sla_targets", "daily_sla_breach_summary"

TARGETS_FROM_CLOCKS = [name for name in SLA_CLOCKS_TABLE.schema.names if name not in ("position", "is_fulfilled")]


@dataclass(frozen=True)
class MadeDay:
    """A written day of an SLA table: its rows, how they were made, and their file.

    Attributes:
        restatements: how often a summary's figures changed after the day was complete; None for the other tables.
    """

    day: Day
    table: pa.Table
    provenance: Provenance
    content_hash: str
    size_bytes: int
    url: str
    restatements: int | None = None


def make_clocks(store: Store, days: list[Day], *, ahead: MadeAhead | None = None) -> Iterator[MadeDay]:
    """Make `sla_clocks` of contiguous, ascending days, and carry the clocks over in memory.

    With `ahead`, also the other two tables of each day, for the steps of this run that will make them. An error there
    is raised by those steps.

    Raises:
        DayNotFetchedError: a day's raw events have not landed.
        ForeignRootError: they belong to days of another timezone.
        DamagedFileError: a stored file can't be read.
    """
    with system_allocator(), BackgroundWorker(limit=2) as further_tables:
        for layer, provenance in prefetch(_layers(store, days)):
            day, size_bytes = layer.layer.day, write_layer(store, layer, provenance)
            url = store.url(partition_path(CLOCKS, day))
            made = MadeDay(day, layer.layer.content.table, provenance, layer.content_hash, size_bytes, url)
            if ahead is not None:
                further_tables.submit(partial(_make_ahead, store, made, ahead))
            yield made


def _make_ahead(store: Store, clocks: MadeDay, ahead: MadeAhead) -> None:
    with suppress(Exception):  # the step that makes this table will raise it
        rows = clocks.table.select(TARGETS_FROM_CLOCKS)
        made = _make_targets(store, clocks.day, rows, clocks.provenance, clocks.content_hash, ahead=ahead)
        _make_summary(store, made.day, made.table, made.provenance, made.content_hash, ahead=ahead)


def _layers(store: Store, days: list[Day]) -> Iterator[tuple[NewLayer, Provenance]]:
    state = carry_over_before(store, CLOCK_CHAIN, days[0], for_days=len(days))
    for raw in prefetch(read_raw(store, day) for day in days):
        try:
            new = _clocks_input(raw)
            followed = state.followed_by(CLOCK_CHAIN, raw.day, new)
        except ReplacedFileError:  # by a fetch of the open day, which may run every few minutes
            new = _clocks_input(read_raw(store, raw.day))
            followed = state.followed_by(CLOCK_CHAIN, raw.day, new)
        inputs = replace(new.inputs, previous_clocks=state.previous or NOT_LANDED)
        state, made = followed
        known = state.known
        yield made, Provenance(inputs, known.events_through, known.history_from, known.deletions)


def _clocks_input(raw: RawDay) -> ClocksInput:
    new = ClocksInput.of(raw)
    if new is None:
        raise _not_fetched(raw)
    return new


def make_targets(store: Store, days: list[Day], *, ahead: MadeAhead | None = None) -> Iterator[MadeDay]:
    """Make `sla_targets` of the days, each from its `sla_clocks`, as far as they weren't made `ahead`.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks` yet.
        DamagedFileError: a stored file can't be read.
    """

    def make(day: Day) -> MadeDay:
        if (made := _made_ahead(store, TARGETS, day, ahead)) is not None:
            return made
        clocks = read_sla_day(store, CLOCKS, day, TARGETS_FROM_CLOCKS, table=SLA_CLOCKS_TABLE)
        return _make_targets(store, day, clocks.rows, clocks.provenance, clocks.content_hash)

    with system_allocator():
        yield from map_ahead(make, days)


def make_summaries(store: Store, days: list[Day], *, ahead: MadeAhead | None = None) -> Iterator[MadeDay]:
    """Make `daily_sla_breach_summary` of the days, each from its `sla_targets`, as far as they weren't made `ahead`.

    Raises:
        DayNotFetchedError: a day has no `sla_targets` yet.
        DamagedFileError: a stored file can't be read.
    """

    def make(day: Day) -> MadeDay:
        if (made := _made_ahead(store, SUMMARY, day, ahead)) is not None:
            return made
        stored = read_sla_day(store, TARGETS, day)
        return _make_summary(store, day, stored.rows, stored.provenance, stored.content_hash)

    with system_allocator():
        yield from map_ahead(make, days)


def _made_ahead(store: Store, asset: str, day: Day, ahead: MadeAhead | None) -> MadeDay | None:
    """The day, if an earlier step of the run has written its file, and that is the stored one."""
    file = None if ahead is None else ahead.take(asset, day)
    if file is None:
        return None
    with suppress(DamagedFileError):  # then it is made again
        stored = find_sla_day(store, asset, day)
        if stored is not None and stored.metadata == file.metadata:
            return _made(store, asset, day, stored.rows, file)
    return None


def _make_targets(
    store: Store, day: Day, clocks: pa.Table, provenance: Provenance, clocks_hash: str, *, ahead: MadeAhead | None = None
) -> MadeDay:
    table = targets(clocks, day=day, as_of=provenance.inputs.as_of)
    made_by = replace(provenance, rules_version=RULES_VERSION)
    return _write(store, TARGETS, day, table, made_by, {MADE_FROM_CLOCKS: clocks_hash}, ahead=ahead)


def _make_summary(
    store: Store, day: Day, targets: pa.Table, provenance: Provenance, targets_hash: str, *, ahead: MadeAhead | None = None
) -> MadeDay:
    summary = daily_summary(
        targets,
        day=day,
        as_of=provenance.inputs.as_of,
        events_through=provenance.events_through,
        history_from=provenance.history_from,
    )
    restatements = {RESTATEMENTS: str(restatements_after(store, SUMMARY, day, summary))}
    return _write(store, SUMMARY, day, summary, provenance, {MADE_FROM_TARGETS: targets_hash, **restatements}, ahead=ahead)


def _not_fetched(raw: RawDay) -> DayNotFetchedError:
    audits_only = f" ({AUDITS} has, but holds no metric events, and audits say nothing of SLAs)" if raw.states else ""
    return DayNotFetchedError(
        f"{raw.day} can't be summarised: {METRIC_EVENTS} of that day has not landed{audits_only}. "
        f"Materialize {METRIC_EVENTS} of {raw.day} first."
    )


def _write(
    store: Store,
    asset: str,
    day: Day,
    table: pa.Table,
    provenance: Provenance,
    more_footer: dict[str, str],
    *,
    ahead: MadeAhead | None,
) -> MadeDay:
    """Replace the day's file; `more_footer` adds footer keys. With `ahead`, it is kept for the step that makes the table."""
    footer = {
        VERSION_KEY: str(SCHEMA_VERSION),
        **provenance.to_metadata(),
        "partition": str(day),
        "content_hash": content_hash(table, added=TABLES[asset].added),
        **more_footer,
    }
    if "policy_title" in table.column_names:
        footer["policy_title"] = json.dumps(_titles(table), sort_keys=True)
    file = WrittenFile(footer, write_partition(store, asset, day, table, footer))
    if ahead is not None:
        ahead.add(asset, day, file)
    return _made(store, asset, day, table, file)


def _made(store: Store, asset: str, day: Day, table: pa.Table, file: WrittenFile) -> MadeDay:
    return MadeDay(
        day,
        table,
        Provenance.from_metadata(file.metadata),
        file.metadata["content_hash"],
        file.size_bytes,
        store.url(partition_path(asset, day)),
        restatements_in(file.metadata) if asset == SUMMARY else None,
    )


def _titles(table: pa.Table) -> dict[str, str]:
    """By policy, the title in the last row that has one."""
    names = ["policy_id", "policy_title"]
    known = table.select(names).drop_null()
    titles = known.group_by(names[0], use_threads=False).aggregate([(names[1], "last")])
    return dict(zip(*(column.to_pylist() for column in titles.columns), strict=True))
