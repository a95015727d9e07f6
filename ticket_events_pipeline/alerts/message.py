"""What an alert says: all pending facts, a line for each metric of a day.

What is new in a line is bold, and the rest of it is context. One line at the end explains the lines above. Text of the account
is code, unless it is made of letters and underscores only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from urllib.parse import quote

from ticket_events_pipeline.alerts.observe import NO_TICKETS, BreachedTickets, DayState, FailedRun, MetricState
from ticket_events_pipeline.alerts.rich_text import Line, Message, Section, Span, bold, code, joined, link, text
from ticket_events_pipeline.alerts.rich_text import metric as sla_metric
from ticket_events_pipeline.alerts.rules import Content, Fact, LowRate, NewBreaches, ResumedStream, StalledStream
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.text import duration_text, hours_name, percent_text, plural, rate_text, zoned_text

LONGEST_REASON = 300
"""Characters of an error: enough to act on. The chat is another company's service."""


def _no_tickets(_: Day, __: str) -> BreachedTickets:
    return NO_TICKETS


@dataclass(frozen=True)
class Context:
    """The account whose facts a message holds.

    Attributes:
        account: its name; None where it is unknown.
        timezone: IANA zone of the times.
        dagster_url: the address of Dagster's UI for links, without a trailing slash; None for no links.
        summary_path: of the summary's asset in the UI.
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


def alert_message(news: News, context: Context) -> Message:
    """The message of the facts: those about the pipeline first, then each day under its own heading."""
    entries = list(_entries(news.facts))
    sections = [
        Section(tuple(_line(entry, context) for entry in of_day), None if day is None else _heading(day, context))
        for day, of_day in groupby(entries, key=lambda entry: entry.day)
    ]
    footer = (*_explanation(entries, context), *_footer(news, context))
    return Message(_title(context), tuple(sections), footer)


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


def _title(context: Context) -> Line:
    of_account = () if context.account is None else (text(" of "), code(context.account))
    if context.is_test:
        return (bold("Test of the SLA alerts"), *of_account, text(": this message shows what an alert looks like"))
    return (bold("SLA alert"), *of_account)


def _footer(news: News, context: Context) -> Iterator[Line]:
    if news.undelivered_since is not None:
        yield (text(f"Late: nothing was accepted here since {zoned_text(news.undelivered_since, context.timezone)}."),)
    if news.missed:
        more = f"{plural(news.missed, 'more alert')} can't be listed any more: see the failed runs and reports since then."
        yield (text(more),)


def _explanation(entries: Sequence[_Entry], context: Context) -> list[Line]:
    """One line for all lines of a message; none where nothing needs it."""
    sentences: list[Line] = []
    stalls = [entry.content for entry in entries if isinstance(entry.content, StalledStream)]
    if stalls:
        asked = f"After {stalls[0].threshold_hours} h without a reading: is hourly_fetch turned on? See "
        sentences.append((text(asked), _in_dagster(context, "runs", "its last runs"), text(".")))
    if any(isinstance(entry.content, FailedRun) for entry in entries):
        sentences.append((text("Dagster will not retry failed runs named here."),))
    breaches = next((entry.breaches for entry in entries if entry.breaches), None)
    if breaches is not None:
        sentences.append((text(f"Breaches are posted from {breaches.threshold} a day on, and at each doubling."),))
    rate = next((entry.rate for entry in entries if entry.rate), None)
    if rate is not None:
        said = (
            f"A rate is posted once a day below {rate.threshold_percent}%, from {rate.min_targets} met or breached targets on."
        )
        sentences.append((text(said),))
    return [joined(sentences, " ")] if sentences else []


def _heading(day: DayState, context: Context) -> Line:
    so_far = "the whole day" if day.is_complete else "so far"
    parts: list[Line] = [(text(f"{day.day}, {so_far}, as of {zoned_text(day.as_of, context.timezone)}"),)]
    if context.report_url is not None:
        parts.append((link("report", f"{context.report_url}/date={day.day}/{context.report_file}"),))
    if context.dagster_url is not None:
        path = f"assets/{quote(context.summary_path)}?partition={day.day}&view=partitions"
        parts.append((_in_dagster(context, path, "in Dagster"),))
    return joined(parts)


def _line(entry: _Entry, context: Context) -> Line:
    match entry.content:
        case NewBreaches() | LowRate() as content:
            return _metric_line(entry, content, context)
        case StalledStream() as content:
            return _stall_line(content, context)
        case ResumedStream() as content:
            return _resumed_line(content, context)
        case FailedRun() as content:
            return _failure_line(content, context)


def _metric_line(entry: _Entry, content: NewBreaches | LowRate, context: Context) -> Line:
    """`First reply time: 5 breaches, 75.0% met (goal 95%) - 3 under Silver, business hours - #123 #456 and 3 more`."""
    metric = content.metric
    name = sla_metric(metric.sla_metric, is_bold=True)
    breaches, rate = plural(metric.breaches, "breach", "breaches"), _rate(metric)
    goal = "" if context.goal_percent is None else f" (goal {percent_text(context.goal_percent)})"
    if entry.breaches is not None and entry.rate is not None:
        figures: Line = (name, bold(f": {breaches}, {rate}"), text(goal))
    elif entry.breaches is not None:
        figures = (name, bold(f": {breaches}"), text(f", {rate}{goal}"))
    else:
        figures = (name, bold(f": {rate}"), text(f"{goal}, {breaches}"))
    return joined([figures, _worst_policy(metric), _tickets(content.day.day, metric, context)])


def _rate(metric: MetricState) -> str:
    return f"{rate_text(metric.achieved / (metric.achieved + metric.breaches))} met"


def _worst_policy(metric: MetricState) -> Line:
    if metric.worst_policy is None:
        return ()
    hours = f", {hours_name(metric.worst_policy_hours)}" if metric.worst_policy_hours is not None else ""
    return (text(f"{metric.worst_policy_breaches:,} under "), code(metric.worst_policy), text(hours))


def _tickets(day: Day, metric: MetricState, context: Context) -> Line:
    """The newest of the tickets that breached, each a link; nothing where they are not known."""
    found = context.tickets(day, metric.sla_metric) if metric.breaches else NO_TICKETS
    url = context.tickets_url
    shown: list[Line] = [(link(f"#{ticket}", None if url is None else f"{url}{ticket}"),) for ticket in found.newest]
    more = found.number - len(found.newest)
    return joined([*shown, *([(text(f"and {more:,} more"),)] if shown and more > 0 else [])], " ")


def _stall_line(fact: StalledStream, context: Context) -> Line:
    stalled = bold(f" has not been read for {duration_text(fact.seconds)}")
    return (code(fact.stream, is_bold=True), stalled, text(f", since {zoned_text(fact.read_at, context.timezone)}"))


def _resumed_line(fact: ResumedStream, context: Context) -> Line:
    times = f": at {zoned_text(fact.read_at, context.timezone)}, for the first time since "
    return (
        code(fact.stream, is_bold=True),
        bold(" is read again"),
        text(times + zoned_text(fact.stalled_since, context.timezone)),
    )


def _failure_line(run: FailedRun, context: Context) -> Line:
    failed = (bold("A run of "), code(run.job, is_bold=True), bold(" failed"))
    at = text(f" at {zoned_text(run.ended_at, context.timezone)}")
    reason = (text(": "), code(run.reason, limit=LONGEST_REASON)) if run.reason else ()
    where: Line = (text("run "), code(run.run_id))
    if context.dagster_url is not None:
        where = (_in_dagster(context, f"runs/{quote(run.run_id)}", "the run"),)
    return joined([(*failed, at, *reason), where])


def _in_dagster(context: Context, path: str, words: str) -> Span:
    return link(words, None if context.dagster_url is None else f"{context.dagster_url}/{path}")
