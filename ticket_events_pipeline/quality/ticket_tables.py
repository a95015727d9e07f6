"""Checks of the stored ticket tables: they cover every target, add up to the summary, and know whose breach it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, materialize_again
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.up_to_date import MADE_FROM_TARGETS as SUMMARY_MADE_FROM_TARGETS
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import SLA_TARGET_DIMENSIONS_TABLE
from ticket_events_pipeline.text import counted, markdown_code
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.fields import ASSUMED
from ticket_events_pipeline.tickets.fields import DIMENSIONS as FIELD_OF_DIMENSION
from ticket_events_pipeline.tickets.provenance import MADE_FROM_TARGETS, TicketProvenance
from ticket_events_pipeline.tickets.rules.breaches_by_dimension import COUNTED
from ticket_events_pipeline.tickets.rules.known_by import codes_in
from ticket_events_pipeline.tickets.rules.values import IS_UNKNOWN, KNOWN_BY

TAG = "tag"
"""A target counts once under each of its tags, so its figures don't add up to the summary's."""

MAX_UNKNOWN_SHARE = 0.2
"""With a larger share of targets of which a dimension is unknown, its splits say little."""

MIN_TARGETS = 50
"""Of fewer targets a share means nothing."""

FIRST_DAYS = 7
"""Days since the first known event that are skipped: most of their tickets were created before it."""

TARGET_KEY = list(SLA_TARGET_DIMENSIONS_TABLE.key)

Sums = Mapping[str, Counter[str]]
"""The figures that can be added up, by SLA metric."""


@dataclass(frozen=True)
class _File:
    """A day's file of a table: rows and footer."""

    rows: pa.Table
    footer: Mapping[str, str]


def _remake(day: Day) -> str:
    return materialize_again(f"{DIMENSIONS} and {BY_DIMENSION}", day)


def _read(store: Store, asset: str, day: Day, columns: list[str]) -> _File | Finding | None:
    """The day's file, or why it can't be taken as it is; None without one."""
    try:
        found = read_partition_and_metadata(store, asset, day, columns)
    except NewerFileError as error:
        return Finding(f"{asset}: {error.problem}", error.remedy)
    except DamagedFileError as error:
        return Finding(f"The file of {asset} can't be read ({' '.join(str(error).split())})", _remake(day))
    return None if found is None else _File(*found)


