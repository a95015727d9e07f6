"""The alert variables of the environment: thresholds, where alerts go, and the address of Dagster's UI.

A problem names the variable and never quotes it: a webhook's URL is a secret, and it may be pasted into any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ticket_events_pipeline.alerts.destinations import (
    NOTIFY_URLS,
    WEBHOOK,
    Destination,
    destinations_of,
)
from ticket_events_pipeline.variables import VariableReader, parse_link_base

_WHOLE_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True)
class AlertSettings:
    """When alerts are sent, and where to.

    Attributes:
        destinations: that they are posted to; at least one of them can be used.
        breaches: of one metric on one day, from which on they are posted.
        achievement_percent: a day's rate of one metric below it is posted, once `min_targets` targets are decided.
        min_targets: decided targets (met or breached) that a rate needs.
        stale_hours: a stream that was not read for so long is posted as stalled.
        dagster_url: the address of Dagster's UI, without a trailing slash; None if it is not set.
    """

    destinations: tuple[Destination, ...]
    breaches: int
    achievement_percent: int
    min_targets: int
    stale_hours: int
    dagster_url: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why messages can't be sent to some of the destinations; no URL is quoted."""
        return tuple(
            f"{destination.variable}: {destination.problem}" for destination in self.destinations if destination.problem
        )


def alert_settings(env: Mapping[str, str]) -> AlertSettings:
    """The alert variables of `env`; no other variable is read.

    Raises:
        SettingsError: there is no destination that can be used, or another variable is malformed; every problem at once, no
            value quoted.
    """
    reader = VariableReader(env)
    if not reader.text(WEBHOOK) and not reader.text(NOTIFY_URLS):
        reader.problems.append(
            f"{WEBHOOK} is not set, and neither is {NOTIFY_URLS}: give the URL of an incoming webhook of Slack or Microsoft "
            "Teams, or of a chat that accepts Slack's messages"
        )
    settings = AlertSettings(
        destinations=tuple(destinations_of(reader.text(WEBHOOK), reader.text(NOTIFY_URLS))),
        breaches=reader.parsed("TICKET_EVENTS_ALERT_BREACHES", "10", parse=_number_up_to(999_999)),
        achievement_percent=reader.parsed("TICKET_EVENTS_ALERT_ACHIEVEMENT_PERCENT", "80", parse=_number_up_to(100)),
        min_targets=reader.parsed("TICKET_EVENTS_ALERT_MIN_TARGETS", "20", parse=_number_up_to(999_999)),
        stale_hours=reader.parsed("TICKET_EVENTS_ALERT_STALE_HOURS", "3", parse=_number_up_to(999_999)),
        dagster_url=_dagster_url(reader),
    )
    if reader.problems or all(destination.problem for destination in settings.destinations):
        reader.problems[:0] = settings.problems
    reader.raise_problems()
    return settings


def dagster_url(env: Mapping[str, str]) -> str | None:
    """The address of Dagster's UI, without a trailing slash; None if it is not set.

    Raises:
        SettingsError: it is malformed.
    """
    reader = VariableReader(env)
    url = _dagster_url(reader)
    reader.raise_problems()
    return url


def _dagster_url(reader: VariableReader) -> str | None:
    return reader.parsed("TICKET_EVENTS_DAGSTER_URL", "", parse=parse_link_base) or None


def _number_up_to(greatest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= greatest:
            raise ValueError(f"is no whole number from 1 to {greatest}")
        return int(text)

    return parse
