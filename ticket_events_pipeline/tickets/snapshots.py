"""Snapshots: what Zendesk says of a ticket now, for values that no stored audit tells.

`<root>/ticket_snapshots/date=<day of asking>/` holds them in the long format, one row per ticket and field. A ticket is asked
for once a day at most. Two runs may ask at once: each writes a file of its own and removes those that it includes, so a reader
never sees half of one, and nothing is lost. Rows that stand in two files for a moment are equal.
https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#show-multiple-tickets
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Clock, Day, wall_clock
from ticket_events_pipeline.decoding.json_values import as_int64
from ticket_events_pipeline.errors import DamagedFileError, TicketEventsError, TransientError
from ticket_events_pipeline.forgotten.blanking import Blanking, Changed, blanking_of, changed
from ticket_events_pipeline.storage.partition_file import Layout, opened_parquet
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.table import DICTIONARY_STRING, INT64, STRING, TIMESTAMP
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD
from ticket_events_pipeline.text import plural, valid_unicode
from ticket_events_pipeline.tickets.fields import UNTOLD_BY_SNAPSHOTS
from ticket_events_pipeline.tickets.rules.child_event import tags_text, value_text

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.account_api import AccountApi

TICKET_SNAPSHOTS = "ticket_snapshots"
"""The folder of the snapshots."""

STATUS_PATH = f"{TICKET_SNAPSHOTS}/_status.json"
"""How the newest asking went. The underscore keeps query engines from reading it as part of the table."""

SNAPSHOTS_SCHEMA = pa.schema(
    [
        ("ticket_id", INT64),
        ("field", DICTIONARY_STRING),  # NULL: the ticket was asked for and didn't come back
        ("value", STRING),  # as in ticket_field_changes
        ("seen_at", TIMESTAMP),  # of the answer
        ("updated_at", TIMESTAMP),  # the ticket's own, NULL if it has none
    ]
)

MOST_REQUESTS = 100
"""Of one run: 10,000 tickets. The others are asked for by later runs."""

TICKETS_PER_REQUEST = 100

_LISTINGS = 5

_ADVICE = "Remove the file: its tickets are asked for again where they still matter."
_LAYOUT = Layout(rows_per_group=16 * 1024)  # a reader of some tickets skips the rest

Log = Callable[[str], None]

OpenApi = Callable[[], AbstractContextManager["AccountApi"]]
"""Opens the account's API; raises TicketEventsError where it can't be asked."""


@dataclass(frozen=True)
class SnapshotStatus:
    """How an asking went.

    Attributes:
        asked_at: epoch seconds.
        tickets: that were to be asked for.
        answered: of them, that Zendesk answered about, also those that didn't come back.
        problem: why not all were asked for; None if nothing failed.
    """

    asked_at: int
    tickets: int
    answered: int
    problem: str | None = None


class Snapshots:
    """The stored snapshots, and the asking for more. One object for a run.

    Without `open_api` nothing is asked. `log` gets a line for each asking.

    Attributes:
        problems: why tickets were not asked for in this run; empty if nothing failed.
    """

    def __init__(
        self,
        store: Store,
        timezone: str,
        *,
        open_api: OpenApi | None = None,
        most_requests: int = MOST_REQUESTS,
        clock: Clock = wall_clock,
        log: Log = lambda _: None,
    ) -> None:
        self._store, self._timezone = store, timezone
        self._open_api = open_api
        self._requests_left = most_requests
        self._clock, self._log = clock, log
        self.problems: list[str] = []

    def stored(self, tickets: Sequence[int], *, since: Day | None = None) -> pa.Table:
        """The snapshots of some tickets, of the day `since` and later ones if it is given.

        Returns:
            SNAPSHOTS_SCHEMA, sorted by ticket, field and seen_at; several of one field if it was asked for on several days.
        """
        wanted = pa.array(sorted(set(tickets)), INT64)
        return _unique(self._rows(lambda: self._paths(since), wanted) if len(wanted) else [])

    def ask(self, tickets: Iterable[int], fields: Sequence[str]) -> None:
        """Ask for the `fields` of those tickets that were not asked for today, and store what comes.

        It never raises: what can't be asked for or stored is logged and noted in `problems`, and stays unknown. After one
        failure nothing is asked any more in this run.
        """
        told = [field for field in fields if field not in UNTOLD_BY_SNAPSHOTS]
        if self._open_api is None or self.problems or not told:
            return
        try:
            asked_today = self._asked_on(self._today())
            wanted = [ticket for ticket in dict.fromkeys(tickets) if ticket not in asked_today]
            if wanted:
                self._ask(self._open_api, wanted, told)
        except TicketEventsError as error:
            self._note(str(error))

    def _ask(self, open_api: OpenApi, wanted: list[int], fields: Sequence[str]) -> None:
        now = wanted[: self._requests_left * TICKETS_PER_REQUEST]
        self._requests_left -= -(-len(now) // TICKETS_PER_REQUEST)
        if len(now) < len(wanted):
            self._log(
                f"{plural(len(wanted) - len(now), 'ticket')} more could be asked for what no stored audit tells; a run asks "
                f"for {MOST_REQUESTS * TICKETS_PER_REQUEST:,} at most, later runs for the others."
            )
        rows: list[pa.Table] = []
        answered = 0
        try:
            if now:
                with open_api() as api:
                    for chunk in _chunks(now):
                        rows.append(_ask_for(api, chunk, fields))
                        answered += len(chunk)
        except TicketEventsError as error:
            self._note(str(error))
        if rows:
            self._write(rows)
            self._log(f"Asked Zendesk for {plural(answered, 'ticket')} whose values no stored audit tells.")
        if now:
            problem = self.problems[0] if self.problems else None
            self._write_status(SnapshotStatus(int(self._clock()), len(wanted), answered, problem))

    def _note(self, reason: str) -> None:
        self.problems.append(reason)
        self._log(
            f"Tickets could not be asked for what no stored audit tells; those values stay unknown, everything else is made. "
            f"{reason} To ask for none: ZENDESK_SNAPSHOTS=0."
        )

    def _today(self) -> Day:
        return Day.containing(self._clock(), self._timezone)

    def _paths(self, since: Day | None = None) -> list[str]:
        """The files, in order; with `since` those of that day and later ones."""
        found = snapshot_paths(self._store)
        return found if since is None else [path for path in found if path >= _folder(since)]

    def _paths_of(self, day: Day) -> list[str]:
        return [path for path in self._paths(day) if path.startswith(_folder(day))]

    def _asked_on(self, day: Day) -> set[int]:
        parts = self._rows(lambda: self._paths_of(day))
        return {ticket for part in parts for ticket in pc.unique(part["ticket_id"]).to_pylist()}

    def _rows(self, listed: Callable[[], list[str]], tickets: pa.Array | None = None) -> list[pa.Table]:
        """The rows of all listed files; listed again if one is gone, since another run has included it in a newer one."""
        for _ in range(_LISTINGS):
            with suppress(FileNotFoundError):
                return [part for path in listed() if (part := self._read(path, tickets)) is not None]
        raise TransientError(
            f"{self._store.url(TICKET_SNAPSHOTS)}: files were replaced {_LISTINGS} times while they were read."
        )

    def _read(self, path: str, tickets: pa.Array | None = None) -> pa.Table | None:
        """The rows of a file, all or those of some ascending tickets; None if it is damaged.

        Raises:
            FileNotFoundError: it is gone.
        """
        try:
            with opened_parquet(self._store, path, advice=_ADVICE, dictionary_columns=["field"]) as file:
                if tickets is None:
                    return file.read().select(SNAPSHOTS_SCHEMA.names).cast(SNAPSHOTS_SCHEMA)
                rows = file.read_row_groups(_groups_with(file.metadata, tickets))
                rows = rows.select(SNAPSHOTS_SCHEMA.names).cast(SNAPSHOTS_SCHEMA)
                return rows.filter(pc.is_in(rows["ticket_id"], value_set=tickets))
        except (DamagedFileError, KeyError) as error:
            self._log(f"{self._store.url(path)}: {error}" if isinstance(error, KeyError) else str(error))
            return None

    def _write(self, rows: list[pa.Table]) -> None:
        """Write a file with the new rows and those of the day's other files, then remove these."""
        day = self._today()
        others = {}
        for other in self._paths_of(day):
            with suppress(FileNotFoundError):  # another run has just included it
                if (part := self._read(other)) is not None:
                    others[other] = part
        table = _unique([*others.values(), *rows])
        blanking = blanking_of(self._store)
        _write_file(self._store, _folder(day), table if blanking is None else blanking.fields(table), now=self._clock())
        self._store.delete(*others)

    def _write_status(self, status: SnapshotStatus) -> None:
        with self._store.writer(STATUS_PATH) as sink:
            sink.write(json.dumps(asdict(status)).encode())