def dimensions_cover_every_target(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: `sla_target_dimensions` has one row for each row of `sla_targets`, and no other."""
    for day in days:
        yield _compared(store, day, (DIMENSIONS, TARGET_KEY), (TARGETS, TARGET_KEY), _uncovered)


def dimension_sums_match_summary(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: for every dimension but the tags, the figures of all values add up to those of the summary."""
    columns = ["sla_metric", *COUNTED]
    for day in days:
        yield _compared(store, day, (BY_DIMENSION, ["dimension", *columns]), (SUMMARY, columns), _wrong_sums)


def _compared(
    store: Store,
    day: Day,
    table: tuple[str, list[str]],
    with_table: tuple[str, list[str]],
    problems: Callable[[_File, _File], Iterator[str]],
) -> CheckedDay:
    """The result of comparing a day's files of two tables, of which these columns are read."""
    found, other = (_read(store, asset, day, columns) for asset, columns in (table, with_table))
    if not isinstance(found, _File):
        return _not_checked(day, table[0], found)
    if not isinstance(other, _File):
        return _not_checked(day, with_table[0], other)
    if found.footer.get(MADE_FROM_TARGETS) != _targets_of(with_table[0], other):
        return CheckedDay(day, skipped_reason=f"it was made from other targets than the stored {with_table[0]}")
    text = " ".join(problems(found, other))
    return CheckedDay(day, (Finding(text, _remake(day)),) if text else (), figures={"rows": found.rows.num_rows})


def _not_checked(day: Day, asset: str, stored: Finding | None) -> CheckedDay:
    if stored is None:
        return CheckedDay(day, skipped_reason=f"no {asset} of the day is stored")
    return CheckedDay(day, (stored,))


def _targets_of(asset: str, stored: _File) -> str | None:
    """The content hash of `sla_targets`, by its own footer or by that of a table made from it."""
    return stored.footer.get("content_hash" if asset == TARGETS else SUMMARY_MADE_FROM_TARGETS)


def _uncovered(dimensions: _File, targets: _File) -> Iterator[str]:
    rows, wanted = dimensions.rows, targets.rows
    if rows.num_rows != wanted.num_rows:
        have = counted(rows.num_rows, "row", "rows")
        yield f"{DIMENSIONS} has {have}, but {TARGETS} has {wanted.num_rows}."
    elif not rows.equals(wanted):
        yield f"The rows of {DIMENSIONS} are not of the targets in {TARGETS}."


def _wrong_sums(by_dimension: _File, summary: _File) -> Iterator[str]:
    expected = _sums(summary.rows)
    for dimension in _additive_dimensions(by_dimension.footer):
        found = _sums(by_dimension.rows.filter(pc.equal(by_dimension.rows["dimension"], dimension)))
        for metric in sorted(expected.keys() | found.keys()):
            have, wanted = found.get(metric, Counter()), expected.get(metric, Counter())
            differing = [f"{have[name]} {name}, not {wanted[name]}" for name in COUNTED if have[name] != wanted[name]]
            if differing:
                split = f"{markdown_code(dimension)} and {markdown_code(metric)}"
                yield f"The rows of {split} add up to {', '.join(differing)} as in {SUMMARY}."


def _additive_dimensions(footer: Mapping[str, str]) -> list[str]:
    return [name for name in _dimensions(footer) if name != TAG]


def _dimensions(footer: Mapping[str, str]) -> dict[str, str]:
    """The field of each dimension that a table was made with."""
    tracked = footer.get("tracked_fields", "").split(",")
    return {**FIELD_OF_DIMENSION, **{field: field for field in tracked if ":" in field}}


def _sums(rows: pa.Table) -> Sums:
    found = rows.group_by("sla_metric").aggregate([(name, "sum") for name in COUNTED])
    return {row["sla_metric"]: Counter({name: row[f"{name}_sum"] for name in COUNTED}) for row in found.to_pylist()}


def dimensions_are_known(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: hardly any target has a dimension of which nothing is known."""
    for day in days:
        stored = _read(store, DIMENSIONS, day, ["known_by"])
        yield _check_known(day, stored) if isinstance(stored, _File) else _not_checked(day, DIMENSIONS, stored)


def _check_known(day: Day, stored: _File) -> CheckedDay:
    targets = stored.rows.num_rows
    try:
        provenance = TicketProvenance.from_metadata(stored.footer)
    except (KeyError, ValueError):
        return CheckedDay(day, (Finding(f"The file of {DIMENSIONS} has no readable footer of this pipeline.", _remake(day)),))
    skipped = _why_not_asked_for(day, provenance, targets)
    if skipped is not None:
        return CheckedDay(day, skipped_reason=skipped)
    dimensions = _dimensions(stored.footer)
    codes = codes_in(stored.rows["known_by"], list(dimensions.values()))
    unknown = {name: int(np.count_nonzero(codes[field] == IS_UNKNOWN)) for name, field in dimensions.items()}
    is_assumed = [codes[field] == KNOWN_BY.index(ASSUMED) for field in dimensions.values()]
    figures = {
        "targets": float(targets),
        "largest_unknown_share": max(unknown.values()) / targets,
        "targets_with_assumed_values": float(np.count_nonzero(np.logical_or.reduce(is_assumed))),
    }
    named = [
        f"{markdown_code(name)} of {count} ({count / targets:.0%})"
        for name, count in unknown.items()
        if count / targets > MAX_UNKNOWN_SHARE
    ]
    problem = f"Of {targets} targets, nothing is known of the {', the '.join(named)}: they count as unknown."
    remedy = (
        "No stored audit tells what was set before the first one. Let snapshots tell it: set ZENDESK_SNAPSHOTS=1 and "
        f"credentials, and see `ticket-events doctor`. Or fetch the audits of earlier days, and then make {DIMENSIONS} again."
    )
    return CheckedDay(day, (Finding(problem, remedy),) if named else (), figures=figures)


def _why_not_asked_for(day: Day, provenance: TicketProvenance, targets: int) -> str | None:
    """Why the share of unknown values of a day says nothing; None if it does."""
    known_from = provenance.targets.history_from
    if provenance.audits == "missing":
        return "its audits have not landed"
    if (day.date - known_from).days < FIRST_DAYS:
        return f"events are known only from {known_from} on"
    return f"it has fewer than {MIN_TARGETS} targets" if targets < MIN_TARGETS else None
