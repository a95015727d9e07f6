"""Whose days a DAGSTER_HOME shows: an account's, with its files below one root. A home mixes none.

Otherwise the UI would show days as materialised that are not stored, and a backfill of the missing ones would leave them out.
The stamp is kept with the runs, in SQLite or Postgres, by the key of the account's scope: several accounts of a code location
have separate asset keys, and so share a home. It counts as long as any of the account's assets has a record.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import dagster as dg

from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.credentials import AccountNames
from ticket_events_pipeline.defs.fleet_instance import OPEN_SECONDS, answered_queries, open_instance
from ticket_events_pipeline.defs.scope import AccountScope, account_scope
from ticket_events_pipeline.errors import ForeignHomeError, UsageError
from ticket_events_pipeline.ingest.ownership import refuse_foreign_files
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.root import is_object_store
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.footer_cache import TABLES
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.tables.streams import STREAMS


@dataclass(frozen=True)
class HomeStamp:
    """Whose days a DAGSTER_HOME shows.

    Attributes:
        root: of their files.
        account: its name; None if it is not known.
    """

    root: str
    account: str | None = None

    def __str__(self) -> str:
        files = f"files below {self.root}"
        return files if self.account is None else f"account {self.account}, {files}"


def claim_dagster_home(instance: dg.DagsterInstance, scope: AccountScope, owner: RootSettings | None = None) -> None:
    """Stamp the instance with the scope's account and root; call it before anything is recorded in it.

    Args:
        instance: the one that records.
        scope: the account's.
        owner: its account and root, where they were read already.

    Raises:
        ForeignHomeError: it shows days of another account or root.
        SettingsError: the root or the account's name is malformed.
    """
    owner = owner or scope.pipeline().root_settings
    if problem := _problem(instance, scope, owner):
        raise ForeignHomeError(problem)
    _stamp(instance, scope, owner)


def refuse_foreign_home(instance: dg.DagsterInstance, scope: AccountScope) -> None:
    """The same check, without a stamp: nothing has been recorded yet.

    Raises:
        ForeignHomeError, SettingsError: see `claim_dagster_home`.
    """
    if problem := _problem(instance, scope, scope.pipeline().root_settings):
        raise ForeignHomeError(problem)


def is_in_use(instance: dg.DagsterInstance, scope: AccountScope) -> bool:
    """Whether any of the scope's assets has a record."""
    return next(_newest_records(instance, scope), None) is not None


def dagster_home_problem(variables: Mapping[str, str], *, database: str = "its database") -> str | None:
    """Why the DAGSTER_HOME that is set can't be used for the account that is set; None without a problem, or without a home.

    Raises:
        UsageError: Dagster can't open the home, or the root is malformed.
    """
    if not _home_of(variables):
        return None
    scope = account_scope(environment=lambda: variables)
    owner = scope.pipeline().root_settings
    with _opened(variables, database) as instance:
        return in_time(lambda: _problem(instance, scope, owner), seconds=OPEN_SECONDS)


def adopt_dagster_home(variables: Mapping[str, str], *, database: str = "its database") -> str:
    """Stamp the DAGSTER_HOME with the account and root that are set, after the files were moved there; what was done.

    Raises:
        UsageError: no home is set, Dagster can't open it, or the root holds no files of this account.
        SettingsError: variables are missing, malformed or contradict each other.
    """
    if not _home_of(variables):
        raise UsageError("DAGSTER_HOME is not set to a folder that exists: set it to the one to keep.")
    scope = account_scope(environment=lambda: variables)
    pipeline = scope.pipeline().checked()
    if not any(stored_days(pipeline.store, stream, scope.timezone) for stream in STREAMS):
        raise UsageError(f"{pipeline.store.location} holds no fetched day. Move the files there first.")
    for stream in STREAMS.values():
        refuse_foreign_files(pipeline.store, stream.name, [], pipeline.ownership(stream), lambda _: None)
    with _opened(variables, database) as instance:
        _stamp(instance, scope, pipeline.root_settings)
    return f"DAGSTER_HOME: {_home_of(variables)} is kept for account {pipeline.settings.account}, {pipeline.store.location}"


