"""Making the three SLA tables of a range of days: read the stored files, apply the rules, write one file a day each.

Every file's footer says what it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.background_worker import map_ahead, prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError, ReplacedFileError
from ticket_events_pipeline.sla.carry_over_files import carry_over_before
from ticket_events_pipeline.sla.clock_files import CLOCK_CHAIN, CLOCKS, ClocksInput, write_layer
from ticket_events_pipeline.sla.inputs import NOT_LANDED
from ticket_events_pipeline.sla.layer_files import NewLayer
from ticket_events_pipeline.sla.precomputed import PrecomputedDays, PrecomputedSummary, PrecomputedTargets
from ticket_events_pipeline.sla.provenance import RULES_VERSION, Provenance, read_sla_day
from ticket_events_pipeline.sla.restatements import RESTATEMENTS, restatements_after, restatements_in
from ticket_events_pipeline.sla.rules.daily_summary import daily_summary
from ticket_events_pipeline.sla.rules.targets import targets
from ticket_events_pipeline.sla.sources import RawDay, read_raw
from ticket_events_pipeline.sla.up_to_date import MADE_FROM_CLOCKS, MADE_FROM_TARGETS
from ticket_events_pipeline.storage.arrow_memory import keeping_allocator
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import (
    encoded_partition,
    partition_path,
    put_encoded,
    read_metadata,
    write_partition,
)
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


def make_clocks(store: Store, days: list[Day], *, precomputed: PrecomputedDays | None = None) -> Iterator[MadeDay]:
    """Make `sla_clocks` of contiguous, ascending days, and carry the clocks over in memory.

    With `precomputed`, also the other two tables of each day, for the steps of this run that will store them, as long as there
    is room. These steps raise what fails there.

    Raises:
        DayNotFetchedError: a day's raw events have not landed.
        ForeignRootError: they belong to days of another timezone.
        DamagedFileError: a stored file can't be read.
    """
    with keeping_allocator():
        has_room = True
        for layer, provenance in prefetch(_layers(store, days)):
            day, size_bytes = layer.layer.day, write_layer(store, layer, provenance)
            url = store.url(partition_path(CLOCKS, day))
            made = MadeDay(day, layer.layer.content.table, provenance, layer.content_hash, size_bytes, url)
            yield made  # first: a run that is ended while it makes further tables has recorded the day
            if precomputed is not None and has_room:
                has_room = _precompute(made, precomputed)


def _precompute(clocks: MadeDay, precomputed: PrecomputedDays) -> bool:
    """Make the other two tables of the day; False if there was no room for them, and so is none for a further day."""
    with suppress(Exception):  # the step that makes this table raises it
        rows, footer = _targets(clocks.day, clocks.table.select(TARGETS_FROM_CLOCKS), clocks.provenance, clocks.content_hash)
        made_from = {**clocks.provenance.to_metadata(), "content_hash": clocks.content_hash}
        further_targets = PrecomputedTargets(made_from, footer, encoded_partition(rows, footer))
        return precomputed.add(
            clocks.day, further_targets, PrecomputedSummary(footer, _summary(clocks.day, rows, clocks.provenance))
        )
    return True


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


def make_targets(store: Store, days: list[Day], *, precomputed: PrecomputedDays | None = None) -> Iterator[MadeDay]:
    """Make `sla_targets` of the days, each from its `sla_clocks`; what is `precomputed` from these is only stored.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks` yet.
        DamagedFileError: a stored file can't be read.
    """

    def make(day: Day) -> MadeDay:
        found = None if precomputed is None else precomputed.take_targets(day)
        if found is not None and _is_stored(store, CLOCKS, day, found.made_from):
            put_encoded(store, TARGETS, day, found.content)
            table = pq.read_table(pa.BufferReader(found.content)).replace_schema_metadata()
            return _made(store, TARGETS, day, table, found.footer, len(found.content))
        clocks = read_sla_day(store, CLOCKS, day, TARGETS_FROM_CLOCKS, table=SLA_CLOCKS_TABLE)
        return _write(store, TARGETS, day, *_targets(day, clocks.rows, clocks.provenance, clocks.content_hash))

    with keeping_allocator():
        yield from map_ahead(make, days)


def make_summaries(store: Store, days: list[Day], *, precomputed: PrecomputedDays | None = None) -> Iterator[MadeDay]:
    """Make `daily_sla_breach_summary` of the days, each from its `sla_targets`; those `precomputed` from these are only stored.

    Raises:
        DayNotFetchedError: a day has no `sla_targets` yet.
        DamagedFileError: a stored file can't be read.
    """

    def make(day: Day) -> MadeDay:
        found = None if precomputed is None else precomputed.take_summary(day)
        if found is not None and _is_stored(store, TARGETS, day, found.made_from):
            summary, made_from = found.rows, found.made_from
        else:
            stored = read_sla_day(store, TARGETS, day)
            summary, made_from = _summary(day, stored.rows, stored.provenance), stored.metadata
        more = {
            MADE_FROM_TARGETS: made_from.get("content_hash", ""),
            RESTATEMENTS: str(restatements_after(store, SUMMARY, day, summary)),
        }
        return _write(store, SUMMARY, day, summary, _footer(SUMMARY, day, summary, Provenance.from_metadata(made_from), more))

    with keeping_allocator():
        yield from map_ahead(make, days)


def _is_stored(store: Store, asset: str, day: Day, footer: Mapping[str, str]) -> bool:
    """Whether the footer of the day's file has these entries, with others or without."""
    stored = read_metadata(store, asset, day)
    return stored is not None and footer.items() <= stored.items()


def _targets(day: Day, clocks: pa.Table, made_from: Provenance, clocks_hash: str) -> tuple[pa.Table, dict[str, str]]:
    """The day's rows of `sla_targets`, and the footer of their file."""
    table = targets(clocks, day=day, as_of=made_from.inputs.as_of)
    provenance = replace(made_from, rules_version=RULES_VERSION)
    return table, _footer(TARGETS, day, table, provenance, {MADE_FROM_CLOCKS: clocks_hash})


def _summary(day: Day, targets: pa.Table, made_from: Provenance) -> pa.Table:
    return daily_summary(
        targets,
        day=day,
        as_of=made_from.inputs.as_of,
        events_through=made_from.events_through,
        history_from=made_from.history_from,
    )


def _not_fetched(raw: RawDay) -> DayNotFetchedError:
    audits_only = f" ({AUDITS} has, but holds no metric events, and audits say nothing of SLAs)" if raw.states else ""
    return DayNotFetchedError(
        f"{raw.day} can't be summarised: {METRIC_EVENTS} of that day has not landed{audits_only}. "
        f"Materialize {METRIC_EVENTS} of {raw.day} first."
    )


def _footer(asset: str, day: Day, table: pa.Table, provenance: Provenance, more: Mapping[str, str]) -> dict[str, str]:
    """The metadata in the footer of a file of `sla_targets` or of the summary; `more` adds keys."""
    footer = {
        VERSION_KEY: str(SCHEMA_VERSION),
        **provenance.to_metadata(),
        "partition": str(day),
        "content_hash": content_hash(table, added=TABLES[asset].added),
        **more,
    }
    if "policy_title" in table.column_names:
        footer["policy_title"] = json.dumps(_titles(table), sort_keys=True)
    return footer


def _write(store: Store, asset: str, day: Day, table: pa.Table, footer: Mapping[str, str]) -> MadeDay:
    """Replace the day's file."""
    return _made(store, asset, day, table, footer, write_partition(store, asset, day, table, footer))


def _made(store: Store, asset: str, day: Day, table: pa.Table, footer: Mapping[str, str], size_bytes: int) -> MadeDay:
    return MadeDay(
        day,
        table,
        Provenance.from_metadata(footer),
        footer["content_hash"],
        size_bytes,
        store.url(partition_path(asset, day)),
        restatements_in(footer) if asset == SUMMARY else None,
    )


def _titles(table: pa.Table) -> dict[str, str]:
    """By policy, the title in the last row that has one."""
    names = ["policy_id", "policy_title"]
    known = table.select(names).drop_null()
    titles = known.group_by(names[0], use_threads=False).aggregate([(names[1], "last")])
    return dict(zip(*(column.to_pylist() for column in titles.columns), strict=True))