def snapshot_paths(store: Store) -> list[str]:
    """The files, in order."""
    return [path for path in store.paths(TICKET_SNAPSHOTS) if path.endswith(".parquet")]


def read_snapshots(store: Store, path: str) -> pa.Table | None:
    """The rows of a file; None if it is gone.

    Raises:
        DamagedFileError: the file can't be read.
    """
    try:
        with opened_parquet(store, path, advice=_ADVICE, dictionary_columns=["field"]) as file:
            return file.read().select(SNAPSHOTS_SCHEMA.names).cast(SNAPSHOTS_SCHEMA)
    except FileNotFoundError:
        return None


def blank_snapshots(store: Store, path: str, blanking: Blanking, *, dry_run: bool = False) -> Changed:
    """Replace a file by one without what was forgotten; returns what changes.

    Raises:
        DamagedFileError: the file can't be read.
    """
    before = read_snapshots(store, path)
    if before is None:  # another run has included it in a newer one, which it blanked
        return Changed()
    after = blanking.fields(before)
    if after is not before and not dry_run:
        _write_file(store, path.rpartition("/")[0] + "/", after, now=wall_clock())
        store.delete(path)
    return changed(before, after)


def _write_file(store: Store, folder: str, table: pa.Table, *, now: float) -> None:
    with store.writer(f"{folder}{uuid.uuid4().hex}.parquet") as sink, _LAYOUT.writer(sink, table.schema) as parquet:
        parquet.write_table(table, row_group_size=_LAYOUT.rows_per_group)
        parquet.finish({"rows": str(table.num_rows), "written_at": str(int(now))})


