"""The variable of the warnings: how long before its due time a warning is sent.

A problem names the variable and never quotes it: a webhook's URL may have been pasted into it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ticket_events_pipeline.tables.sla_targets import SLA_METRICS
from ticket_events_pipeline.variables import VariableReader

WARN_MINUTES = "TICKET_EVENTS_WARN_MINUTES"

DEFAULT_MINUTES = 60
"""Time to answer, and short enough that most targets are met before a warning is sent."""

LONGEST_MINUTES = 24 * 60
"""What is due later is no warning but a work list; the state between two ticks is bounded by it, too."""

_PART = re.compile(r"(?:([a-z_]+)\s*=\s*)?([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True)
class WarningSettings:
    """How long before its due time a warning is sent, in seconds.

    Attributes:
        default_seconds: for metrics without one of their own.
        by_metric: by the metric's name in SLA policies.
    """

    default_seconds: int = DEFAULT_MINUTES * 60
    by_metric: Mapping[str, int] = field(default_factory=dict)

    @property
    def longest_seconds(self) -> int:
        """The longest of all."""
        return max(self.default_seconds, *self.by_metric.values(), 0)

    def seconds_of(self, sla_metric: str) -> int:
        """How long before its due time a warning of the metric is sent."""
        return self.by_metric.get(sla_metric, self.default_seconds)


def warning_settings(env: Mapping[str, str]) -> WarningSettings:
    """The variable of the warnings in `env`; no other variable is read.

    Raises:
        SettingsError: it is malformed; no value is quoted.
    """
    reader = VariableReader(env)
    settings = reader.parsed(WARN_MINUTES, str(DEFAULT_MINUTES), parse=_warn_minutes)
    reader.raise_problems()
    return settings


def _warn_minutes(text: str) -> WarningSettings:
    default: int | None = None
    by_metric: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _PART.fullmatch(part)
        if found is None or not 1 <= int(found[2]) <= LONGEST_MINUTES:
            raise ValueError(
                f"is no number of minutes from 1 to {LONGEST_MINUTES}: give it as in 60, and other ones for single metrics as "
                "in 60,first_reply_time=30"
            )
        metric, seconds = found[1], int(found[2]) * 60
        if metric is not None and metric not in SLA_METRICS:
            raise ValueError(f"names a metric that SLA policies don't have; they have {', '.join(sorted(SLA_METRICS))}")
        if metric in by_metric or (metric is None and default is not None):
            raise ValueError(f"gives two numbers for {metric or 'all other metrics'}")
        if metric is None:
            default = seconds
        else:
            by_metric[metric] = seconds
    return WarningSettings(DEFAULT_MINUTES * 60 if default is None else default, by_metric)
