"""Settings: environment variables in, one checked value out, or one error with every problem."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from ticket_events_pipeline.credentials import (
    DEFAULT_SUPPORT_TYPE_SCOPE,
    FORMER_SUBDOMAINS,
    HOW_TO_SET_CREDENTIALS,
    SANDBOX_ACCOUNT,
    SANDBOX_TOKEN,
    SANDBOX_URL,
    BearerToken,
    Credentials,
    SandboxToken,
    Server,
    account_of,
    parse_base_url,
    parse_former_subdomains,
    parse_sandbox_token,
    parse_sandbox_url,
    parse_subdomain,
    parse_support_type_scope,
)
from ticket_events_pipeline.day import Day, wall_clock, zone
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.publish_settings import NOT_PUBLISHED, PublishSettings, read_publish_settings
from ticket_events_pipeline.root import is_object_store, oldest_day_folder, parse_root, sandbox_root
from ticket_events_pipeline.variables import NONE, ON, VariableReader, listed, parse_link_base, percent, whole_number

_FIRST_START_DATE, _LAST_START_DATE = dt.date(1970, 1, 2), dt.date(2199, 12, 31)  # epoch seconds ≥ 0 in every zone

DEFAULT_START_DATE = "2025-01-01"
"""The first partition of an account."""

SANDBOX_DAYS = 30
"""Days of the simulated account that are partitions from the beginning: those that the demo makes."""

DEFAULT_GOAL_PERCENT = 95.0
"""What people set themselves most often, where Zendesk knows no goal."""

DEFAULT_MIN_TARGETS = 20
"""Decided targets without which a rate says little."""

FETCH_EVERY_MINUTES, SHORTEST_INTERVAL, LONGEST_INTERVAL = 10, 5, 30
"""How often `frequent_fetch` runs, in minutes: the default, and what can be set."""

NAME_KINDS = (
    "groups",
    "agents",
    "brands",
    "ticket_forms",
    "organizations",
    "sla_policies",
    "group_sla_policies",
    "schedules",
)
"""What `zendesk_names` can hold: the names behind the ids in the tables."""


_CUSTOM_FIELD = re.compile(r"custom_field:[0-9]{1,19}", re.ASCII)

_T = TypeVar("_T")


class PartitionSettings(NamedTuple):
    """What the partitions need; read without credentials, so that definitions always load."""

    start_date: dt.date
    timezone: str


class RootSettings(NamedTuple):
    """What a reader of the stored files needs; read without credentials.

    Attributes:
        root: as in `Settings`.
        timezone: IANA zone of the partition days.
        account: None if no variable names it.
        tickets_url: URL of a ticket in a browser, up to its number; None under the sandbox or without an account.
        former_accounts: earlier names of the account: files with these names belong to it.
        goal_percent: the achievement rate that the account wants to reach, of each metric.
        report_url: the address under which the folder of the reports is served, without a trailing slash; None if it isn't.
        dimensions: custom fields that the ticket tables track, as `custom_field:<id>`.
        min_targets: decided targets that a rate needs before it is compared with others.
        has_ticket_tables: whether the ticket tables are made.
        fetch_every_minutes: how often `frequent_fetch` reads the open day, once it is turned on.
    """

    root: str
    timezone: str
    account: str | None
    tickets_url: str | None
    former_accounts: tuple[str, ...] = ()
    goal_percent: float = DEFAULT_GOAL_PERCENT
    report_url: str | None = None
    dimensions: tuple[str, ...] = ()
    min_targets: int = DEFAULT_MIN_TARGETS
    has_ticket_tables: bool = True
    fetch_every_minutes: int = FETCH_EVERY_MINUTES


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, checked.

    Attributes:
        server: None under the embedded sandbox, whose server starts later: see `with_server`.
        root: an absolute folder, or an object store's URI (`s3://…`); under the sandbox its `sandbox` subfolder.
        support_type_scope: whose tickets the ticket events are asked for: agent, all or ai_agent.
        warnings: sentences for the log; nothing in them stops a run.
        former_accounts: earlier names of the account: files with these names belong to it. The sandbox has none.
        dimensions, min_targets, has_ticket_tables: as in `RootSettings`.
        has_snapshots: whether tickets are asked for what no stored audit tells.
        names: which of `NAME_KINDS` are fetched.
        fetch_every_minutes: as in `RootSettings`.
        publish: where tables are published.
    """

    server: Server | None
    subdomain: str | None
    is_sandbox: bool
    requests_per_minute: int
    timeout_seconds: int
    include_comments: bool
    root: str
    start_date: dt.date
    timezone: str
    restate_days: int
    support_type_scope: str = DEFAULT_SUPPORT_TYPE_SCOPE
    warnings: tuple[str, ...] = ()
    former_accounts: tuple[str, ...] = ()
    goal_percent: float = DEFAULT_GOAL_PERCENT
    report_url: str | None = None
    dimensions: tuple[str, ...] = ()
    min_targets: int = DEFAULT_MIN_TARGETS
    has_ticket_tables: bool = True
    has_snapshots: bool = True
    names: tuple[str, ...] = NAME_KINDS
    fetch_every_minutes: int = FETCH_EVERY_MINUTES
    publish: PublishSettings = NOT_PUBLISHED

    @property
    def account(self) -> str:
        """The account's name in files and quotas: the subdomain, the host of another base URL, or `sandbox`."""
        if self.is_sandbox:
            return SANDBOX_ACCOUNT
        return self.subdomain or account_of(self.base_url)

    @property
    def lake(self) -> RootSettings:
        """The part of them that a reader of the stored files needs."""
        base_url = "" if self.server is None else self.server.base_url
        return RootSettings(
            root=self.root,
            timezone=self.timezone,
            account=self.account,
            tickets_url=None if self.is_sandbox else _tickets_url(self.subdomain, base_url),
            former_accounts=self.former_accounts,
            goal_percent=self.goal_percent,
            report_url=self.report_url,
            dimensions=self.dimensions,
            min_targets=self.min_targets,
            has_ticket_tables=self.has_ticket_tables,
            fetch_every_minutes=self.fetch_every_minutes,
        )

    @property
    def base_url(self) -> str:
        """The server's base URL.

        Raises:
            UsageError: under the embedded sandbox, before `with_server`.
        """
        return self._known_server().base_url

    @property
    def credentials(self) -> Credentials:
        """The server's credentials.

        Raises:
            UsageError: under the embedded sandbox, before `with_server`.
        """
        return self._known_server().credentials

    def with_server(self, base_url: str) -> Settings:
        """The same settings with the sandbox's server at `base_url`.

        Raises:
            UsageError: ZENDESK_SANDBOX is not set; real credentials are only sent to ZENDESK_BASE_URL.
        """
        if not self.is_sandbox:
            raise UsageError("only the sandbox has an embedded server; for another server set ZENDESK_BASE_URL")
        return replace(self, server=Server(base_url.rstrip("/"), BearerToken("sandbox")))

    def _known_server(self) -> Server:
        if self.server is None:
            raise UsageError("ZENDESK_SANDBOX=1: the embedded sandbox server has not been started yet")
        return self.server


