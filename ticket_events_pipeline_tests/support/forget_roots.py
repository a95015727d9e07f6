"""A root with everything that the pipeline makes, in a folder or a bucket; and all that its files say, decompressed."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.week import Week, read_week
from ticket_events_pipeline.report.week_page import write_week
from ticket_events_pipeline.report.write import write_report
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.build import make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.by_dimension import make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.durations import make_durations
from ticket_events_pipeline.tickets.fetched_names import refresh_names
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.holders import make_holders
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline_tests.support.fetches import Moment, client_at

SLA_TABLES = ("sla_clocks", "sla_targets", "daily_sla_breach_summary")
TICKET_FIGURES = ("sla_target_holders", "daily_ticket_durations", "daily_sla_breaches_by_dimension", "sla_target_dimensions")


class Office:
    """An account's server and the root that is filled from it."""

    def __init__(
        self, store: Store, server: SandboxServer, days: Sequence[Day], *, now: float, dimensions: tuple[str, ...] = ()
    ) -> None:
        self.store, self.server, self.days, self.clock = store, server, list(days), Moment(now)
        self.settings = RootSettings(store.location, "UTC", "recorded", None, dimensions=dimensions)

    def fetch(
        self,
        stream: str,
        days: Sequence[Day] | None = None,
        *,
        stop_after: int | None = None,
        pause: Callable[[], object] = lambda: None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Fetch days with comments; with `stop_after`, Zendesk fails after so many pages, and a journal is left.

        `pause` is called before the second page.
        """
        with client_at(self.server.base_url, clock=self.clock, include_comments=True) as client:
            fetched = fetch_days(
                _Interrupted(client, stop_after, pause),
                self.store,
                stream=STREAMS[stream],
                days=list(days or self.days),
                ownership=Ownership("recorded", "UTC", STREAMS[stream].takes_choices),
                clock=self.clock,
                log=log,
            )
            with suppress(TransientError) if stop_after else nullcontext():
                list(fetched)

    def make_tables(self) -> None:
        """Everything that is made from the raw files, as runs make it; reports of the days and of the week."""
        store, days = self.store, self.days
        list(make_changes(store, days))
        list(make_clocks(store, days))
        list(make_targets(store, days))
        list(make_summaries(store, days))
        list(make_states(store, days, fields=tracked_fields(self.settings.dimensions)))
        list(make_dimensions(store, days, snapshots=Snapshots(store, "UTC"), schedules={}))
        list(make_breaches_by_dimension(store, days))
        list(make_holders(store, days, schedules={}))
        list(make_durations(store, days))
        reader = report_reader(store, self.settings, days)
        for day in days:
            write_report(store, reader.read(day))
        write_week(store, read_week(store, self.settings, Week.of(days[0])))

    def ask(self, tickets: Sequence[int]) -> None:
        """Snapshots of tickets, and the names of agents."""
        snapshots = Snapshots(self.store, "UTC", open_api=self.api, clock=self.clock)
        snapshots.ask(tickets, tracked_fields(self.settings.dimensions))
        assert snapshots.problems == []
        with self.api() as api:
            refresh_names(self.store, api, ["agents"], timezone="UTC", clock=self.clock)

    def api(self) -> AccountApi:
        return AccountApi(self.server.base_url, BearerToken("sandbox"), pace=AccountPace(), total_seconds=60, timeout_seconds=9)

    def figures(self, tables: Sequence[str] = (*SLA_TABLES, *TICKET_FIGURES)) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Every row of the tables, by table and day."""
        return {(name, str(day)): read_partition(self.store, name, day).to_pylist() for name in tables for day in self.days}


class _Interrupted:
    def __init__(self, client: Any, pages: int | None, pause: Callable[[], object]) -> None:
        self._client, self._pages, self._pause = client, pages, pause

    def pages(self, stream: Any, start_time: int, **more: Any) -> Iterator[Any]:
        for number, walked in enumerate(self._client.pages(stream, start_time, **more)):
            if number == self._pages:
                raise TransientError("Zendesk has gone")
            if number == 1:
                self._pause()
            yield walked


def found_in(store: Store, needles: Sequence[str]) -> dict[str, list[str]]:
    """The files that say one of the needles anywhere, and which; those are in lower case where they are text."""
    found = {}
    for path in store.paths(""):
        with store.reader(path) as file:
            said = _said(path, file.read())
        if hits := [needle for needle in needles if needle.lower() in said]:
            found[path] = hits
    return found


def _said(path: str, content: bytes) -> str:
    texts = [content.decode("latin-1")]
    if path.endswith(".gz"):
        texts.append(gzip.decompress(content).decode())
    if path.endswith(".parquet"):
        file = pq.ParquetFile(io.BytesIO(content))
        texts += [str(file.metadata.metadata), *_statistics(file.metadata)]
        texts += [repr(column.to_pylist()) for column in file.read().columns]
    # JSON may write a letter as an escape.
    return "\n".join(texts).lower()


def _statistics(metadata: Any) -> Iterator[str]:
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            statistics = metadata.row_group(group).column(place).statistics
            if statistics is not None and statistics.has_min_max:
                yield f"{statistics.min} {statistics.max}"


def raw_rows(store: Store, stream: str, days: Sequence[Day]) -> pa.Table:
    """The raw rows of several days."""
    return pa.concat_tables([read_partition(store, stream, day) for day in days])
