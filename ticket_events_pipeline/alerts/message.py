"""What a message says: all pending facts in the markup of the chat that it is posted to, a line for each metric of a day.

What is new in a line is bold, and the rest of it is context. One line at the end explains the lines above. Text of the account
is in code marks, unless it is made of letters and underscores only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ticket_events_pipeline.alerts.chats import Chat
from ticket_events_pipeline.alerts.observe import NO_TICKETS, BreachedTickets, DayState, FailedRun, MetricState
from ticket_events_pipeline.alerts.rules import Content, Fact, LowRate, NewBreaches, ResumedStream, StalledStream
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.text import duration_text, hours_name, metric_name, percent_text, plural, rate_text, zoned_text

LONGEST_TEXT = 3500
"""Characters of a message. Slack advises 4,000 at most and cuts at 40,000."""

LONGEST_REASON = 300
"""Characters of an error: enough to act on. The chat is another company's service."""

_PLAIN_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
_LONGEST_PLAIN_NAME = 40
_NEXT = " \N{EN DASH} "


def _no_tickets(_: Day, __: str) -> BreachedTickets:
    return NO_TICKETS


@dataclass(frozen=True)
class Context:
    """The account whose facts a message holds, and the chat that it is for.

    Attributes:
        account: its name; None where it is unknown.
        timezone: IANA zone of the times.
        dagster_url: the address of Dagster's UI for links, without a trailing slash; None for no links.
        summary_path: of the summary's asset in the UI.
        chat: whose markup it has.
        goal_percent: the achievement rate that the account wants to reach; None where it is unknown.
        report_url: the address of the reports' folder for links, without a trailing slash; None for no links.
        report_file: the name of a day's page.
        tickets_url: the address of a ticket, up to its number; None for no links.
        tickets: of a day and a metric, the tickets that breached; asked only for what is posted.
        is_test: the message says that it is one.
    """

    account: str | None
    timezone: str
    dagster_url: str | None
    summary_path: str
    chat: Chat
    goal_percent: float | None = None
    report_url: str | None = None
    report_file: str = "sla_breach_report.html"
    tickets_url: str | None = None
    tickets: Callable[[Day, str], BreachedTickets] = field(default=_no_tickets, repr=False)
    is_test: bool = False


@dataclass
class _Entry:
    """A line of a message: a metric of a day with what is new about it, or another fact."""

    content: Content
    breaches: NewBreaches | None = None
    rate: LowRate | None = None

    @property
    def day(self) -> DayState | None:
        return self.content.day if isinstance(self.content, NewBreaches | LowRate) else None


def payload(news: News, context: Context) -> Mapping[str, Any]:
    """The message's JSON: as many facts as it has room for, and how many more lines there would be."""
    entries = list(_entries(news.facts))
    title, footer = _title(context), [*_explanation(entries, context), *_footer(news, context)]
    left = LONGEST_TEXT - len(title) - sum(len(line) + 1 for line in footer) - len("\n… and 999999999 more.")
    shown: list[str] = []
    number, day = 0, None
    for entry in entries:
        lines = [*([_heading(entry.day, context)] if entry.day and entry.day != day else []), f"• {_line(entry, context)}"]
        left -= sum(len(line) + 1 for line in lines)
        if left < 0 and shown:
            break
        shown += lines
        number, day = number + 1, entry.day
    more = len(entries) - number
    return context.chat.message([title, *shown, *([f"… and {more:,} more."] if more else []), *footer])


def _entries(facts: Sequence[Fact]) -> Iterator[_Entry]:
    """The lines, in the order of the facts; those about one metric on one day share a line."""
    of_metrics: dict[tuple[Day, str], _Entry] = {}
    for content in (fact.content for fact in facts):
        if not isinstance(content, NewBreaches | LowRate):
            yield _Entry(content)
            continue
        entry = of_metrics.setdefault((content.day.day, content.metric.sla_metric), _Entry(content))
        if isinstance(content, NewBreaches):
            entry.breaches = content
        else:
            entry.rate = content
    yield from of_metrics.values()


def _title(context: Context) -> str:
    chat = context.chat
    of_account = "" if context.account is None else f" of {chat.code(context.account)}"
    if context.is_test:
        return f"{chat.bold('Test of the SLA alerts')}{of_account}: this message shows what an alert looks like"
    return f"{chat.bold('SLA alert')}{of_account}"


def _footer(news: News, context: Context) -> list[str]:
    lines = []
    if news.undelivered_since is not None:
        lines.append(f"Late: the webhook accepted nothing since {zoned_text(news.undelivered_since, context.timezone)}.")
    if news.missed:
        lines.append(
            f"{plural(news.missed, 'more alert')} can't be listed any more: see the failed runs and reports since then."
        )
    return lines


