"""What the UI shows of a materialised day: its order, and the values that several assets have.

Dagster's UI keeps the order of the entries, and plots every number over the partitions. So a day begins with at most six values
for the people who read the data; numbers to plot follow, and what only helps to find a fault is under `debug/`. `content_hash`
is last. It is compared as a whole; of the hashes that a file was made from, people see the beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.files import LATEST, REPORT, report_path
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.store import Store

CONTENT_HASH = "content_hash"
"""The metadata key of the hash of a file's rows, and the key in its footer."""

DEBUG = "debug/"
"""What the keys of entries begin with that only help to find a fault."""

SHORT_HASH = 12
"""Hex digits of a hash that people see: 48 bits."""

NO_REPORT_URL = (
    "For a link here, serve the reports (`ticket-events report --serve`, or any web server) and set TICKET_EVENTS_REPORT_URL "
    "to their address."
)


def debug(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, each under its key with the prefix."""
    return {debug_key(name): value for name, value in values.items()}


def debug_key(name: str) -> str:
    """The key of such a value: `made_from_…` of a footer is shorter here, as a long key would cover its value in the UI."""
    return DEBUG + name.removeprefix("made_")


def hash_last(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The same entries with the content hash at the end."""
    others = {name: value for name, value in metadata.items() if name != CONTENT_HASH}
    return others | ({CONTENT_HASH: metadata[CONTENT_HASH]} if CONTENT_HASH in metadata else {})


def with_short_hashes(text: str) -> str:
    """The text with the beginning of each hash in it."""
    return re.sub(rf"\b([0-9a-f]{{{SHORT_HASH}}})[0-9a-f]+\b", r"\1", text)


def moment(epoch_seconds: int) -> dg.TimestampMetadataValue:
    """A time as the UI shows it."""
    return dg.MetadataValue.timestamp(float(epoch_seconds))


def report_links(settings: RootSettings, day: Day) -> dict[str, dg.MetadataValue[Any]]:
    """Links to the day's report and to the newest one; where the reports aren't served, how to get them."""
    if settings.report_url is None:
        return {"report": dg.MetadataValue.text(NO_REPORT_URL)}
    pages = {"report": report_path(day), "latest_report": LATEST}
    return {
        name: dg.MetadataValue.url(f"{settings.report_url}/{path.removeprefix(f'{REPORT}/')}") for name, path in pages.items()
    }


def page_place(store: Store, day: Day) -> dict[str, Any]:
    """Where the day's page is stored, and the page that shows the newest day."""
    return {"dagster/uri": store.url(report_path(day)), **debug({"latest_file": store.url(LATEST)})}
