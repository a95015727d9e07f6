"""The rows that passes could not place: how many, and where they lie. What makes a row unplaceable is the lake's affair."""

from __future__ import annotations

from collections.abc import Iterable

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.findings import Finding, read_again
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footers
from ticket_events_pipeline.storage.store import Store


def set_aside_url(store: Store, stream: str) -> str:
    """Where a person finds the refused rows of `stream`."""
    return store.url(_folder(stream))


def rows_set_aside(store: Store, stream: str, days: Iterable[Day]) -> int:
    """How many rows the pass refused that read `days`; each footer counts those of its pass so far."""
    return max((footer.rejected for _, footer in read_raw_footers(store, stream, days)), default=0)


def vanished_finding(store: Store, footer: RawFooter, day: Day) -> Finding | None:
    """That rows were refused, and nothing of them is kept."""
    if footer.rejected <= 0 or store.paths(_folder(footer.stream)):
        return None
    gone = f"Its pass refused {footer.rejected} rows, which are gone from {set_aside_url(store, footer.stream)}."
    return Finding(gone, read_again(footer.stream, day))


def _folder(stream: str) -> str:
    return f"_rejected/{stream}"
