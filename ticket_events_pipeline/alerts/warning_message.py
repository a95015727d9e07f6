"""What a warning says: a line for each ticket, the most urgent first, and how old the data behind it is.

What is new in a line is bold. Text of the account is in code marks. Times are local to the account.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ticket_events_pipeline.alerts.rich_text import Line, Message, Section, Span, bold, code, joined, link, text
from ticket_events_pipeline.alerts.warning_rules import Freshness, UrgentTarget
from ticket_events_pipeline.alerts.warning_state import STALE_AGAIN_SECONDS, WarningNews
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.sla_targets import SLA_METRICS
from ticket_events_pipeline.text import (
    duration_text,
    hours_name,
    local_time,
    metric_name,
    plural,
    policy_name,
    short_date_text,
    zoned_text,
)
from ticket_events_pipeline.tickets.names import Names

MOST_LINES = 20
"""Tickets that a message names: more than somebody can act on at once. The targets of the others are counted."""

MOST_OF_TICKET = 4
"""Targets that the line of a ticket names. The others are counted."""

LONGEST_SUBJECT = 80


@dataclass(frozen=True)
class Account:
    """The account that warnings are about.

    Attributes:
        name: None where it is unknown.
        today: its day now, whose zone the times are shown in.
        within_hours: the longest time before its due time that a warning is sent, in hours.
        tickets_url: the address of a ticket, up to its number; None for no links.
        report_url: the address of the newest report; None for no link.
        dagster_url: the address of Dagster's UI, without a trailing slash; None for no links.
        names: of groups and agents.
        subjects: of tickets; asked only for what is sent.
    """

    name: str | None
    today: Day
    within_hours: int = 1
    tickets_url: str | None = None
    report_url: str | None = None
    dagster_url: str | None = None
    names: Names = field(default_factory=Names, repr=False)
    subjects: Callable[[Collection[int]], Mapping[int, str]] = field(default=lambda _: {}, repr=False)


def warning_message(news: WarningNews, freshness: Freshness, account: Account, *, without_estimate: int = 0) -> Message:
    """The message that tells the news; `without_estimate` counts the open targets that no warning can come before."""
    due = _by_ticket(news.due)[:MOST_LINES]
    breached = _by_ticket(news.breached)[: MOST_LINES - len(due)]
    subjects = account.subjects(sorted({targets[0].ticket_id for targets in (*due, *breached)}))
    sections = [
        Section((_stale_line(freshness, account),)) if news.is_stale else None,
        Section(tuple(_line(targets, freshness.now, account, subjects) for targets in due)) if due else None,
        Section(
            tuple(_line(targets, freshness.now, account, subjects) for targets in breached),
            heading=(text("Breached before a warning got through:"),),
        )
        if breached
        else None,
        Section((_fresh_line(freshness, account),)) if news.is_fresh_again else None,
    ]
    more = len(news.due) + len(news.breached) - sum(map(len, (*due, *breached)))
    footer = tuple(_footer(news, freshness, account, more=more, without_estimate=without_estimate))
    return Message(_title(news, account, freshness.now), tuple(section for section in sections if section is not None), footer)


def _by_ticket(targets: Iterable[UrgentTarget]) -> list[list[UrgentTarget]]:
    """The targets of each ticket, both in their order."""
    found: dict[int, list[UrgentTarget]] = {}
    for target in targets:
        found.setdefault(target.ticket_id, []).append(target)
    return list(found.values())


def _title(news: WarningNews, account: Account, now: int) -> Line:
    past = sum(target.at < now for target in news.due)
    soon = len(news.due) - past
    told = [plural(soon, "target due soon", "targets due soon")] if soon else []
    told += [plural(past, "target past its due time", "targets past their due times")] if past else []
    told += [plural(len(news.breached), "breach without a warning", "breaches without a warning")] if news.breached else []
    told += ["the data is stale"] if news.is_stale else []
    told += ["the data is fresh again"] if news.is_fresh_again and not told else []
    of_account = () if account.name is None else (text(" of "), code(account.name))
    return (bold("SLA warning"), *of_account, text(f": {', '.join(told)}"))


def _line(targets: Sequence[UrgentTarget], now: int, account: Account, subjects: Mapping[int, str]) -> Line:
    """`#4711 due in 42 min (14:05 CET, estimate) - subject - First reply time, Premium, business hours - Support, Anna`.

    Further targets of the ticket follow the first one's policy, with their own times.
    """
    target = targets[0]
    url = None if account.tickets_url is None else f"{account.tickets_url}{target.ticket_id}"
    first = (link(f"#{target.ticket_id}", url), text(" "), *_when(target, now, account.today))
    subject = subjects.get(target.ticket_id)
    named = (code(subject, limit=LONGEST_SUBJECT),) if subject else ()
    return joined([first, named, _policies(targets, now, account.today), _holder(target, account.names)])


def _policies(targets: Sequence[UrgentTarget], now: int, today: Day) -> Line:
    """What is due when the line says; then whatever else is, and when."""
    named = [_policy(targets[0])]
    for before, target in pairwise(targets[:MOST_OF_TICKET]):
        when = () if target.at == before.at else (text(": "), *_when(target, now, today))
        named.append((*_policy(target), *when))
    more = len(targets) - len(named)
    return joined([*named, (text(f"{more} more"),) if more else ()], "; ")


def _when(target: UrgentTarget, now: int, today: Day) -> Line:
    clock = _clock_text(target.at, today)
    if target.is_breached:
        return (bold(f"breached {clock}"), text(f", {duration_text(max(0, now - target.at))} ago"))
    if target.at < now:
        return (bold(f"due {duration_text(now - target.at)} ago"), text(f" ({clock}, estimate), no breach is known"))
    return (bold(f"due in {duration_text(target.at - now)}"), text(f" ({clock}, estimate)"))


def _clock_text(at: int, today: Day) -> str:
    """`14:05 CET`; on another day `Tue 1 Dec, 09:12 CET`."""
    moment = local_time(at, today.timezone)
    date = "" if moment.date() == today.date else f"{short_date_text(moment.date())}, "
    return f"{date}{moment:%H:%M %Z}"


def _policy(target: UrgentTarget) -> Line:
    name = target.sla_metric
    metric = text(metric_name(name)) if name in SLA_METRICS else code(name)
    has_policy = target.policy_title or target.policy_id
    policy = policy_name(target.policy_id, target.policy_title)
    return (metric, text(", "), code(policy) if has_policy else text(policy), text(f", {hours_name(target.business_hours)}"))


def _holder(target: UrgentTarget, names: Names) -> Line:
    if target.group_id is None and target.assignee_id is None and not (target.group_is_known or target.assignee_is_known):
        return (text("group and agent unknown"),)
    group = _held_by(names, "groups", target.group_id, is_known=target.group_is_known)
    agent = _held_by(names, "agents", target.assignee_id, is_known=target.assignee_is_known)
    return joined([group, agent], ", ")


_NOBODY = {"groups": ("group", "no group"), "agents": ("agent", "nobody")}


def _held_by(names: Names, kind: str, id_: int | None, *, is_known: bool) -> Line:
    word, nobody = _NOBODY[kind]
    if id_ is None:
        return (text(nobody if is_known else f"{word} unknown"),)
    held: Span = code(names.of(kind, id_) or f"{word} {id_}")
    return (held,) if is_known else (held, text(" (assumed)"))


def _stale_line(freshness: Freshness, account: Account) -> Line:
    """What is wrong with the data, and what to do."""
    zone, as_of, age = account.today.timezone, freshness.as_of, freshness.age_seconds
    runs = link("the last runs", None if account.dagster_url is None else f"{account.dagster_url}/runs")
    if as_of is None or age is None:
        found = "No SLA table of today or yesterday can be read"
    else:
        found = f"No new data for {duration_text(age)}, since {zoned_text(as_of, zone)}"
    missed = text(": warnings come late or not at all. ")
    if freshness.is_read and freshness.read_at is not None:
        read = f"Events were read at {zoned_text(freshness.read_at, zone)}, but the SLA tables are older. See "
        return (bold(found), missed, text(read), runs, text("."))
    advice = text("Is frequent_fetch turned on? hourly_fetch alone is too seldom for warnings. See ")
    return (bold(found), missed, advice, runs, text("."))


def _fresh_line(freshness: Freshness, account: Account) -> Line:
    """The end of a time that was reported as stale. Another one may follow untold, so it says how long."""
    as_of = "" if freshness.as_of is None else f": as of {zoned_text(freshness.as_of, account.today.timezone)}"
    again = f"Stale data is reported every {STALE_AGAIN_SECONDS // 3600} hours at most."
    return (bold("The data is fresh again"), text(f"{as_of}. {again}"))


def _footer(news: WarningNews, freshness: Freshness, account: Account, *, more: int, without_estimate: int) -> Iterator[Line]:
    zone, as_of, age = account.today.timezone, freshness.as_of, freshness.age_seconds
    if more:
        of_others = plural(more, "target of other tickets", "targets of other tickets")
        yield (text(f"And {of_others}: "), code(f"ticket-events due --within {account.within_hours}h"))
    if without_estimate and (news.due or news.breached):
        have = plural(without_estimate, "more open target has", "more open targets have")
        yield (text(f"{have} no estimate and may breach without a warning: "), code("ticket-events due"))
    if (news.due or news.breached) and as_of is not None and age is not None:
        old = f", {duration_text(age)} ago: what has happened since then is not known" if freshness.is_old else ""
        yield joined([(text(f"As of {zoned_text(as_of, zone)}{old}"),), *_report(account)])
    if news.undelivered_since is not None:
        yield (text(f"Late: nothing could be delivered here since {zoned_text(news.undelivered_since, zone)}."),)


def _report(account: Account) -> Sequence[Line]:
    return [] if account.report_url is None else [(link("report", account.report_url),)]