def load_settings(env: Mapping[str, str]) -> Settings:
    """The settings in `env`; an empty or blank variable counts as unset.

    Raises:
        SettingsError: with every problem found, not only the first.
    """
    reader = VariableReader(env)
    is_sandbox = reader.flag("ZENDESK_SANDBOX")
    subdomain = reader.parsed("ZENDESK_SUBDOMAIN", "", parse=parse_subdomain) or None
    start_date, timezone = _partitions(reader)
    server = _sandbox_server(reader, is_sandbox=is_sandbox)
    if is_sandbox:
        _check_sandbox(reader)
    else:
        server = _server(reader, subdomain)
    settings = Settings(
        server=server,
        subdomain=subdomain,
        is_sandbox=is_sandbox,
        requests_per_minute=reader.whole_number("ZENDESK_REQUESTS_PER_MINUTE", 10),
        timeout_seconds=reader.whole_number("ZENDESK_TIMEOUT_SECONDS", 60),
        include_comments=reader.flag("ZENDESK_INCLUDE_COMMENTS"),
        root=_root(reader, is_sandbox=is_sandbox),
        start_date=start_date,
        timezone=timezone,
        restate_days=reader.whole_number("TICKET_EVENTS_RESTATE_DAYS", 3),
        support_type_scope=reader.parsed("ZENDESK_SUPPORT_TYPE_SCOPE", "", parse=parse_support_type_scope),
        warnings=tuple(reader.warnings),
        former_accounts=_former_accounts(reader, is_sandbox=is_sandbox),
        goal_percent=reader.parsed("TICKET_EVENTS_GOAL_PERCENT", f"{DEFAULT_GOAL_PERCENT:g}", parse=percent),
        report_url=reader.parsed("TICKET_EVENTS_REPORT_URL", "", parse=parse_link_base) or None,
        dimensions=_dimensions(reader),
        min_targets=_min_targets(reader),
        has_ticket_tables=_has_ticket_tables(reader),
        has_snapshots=reader.flag("ZENDESK_SNAPSHOTS", default="1"),
        names=reader.parsed("ZENDESK_NAMES", ",".join(NAME_KINDS), parse=_names),
        fetch_every_minutes=_fetch_every_minutes(reader),
        publish=read_publish_settings(reader),
    )
    reader.raise_problems()
    return settings


