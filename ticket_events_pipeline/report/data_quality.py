"""How far a day's figures can be trusted: measured from footers, counts and raw events, and stated in sentences.

Nothing here fails a check: the asset checks do. Texts are plain, for a page to escape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.sla_tables import MAX_UNKNOWN_POLICY_SHARE
from ticket_events_pipeline.report.aggregates import total_of
from ticket_events_pipeline.report.breakdown import UNKNOWN, Known
from ticket_events_pipeline.report.model import ContradictedTarget, DataQuality, DayReport
from ticket_events_pipeline.report.stored import DaySummary
from ticket_events_pipeline.report.targets import DayTargets
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.sla.rules.events import APPLY, sla_events
from ticket_events_pipeline.sla.sources import DICTIONARY_COLUMNS, RAW_COLUMNS
from ticket_events_pipeline.storage.pruned_days import NOTHING_PRUNED, PrunedDays
from ticket_events_pipeline.storage.raw_footer import opened_raw_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import AUDITS, METRIC_EVENTS, SLA_STREAMS
from ticket_events_pipeline.tables.table import TIMESTAMP
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE, metric_shaped
from ticket_events_pipeline.text import date_text, days_text, moment_text, plural, rate_text
from ticket_events_pipeline.tickets.fields import ASSUMED, SNAPSHOT
from ticket_events_pipeline.tickets.ticket_facts import LOOK_BACK_DAYS

COUNTED_COLUMNS = ["id", "ticket_id", "metric", "instance_id", "type", "time", "deleted"]
"""The columns of metric events that decide whether one takes part; see `event_counts`."""

DELETIONS_LAG_SECONDS = 3600
"""The two streams of an open day are read one after the other: deletions known up to so long before `as_of` are whole."""

LACKING = (
    "by which targets of deleted tickets stay open, overdue counts time in which a target was closed, and outcomes are not "
    "compared with durations"
)
MAX_UNKNOWN_GROUP_SHARE = 0.1
"""Of the day's breaches; above it, the split by group says too little to compare groups."""

BEGUN_BEFORE = (
    "of targets begun before, breaches may be missing, or counted though the target was fulfilled or changed before that day"
)
NOT_MADE_AGAIN = "The day is closed: earlier days were pruned (TICKET_EVENTS_RETAIN_DAYS), so it isn't made again."
MAKE_AGAIN = "make the SLA tables of the day again to apply the current rules"


def data_quality_of(
    summary: DaySummary,
    chart: Mapping[Day, DaySummary | None],
    targets: DayTargets,
    raw: tuple[int, int] | None,
    *,
    pruned: PrunedDays = NOTHING_PRUNED,
) -> DataQuality:
    """The data quality of a day.

    Args:
        summary: of the day.
        chart: of the chart's days, the day itself included, oldest first.
        targets: of the day.
        raw: see `event_counts`.
        pruned: the days that are not stored on purpose.
    """
    provenance = summary.provenance
    stored = {day: found for day, found in chart.items() if found is not None}
    applied_events, metric_events = raw if raw is not None else (None, None)
    return DataQuality(
        as_of=provenance.inputs.as_of,
        is_complete=summary.is_complete,
        events_through=provenance.events_through,
        history_from=provenance.history_from,
        missing_days=tuple(
            day for day in chart if day not in stored and day.date >= provenance.history_from and not pruned.has(SUMMARY, day)
        ),
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
        rules_version=provenance.rules_version,
        older_days=tuple(day for day, found in stored.items() if found.provenance.rules_version < RULES_VERSION),
        deletions_from=provenance.deletions.since,
        deletions_through=provenance.deletions.through,
        has_elapsed=targets.has_elapsed,
        is_raw_pruned=pruned.has(METRIC_EVENTS, summary.day),
        is_closed=pruned.is_closed(summary.day),
        audits_kept_from=pruned.before.get(AUDITS) if pruned.has(AUDITS, summary.day.plus(1 - LOOK_BACK_DAYS)) else None,
    )


