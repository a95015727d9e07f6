"""Making the three SLA tables of a range of days: read the stored files, apply the rules, write one file a day each.

Every file's footer says what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from ticket_events_pipeline.background_worker import map_ahead, prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError, ReplacedFileError
from ticket_events_pipeline.sla.carry_over_files import carry_over_before
from ticket_events_pipeline.sla.clock_files import CLOCK_CHAIN, CLOCKS, ClocksInput, write_layer
from ticket_events_pipeline.sla.inputs import NOT_LANDED
from ticket_events_pipeline.sla.layer_files import NewLayer
from ticket_events_pipeline.sla.provenance import RULES_VERSION, Provenance, read_sla_day
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


def make_clocks(store: Store, days: list[Day]) -> Iterator[MadeDay]:
    """Make `sla_clocks` of contiguous, ascending days, and carry the clocks over in memory.

    Raises:
        DayNotFetchedError: a day's raw events have not landed.
        ForeignRootError: they belong to days of another timezone.
        DamagedFileError: a stored file can't be read.
    """
    with system_allocator():
        for made, provenance in prefetch(_layers(store, days)):
            day, size_bytes = made.layer.day, write_layer(store, made, provenance)
            url = store.url(partition_path(CLOCKS, day))
            yield MadeDay(day, made.layer.content.table, provenance, made.content_hash, size_bytes, url)


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


def make_targets(store: Store, days: list[Day]) -> Iterator[MadeDay]:
    """Make `sla_targets` of the days, each from its `sla_clocks`.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks` yet.
        DamagedFileError: a stored file can't be read.
    """

    def make(day: Day) -> MadeDay:
        clocks = read_sla_day(store, CLOCKS, day, TARGETS_FROM_CLOCKS, table=SLA_CLOCKS_TABLE)
        table = targets(clocks.rows, day=day, as_of=clocks.provenance.inputs.as_of)
        provenance = replace(clocks.provenance, rules_version=RULES_VERSION)
        return _write(store, TARGETS, day, table, provenance, {MADE_FROM_CLOCKS: clocks.content_hash})

    with system_allocator():
        yield from map_ahead(make, days)


def make_summaries(store: Store, days: list[Day]) -> Iterator[MadeDay]:
    """Make `daily_sla_breach_summary` of the days, each from its `sla_targets`.

    Raises:
        DayNotFetchedError: a day has no `sla_targets` yet.
        DamagedFileError: a stored file can't be read.
    """

    def make(day: Day) -> MadeDay:
        stored = read_sla_day(store, TARGETS, day)
        summary = daily_summary(
            stored.rows,
            day=day,
            as_of=stored.provenance.inputs.as_of,
            events_through=stored.provenance.events_through,
            history_from=stored.provenance.history_from,
        )
        made_from = {MADE_FROM_TARGETS: stored.content_hash}
        restatements = {RESTATEMENTS: str(restatements_after(store, SUMMARY, day, summary))}
        return _write(store, SUMMARY, day, summary, stored.provenance, {**made_from, **restatements})

    with system_allocator():
        yield from map_ahead(make, days)


def _not_fetched(raw: RawDay) -> DayNotFetchedError:
    audits_only = f" ({AUDITS} has, but holds no metric events, and audits say nothing of SLAs)" if raw.states else ""
    return DayNotFetchedError(
        f"{raw.day} can't be summarised: {METRIC_EVENTS} of that day has not landed{audits_only}. "
        f"Materialize {METRIC_EVENTS} of {raw.day} first."
    )


def _write(store: Store, asset: str, day: Day, table: pa.Table, provenance: Provenance, more_footer: dict[str, str]) -> MadeDay:
    """Replace the day's file; `more_footer` adds footer keys."""
    digest = content_hash(table, added=TABLES[asset].added)
    footer = {
        VERSION_KEY: str(SCHEMA_VERSION),
        **provenance.to_metadata(),
        "partition": str(day),
        "content_hash": digest,
        **more_footer,
    }
    if "policy_title" in table.column_names:
        footer["policy_title"] = json.dumps(_titles(table), sort_keys=True)
    size = write_partition(store, asset, day, table, footer)
    restatements = restatements_in(more_footer) if asset == SUMMARY else None
    return MadeDay(day, table, provenance, digest, size, store.url(partition_path(asset, day)), restatements)


def _titles(table: pa.Table) -> dict[str, str]:
    """By policy, the title in the last row that has one."""
    names = ["policy_id", "policy_title"]
    known = table.select(names).drop_null()
    titles = known.group_by(names[0], use_threads=False).aggregate([(names[1], "last")])
    return dict(zip(*(column.to_pylist() for column in titles.columns), strict=True))