def _explanation(entries: Sequence[_Entry], context: Context) -> list[str]:
    """One line for all lines of a message; none where nothing needs it."""
    sentences = []
    stalls = [entry.content for entry in entries if isinstance(entry.content, StalledStream)]
    if stalls:
        runs = _link(context, "runs", "its last runs")
        sentences.append(f"After {stalls[0].threshold_hours} h without a reading: is hourly_fetch turned on? See {runs}.")
    if any(isinstance(entry.content, FailedRun) for entry in entries):
        sentences.append("Dagster will not retry failed runs named here.")
    breaches = next((entry.breaches for entry in entries if entry.breaches), None)
    if breaches is not None:
        sentences.append(f"Breaches are posted from {breaches.threshold} a day on, and at each doubling.")
    rate = next((entry.rate for entry in entries if entry.rate), None)
    if rate is not None:
        sentences.append(
            f"A rate is posted once a day below {rate.threshold_percent}%, from {rate.min_targets} met or breached targets on."
        )
    return [" ".join(sentences)] if sentences else []


def _heading(day: DayState, context: Context) -> str:
    so_far = "the whole day" if day.is_complete else "so far"
    text = f"{day.day}, {so_far}, as of {zoned_text(day.as_of, context.timezone)}"
    links = []
    if context.report_url is not None:
        links.append(context.chat.link(f"{context.report_url}/date={day.day}/{context.report_file}", "report"))
    if context.dagster_url is not None:
        links.append(_link(context, f"assets/{quote(context.summary_path)}?partition={day.day}&view=partitions", "in Dagster"))
    return _NEXT.join([text, *links])


def _line(entry: _Entry, context: Context) -> str:
    match entry.content:
        case NewBreaches() | LowRate() as content:
            return _metric_line(entry, content, context)
        case StalledStream() as content:
            return _stall_line(content, context)
        case ResumedStream() as content:
            return _resumed_line(content, context)
        case FailedRun() as content:
            return _failure_line(content, context)


def _metric_line(entry: _Entry, content: NewBreaches | LowRate, context: Context) -> str:
    """`First reply time: 5 breaches, 75.0% met (goal 95%) - 3 under Silver, business hours - #123 #456 and 3 more`."""
    metric, bold = content.metric, context.chat.bold
    name, breaches, rate = _name(metric, context), plural(metric.breaches, "breach", "breaches"), _rate(metric)
    goal = "" if context.goal_percent is None else f" (goal {percent_text(context.goal_percent)})"
    if entry.breaches is not None and entry.rate is not None:
        figures = f"{bold(f'{name}: {breaches}, {rate}')}{goal}"
    elif entry.breaches is not None:
        figures = f"{bold(f'{name}: {breaches}')}, {rate}{goal}"
    else:
        figures = f"{bold(f'{name}: {rate}')}{goal}, {breaches}"
    parts = [figures, _worst_policy(metric, context), _tickets(content.day.day, metric, context)]
    return _NEXT.join(part for part in parts if part)


def _name(metric: MetricState, context: Context) -> str:
    name = metric.sla_metric
    is_plain = len(name) <= _LONGEST_PLAIN_NAME and _PLAIN_NAME.fullmatch(name)
    return metric_name(name) if is_plain else context.chat.code(name)


def _rate(metric: MetricState) -> str:
    return f"{rate_text(metric.achieved / (metric.achieved + metric.breaches))} met"


def _worst_policy(metric: MetricState, context: Context) -> str:
    if metric.worst_policy is None:
        return ""
    hours = f", {hours_name(metric.worst_policy_hours)}" if metric.worst_policy_hours is not None else ""
    return f"{metric.worst_policy_breaches:,} under {context.chat.code(metric.worst_policy)}{hours}"


def _tickets(day: Day, metric: MetricState, context: Context) -> str:
    """The newest of the tickets that breached, each a link; nothing where they are not known."""
    found = context.tickets(day, metric.sla_metric) if metric.breaches else NO_TICKETS
    url, link = context.tickets_url, context.chat.link
    shown = [f"#{ticket}" if url is None else link(f"{url}{ticket}", f"#{ticket}") for ticket in found.newest]
    more = found.number - len(found.newest)
    return " ".join([*shown, *([f"and {more:,} more"] if shown and more > 0 else [])])


def _stall_line(fact: StalledStream, context: Context) -> str:
    stalled = f"{context.chat.code(fact.stream)} has not been read for {duration_text(fact.seconds)}"
    return f"{context.chat.bold(stalled)}, since {zoned_text(fact.read_at, context.timezone)}"


def _resumed_line(fact: ResumedStream, context: Context) -> str:
    resumed = f"{context.chat.code(fact.stream)} is read again"
    return (
        f"{context.chat.bold(resumed)}: at {zoned_text(fact.read_at, context.timezone)}, for the first time since "
        f"{zoned_text(fact.stalled_since, context.timezone)}"
    )


def _failure_line(run: FailedRun, context: Context) -> str:
    code = context.chat.code
    failed = f"{context.chat.bold(f'A run of {code(run.job)} failed')} at {zoned_text(run.ended_at, context.timezone)}"
    reason = f": {code(run.reason, limit=LONGEST_REASON)}" if run.reason else ""
    where = f"run {code(run.run_id)}"
    if context.dagster_url is not None:
        where = _link(context, f"runs/{quote(run.run_id)}", "the run")
    return f"{failed}{reason}{_NEXT}{where}"


def _link(context: Context, path: str, text: str) -> str:
    return text if context.dagster_url is None else context.chat.link(f"{context.dagster_url}/{path}", text)