def event_counts(store: Store, day: Day, *, as_of: int) -> tuple[int, int] | None:
    """How many events that apply a policy, and how many metric events in all, take part in the day's figures.

    None where no raw file that speaks for the day can be read. An id in both streams is one event; what was deleted takes
    no part, and neither does what happened at or after `as_of` (epoch seconds).
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
        with opened_raw_day(store, stream, day, dictionary_columns=DICTIONARY_COLUMNS) as opened:
            if opened is None or not set(RAW_COLUMNS) <= set(opened[0].schema.names):
                return None
            file, footer = opened
            if footer.metric_rows == 0:  # audits alone
                return _Raw(stream, footer.fetched_at, _padded(file.schema.empty_table().select(COUNTED_COLUMNS)))
            table = file.read(COUNTED_COLUMNS)
    except DamagedFileError:
        return None
    return _Raw(stream, footer.fetched_at, _padded(table.filter(metric_shaped(table))))


def _padded(counted: pa.Table) -> pa.Table:
    """With the other columns that `sla_events` takes, NULL: none of them decides whether an event takes part."""
    missing = pa.schema([TICKET_METRIC_EVENTS_TABLE.schema.field(name) for name in RAW_COLUMNS if name not in COUNTED_COLUMNS])
    nulls = [pa.nulls(counted.num_rows, column.type) for column in missing]
    return pa.table([*counted.columns, *nulls], names=[*counted.column_names, *missing.names])


@dataclass(frozen=True)
class Notice:
    """What a reader must know before the figures.

    Attributes:
        kind: `alarm`: the figures are wrong; `note`: they will change, or are less complete than usual.
        title, text: plain text.
    """

    kind: Literal["alarm", "note"]
    title: str
    text: str


@dataclass(frozen=True)
class QualityFact:
    """A fact of the data quality section.

    Attributes:
        name: identifies the fact in the page.
        label, value, meaning: plain text.
        is_odd: whether it makes the figures less reliable.
        targets: their tickets are named.
        is_wide: whether it needs a whole line.
    """

    name: str
    label: str
    value: str
    meaning: str
    is_odd: bool = False
    targets: tuple[ContradictedTarget, ...] = ()
    is_wide: bool = False


def notices(report: DayReport) -> list[Notice]:
    """What a page shows before any figure; empty on an ordinary day."""
    quality = report.data_quality
    found = [_feed_notice(quality)]
    if not quality.is_complete:
        until = moment_text(quality.as_of, report.day)
        text = f"It was read up to {until}; its figures will change, and the usual ones are those of whole days."
        found.append(Notice("note", "This day is still open.", text))
    if _unknown_share(quality) > MAX_UNKNOWN_POLICY_SHARE:
        text = (
            f"{plural(quality.unknown_policies, 'target')} of {quality.targets:,} breached without one: see “no known policy”."
        )
        found.append(Notice("note", "Many targets have no known policy.", text))
    return [notice for notice in found if notice is not None]


def _feed_notice(quality: DataQuality) -> Notice | None:
    if quality.metric_events is None or quality.applied_events is None:
        text = f"Its raw file {_gone(quality)}, so it is unknown whether the feed was complete."
        return Notice("note", "The events of this day can't be counted.", text)
    if not quality.metric_events:
        text = "No metric event came all day. Unless the account was not used, a step before this report has stopped."
        return Notice("note", "Nothing happened on this day.", text)
    if not quality.applied_events:
        text = (
            f"Among {plural(quality.metric_events, 'metric event')} none applied an SLA policy. Few breaches below do not mean "
            "a good day: have the account's SLA policies checked, then fetch the day again."
        )
        return Notice("alarm", "The feed is broken: these figures are not the day's.", text)
    return None


def _gone(quality: DataQuality) -> str:
    return "was pruned (TICKET_EVENTS_RETAIN_DAYS)" if quality.is_raw_pruned else "is no longer stored"


def no_tables_text(report: DayReport) -> str:
    """Why the page doesn't say whose the breaches were, and how that is made good."""
    command = f"ticket-events backfill --tickets {report.day}"
    if report.ticket_tables.unreadable:
        names = ", ".join(report.ticket_tables.unreadable)
        again = NOT_MADE_AGAIN if report.data_quality.is_closed else f"To make it again: {command}"
        return f"Whose breaches these were can't be shown: {names} of this day can't be read. {again}"
    advice = NOT_MADE_AGAIN if report.data_quality.is_closed else f"To make it: {command}"
    return f"Whose breaches these were isn't stored for this day. {advice}"


def quality_facts(report: DayReport) -> list[QualityFact]:
    """Everything that is known about the data quality; what makes the figures less reliable is marked."""
    quality = report.data_quality
    ordinary = [*_reading_facts(report), *_days_facts(report), *_target_facts(quality), _feed_fact(quality)]
    return [
        *ordinary,
        *_rules_facts(quality),
        *_elapsed_facts(quality),
        *_deletions_facts(report),
        *_contradicted_facts(quality),
        *_ticket_facts(report),
        *_retention_facts(quality),
    ]


def _reading_facts(report: DayReport) -> list[QualityFact]:
    quality, day = report.data_quality, report.day
    through = "none yet" if quality.events_through is None else moment_text(quality.events_through, day)
    state, not_yet = ("complete", "") if quality.is_complete else ("still open", "not yet ")
    return [
        QualityFact("is_complete", "The day is", state, f"{not_yet}read to its end", not quality.is_complete),
        QualityFact("as_of", "Figures as of", moment_text(quality.as_of, day), "nothing later is counted"),
        QualityFact(
            "events_through", "Events through", through, "the newest metric event read", quality.events_through is None
        ),
        QualityFact("history_from", "History from", date_text(quality.history_from), BEGUN_BEFORE),
    ]