def partition_settings(env: Mapping[str, str]) -> PartitionSettings:
    """The first partition and the timezone of the days; other variables may be missing or wrong.

    Raises:
        SettingsError: TICKET_EVENTS_START_DATE or TICKET_EVENTS_TIMEZONE is malformed.
    """
    reader = VariableReader(env)
    partitions = _partitions(reader)
    reader.raise_problems()
    return partitions


def has_ticket_tables(env: Mapping[str, str]) -> bool:
    """Whether the ticket tables are made; other variables may be missing or wrong.

    Raises:
        SettingsError: TICKET_EVENTS_TICKET_TABLES is malformed.
    """
    reader = VariableReader(env)
    is_on = _has_ticket_tables(reader)
    reader.raise_problems()
    return is_on


def fetch_every_minutes(env: Mapping[str, str]) -> int:
    """How often `frequent_fetch` runs; other variables may be missing or wrong.

    Raises:
        SettingsError: TICKET_EVENTS_FETCH_EVERY_MINUTES is malformed.
    """
    reader = VariableReader(env)
    minutes = _fetch_every_minutes(reader)
    reader.raise_problems()
    return minutes


def root_settings(env: Mapping[str, str]) -> RootSettings:
    """Where the files are stored and whose they are; credentials may be missing or wrong.

    Raises:
        SettingsError: one of the variables is malformed.
    """
    reader = VariableReader(env)
    is_sandbox = reader.flag("ZENDESK_SANDBOX")
    subdomain = reader.parsed("ZENDESK_SUBDOMAIN", "", parse=parse_subdomain)
    base_url = reader.parsed("ZENDESK_BASE_URL", "", parse=parse_base_url)
    account = SANDBOX_ACCOUNT if is_sandbox else subdomain or (account_of(base_url) if base_url else None)
    found = RootSettings(
        root=_root(reader, is_sandbox=is_sandbox),
        timezone=_partitions(reader).timezone,
        account=account,
        tickets_url=None if is_sandbox else _tickets_url(subdomain, base_url),
        former_accounts=_former_accounts(reader, is_sandbox=is_sandbox),
        goal_percent=reader.parsed("TICKET_EVENTS_GOAL_PERCENT", f"{DEFAULT_GOAL_PERCENT:g}", parse=percent),
        report_url=reader.parsed("TICKET_EVENTS_REPORT_URL", "", parse=parse_link_base) or None,
        dimensions=_dimensions(reader),
        min_targets=_min_targets(reader),
        has_ticket_tables=_has_ticket_tables(reader),
        fetch_every_minutes=_fetch_every_minutes(reader),
    )
    reader.raise_problems()
    return found


def _dimensions(reader: VariableReader) -> tuple[str, ...]:
    return reader.parsed("TICKET_EVENTS_DIMENSIONS", NONE, parse=_custom_fields)


def _custom_fields(text: str) -> tuple[str, ...]:
    found = listed(text)
    for name in found:
        if not _CUSTOM_FIELD.fullmatch(name):
            raise ValueError(f"{name!r} is not a custom field, as in custom_field:360041597112")
    return found


def _names(text: str) -> tuple[str, ...]:
    found = listed(text)
    for name in found:
        if name not in NAME_KINDS:
            raise ValueError(f"{name!r} is none of {', '.join(NAME_KINDS)}; to turn names off: none")
    return found


def _has_ticket_tables(reader: VariableReader) -> bool:
    return reader.flag("TICKET_EVENTS_TICKET_TABLES", default="1")


def _fetch_every_minutes(reader: VariableReader) -> int:
    return reader.parsed("TICKET_EVENTS_FETCH_EVERY_MINUTES", str(FETCH_EVERY_MINUTES), parse=_minutes)


def _minutes(text: str) -> int:
    return whole_number(text, SHORTEST_INTERVAL, LONGEST_INTERVAL)


def _min_targets(reader: VariableReader) -> int:
    return reader.whole_number("TICKET_EVENTS_ALERT_MIN_TARGETS", DEFAULT_MIN_TARGETS)


