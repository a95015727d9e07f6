"""One fetch of this pipeline, as the assets make it, without Dagster.

python benchmarks/pipeline_fetch.py URL STREAM FIRST LAST ROOT [--comments]     (days as YYYY-MM-DD; URL none: imports alone)
"""

from __future__ import annotations

import sys
from pathlib import Path

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota


def main(url: str, stream: str, first: str, last: str, root: str, *, comments: bool) -> None:
    """Fetch the days and print what is stored."""
    days = [Day.parse(first)]
    while str(days[-1]) != last:
        days.append(days[-1].plus(1))
    rows = size_bytes = 0
    pipeline_of({})  # as every asset has one
    with ZendeskClient(url, BearerToken("x"), quota=Quota(1_000_000), include_comments=comments) as client:
        ownership = Ownership("bench", "UTC", comments)
        store = FolderStore(Path(root))
        for done in fetch_days(
            client, store, stream=STREAMS[stream], days=days, ownership=ownership, clock=wall_clock, log=lambda _: None
        ):
            assert done.footer.complete
            rows, size_bytes = rows + done.footer.rows, size_bytes + done.size_bytes
    print("rows", rows, "bytes", size_bytes)


if __name__ == "__main__" and sys.argv[1] != "none":
    main(*sys.argv[1:6], comments="--comments" in sys.argv)