def _days_facts(report: DayReport) -> list[QualityFact]:
    quality = report.data_quality
    last = f"of the last {len(report.chart)} days"
    return [
        _days_fact(
            "missing_days", "Days missing", quality.missing_days, f"{last}, without a summary that can be read", is_odd=True
        ),
        _days_fact("open_days", "Days open", quality.open_days, f"{last}, not yet read to their end"),
        _days_fact("restated_days", "Days restated", quality.restated_days, f"{last}, changed after they had been complete"),
    ]


def _days_fact(name: str, label: str, days: tuple[Day, ...], meaning: str, *, is_odd: bool = False) -> QualityFact:
    value = f"{len(days):,} ({days_text(days)})" if days else "none"
    return QualityFact(name, label, value, meaning, is_odd and bool(days))


def _target_facts(quality: DataQuality) -> list[QualityFact]:
    share = _unknown_share(quality)
    unknown = f"{quality.unknown_policies:,} of {plural(quality.targets, 'target')}"
    if quality.targets:
        unknown += f" ({rate_text(share)})"
    return [
        QualityFact(
            "unknown_policies",
            "Policy unknown",
            unknown,
            "breached without a policy from Zendesk",
            share > MAX_UNKNOWN_POLICY_SHARE,
        ),
        QualityFact("withdrawn_breaches", "Breaches withdrawn", f"{quality.withdrawn_breaches:,}", "taken back by Zendesk"),
        QualityFact(
            "superseded_breaches",
            "Breaches superseded",
            f"{quality.superseded_breaches:,}",
            "late, then met under a relaxed target: counted as achieved",
        ),
    ]


def _unknown_share(quality: DataQuality) -> float:
    return quality.unknown_policies / quality.targets if quality.targets else 0


def _feed_fact(quality: DataQuality) -> QualityFact:
    if quality.metric_events is None or quality.applied_events is None:
        return QualityFact("applied_events", "SLA feed", "unknown", f"the raw file {_gone(quality)}", not quality.is_raw_pruned)
    if not quality.applied_events:
        meaning = f"no SLA policy was applied, in {plural(quality.metric_events, 'event')}"
        return QualityFact("applied_events", "SLA feed", "broken, or nothing happened", meaning, True)
    meaning = f"Zendesk applied SLA policies {plural(quality.applied_events, 'time')} on this day"
    return QualityFact("applied_events", "SLA feed", "working", meaning)


def _rules_facts(quality: DataQuality) -> list[QualityFact]:
    """Nothing where all days were made by the current rules."""
    if quality.rules_version < RULES_VERSION:
        meaning = f"made under the rules of version {quality.rules_version}, {LACKING}; {MAKE_AGAIN}"
        return [QualityFact("rules_version", "Rules", f"version {quality.rules_version}", meaning, is_odd=True, is_wide=True)]
    if quality.older_days:
        value = f"older on {plural(len(quality.older_days), 'day')} ({days_text(quality.older_days)})"
        meaning = "this day follows the current rules; what is usual mixes both until those days' SLA tables are made again"
        return [QualityFact("rules_version", "Rules", value, meaning, is_wide=True)]
    return []


def _elapsed_facts(quality: DataQuality) -> list[QualityFact]:
    """Why the page shows no times taken, where the day's file can't hold them."""
    if quality.has_elapsed or quality.rules_version < RULES_VERSION:
        return []  # stored, or the rules' fact already says what to do
    meaning = "an earlier version made this day and didn't store them: make its SLA tables again"
    return [QualityFact("has_elapsed", "Times taken", "not stored", meaning, is_wide=True)]


def _deletions_facts(report: DayReport) -> list[QualityFact]:
    """How far deleted tickets are known, where that is not the whole history."""
    quality = report.data_quality
    if quality.rules_version < RULES_VERSION:
        return []  # the rules' fact covers it
    if quality.deletions_from is None or quality.deletions_through is None:
        meaning = (
            f"targets of deleted tickets count as open. Fetch {AUDITS} of these days; where they are stored, sla_clocks "
            "were made before deletions were read: make the SLA tables of the days again"
        )
        return [QualityFact("deletions", "Deleted tickets", "not known", meaning, is_odd=True, is_wide=True)]
    value, meanings = "", []
    if quality.deletions_from > quality.history_from:
        value = f"known from {date_text(quality.deletions_from)}"
        meanings.append("targets of tickets deleted before that day count as open")
    if quality.deletions_through < quality.as_of - DELETIONS_LAG_SECONDS:
        value = f"{value or 'known'} through {moment_text(quality.deletions_through, report.day)}"
        meanings.append(f"the audits of the time after are not read yet: fetch {AUDITS}")
    if not value:
        return []
    return [QualityFact("deletions", "Deleted tickets", value, "; ".join(meanings), is_odd=True, is_wide=True)]


