"""What a message says: all pending facts, a line each, in the markup of the chat that it is posted to.

A line explains its numbers: what was counted, on which day, as of when, above which threshold, and where to find more.
Text of the account is in code marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ticket_events_pipeline.alerts.chats import Chat
from ticket_events_pipeline.alerts.observe import DayState, FailedRun
from ticket_events_pipeline.alerts.rules import Content, LowRate, NewBreaches, ResumedStream, StalledStream
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.text import duration_text, plural, zoned_text

LONGEST_TEXT = 3500
"""Characters of a message. Slack advises 4,000 at most and cuts at 40,000."""

LONGEST_REASON = 300
"""Characters of an error: enough to act on. The chat is another company's service."""


@dataclass(frozen=True)
class Context:
    """The account whose facts a message holds, and the chat that it is for.

    Attributes:
        account: its name; None where it is unknown.
        timezone: IANA zone of the times.
        dagster_url: the address of Dagster's UI for links, without a trailing slash; None for no links.
        summary_path: of the summary's asset in the UI.
        chat: whose markup it has.
    """

    account: str | None
    timezone: str
    dagster_url: str | None
    summary_path: str
    chat: Chat


def payload(news: News, context: Context) -> Mapping[str, Any]:
    """The message's JSON: as many facts as it has room for, and how many more there are."""
    chat, title = context.chat, context.chat.bold("SLA alert")
    if context.account is not None:
        title += f" of {chat.code(context.account)}"
    footer = _footer(news, context)
    left = LONGEST_TEXT - len(title) - sum(len(line) + 1 for line in footer) - len("\n… and 999999999 more.")
    shown: list[str] = []
    for fact in news.facts:
        line = f"• {_line(fact.content, context)}"
        left -= len(line) + 1
        if left < 0 and shown:
            break
        shown.append(line)
    more = len(news.facts) - len(shown)
    return chat.message([title, *shown, *([f"… and {more} more."] if more else []), *footer])


def _footer(news: News, context: Context) -> list[str]:
    lines = []
    if news.undelivered_since is not None:
        lines.append(f"Late: the webhook accepted nothing since {zoned_text(news.undelivered_since, context.timezone)}.")
    if news.missed:
        lines.append(
            f"{plural(news.missed, 'more alert')} can't be listed any more: see the failed runs and reports since then."
        )
    return lines


def _line(content: Content, context: Context) -> str:
    match content:
        case NewBreaches():
            return _breaches_line(content, context)
        case LowRate():
            return _rate_line(content, context)
        case StalledStream():
            return _stall_line(content, context)
        case ResumedStream():
            return _resumed_line(content, context)
        case FailedRun():
            return _failure_line(content, context)


def _breaches_line(fact: NewBreaches, context: Context) -> str:
    metric, chat = fact.metric, context.chat
    count = "1 new breach" if metric.breaches == 1 else f"{metric.breaches} new breaches"
    news = f"{count} of {chat.code(metric.sla_metric)} on {fact.day.day}"
    worst = ""
    if metric.worst_policy is not None:
        worst = f" Most under the policy {chat.code(metric.worst_policy)}: {metric.worst_policy_breaches}."
    return (
        f"{chat.bold(news)}, {_as_of(fact.day, context)}: targets that first breached on that day.{worst} Posted from "
        f"{fact.threshold} on, next at {fact.next_at}. {_where_to_look(fact.day, context)}"
    )


def _rate_line(fact: LowRate, context: Context) -> str:
    metric, chat = fact.metric, context.chat
    per_mille = metric.achieved * 1000 // (metric.achieved + metric.breaches)  # 79.99 % is below 80 %, and must look so
    rate = f"{per_mille // 10}.{per_mille % 10} % of {chat.code(metric.sla_metric)} achieved on {fact.day.day}"
    return (
        f"{chat.bold(rate)}, {_as_of(fact.day, context)}: {metric.achieved} targets met, {metric.breaches} breached. Posted "
        f"once a day below {fact.threshold_percent} %, from {fact.min_targets} decided targets on. "
        f"{_where_to_look(fact.day, context)}"
    )


def _stall_line(fact: StalledStream, context: Context) -> str:
    stalled = f"{context.chat.code(fact.stream)} has not been read for {duration_text(fact.seconds)}"
    return (
        f"{context.chat.bold(stalled)}: its newest file was last fetched at "
        f"{zoned_text(fact.read_at, context.timezone)}. Posted once, after {fact.threshold_hours} h. Is the hourly fetch "
        f"turned on, and what do its last runs say?{_link(context, 'runs', 'The runs')}"
    )


def _resumed_line(fact: ResumedStream, context: Context) -> str:
    resumed = f"{context.chat.code(fact.stream)} is read again"
    return (
        f"{context.chat.bold(resumed)}: at {zoned_text(fact.read_at, context.timezone)}, for the first time since "
        f"{zoned_text(fact.stalled_since, context.timezone)}."
    )


def _failure_line(run: FailedRun, context: Context) -> str:
    code = context.chat.code
    reason = f" Error: {code(run.reason, limit=LONGEST_REASON)}." if run.reason else ""
    link = _link(context, f"runs/{quote(run.run_id)}", "Open it") or f" Run id: {code(run.run_id)}."
    failed_at = zoned_text(run.ended_at, context.timezone)
    failed = context.chat.bold(f"A run of {code(run.job)} failed")
    return f"{failed} at {failed_at}, and Dagster will not retry it.{reason}{link}"


def _as_of(day: DayState, context: Context) -> str:
    so_far = "the whole day" if day.is_complete else "so far"
    return f"{so_far}, as of {zoned_text(day.as_of, context.timezone)}"


def _where_to_look(day: DayState, context: Context) -> str:
    path = f"assets/{quote(context.summary_path)}?partition={day.day}&view=partitions"
    return f"The tickets are in {context.chat.code(TARGETS)} of that day.{_link(context, path, 'Summary of the day')}"


def _link(context: Context, path: str, text: str) -> str:
    return "" if context.dagster_url is None else f" {context.chat.link(f'{context.dagster_url}/{path}', text)}"
