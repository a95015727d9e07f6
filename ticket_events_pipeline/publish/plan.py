"""What a publish has to do: the stored days compared with those of the published table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

FINGERPRINT_DIGITS = 15
"""Of a content hash, what a published table remembers: 60 bits, which fit into the integer that Delta has for it. That two
versions of a day have the same by chance is a matter of one in 10^18."""


class Why(StrEnum):
    """Why a day is published; a commit's metadata says it."""

    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class Change:
    """A day that the published table has to take over, or to drop.

    Attributes:
        date: which day.
        why: what happened to it in the lake.
    """

    date: dt.date
    why: Why


def fingerprint(content_hash: str) -> str:
    """What is remembered of a day's content hash."""
    return content_hash[:FINGERPRINT_DIGITS]


def changes(
    stored: Mapping[dt.date, str],
    published: Mapping[dt.date, str],
    *,
    unreadable: Collection[dt.date] = (),
    keeps_removed: bool = False,
) -> list[Change]:
    """The days to publish, the oldest first.

    Args:
        stored: the content hashes of the stored days.
        published: the fingerprints of the days in the published table; one with rows and without a known fingerprint has an
            empty one.
        unreadable: stored days whose files can't be read now: they stay as they are published.
        keeps_removed: whether days that are no longer stored stay.
    """
    found = [
        Change(date, Why.CHANGED if date in published else Why.NEW)
        for date, content_hash in stored.items()
        if published.get(date) != fingerprint(content_hash)
    ]
    if not keeps_removed:
        found += [Change(date, Why.REMOVED) for date in published if date not in stored and date not in unreadable]
    return sorted(found, key=lambda change: change.date)
