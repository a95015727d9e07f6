"""What the code server runs with, in a small file of the root, so that any other process can compare itself with it.

A run is executed by a worker, a container or a command line with variables of its own. If they differ from the code server's,
its partitions aren't those of the UI, or its files differ from those of other hosts, and nothing says so. The file holds values
that decide what is written, as parsed: no credentials, and nothing made from them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from ticket_events_pipeline.installation import PACKAGE, installed_version
from ticket_events_pipeline.process import host_name
from ticket_events_pipeline.publish_settings import PUBLISH_CATALOG, PUBLISH_URIS
from ticket_events_pipeline.settings import Settings
from ticket_events_pipeline.storage.store import INFLIGHT, Store
from ticket_events_pipeline.variables import NONE

PATH = f"{INFLIGHT}/code_server.json"

_VERSIONS_OF = (PACKAGE, "dagster")
_UNSET = "not set"


@dataclass(frozen=True)
class Fingerprint:
    """What partitions and files depend on.

    Attributes:
        versions: by package.
        variables: the value by variable, as parsed; a default counts as set.
    """

    versions: Mapping[str, str]
    variables: Mapping[str, str]


@dataclass(frozen=True)
class CodeServer:
    """The code server that has written the file.

    Attributes:
        host: the name of its machine or container.
        written_at: epoch seconds by its clock: for people only.
    """

    fingerprint: Fingerprint
    host: str
    written_at: float


class Difference(NamedTuple):
    """A package's version or a variable that differs; `not set` for what one of them doesn't know."""

    name: str
    here: str
    code_server: str


def fingerprint_of(settings: Settings) -> Fingerprint:
    """The fingerprint of this process, with these settings."""
    flags = {
        "TICKET_EVENTS_TICKET_TABLES": settings.has_ticket_tables,
        "ZENDESK_INCLUDE_COMMENTS": settings.include_comments,
        "ZENDESK_SNAPSHOTS": settings.has_snapshots,
    }
    lists = {
        "TICKET_EVENTS_DIMENSIONS": settings.dimensions,
        "ZENDESK_NAMES": settings.names,
        "ZENDESK_FORMER_SUBDOMAINS": settings.former_accounts,
    }
    # The sandbox's first day moves with the calendar.
    first_day = {} if settings.is_sandbox else {"TICKET_EVENTS_START_DATE": settings.start_date.isoformat()}
    return Fingerprint(
        versions={package: installed_version(package) for package in _VERSIONS_OF},
        variables={
            "ZENDESK_SUBDOMAIN": settings.account,
            "TICKET_EVENTS_ROOT": settings.root,
            **first_day,
            "TICKET_EVENTS_TIMEZONE": settings.timezone,
            "ZENDESK_REQUESTS_PER_MINUTE": str(settings.requests_per_minute),
            "ZENDESK_SUPPORT_TYPE_SCOPE": settings.support_type_scope,
            "TICKET_EVENTS_RESTATE_DAYS": str(settings.restate_days),
            "TICKET_EVENTS_GOAL_PERCENT": f"{settings.goal_percent:g}",
            "TICKET_EVENTS_ALERT_MIN_TARGETS": str(settings.min_targets),
            **{name: str(int(is_on)) for name, is_on in flags.items()},
            **{name: ",".join(sorted(values)) or NONE for name, values in lists.items()},
            **{variable: settings.publish.targets.get(name, NONE) for name, variable in PUBLISH_URIS.items()},
            PUBLISH_CATALOG: ".".join(settings.publish.catalog),
        },
    )


def differences(here: Fingerprint, code_server: Fingerprint) -> list[Difference]:
    """What differs, versions first. A name that only one of them knows was added by a later version: that differs, too."""
    pairs = ((here.versions, code_server.versions), (here.variables, code_server.variables))
    return [
        Difference(name, ours.get(name) or _UNSET, theirs.get(name) or _UNSET)
        for ours, theirs in pairs
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


def write_code_server(store: Store, fingerprint: Fingerprint, *, now: float) -> None:
    """Write the file, unless it already says so.

    Raises:
        UsageError, TransientError: the store refuses, or can't be reached.
    """

    def change(held: bytes | None) -> bytes | None:
        before = None if held is None else _parsed(held)
        if before is not None and before.fingerprint == fingerprint:
            return None
        return json.dumps(asdict(CodeServer(fingerprint, host_name(), now)), indent=1).encode()

    store.update(PATH, change)


def read_code_server(store: Store) -> CodeServer | None:
    """What the code server has written; None if it hasn't yet, or if another version's file can't be read.

    Raises:
        UsageError, TransientError: the store refuses, or can't be reached.
    """
    try:
        with contextlib.closing(store.reader(PATH)) as file:
            return _parsed(file.read())
    except FileNotFoundError:
        return None


def warning(here: Fingerprint, code_server: CodeServer) -> str:
    """A sentence for the log of a run whose process differs from the code server; empty if it doesn't."""
    found = [f"{one.name} is {one.here} here, {one.code_server} there" for one in differences(here, code_server.fingerprint)]
    if not found:
        return ""
    return (
        f"This process differs from the code server on {code_server.host}: {'; '.join(found)}. Give both the same variables "
        "and versions: partitions and files depend on them."
    )


def _parsed(content: bytes) -> CodeServer | None:
    try:
        found = json.loads(content)
        fingerprint = Fingerprint(*(dict(found["fingerprint"][part]) for part in ("versions", "variables")))
        return CodeServer(fingerprint, str(found["host"]), float(found["written_at"]))
    except (ValueError, TypeError, KeyError):
        return None
