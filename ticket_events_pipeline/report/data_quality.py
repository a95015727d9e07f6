"""How far a day's figures can be trusted: told from footers, from counts, and from the day's raw events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.report.aggregates import total_of
from ticket_events_pipeline.report.history import DaySummary
from ticket_events_pipeline.report.model import Trust
from ticket_events_pipeline.report.stored_targets import DayTargets
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.sla.rules.events import APPLY, sla_events
from ticket_events_pipeline.sla.sources import DICTIONARY_COLUMNS, RAW_COLUMNS
from ticket_events_pipeline.storage.raw_footer import read_raw_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.schemas import TIMESTAMP, metric_shaped
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, SLA_STREAMS


def trust_in(
    summary: DaySummary, chart: Mapping[Day, DaySummary | None], targets: DayTargets, raw: tuple[int, int] | None
) -> Trust:
    """The trust strip of a day.

    Args:
        summary: of the day.
        chart: of the chart's days, the day itself included, oldest first.
        targets: of the day.
        raw: see `event_counts`.
    """
    told = summary.provenance
    stored = {day: found for day, found in chart.items() if found is not None}
    applied_events, metric_events = raw if raw is not None else (None, None)
    return Trust(
        as_of=told.inputs.as_of,
        is_complete=summary.is_complete,
        events_through=told.events_through,
        history_from=told.history_from,
        missing_days=tuple(day for day in chart if day not in stored and day.date >= told.history_from),
        open_days=tuple(day for day, found in stored.items() if not found.is_complete),
        targets=targets.targets,
        unknown_policies=targets.unknown_policies,
        withdrawn_breaches=sum(row.withdrawn for row in summary.rows),
        superseded_breaches=sum(row.superseded for row in summary.rows),
        restated_days=tuple(day for day, found in stored.items() if found.restatements),
        applied_events=applied_events,
        metric_events=metric_events,
        contradicted=total_of(row.contradicted for row in summary.rows),
        contradicted_targets=targets.contradicted,
        rules_version=told.rules_version,
        older_days=tuple(day for day, found in stored.items() if found.provenance.rules_version < RULES_VERSION),
        deletions_from=told.deletions.since,
        deletions_through=told.deletions.through,
    )


def event_counts(store: Store, day: Day, *, as_of: int) -> tuple[int, int] | None:
    """How many events that apply a policy, and how many metric events at all, take part in the day's figures.

    None where no raw file that speaks for the day can be read. An id in both streams is one event; what was deleted takes
    no part, and neither does what lies at or after `as_of` (epoch seconds).
    """
    found = [raw for stream in SLA_STREAMS if (raw := _readable(store, stream, day)) is not None]
    if not any(raw.stream == METRIC_EVENTS or raw.rows.num_rows for raw in found):
        return None
    events = sla_events(*(raw.rows for raw in sorted(found, key=_fetched)))
    events = events.filter(
        pc.and_(
            pc.invert(events["deleted"]),
            pc.less(events["time"], pa.scalar(as_of * 1000, pa.int64()).cast(TIMESTAMP)),
        )
    )
    return pc.sum(pc.equal(events["rank"], APPLY), min_count=0).as_py(), events.num_rows


@dataclass(frozen=True)
class _Raw:
    """The metric-shaped rows of a raw file, and when it was fetched."""

    stream: str
    fetched_at: int
    rows: pa.Table


def _fetched(raw: _Raw) -> tuple[int, str]:
    """As the SLA tables have it: of an id in both streams, the later fetch wins."""
    return raw.fetched_at, raw.stream


def _readable(store: Store, stream: str, day: Day) -> _Raw | None:
    try:
        found = read_raw_day(store, stream, day, RAW_COLUMNS, dictionary_columns=DICTIONARY_COLUMNS)
    except DamagedFileError:
        return None
    if found is None or not set(RAW_COLUMNS) <= set(found[0].column_names):
        return None
    table, footer = found
    return _Raw(stream, footer.fetched_at, table.filter(metric_shaped(table)))
