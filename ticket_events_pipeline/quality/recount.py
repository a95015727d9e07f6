"""A day's summary counted once more from its targets, one at a time, by the table of SLA.md part 3.

A second implementation on purpose, slow and plain: it shares no line with `sla.daily_summary`, so that each tells of the
other's faults. What is compared with it is `sla_counts`'s affair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.text import markdown_code

ROWS_PER_BATCH = 10_000

COUNTS = (
    "targets_started",
    "targets_discovered",
    "targets_reopened",
    "targets_cancelled",
    "targets_deleted",
    "breaches",
    "breach_events",
    "achieved",
    "completed_breached",
    "superseded_breaches",
    "withdrawn_breaches",
    "contradicted",
    "active_eod",
    "breached_open_eod",
    "paused_eod",
)

COUNTED_FROM = {"targets_deleted": "is_contradicted", "contradicted": "is_contradicted"}
"""Figures that aren't counted from older files of `sla_targets`, which lack the column: rules 9 and 10 came later."""


class Key(NamedTuple):
    """What a row of the summary is about."""

    sla_metric: str
    policy_id: str | None
    business_hours: bool | None

    def __str__(self) -> str:
        hours = {None: "hours unknown", False: "calendar hours", True: "business hours"}[self.business_hours]
        return f"{markdown_code(self.sla_metric)}, policy {markdown_code(self.policy_id)}, {hours}"


class Target(NamedTuple):
    """What of a row of `sla_targets` is counted; times are epoch milliseconds."""

    ticket_id: int
    sla_metric: str
    policy_id: str | None
    policy_title: str | None
    business_hours: bool | None
    entered_at: int
    entered_by: str
    entry_policy_id: str | None
    entry_policy_title: str | None
    entry_business_hours: bool | None
    breached_at: int | None
    breach_policy_id: str | None
    breach_policy_title: str | None
    breach_business_hours: bool | None
    outcome: str
    was_open_at_start: bool
    is_paused: bool
    superseded: bool
    is_contradicted: bool | None
    breach_events_on_day: int
    withdrawn_breaches_on_day: int
    overdue_seconds: int | None


@dataclass
class _Book:
    """What is booked under a key so far."""

    counts: Counter[str] = field(default_factory=Counter)
    breached_tickets: set[int] = field(default_factory=set)
    overdue_seconds: list[int] = field(default_factory=list)


def recounted(targets: pa.Table, day: Day) -> dict[Key, dict[str, Any]]:
    """The figures of the summary's rows by what they are about, made from the day's `sla_targets`."""
    books: dict[Key, _Book] = {}
    titles: dict[str | None, set[str]] = {}
    for target in _targets(targets):
        _book(books, target, day.start * 1000)
        for prefix in ("", "entry_", "breach_"):
            title = getattr(target, f"{prefix}policy_title")
            titles.setdefault(getattr(target, f"{prefix}policy_id"), set()).update([] if title is None else [title])
    return {
        key: {**_figures(book), "policy_title": max(titles.get(key.policy_id, ()), default=None)} for key, book in books.items()
    }


def _figures(book: _Book) -> dict[str, Any]:
    counts, overdue = book.counts, sorted(book.overdue_seconds)
    decided = counts["achieved"] + counts["breaches"]
    return {
        **{name: counts[name] for name in COUNTS},
        "breached_tickets": len(book.breached_tickets),
        "achievement_rate": counts["achieved"] / decided if decided else None,
        "overdue_p50_seconds": _percentile(overdue, 0.5),
        "overdue_p90_seconds": _percentile(overdue, 0.9),
        "overdue_max_seconds": max(overdue, default=None),
    }


def _percentile(ordered: list[int], share: float) -> float | None:
    """Linear between the two values around that share of the way."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = ordered[int(place)]
    above = ordered[min(int(place) + 1, len(ordered) - 1)]
    return below + (place - int(place)) * (above - below)


def _targets(table: pa.Table) -> Iterator[Target]:
    plain = with_epoch_milliseconds(table.select(list(Target._fields)))
    for batch in plain.to_batches(max_chunksize=ROWS_PER_BATCH):
        yield from map(Target, *(column.to_pylist() for column in batch.columns))


def with_epoch_milliseconds(table: pa.Table) -> pa.Table:
    """The table with its times as numbers, which Python makes faster than dates."""
    kinds = [pa.int64() if pa.types.is_timestamp(column.type) else column.type for column in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _book(books: dict[Key, _Book], target: Target, start_ms: int) -> None:
    own = books.setdefault(Key(target.sla_metric, target.policy_id, target.business_hours), _Book())
    if target.entered_at >= start_ms:
        entry = Key(target.sla_metric, target.entry_policy_id, target.entry_business_hours)
        word = "targets_started" if target.entered_by == "policy" else "targets_discovered"
        books.setdefault(entry, _Book()).counts[word] += 1
    elif not target.was_open_at_start:
        own.counts["targets_reopened"] += 1
    _book_breach(books, target, start_ms)
    _book_end(own, target)


def _book_breach(books: dict[Key, _Book], target: Target, start_ms: int) -> None:
    if not target.breach_events_on_day:
        return
    key = Key(target.sla_metric, target.breach_policy_id, target.breach_business_hours)
    book = books.setdefault(key, _Book())
    book.counts["breach_events"] += target.breach_events_on_day
    if target.breached_at is not None and target.breached_at >= start_ms and not target.superseded:
        book.counts["breaches"] += 1
        book.breached_tickets.add(target.ticket_id)


def _book_end(own: _Book, target: Target) -> None:
    outcome = target.outcome
    own.counts["withdrawn_breaches"] += target.withdrawn_breaches_on_day
    own.counts["superseded_breaches"] += target.superseded
    own.counts["paused_eod"] += target.is_paused
    own.counts["targets_cancelled"] += outcome == "cancelled"
    own.counts["targets_deleted"] += outcome == "deleted"
    own.counts["contradicted"] += target.is_contradicted is True
    own.counts["achieved"] += outcome == "achieved"
    own.counts["breached_open_eod"] += outcome == "breached_open"
    own.counts["active_eod"] += outcome in ("active", "breached_open")
    if outcome == "breached":
        own.counts["completed_breached"] += 1
        if target.overdue_seconds is not None:
            own.overdue_seconds.append(target.overdue_seconds)
