"""What facts say, as lines of a chat message: Slack's marks, which most others that take its messages know too.

A line explains its numbers: what was counted, on which day, as of when, from which threshold on, and where to look. Text of
the account stands in code marks, where nothing in it is a mark, a link or a mention.
https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

from ticket_events_pipeline.alerts.observation import DayState, FailedRun, MetricState, Observed
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.day import zone

LONGEST_NAME = 80
LONGEST_REASON = 300
"""Characters of an error: enough to act on. Slack is somebody else's house."""


def quoted(text: str, longest: int = LONGEST_NAME) -> str:
    """Any text as one line of code: visible, without a mention in it, at most so many characters before it is escaped."""
    visible = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    plain = visible.replace("`", "'").replace("@", "\N{FULLWIDTH COMMERCIAL AT}")
    cut = plain if len(plain) <= longest else plain[: longest - 1] + "…"
    return f"`{escaped(cut) or '-'}`"


def escaped(text: str) -> str:
    """The three characters that Slack wants escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def moment(epoch_seconds: float, timezone: str) -> str:
    """A time to the minute, with its zone's abbreviation."""
    return dt.datetime.fromtimestamp(epoch_seconds, zone(timezone)).strftime("%Y-%m-%d %H:%M %Z")


def breaches_line(observed: Observed, day: DayState, metric: MetricState, *, next_at: int, settings: AlertSettings) -> str:
    """So many new breaches of a metric on a day."""
    count = "1 new breach" if metric.breaches == 1 else f"{metric.breaches} new breaches"
    worst = ""
    if metric.worst_policy is not None:
        worst = f" Most under the policy {quoted(metric.worst_policy)}: {metric.worst_policy_breaches}."
    return (
        f"*{count} of {quoted(metric.sla_metric)} on {day.day}*, {_as_of(observed, day)}: targets that first breached on that "
        f"day.{worst} Told from {settings.breaches} on, next at {next_at}. "
        f"{_where_to_look(observed, day, settings)}"
    )


def rate_line(observed: Observed, day: DayState, metric: MetricState, *, settings: AlertSettings) -> str:
    """The achievement rate of a metric on a day."""
    per_mille = metric.achieved * 1000 // (metric.achieved + metric.breaches)  # 79.99 % is below 80 %, and must look so
    rate = f"{per_mille // 10}.{per_mille % 10} %"
    return (
        f"*{rate} of {quoted(metric.sla_metric)} achieved on {day.day}*, {_as_of(observed, day)}: {metric.achieved} targets "
        f"met, {metric.breaches} breached. Told once a day below {settings.achievement_percent} %, from {settings.min_targets} "
        f"decided targets on. {_where_to_look(observed, day, settings)}"
    )


def stall_line(observed: Observed, stream: str, read_at: int, *, settings: AlertSettings) -> str:
    """A stream that is not read."""
    hours = f"{(observed.now - read_at) / 3600:.1f} hours"
    return (
        f"*`{stream}` has not been read for {hours}*, the last time at {moment(read_at, observed.timezone)}, as its newest "
        f"day's file says. Told once, from {settings.stale_hours} hours on. Is the hourly fetch turned on, and what do its "
        f"last runs say?{_link(settings, 'runs', 'The runs')}"
    )


def reading_line(observed: Observed, stream: str, read_at: int, *, stalled_since: int) -> str:
    """A stream that is read again."""
    return (
        f"*`{stream}` is read again*, at {moment(read_at, observed.timezone)}; it had not been since "
        f"{moment(stalled_since, observed.timezone)}."
    )


def failure_line(observed: Observed, run: FailedRun, *, settings: AlertSettings) -> str:
    """A run that failed."""
    reason = f" It said: {quoted(run.reason, LONGEST_REASON)}." if run.reason else ""
    link = _link(settings, f"runs/{quote(run.run_id)}", "Open it") or f" Its id: `{run.run_id}`."
    return (
        f"*A run of {quoted(run.job)} failed* at {moment(run.ended_at, observed.timezone)}, and is not started again by itself."
        f"{reason}{link}"
    )


def _as_of(observed: Observed, day: DayState) -> str:
    so_far = "the whole day" if day.is_complete else "so far"
    return f"{so_far}, as of {moment(day.as_of, observed.timezone)}"


def _where_to_look(observed: Observed, day: DayState, settings: AlertSettings) -> str:
    link = _link(
        settings, f"assets/{quote(observed.summary_path)}?partition={day.day}&amp;view=partitions", "The day's summary"
    )
    return f"The tickets stand in `sla_targets` of that day.{link}"


def _link(settings: AlertSettings, path: str, text: str) -> str:
    return "" if settings.dagster_url is None else f" <{settings.dagster_url}/{path}|{text}>"
