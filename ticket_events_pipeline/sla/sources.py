"""Reading what the SLA tables are made from: a day's metric-shaped events of all streams, and ticket deletions from audits."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.decode import deleted_as_it_came
from ticket_events_pipeline.errors import DamagedFileError, ForeignRootError, ReplacedFileError
from ticket_events_pipeline.sla.inputs import DayInputs, RawState, day_inputs
from ticket_events_pipeline.sla.rules.deletions import (
    AUDIT_COLUMNS,
    STATUS_CHANGES_SCHEMA,
    changes_of_deleted,
    status_changes,
    status_setters,
)
from ticket_events_pipeline.sla.rules.events import has_metric_events, sla_events
from ticket_events_pipeline.sla.rules.row_runs import Ints, among, union
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.raw_footer import RawFooter, opened_raw_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.streams import AUDITS, SLA_STREAMS
from ticket_events_pipeline.tables.ticket_metric_events import DELETED_IS_READ_SINCE, METRIC_SHAPE, metric_shaped

RAW_COLUMNS = [
    "id",
    "ticket_id",
    "metric",
    "instance_id",
    "type",
    "time",
    "deleted",
    "sla_target_minutes",
    "sla_target_seconds",
    "sla_business_hours",
    "sla_policy_id",
    "sla_policy_title",
    "sla_is_group",
    "status_calendar_minutes",
    "status_business_minutes",
]
"""The columns of metric events that the rules need: a day of audits with comments is too large to hold in memory."""

DICTIONARY_COLUMNS = ["metric", "type", "sla_policy_id", "sla_policy_title"]


@dataclass(frozen=True)
class StatusAudits:
    """The audits of a day that set a ticket's status; the changes of those tickets for which they count are read on request.

    Attributes:
        content_hash: of the raw file.
        setting: the tickets whose status an audit sets, ascending.
        deleting: those that an audit may delete, ascending.
    """

    store: Store
    day: Day
    content_hash: str
    setting: Ints
    deleting: Ints

    @classmethod
    def of(cls, store: Store, day: Day, file: StoredFile, footer: RawFooter) -> StatusAudits:
        """Those of a raw file."""
        return cls(store, day, footer.content_hash, *status_setters(file.batches(AUDIT_COLUMNS[1:])))

    def changes(self, deleted: Ints) -> pa.Table:
        """The changes of tickets that one of them deletes, or that are among the ascending `deleted`; others have no effect.

        Returns:
            `STATUS_CHANGES_SCHEMA`, in the order of the rows.

        Raises:
            DamagedFileError: the raw file can't be read.
            ReplacedFileError: it has been replaced since.
        """
        wanted = union(self.deleting, deleted[among(deleted, self.setting)])
        if not len(wanted):
            return STATUS_CHANGES_SCHEMA.empty_table()
        tickets = pa.array(wanted)
        with opened_raw_day(self.store, AUDITS, self.day) as opened:
            if opened is None or opened[1].content_hash != self.content_hash:
                url = self.store.url(partition_path(AUDITS, self.day))
                raise ReplacedFileError(f"{url} was replaced while it was read. Start the run again.")
            batches = opened[0].batches(AUDIT_COLUMNS)
            found = status_changes(batch.filter(pc.is_in(batch["ticket_id"], tickets)) for batch in batches)
        return changes_of_deleted(found, deleted)


@dataclass(frozen=True)
class RawDay:
    """The metric-shaped events of a day from all streams, and the state of the files.

    Attributes:
        states: of the files that have landed, by stream, in the order of their fetches: the later one wins.
        events: those that the rules use, in `SLA_EVENTS_SCHEMA`.
        times: of all metric-shaped rows, one column per file, epoch milliseconds.
        status_audits: the audits that set a ticket's status; None where they haven't landed.
    """

    day: Day
    states: dict[str, RawState]
    events: pa.Table
    times: list[pa.ChunkedArray]
    status_audits: StatusAudits | None

    @property
    def audits_through(self) -> int | None:
        """Up to when the day's audits were read, epoch seconds; None if they weren't read."""
        audits = self.states.get(AUDITS)
        return None if audits is None else audits.read_up_to(self.day)

    def inputs(self, previous_clocks: str | None) -> DayInputs | None:
        """What the day's SLA tables are made from; see `day_inputs`."""
        return day_inputs(self.day, self.states, previous_clocks=previous_clocks)

    def newest_before(self, as_of: int) -> int | None:
        """Newest event time before `as_of`, epoch seconds; None without one."""
        seen = (times.filter(pc.less(times, pa.scalar(as_of * 1000))) for times in self.times)
        return max((pc.max(times).as_py() // 1000 for times in seen if len(times)), default=None)


def read_raw(store: Store, day: Day) -> RawDay:
    """The events of the day, as far as they have landed.

    Raises:
        ForeignRootError: they belong to days of another timezone.
        DamagedFileError: a file can't be read, or holds another day.
    """
    found = [raw for raw in (_read(store, stream, day) for stream in SLA_STREAMS) if raw is not None]
    # The later fetch wins where an event came in both streams; of two in the same second, the metric stream.
    found.sort(key=lambda raw: (raw.footer.fetched_at, raw.footer.stream))
    return RawDay(
        day,
        states={raw.footer.stream: _state(raw) for raw in found},
        events=sla_events(*(raw.rows for raw in found)),
        times=[raw.rows["time"].filter(metric_shaped(raw.rows)).cast(pa.int64()) for raw in found],
        status_audits=next((raw.status_audits for raw in found if raw.status_audits is not None), None),
    )


def raw_state(store: Store, stream: str, day: Day) -> RawState | None:
    """The state of a day's raw file, from its footer alone; None where the day has no file.

    Files of an earlier version don't count their metric events: there, 1 stands for some.

    Raises:
        ForeignRootError: the file belongs to days of another timezone.
        DamagedFileError: the file can't be read, isn't a raw file of this pipeline, or holds another day.
    """
    with opened_raw_day(store, stream, day) as opened:
        if opened is None:
            return None
        file, footer = opened
        require_own_day(store, stream, day, footer)
        metric_rows = footer.metric_rows
        if metric_rows is None:
            metric_rows = int(any(_group_has_metric_events(file, group) for group in range(file.num_row_groups)))
        return RawState(footer.content_hash, footer.complete, footer.read_up_to, metric_rows)


def _group_has_metric_events(file: StoredFile, group: int) -> bool:
    """Whether a row group has a row of the metric-event shape; reads its rows only where the statistics don't decide it."""
    rows = file.row_group(group).num_rows
    nulls = [file.null_count(group, column) for column in METRIC_SHAPE]
    if any(count == rows for count in nulls):
        return False
    if None not in nulls and sum(count or 0 for count in nulls) < rows:
        return True
    return has_metric_events(file.read_row_groups([group], METRIC_SHAPE))


@dataclass(frozen=True)
class _RawFile:
    rows: pa.Table
    footer: RawFooter
    status_audits: StatusAudits | None


def _read(store: Store, stream: str, day: Day) -> _RawFile | None:
    """Everything from one version of the file; large columns are read in batches."""
    with opened_raw_day(store, stream, day, dictionary_columns=DICTIONARY_COLUMNS) as opened:
        if opened is None:
            return None
        file, footer = opened
        require_own_day(store, stream, day, footer)
        rows = file.read(RAW_COLUMNS)
        if file.version < DELETED_IS_READ_SINCE:
            deleted = deleted_as_it_came(rows["deleted"], file.read(["extra"])["extra"])
            rows = rows.set_column(RAW_COLUMNS.index("deleted"), "deleted", deleted)
        audits = StatusAudits.of(store, day, file, footer) if stream == AUDITS else None
        return _RawFile(rows, footer, audits)


def _state(raw: _RawFile) -> RawState:
    footer = raw.footer
    return RawState(footer.content_hash, footer.complete, footer.read_up_to, int(has_metric_events(raw.rows)))


def require_own_day(store: Store, stream: str, day: Day, footer: RawFooter) -> None:
    """Check that a raw file is the one that its path names, in this timezone.

    Raises:
        ForeignRootError: it belongs to days of another timezone.
        DamagedFileError: it holds another stream or day.
    """
    if footer.timezone != day.timezone:
        raise ForeignRootError(
            f"{store.location} holds {stream} of {day} as a day of {footer.timezone}, but TICKET_EVENTS_TIMEZONE is "
            f"{day.timezone}. Set it back, or start a new root: set TICKET_EVENTS_ROOT to an empty folder and backfill it."
        )
    if not footer.is_of(stream, day):
        raise DamagedFileError(
            f"{store.url(partition_path(stream, day))} holds {footer.stream} of {footer.partition}, not {stream} of {day}. "
            "Materialize it again to replace it."
        )