def _start_date(text: str) -> dt.date:
    date = Day.parse(text).date
    if not _FIRST_START_DATE <= date <= _LAST_START_DATE:
        raise ValueError(f"{text!r} is outside {_FIRST_START_DATE} to {_LAST_START_DATE}")
    return date


def _partitions(reader: VariableReader) -> PartitionSettings:
    timezone = reader.parsed("TICKET_EVENTS_TIMEZONE", "UTC", parse=lambda text: zone(text).key)
    default = DEFAULT_START_DATE
    if not reader.text("TICKET_EVENTS_START_DATE") and reader.text("ZENDESK_SANDBOX").lower() in ON:
        default = _sandbox_start_date(reader, timezone)
    return PartitionSettings(reader.parsed("TICKET_EVENTS_START_DATE", default, parse=_start_date), timezone)


def _sandbox_start_date(reader: VariableReader, timezone: str) -> str:
    """The first of the last SANDBOX_DAYS days, or the oldest stored day if that is earlier: stored days stay partitions.

    An object store isn't listed, since definitions load without a network: there, it is always the former.
    """
    first = Day.containing(wall_clock(), timezone).plus(1 - SANDBOX_DAYS).date
    stored: dt.date | None = None
    with suppress(ValueError):  # the check of the root reports it
        root = sandbox_root(parse_root(reader.text("TICKET_EVENTS_ROOT") or "data"))
        stored = None if is_object_store(root) else oldest_day_folder(root)
    return str(first if stored is None else min(first, stored))


def _tickets_url(subdomain: str | None, base_url: str) -> str | None:
    """Agents sign in at the account's own host, whatever the API is reached through."""
    site = f"https://{subdomain}.zendesk.com" if subdomain else base_url
    return f"{site}/agent/tickets/" if site else None


def _former_accounts(reader: VariableReader, *, is_sandbox: bool) -> tuple[str, ...]:
    former = reader.parsed(FORMER_SUBDOMAINS, "", parse=parse_former_subdomains)
    return () if is_sandbox else former


def _server(reader: VariableReader, subdomain: str | None) -> Server | None:
    base_url = reader.parsed("ZENDESK_BASE_URL", "", parse=parse_base_url)
    if not (reader.text("ZENDESK_SUBDOMAIN") or reader.text("ZENDESK_BASE_URL")):
        reader.problems.append("ZENDESK_SUBDOMAIN is not set: acme for https://acme.zendesk.com (or set ZENDESK_BASE_URL)")
    found = reader.credentials()
    reader.problems.extend(found.problems or ([] if found.variables else [HOW_TO_SET_CREDENTIALS]))
    reader.warnings.extend(found.warnings)
    return Server(base_url or f"https://{subdomain}.zendesk.com", found.credentials) if found.credentials else None


def _sandbox_server(reader: VariableReader, *, is_sandbox: bool) -> Server | None:
    """The sandbox that runs as a service; None for the embedded one."""
    url = reader.parsed(SANDBOX_URL, "", parse=parse_sandbox_url)
    if not reader.text(SANDBOX_URL):
        return None
    if not is_sandbox:
        reader.problems.append(
            f"{SANDBOX_URL} is only for ZENDESK_SANDBOX=1: set that and no credentials, or unset {SANDBOX_URL}"
        )
        return None
    token = reader.parsed(SANDBOX_TOKEN, "", parse=parse_sandbox_token)
    if not reader.text(SANDBOX_TOKEN):
        reader.problems.append(
            f"{SANDBOX_TOKEN} is not set, but {SANDBOX_URL} is: give the token that the sandbox was started with"
        )
    return Server(url, SandboxToken(token)) if url and token else None


def _check_sandbox(reader: VariableReader) -> None:
    given = " and ".join(reader.credentials().variables)
    if given:
        reader.problems.append(f"ZENDESK_SANDBOX=1 takes no credentials: unset {given}, or unset ZENDESK_SANDBOX")
    names = ("ZENDESK_SUBDOMAIN", "ZENDESK_BASE_URL", FORMER_SUBDOMAINS)
    ignored = " and ".join(name for name in names if reader.text(name))
    if ignored:
        reader.warnings.append(f"{ignored} ignored: ZENDESK_SANDBOX=1 uses the simulated account")


def _root(reader: VariableReader, *, is_sandbox: bool) -> str:
    root = reader.parsed("TICKET_EVENTS_ROOT", "data", parse=parse_root)
    return sandbox_root(root) if is_sandbox else root