def _problem(instance: dg.DagsterInstance, scope: AccountScope, owner: RootSettings) -> str | None:
    """Why the instance can't be used for that account and root; None if it can, or if it has no record of the scope."""
    stamp = _read_stamp(instance, scope)
    if stamp is None:
        stamp = _stamp_by_records(instance, scope)
    if stamp is None or _is_owner(stamp, owner) or not is_in_use(instance, scope):
        return None
    home, names = instance.root_directory, AccountNames(owner.account, owner.former_accounts)
    wanted = HomeStamp(owner.root, owner.account)
    is_other_account = stamp.account is not None and owner.account is not None and stamp.account != wanted.account
    renamed = names.how_to_include(stamp.account) if is_other_account and stamp.account else ""
    adopt = f"DAGSTER_HOME={shlex.quote(home)} {program()} doctor --adopt-dagster-home"
    sentences = [
        f"DAGSTER_HOME {home} shows the days of {stamp}; but set now is {wanted}. Its days would look materialized though they "
        "are not stored, so nothing is recorded or requested. Set DAGSTER_HOME to another folder (under make, move this one "
        "away), or set the variables back.",
        renamed,
        "" if is_other_account else f"If the files were moved: {adopt}",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _is_owner(stamp: HomeStamp, owner: RootSettings) -> bool:
    names = AccountNames(owner.account, owner.former_accounts)
    is_account = None in (stamp.account, owner.account) or names.current_of(stamp.account or "") == owner.account
    return is_account and _is_same_root(stamp.root, owner.root)


def _is_same_root(one: str, other: str) -> bool:
    if one == other or is_object_store(one) or is_object_store(other):
        return one == other
    return os.path.realpath(one) == os.path.realpath(other)


def _stamp(instance: dg.DagsterInstance, scope: AccountScope, owner: RootSettings) -> None:
    known = _read_stamp(instance, scope)
    account = owner.account or (known.account if known is not None and _is_owner(known, owner) else None)
    stamp = HomeStamp(owner.root, account)
    if stamp != known:
        instance.run_storage.set_cursor_values({_key(scope): json.dumps(asdict(stamp))})


def _read_stamp(instance: dg.DagsterInstance, scope: AccountScope) -> HomeStamp | None:
    text = instance.run_storage.get_cursor_values({_key(scope)}).get(_key(scope))
    try:
        return HomeStamp(**json.loads(text)) if text else None
    except (ValueError, TypeError):  # of a later version: the records say whose the home is
        return None


def _stamp_by_records(instance: dg.DagsterInstance, scope: AccountScope) -> HomeStamp | None:
    """Of a home that an earlier version used: the root of the newest record that names its file."""
    roots = {}
    for asset, record in _newest_records(instance, scope):
        materialization = record.asset_materialization
        uri = None if materialization is None else materialization.metadata.get("dagster/uri")
        root, is_found, _ = str(uri.value if uri is not None else "").rpartition(f"/{asset}/date=")
        if is_found:
            roots[record.timestamp] = root
    return HomeStamp(roots[max(roots)]) if roots else None


def _newest_records(instance: dg.DagsterInstance, scope: AccountScope) -> Iterator[tuple[str, dg.EventLogEntry]]:
    for asset in (*TABLES, REPORT):
        record = instance.get_latest_materialization_event(scope.key(asset))
        if record is not None:
            yield asset, record


def _key(scope: AccountScope) -> str:
    return f"ticket_events_pipeline/dagster_home/{scope.name}"


def _home_of(variables: Mapping[str, str]) -> str:
    """The home that is set; empty if none is, or if there is no such folder."""
    home = variables.get("DAGSTER_HOME", "").strip()
    return home if os.path.isdir(home) else ""


@contextmanager
def _opened(variables: Mapping[str, str], database: str) -> Iterator[dg.DagsterInstance]:
    with open_instance(_home_of(variables), database=database) as instance, answered_queries(database):
        yield instance