def _contradicted_facts(quality: DataQuality) -> list[QualityFact]:
    """Nothing where no outcome is contradicted, or none was looked for."""
    if not quality.contradicted:
        return []
    meaning = (
        "Their outcome and their measured duration disagree; the outcome is Zendesk's and counts. A breach may be dated before "
        "its policy was applied, on a day that is no longer read again: fetch the tickets' days again. Where that changes "
        "nothing, a schedule or a policy was changed, and there is nothing to do."
    )
    further = quality.contradicted - len(quality.contradicted_targets)
    value = plural(quality.contradicted, "target") + (f", {len(quality.contradicted_targets)} of them here" if further else "")
    named = quality.contradicted_targets
    return [QualityFact("contradicted", "Outcomes contradicted", value, meaning, is_odd=True, targets=named, is_wide=True)]


def _retention_facts(quality: DataQuality) -> list[QualityFact]:
    """What was pruned of what the page is made from; nothing where all of it is kept."""
    facts = []
    if quality.is_closed:
        meaning = (
            "earlier days were pruned (TICKET_EVENTS_RETAIN_DAYS), so this day is neither fetched nor made again, whatever is "
            "advised here"
        )
        facts.append(QualityFact("closed", "The day is", "closed", meaning, is_wide=True))
    if quality.audits_kept_from is not None:
        meaning = "subject, priority and group of a ticket are shown only where the days since then hold them"
        value = f"pruned before {date_text(quality.audits_kept_from)}"
        facts.append(QualityFact("audits_kept_from", "Ticket events", value, meaning, is_wide=True))
    return facts


def _ticket_facts(report: DayReport) -> list[QualityFact]:
    """How far it is known whose the breaches were; nothing where no ticket tables are made."""
    if report.breakdown is None:
        return []
    return [*_known_facts(report.breakdown.known), *_tables_facts(report)]


def _known_facts(known: Known | None) -> list[QualityFact]:
    if known is None:
        return []
    total, unknown, assumed = sum(known.breaches.values()), known.breaches.get(UNKNOWN, 0), known.breaches.get(ASSUMED, 0)
    snapshots = known.breaches.get(SNAPSHOT, 0)
    of_breaches = f" of {plural(total, 'breach')}"
    share = (unknown + assumed) / total if total else 0
    meaning = (
        f"known from snapshots: {_share(snapshots, total)}; assumed, since audits in between are missing: "
        f"{_share(assumed, total)}; "
        f"of all targets of the day, {_share(known.unknown_targets, known.targets)} have an unknown group"
    )
    value = f"{_share(total - unknown - assumed, total)}{of_breaches}" if total else "no breach"
    return [QualityFact("group_known", "Group known", value, meaning, share > MAX_UNKNOWN_GROUP_SHARE, is_wide=True)]


def _share(number: int, total: int) -> str:
    """`12 (3.4%)`."""
    return f"{number:,} ({rate_text(number / total)})" if total else f"{number:,}"


def _tables_facts(report: DayReport) -> list[QualityFact]:
    tables = report.ticket_tables
    facts = []
    if tables.audits != "complete":
        value, meaning = {
            "open": ("still open", "the day's ticket events were read in part when this was made"),
            "missing": ("missing", f"without them nobody knows who held a ticket on this day: fetch {AUDITS}"),
        }.get(tables.audits or "missing", ("unknown", "the footer doesn't say"))
        facts.append(QualityFact("audits", "Ticket events", value, meaning, is_odd=tables.audits != "open"))
    if not tables.is_current:
        meaning = "the SLA targets of the day changed after who held the tickets was worked out; the next run makes both agree"
        facts.append(QualityFact("ticket_tables", "Ticket tables", "of earlier targets", meaning, is_odd=True))
    if tables.unreadable:
        meaning = f"stored, and can't be read: {', '.join(tables.unreadable)}"
        facts.append(QualityFact("unreadable", "Tables damaged", f"{len(tables.unreadable)}", meaning, is_odd=True))
    if tables.names_at is None:
        meaning = "ids are shown: names were never fetched, or are turned off (ZENDESK_NAMES)"
        facts.append(QualityFact("names", "Names", "none", meaning))
    else:
        facts.append(QualityFact("names", "Names as of", moment_text(tables.names_at, report.day), "when they were fetched"))
    return facts
