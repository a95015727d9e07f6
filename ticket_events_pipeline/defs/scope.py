"""One account in a code location: the names of its assets, jobs and sensors, and its variables.

A location usually has one account, named by the environment variables, and its name is not part of any key. With several
accounts (see `component`), all names start with that of the account: accounts share no keys, files or quota.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.pipeline import Log, Pipeline
from ticket_events_pipeline.publish_settings import has_publishing
from ticket_events_pipeline.settings import FETCH_EVERY_MINUTES, fetch_every_minutes, has_ticket_tables, partition_settings

Environment = Callable[[], Mapping[str, str]]

_T = TypeVar("_T")


@dataclass(frozen=True)
class AccountScope:
    """One account of a code location.

    Attributes:
        name: prefix of its names and keys; empty for the only account of a location.
        environment: the account's variables (docs/reference/variables.md), read again by each pipeline.
        partitions: one object for all its assets: Dagster splits a range backfill over assets with different definitions.
            Today is a partition, too (end_offset=1), so that its open file can be fetched every hour.
        spelled: by variable, the name under which its value was set, if that is not the environment.
        has_ticket_tables: whether the ticket tables are made; without them, they are no assets.
        fetch_every_minutes: how often `frequent_fetch` runs.
        has_publishing: whether tables are published to a lakehouse; if not, that is no asset.
    """

    name: str
    environment: Environment = field(repr=False)  # it contains credentials
    start_date: dt.date
    timezone: str
    partitions: dg.DailyPartitionsDefinition
    spelled: Mapping[str, str] = field(default_factory=dict)
    has_ticket_tables: bool = True
    fetch_every_minutes: int = FETCH_EVERY_MINUTES
    has_publishing: bool = False

    def key(self, asset: str) -> dg.AssetKey:
        """The key of the account's asset of that name."""
        return dg.AssetKey([*self.key_prefix, asset])

    @property
    def key_prefix(self) -> list[str]:
        """The prefix of the keys of its assets."""
        return [self.name] if self.name else []

    def named(self, name: str) -> str:
        """The name of a job, schedule, sensor, group, pool or resource of the account."""
        return f"{self.name}_{name}" if self.name else name

    def day(self, partition_key: str) -> Day:
        """The day of a partition key."""
        return Day.parse(partition_key, self.timezone)

    def days(self, partition_keys: list[str]) -> list[Day]:
        """The days of partition keys, in order."""
        return sorted(self.day(key) for key in partition_keys)

    def day_containing(self, epoch_seconds: float) -> Day:
        """The account's day at that time."""
        return Day.containing(epoch_seconds, self.timezone)

    @property
    def first_day(self) -> Day:
        """The first partition."""
        return Day(self.start_date, self.timezone)

    def is_partition(self, day: Day) -> bool:
        """Whether the day is a partition now."""
        return self.first_day <= day <= self.day_containing(wall_clock())

    def pipeline(self, *, log: Log = lambda _: None) -> Pipeline:
        """A new pipeline of the account, with the variables as they are set when it first needs them."""
        once = functools.cache(lambda: dict(self.environment()))
        return Pipeline(replace(self, environment=once).read, name=self.name, log=log)

    def read(self, load: Callable[[Mapping[str, str]], _T], /) -> _T:
        """What `load` makes of the account's variables; problems name them as they were set.

        Raises:
            SettingsError: what `load` found wrong.
        """
        return _respelled(lambda: load(self.environment()), self.name, self.spelled)

    def as_spelled(self, problem: str) -> str:
        """The problem with the variables named as they were set."""
        return _as_spelled(problem, self.spelled)


def account_scope(
    name: str = "", environment: Environment = lambda: os.environ, spelled: Mapping[str, str] | None = None
) -> AccountScope:
    """The scope of an account, by default that of the environment; its assets and their days are fixed from now on.

    Raises:
        SettingsError: the first day or the timezone is malformed.
    """
    names = spelled or {}
    start_date, timezone = _respelled(lambda: partition_settings(environment()), name, names)
    partitions = dg.DailyPartitionsDefinition(start_date=start_date.isoformat(), timezone=timezone, end_offset=1)
    variables = environment()
    return AccountScope(
        name,
        environment,
        start_date,
        timezone,
        partitions,
        names,
        has_ticket_tables=_unless_malformed(has_ticket_tables, variables, default=True),
        fetch_every_minutes=_unless_malformed(fetch_every_minutes, variables, default=FETCH_EVERY_MINUTES),
        has_publishing=has_publishing(variables),
    )


def _unless_malformed(load: Callable[[Mapping[str, str]], _T], variables: Mapping[str, str], *, default: _T) -> _T:
    """A malformed variable counts as unset here: definitions load, and the first run or tick says what is wrong with it."""
    try:
        return load(variables)
    except SettingsError:
        return default


def _respelled(load: Callable[[], _T], name: str, spelled: Mapping[str, str]) -> _T:
    try:
        return load()
    except SettingsError as error:
        if not spelled:
            raise
        raise SettingsError([f"account {name}: {_as_spelled(problem, spelled)}" for problem in error.problems]) from None


def _as_spelled(problem: str, spelled: Mapping[str, str]) -> str:
    if not spelled:
        return problem
    # Longest names first: some names begin with others.
    names = re.compile("|".join(sorted(spelled, key=len, reverse=True)))
    return names.sub(lambda found: spelled[found.group()], problem)
