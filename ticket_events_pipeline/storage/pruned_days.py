"""Which days of a root were pruned, and which are closed because of it: `_retention/pruned.json`.

A pruned day of an asset is no longer stored, on purpose: it is not missing. A closed day is neither fetched nor made again,
since what its tables are made from may be pruned: they would be made from less, and their figures would change.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import ClosedDayError, DamagedFileError
from ticket_events_pipeline.storage.store import Store

RETENTION = "_retention"
"""The folder of the record. The leading underscore keeps query engines from reading it as a table."""

PRUNED = f"{RETENTION}/pruned.json"


@dataclass(frozen=True)
class PrunedDays:
    """What was pruned from a root.

    Attributes:
        before: by asset, the first day (a date) that is kept; assets that were never pruned are left out.
        closed_before: the first day (a date) that may be fetched and made again; None where nothing is closed.
    """

    before: Mapping[str, dt.date] = field(default_factory=dict)
    closed_before: dt.date | None = None

    def has(self, asset: str, day: Day) -> bool:
        """Whether the day of the asset was pruned."""
        return asset in self.before and day.date < self.before[asset]

    def is_closed(self, day: Day) -> bool:
        """Whether the day is neither fetched nor made again."""
        return self.closed_before is not None and day.date < self.closed_before

    @property
    def closed_sentence(self) -> str:
        """Which days are closed, for people."""
        if self.closed_before is None:
            return "No day is closed."
        return f"Days before {self.closed_before} are closed: they are neither fetched nor made again."

    def first_open(self, timezone: str) -> Day | None:
        """The first day that isn't closed; None where nothing is."""
        return None if self.closed_before is None else Day(self.closed_before, timezone)


NOTHING_PRUNED = PrunedDays()


def read_pruned_days(store: Store) -> PrunedDays:
    """What was pruned from the root.

    Raises:
        DamagedFileError: the record can't be read, so that nobody knows.
        UsageError, TransientError: the root can't be read.
    """
    try:
        with closing(store.reader(PRUNED)) as file:
            content = file.read()
    except FileNotFoundError:
        return NOTHING_PRUNED
    try:
        record = json.loads(content)
        before = {asset: dt.date.fromisoformat(text) for asset, text in record["pruned_before"].items()}
        closed = record["closed_before"]
        return PrunedDays(before, None if closed is None else dt.date.fromisoformat(closed))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedFileError(
            f"{store.url(PRUNED)} can't be read ({error!r}). It says which days were pruned: restore it from a backup. Without "
            "it, days that were pruned on purpose would count as missing."
        ) from error


def write_pruned_days(store: Store, pruned: PrunedDays) -> None:
    """Replace the record. `store` has to be that of the holder of the lease on RETENTION."""
    record = {
        "pruned_before": {asset: date.isoformat() for asset, date in sorted(pruned.before.items())},
        "closed_before": None if pruned.closed_before is None else pruned.closed_before.isoformat(),
    }
    with store.writer(PRUNED) as file:
        file.write(json.dumps(record, indent=1).encode())


def refuse_closed_days(store: Store, days: Iterable[Day]) -> None:
    """Check that all days may be fetched and made.

    Raises:
        ClosedDayError: one of them is closed.
        DamagedFileError: the record of what was pruned can't be read.
    """
    pruned = read_pruned_days(store)
    closed = [day for day in days if pruned.is_closed(day)]
    if closed:
        raise ClosedDayError(
            f"{closed[0]} is closed: days before {pruned.closed_before} are neither fetched nor made again, since what their "
            f"figures were made from has been pruned ({store.url(PRUNED)}). Ask for days from {pruned.closed_before} on. To "
            f"open older days again, whose figures may then change: ticket-events prune --reopen {closed[0]}"
        )
