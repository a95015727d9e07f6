"""What facts say, as lines of a chat message: Slack's marks, which most others that take its messages know too.

A line explains its numbers: what was counted, on which day, as of when, from which threshold on, and where to look. Text of
the account stands in code marks, where nothing in it is a mark, a link or a mention.
https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

from urllib.parse import quote

from ticket_events_pipeline.alerts.observation import DayState, FailedRun, MetricState, Observed
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.text import slack_code, zoned_text

LONGEST_REASON = 300
"""Characters of an error: enough to act on. Slack is somebody else's house."""


def breaches_line(observed: Observed, day: DayState, metric: MetricState, *, next_at: int, settings: AlertSettings) -> str:
    """So many new breaches of a metric on a day."""
    count = "1 new breach" if metric.breaches == 1 else f"{metric.breaches} new breaches"
    worst = ""
    if metric.worst_policy is not None:
        worst = f" Most under the policy {slack_code(metric.worst_policy)}: {metric.worst_policy_breaches}."
    return (
        f"*{count} of {slack_code(metric.sla_metric)} on {day.day}*, {_as_of(observed, day)}: targets that first breached on "
        f"that day.{worst} Told from {settings.breaches} on, next at {next_at}. "
        f"{_where_to_look(observed, day, settings)}"
    )


def rate_line(observed: Observed, day: DayState, metric: MetricState, *, settings: AlertSettings) -> str:
    """The achievement rate of a metric on a day."""
    per_mille = metric.achieved * 1000 // (metric.achieved + metric.breaches)  # 79.99 % is below 80 %, and must look so
    rate = f"{per_mille // 10}.{per_mille % 10} %"
    return (
        f"*{rate} of {slack_code(metric.sla_metric)} achieved on {day.day}*, {_as_of(observed, day)}: {metric.achieved} "
        f"targets met, {metric.breaches} breached. Told once a day below {settings.achievement_percent} %, from "
        f"{settings.min_targets} decided targets on. {_where_to_look(observed, day, settings)}"
    )


def stall_line(observed: Observed, stream: str, read_at: int, *, settings: AlertSettings) -> str:
    """A stream that is not read."""
    hours = f"{(observed.now - read_at) / 3600:.1f} hours"
    return (
        f"*`{stream}` has not been read for {hours}*, the last time at {zoned_text(read_at, observed.timezone)}, as its newest "
        f"day's file says. Told once, from {settings.stale_hours} hours on. Is the hourly fetch turned on, and what do its "
        f"last runs say?{_link(settings, 'runs', 'The runs')}"
    )


def reading_line(observed: Observed, stream: str, read_at: int, *, stalled_since: int) -> str:
    """A stream that is read again."""
    return (
        f"*`{stream}` is read again*, at {zoned_text(read_at, observed.timezone)}; it had not been since "
        f"{zoned_text(stalled_since, observed.timezone)}."
    )


def failure_line(observed: Observed, run: FailedRun, *, settings: AlertSettings) -> str:
    """A run that failed."""
    reason = f" It said: {slack_code(run.reason, limit=LONGEST_REASON)}." if run.reason else ""
    link = _link(settings, f"runs/{quote(run.run_id)}", "Open it") or f" Its id: `{run.run_id}`."
    return (
        f"*A run of {slack_code(run.job)} failed* at {zoned_text(run.ended_at, observed.timezone)}, and is "
        f"not started again by itself."
        f"{reason}{link}"
    )


def _as_of(observed: Observed, day: DayState) -> str:
    so_far = "the whole day" if day.is_complete else "so far"
    return f"{so_far}, as of {zoned_text(day.as_of, observed.timezone)}"


def _where_to_look(observed: Observed, day: DayState, settings: AlertSettings) -> str:
    link = _link(
        settings, f"assets/{quote(observed.summary_path)}?partition={day.day}&amp;view=partitions", "The day's summary"
    )
    return f"The tickets stand in `sla_targets` of that day.{link}"


def _link(settings: AlertSettings, path: str, text: str) -> str:
    return "" if settings.dagster_url is None else f" <{settings.dagster_url}/{path}|{text}>"