def read_status(store: Store) -> SnapshotStatus | None:
    """How the newest asking went; None if nothing was ever asked, or nobody can say.

    Raises:
        UsageError, TransientError: the root can't be read.
    """
    try:
        with store.reader(STATUS_PATH) as file:
            return SnapshotStatus(**json.loads(file.read()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def snapshot_rows(ticket: Mapping[str, Any], fields: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each of the `fields` that a ticket's JSON tells, with its value as text; NULL for empty.

    Fields that aren't in the JSON are left out: an account without forms sends none.
    """
    custom = _custom_values(ticket.get("custom_fields"))
    for field in fields:
        if field.startswith(CUSTOM_FIELD):
            if field in custom:
                yield field, value_text(custom[field])
        elif field == "channel":
            via = ticket.get("via")
            channel = via.get("channel") if isinstance(via, dict) else None
            if isinstance(channel, str):
                yield field, valid_unicode(channel)
        elif field == "tags":
            if isinstance(tags := ticket.get("tags"), list):
                yield field, tags_text(tags)
        elif field in ticket:
            yield field, value_text(ticket[field])


def _custom_values(entries: object) -> dict[str, object]:
    """By field, what `custom_fields` says."""
    listed = entries if isinstance(entries, list) else []
    return {
        f"{CUSTOM_FIELD}{entry['id']}": entry["value"]
        for entry in listed
        if isinstance(entry, dict) and {"id", "value"} <= entry.keys()
    }


def _ask_for(api: AccountApi, tickets: Sequence[int], fields: Sequence[str]) -> pa.Table:
    answer = api.tickets(tickets)
    asked = set(tickets)
    found = {ticket: record for record in answer.records if (ticket := as_int64(record.get("id"))) in asked}
    rows: list[dict[str, object]] = []
    for ticket in tickets:
        record = found.get(ticket, {})
        row = {
            "ticket_id": ticket,
            "seen_at": int(answer.answered_at * 1000),
            "updated_at": _milliseconds(record.get("updated_at")),
        }
        told: list[tuple[str | None, str | None]] = [*snapshot_rows(record, fields)]
        rows += [{**row, "field": field, "value": value} for field, value in told or [(None, None)]]
    return pa.Table.from_pylist(rows, SNAPSHOTS_SCHEMA)


def _milliseconds(text: object) -> int | None:
    try:
        moment = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if moment is None or moment.tzinfo is None else int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _chunks(tickets: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(tickets), TICKETS_PER_REQUEST):
        yield tickets[start : start + TICKETS_PER_REQUEST]


def _folder(day: Day) -> str:
    return f"{TICKET_SNAPSHOTS}/date={day}/"


def _groups_with(metadata: Any, tickets: pa.Array) -> list[int]:
    """The row groups that may hold one of the ascending tickets."""
    wanted = tickets.to_numpy()
    found = []
    for number in range(metadata.num_row_groups):
        statistics = metadata.row_group(number).column(0).statistics
        is_known = statistics is not None and statistics.has_min_max
        if not is_known or wanted.searchsorted(statistics.min, "left") < wanted.searchsorted(statistics.max, "right"):
            found.append(number)
    return found


def _unique(parts: list[pa.Table]) -> pa.Table:
    """The rows of all parts, each once, sorted by ticket, field and seen_at."""
    whole = pa.concat_tables([SNAPSHOTS_SCHEMA.empty_table(), *parts])
    plain = whole.set_column(1, "field", whole["field"].cast(STRING))  # a dictionary can't be grouped by
    distinct = plain.group_by(plain.column_names, use_threads=False).aggregate([])
    ordered = distinct.sort_by([("ticket_id", "ascending"), ("field", "ascending"), ("seen_at", "ascending")])
    return ordered.set_column(1, "field", ordered["field"].dictionary_encode()).cast(SNAPSHOTS_SCHEMA)
