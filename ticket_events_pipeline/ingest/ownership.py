"""Whose files a root holds: of one account, timezone, choice about comments and support type scope. A fetch mixes none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ticket_events_pipeline.credentials import DEFAULT_SUPPORT_TYPE_SCOPE, AccountNames
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, ForeignRootError, NewerFileError
from ticket_events_pipeline.forgotten.ledger import lost_ledger_error, read_ledger
from ticket_events_pipeline.storage.partition_file import partition_path, stored_days
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS


@dataclass(frozen=True)
class Ownership:
    """What all raw files of a root have in common.

    Attributes:
        account: the Zendesk account's name.
        timezone: IANA zone of the partition days.
        sideload: whether comments are stored.
        support_type_scope: whose tickets are requested: agent, all or ai_agent.
        former_accounts: names that the account had before; files and journals with them belong to it too.
    """

    account: str
    timezone: str
    sideload: bool
    support_type_scope: str = DEFAULT_SUPPORT_TYPE_SCOPE
    former_accounts: tuple[str, ...] = ()

    @property
    def names(self) -> AccountNames:
        """The account's names, the current one and the former ones."""
        return AccountNames(self.account, self.former_accounts)


def refuse_foreign_files(store: Store, stream: str, days: list[Day], ownership: Ownership, log: Callable[[str], None]) -> None:
    """Check the stored days of the range, and the newest one of each stream, before anything is fetched.

    Raises:
        ForeignRootError: a file was made for another account, timezone, sideload or support type scope.
        NewerFileError: a newer version of this program wrote a file.
        DamagedFileError: a day of the range has blanked rows, and the ledger of what was forgotten is gone or can't be read.
    """
    asked = set(days)
    for name in STREAMS:
        stored = stored_days(store, name, ownership.timezone)
        in_range = asked.intersection(stored) if name == stream else set()
        for day in sorted(in_range.union(stored[-1:])):
            try:
                footer = read_raw_footer(store, name, day)
            except NewerFileError:  # it may hold what this version can't write, and must not be replaced
                raise
            except DamagedFileError as error:
                log(str(error))
                continue
            if footer is not None:
                if day in in_range and footer.forgotten_rows and read_ledger(store) is None:
                    raise lost_ledger_error(store, store.url(partition_path(name, day)))
                _refuse(store, day, footer, ownership if name == stream else _without_choices(ownership, footer))


def _without_choices(ownership: Ownership, footer: RawFooter) -> Ownership:
    """`ownership` without the choices about comments and scope, which concern only one stream."""
    return replace(ownership, sideload=footer.sideload, support_type_scope=footer.support_type_scope)


def _refuse(store: Store, day: Day, footer: RawFooter, ownership: Ownership) -> None:
    account = ownership.names.current_of(footer.account)
    differing = [
        f"{variable}: its files have {theirs}, this fetch has {ours}"
        for variable, theirs, ours in (
            ("ZENDESK_SUBDOMAIN", account, ownership.account),
            ("TICKET_EVENTS_TIMEZONE", footer.timezone, ownership.timezone),
            ("ZENDESK_INCLUDE_COMMENTS", int(footer.sideload), int(ownership.sideload)),
            ("ZENDESK_SUPPORT_TYPE_SCOPE", footer.support_type_scope, ownership.support_type_scope),
        )
        if theirs != ours
    ]
    if differing:
        renamed = "" if account == ownership.account else ownership.names.how_to_include(account)
        back = f"{renamed} Else set the variable back" if renamed else "Set the variable back"
        raise ForeignRootError(
            f"{store.location} holds {footer.stream} of {day} that was made otherwise ({'; '.join(differing)}). "
            f"{back}, or start a new root: set TICKET_EVENTS_ROOT to an empty folder and backfill it."
        )
