"""TICKET_EVENTS_RETAIN_DAYS: for how many days each asset is kept, and which bounds hold for that."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.settings import has_ticket_tables, partition_settings
from ticket_events_pipeline.sla.footer_cache import TABLES
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.tickets.snapshots import TICKET_SNAPSHOTS
from ticket_events_pipeline.variables import GREATEST_NUMBER, NONE, VariableReader, listed, whole_number

RETAIN_DAYS = "TICKET_EVENTS_RETAIN_DAYS"

PRUNABLE = (*TABLES, TICKET_SNAPSHOTS, REPORT)
"""What has a folder a day. The rejected rows of a stream are pruned with it, the pages of weeks with the report."""

CLOSING = tuple(name for name in PRUNABLE if name != REPORT)
"""What the tables of later days are made from, or are compared with. Nothing is made from a page."""

REACH_DAYS = 62
"""Making a day reads so many days before it, at most: who held a ticket that breached thirty days ago is in the audits of
thirty days before that; clocks and states reach back 31 days, and as many more where one of their files has to be replaced;
usual figures are those of eight weeks. So pruning before a day closes the days up to so many after it: they are never made
again. For all later ones, everything is there."""

LEAST_DAYS = 75
"""The least that is kept: then two weeks, less a day, are open at any time."""

OPEN_DAYS = 2
"""Days that stay open in addition to those that daily_restatement re-reads: today, and a day that was just closed."""

_ENTRY = re.compile(r"(?:(?P<name>[a-z_]+)\s*=\s*)?(?P<days>[0-9]+)", re.ASCII)


@dataclass(frozen=True)
class RetentionSettings:
    """What pruning needs to know of the settings.

    Attributes:
        retained: by asset, for how many days it is kept, today included; assets that are kept for ever are left out.
        first_day: the first partition.
        restate_days: closed days that are re-read every night.
        has_ticket_tables: whether the ticket tables are made.
    """

    retained: Mapping[str, int]
    first_day: Day
    restate_days: int
    has_ticket_tables: bool


def retention_settings(env: Mapping[str, str]) -> RetentionSettings:
    """The settings in `env`; credentials may be missing or wrong.

    `730` keeps all assets for so many days, `ticket_events=90` one; an asset's own entry counts more. `none` or unset: nothing
    is pruned.

    Raises:
        SettingsError: one of the variables is malformed, or less is kept than has to stay open.
    """
    reader = VariableReader(env)
    restate_days = reader.whole_number("TICKET_EVENTS_RESTATE_DAYS", 3)
    retained = reader.parsed(RETAIN_DAYS, NONE, parse=lambda text: _parse(text, least=least_days(restate_days)))
    reader.raise_problems()
    start_date, timezone = partition_settings(env)
    return RetentionSettings(retained, Day(start_date, timezone), restate_days, has_ticket_tables(env))


def least_days(restate_days: int) -> int:
    """For how many days everything is kept at least: what is re-read has to be open."""
    return max(LEAST_DAYS, REACH_DAYS + OPEN_DAYS + restate_days)


def first_kept(retained: Mapping[str, int], today: Day) -> dict[str, dt.date]:
    """By asset, the first day that is kept."""
    return {asset: today.plus(1 - days).date for asset, days in retained.items()}


def _parse(text: str, *, least: int) -> dict[str, int]:
    everywhere: int | None = None
    single: dict[str, int] = {}
    for entry in listed(text):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"{entry!r} is neither a number of days nor an asset with one, as in 730, {AUDITS}=90")
        name, days = match["name"], whole_number(match["days"], least, GREATEST_NUMBER)
        if name is None:
            if everywhere is not None:
                raise ValueError(f"{everywhere} and {days} are both for all assets: give one of them")
            everywhere = days
        elif name not in PRUNABLE:
            raise ValueError(f"{name!r} is none of {', '.join(PRUNABLE)}")
        elif name in single:
            raise ValueError(f"{name} is given twice")
        else:
            single[name] = days
    retained = {name: single.get(name, everywhere) for name in PRUNABLE}
    return {name: days for name, days in retained.items() if days is not None}
