"""One account's corner of a code location: how its assets, jobs and sensors are called, and which variables are its own.

A location holds one account as a rule, named by the environment variables, and then nothing bears its name. With several
(see `component`), everything bears its account's: two accounts share neither keys, nor files, nor a quota.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.pipeline import Log, Pipeline
from ticket_events_pipeline.settings import partition_settings

Environment = Callable[[], Mapping[str, str]]

_T = TypeVar("_T")


@dataclass(frozen=True)
class AccountScope:
    """One account of a code location.

    Attributes:
        name: what its names and keys begin with; empty for the only account of a location.
        environment: the account's variables (.env.example), read anew whenever they are needed.
        partitions: the one object that all its assets share: Dagster splits a range backfill over assets whose definitions
            differ. Today is a partition while it lasts (end_offset=1), so that its open file can be fetched every hour.
        spelled: how a variable is called where its value was set, if that isn't the environment.
    """

    name: str
    environment: Environment = field(repr=False)  # it holds credentials
    start_date: dt.date
    timezone: str
    partitions: dg.DailyPartitionsDefinition
    spelled: Mapping[str, str] = field(default_factory=dict)

    def key(self, asset: str) -> dg.AssetKey:
        """The key of the account's asset of that name."""
        return dg.AssetKey([*self.key_prefix, asset])

    @property
    def key_prefix(self) -> list[str]:
        """What the keys of its assets begin with."""
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
        """Whether the day is one of the partitions by now."""
        return self.first_day <= day <= self.day_containing(wall_clock())

    def pipeline(self, *, log: Log = lambda _: None) -> Pipeline:
        """A new pipeline of the account, with the variables as they are set when it needs them."""
        return Pipeline(self.read, name=self.name, log=log)

    def read(self, load: Callable[[Mapping[str, str]], _T], /) -> _T:
        """What `load` makes of the account's variables; its problems name them as they were set.

        Raises:
            SettingsError: what `load` found wrong.
        """
        return _respelled(lambda: load(self.environment()), self.name, self.spelled)


def account_scope(
    name: str = "", environment: Environment = lambda: os.environ, spelled: Mapping[str, str] | None = None
) -> AccountScope:
    """The scope of an account, whose first day and timezone are fixed from now on; by default the environment's own.

    Raises:
        SettingsError: the first day or the timezone is malformed.
    """
    names = spelled or {}
    start_date, timezone = _respelled(lambda: partition_settings(environment()), name, names)
    partitions = dg.DailyPartitionsDefinition(start_date=start_date.isoformat(), timezone=timezone, end_offset=1)
    return AccountScope(name, environment, start_date, timezone, partitions, names)


def _respelled(load: Callable[[], _T], name: str, spelled: Mapping[str, str]) -> _T:
    try:
        return load()
    except SettingsError as error:
        if not spelled:
            raise
        # A whole name at once: some begin with others.
        names = re.compile("|".join(sorted(spelled, key=len, reverse=True)))
        problems = [names.sub(lambda found: spelled[found.group()], problem) for problem in error.problems]
        raise SettingsError([f"account {name}: {problem}" for problem in problems]) from None
